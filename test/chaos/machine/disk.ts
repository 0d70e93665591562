import fs from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { threadId } from "node:worker_threads";
import type { Controls, FailingCall } from "./controls.ts";
import { Journal, readJournal } from "./journal.ts";
import type { JournalName, Note } from "./journal.ts";

const {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} = fs;
const promises = { ...fs.promises };

export interface DiskOptions {
  /** Everything below it is the node's disk. */
  readonly data: string;
  /** Where the journals are, outside of it. */
  readonly journal: string;
  /** Where removed and replaced files wait for the sync of their directory: on the disk's file system, outside of `data`. */
  readonly aside: string;
  /** A sync takes this much longer, before it promises anything: the time in which a machine mostly dies. */
  readonly syncMs: number;
}

/**
 * Stands between the program and the file system, in each thread: lets every call through, and writes
 * down beforehand what a power loss would take back. Calls on other files are not touched.
 *
 * Invariant: `unsynced` holds the inodes for which this thread's journal has a note behind their last sync.
 */
class WatchedDisk {
  private readonly options: DiskOptions;
  private readonly controls: Controls;
  private readonly own: Journal;
  private readonly names: Journal;
  /** Inodes of open files, and of open directories their paths. */
  private readonly files = new Map<number, number>();
  private readonly unsynced = new Set<number>();
  /** Files that lost their names since the last sync of their directory. */
  private readonly waiting: { readonly seq: number; readonly directory: string; readonly aside: string }[] = [];
  private asides = 0;

  constructor(options: DiskOptions, controls: Controls, name: JournalName) {
    this.options = options;
    this.controls = controls;
    this.own = new Journal(options.journal, name);
    this.names = new Journal(options.journal, "names");
    for (const { note } of readJournal(options.journal, name)) {
      if (note.kind === "synced") this.unsynced.delete(note.inode);
      else if ("inode" in note) this.unsynced.add(note.inode);
    }
    if (name === "main") for (const { note } of readJournal(options.journal, "names")) this.recall(note);
  }

  /** What an earlier process of this node left waiting. */
  private recall(note: Note): void {
    if (note.kind === "names-synced") this.release(note.seq, note.directory);
    else if (note.kind === "remove" || note.kind === "rename") this.wait(note);
  }

  private wait({ kind, seq, path, ...rest }: Extract<Note, { readonly kind: "remove" | "rename" }>): void {
    const { aside } = rest;
    const lost = kind === "rename" ? (rest as { readonly to: string }).to : path;
    if (aside !== undefined) this.waiting.push({ seq, directory: dirname(lost), aside });
  }

  /** Names that were lost before `seq` are lost for good, and what they named with them. */
  private release(seq: number, directory: string): void {
    for (let at = this.waiting.length - 1; at >= 0; at--) {
      const entry = this.waiting[at];
      if (entry === undefined || entry.seq >= seq || entry.directory !== directory) continue;
      this.waiting.splice(at, 1);
      const found = statSync(entry.aside, { throwIfNoEntry: false });
      if (found === undefined) continue;
      // The number may be given to another file now, which has nothing to do with these notes.
      if (found.nlink === 1) this.names.write({ kind: "synced", seq: this.controls.nextSequence(), inode: found.ino });
      rmSync(entry.aside);
    }
  }

  isDirectory(path: unknown): path is string {
    if (typeof path !== "string" || !`${resolve(path)}/`.startsWith(`${this.options.data}/`)) return false;
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  }

  has(path: unknown): path is string {
    return typeof path === "string" && resolve(path).startsWith(`${this.options.data}/`);
  }

  private fail(call: FailingCall): void {
    if (!this.controls.fails(call)) return;
    throw Object.assign(new Error(`EIO: i/o error, injected (${call})`), { code: "EIO", errno: -5 });
  }

  /** Before `path` is opened, perhaps created. */
  opening(path: string, flags: unknown): void {
    const creates = typeof flags === "number" ? (flags & fs.constants.O_CREAT) !== 0 : typeof flags === "string" && /^[wa]/.test(flags);
    if (creates && !existsSync(path)) this.names.write({ kind: "create", seq: this.controls.nextSequence(), path: resolve(path) });
  }

  opened(fd: number): void {
    this.files.set(fd, fstatSync(fd).ino);
  }

  closed(fd: number): void {
    this.files.delete(fd);
  }

  isOpen(fd: number): boolean {
    return this.files.has(fd);
  }

  reading(fd: number): void {
    if (this.isOpen(fd)) this.fail("failReads");
  }

  /** Before bytes are written. */
  writing(fd: number, offset: number, length: number): void {
    const inode = this.files.get(fd);
    if (inode === undefined || length === 0) return;
    this.fail("failWrites");
    const { size } = fstatSync(fd);
    const before = this.read(fd, offset, Math.max(0, Math.min(length, size - offset)));
    this.unsynced.add(inode);
    this.own.write({ kind: "write", seq: this.controls.nextSequence(), inode, offset, length, size }, before);
  }

  cutting(fd: number, length: number): void {
    const inode = this.files.get(fd);
    if (inode === undefined) return;
    this.fail("failWrites");
    const { size } = fstatSync(fd);
    this.unsynced.add(inode);
    const before = this.read(fd, length, Math.max(0, size - length));
    this.own.write({ kind: "cut", seq: this.controls.nextSequence(), inode, length, size }, before);
  }

  private read(fd: number, offset: number, length: number): Uint8Array {
    const bytes = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      const count = readSync(fd, bytes, done, length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return bytes.subarray(0, done);
  }

  /** Before a sync; what it gives is called when it has succeeded. A sync that fails promises nothing. */
  syncing(fd: number): () => void {
    const inode = this.files.get(fd);
    if (inode === undefined) return () => undefined;
    this.fail("failSyncs");
    const seq = this.controls.nextSequence();
    return () => {
      this.unsynced.delete(inode);
      if (this.unsynced.size === 0) this.own.clear();
      else this.own.write({ kind: "synced", seq, inode });
    };
  }

  syncingNames(directory: string): () => void {
    this.fail("failSyncs");
    const seq = this.controls.nextSequence();
    return () => {
      this.names.write({ kind: "names-synced", seq, directory: resolve(directory) });
      this.release(seq, resolve(directory));
    };
  }

  /** Puts a file that loses its name aside, so that the name can come back. */
  putAside(path: string): string {
    const aside = join(this.options.aside, `${threadId}.${process.pid}.${this.asides++}.${basename(path)}`);
    // A second name, so that whoever looks at `path` sees it whole until the moment it is replaced.
    linkSync(path, aside);
    return aside;
  }

  renaming(from: string, to: string): void {
    const aside = existsSync(to) ? this.putAside(to) : undefined;
    this.lose({ kind: "rename", seq: this.controls.nextSequence(), path: resolve(from), to: resolve(to), aside });
  }

  removing(path: string): void {
    if (!existsSync(path)) return;
    this.lose({ kind: "remove", seq: this.controls.nextSequence(), path: resolve(path), aside: this.putAside(path) });
  }

  private lose(note: Extract<Note, { readonly kind: "remove" | "rename" }>): void {
    this.names.write(note);
    this.wait(note);
  }
}

/** Replaces what `node:fs` exports, for this thread, before the program is loaded. */
export function watchDisk(options: DiskOptions, controls: Controls, name: JournalName): void {
  mkdirSync(options.journal, { recursive: true });
  mkdirSync(options.aside, { recursive: true });
  const disk = new WatchedDisk(options, controls, name);
  replaceSynchronous(disk, options);
  replacePromises(disk, options);
  syncBuiltinESMExports();
}

type Sync = Pick<typeof fs, "openSync" | "closeSync" | "writeSync" | "readSync" | "ftruncateSync" | "fdatasyncSync">;

function replaceSynchronous(disk: WatchedDisk, options: DiskOptions): void {
  const replacements: { readonly [Name in keyof Sync]: (...parts: never[]) => unknown } = {
    openSync: (path: string, flags?: string | number, mode?: number) => {
      if (!disk.has(path)) return openSync(path, flags ?? "r", mode);
      disk.opening(path, flags);
      const fd = openSync(path, flags ?? "r", mode);
      disk.opened(fd);
      return fd;
    },
    closeSync: (fd: number) => {
      disk.closed(fd);
      closeSync(fd);
    },
    writeSync: (fd: number, bytes: Uint8Array, from: number, length: number, offset: number) => {
      disk.writing(fd, offset, length);
      return writeSync(fd, bytes, from, length, offset);
    },
    readSync: (fd: number, bytes: Uint8Array, from: number, length: number, offset: number) => {
      disk.reading(fd);
      return readSync(fd, bytes, from, length, offset);
    },
    ftruncateSync: (fd: number, length: number) => {
      disk.cutting(fd, length);
      ftruncateSync(fd, length);
    },
    fdatasyncSync: (fd: number) => {
      const done = disk.syncing(fd);
      if (options.syncMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, options.syncMs);
      fdatasyncSync(fd);
      done();
    },
  };
  Object.assign(fs, replacements);
}

function replacePromises(disk: WatchedDisk, options: DiskOptions): void {
  Object.assign(fs.promises, {
    open: async (path: string, flags?: string | number, mode?: number): Promise<FileHandle> => {
      if (disk.isDirectory(path)) return watchDirectory(disk, options, await promises.open(path, flags, mode), path);
      if (!disk.has(path)) return promises.open(path, flags, mode);
      disk.opening(path, flags);
      return watchFile(disk, options, await promises.open(path, flags, mode));
    },
    rename: async (from: string, to: string): Promise<void> => {
      if (disk.has(from) && disk.has(to)) disk.renaming(from, to);
      await promises.rename(from, to);
    },
    rm: async (path: string, options?: Parameters<typeof promises.rm>[1]): Promise<void> => {
      if (disk.has(path)) disk.removing(path);
      await promises.rm(path, options);
    },
  });
}

function watchDirectory(disk: WatchedDisk, options: DiskOptions, handle: FileHandle, path: string): FileHandle {
  const sync = handle.sync.bind(handle);
  handle.sync = async () => {
    const done = disk.syncingNames(path);
    if (options.syncMs > 0) await sleep(options.syncMs);
    await sync();
    done();
  };
  return handle;
}

function watchFile(disk: WatchedDisk, options: DiskOptions, handle: FileHandle): FileHandle {
  const { fd } = handle;
  disk.opened(fd);
  const close = handle.close.bind(handle);
  const datasync = handle.datasync.bind(handle);
  const read = handle.read.bind(handle) as (...parts: unknown[]) => ReturnType<FileHandle["read"]>;
  const truncate = handle.truncate.bind(handle);
  const write = handle.write.bind(handle) as (...parts: unknown[]) => ReturnType<FileHandle["write"]>;
  return Object.assign(handle, {
    close: async () => {
      disk.closed(fd);
      await close();
    },
    datasync: async () => {
      const done = disk.syncing(fd);
      if (options.syncMs > 0) await sleep(options.syncMs);
      await datasync();
      done();
    },
    read: async (...parts: unknown[]) => {
      disk.reading(fd);
      return read(...parts);
    },
    truncate: async (length?: number) => {
      disk.cutting(fd, length ?? 0);
      await truncate(length);
    },
    write: async (bytes: Uint8Array, from: number, length: number, offset: number) => {
      disk.writing(fd, offset, length);
      return write(bytes, from, length, offset);
    },
  });
}
