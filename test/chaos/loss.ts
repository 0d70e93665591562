import {
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  closeSync,
  ftruncateSync,
  fstatSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Prng } from "#dist/base/index.js";
import { journalNames, readJournal } from "./machine/journal.ts";
import type { DataNote, Entry, NameNote, Note } from "./machine/journal.ts";
import type { DiskOptions } from "./machine/disk.ts";

const sectorBytes = 512;

/** What a power loss took. */
export interface Loss {
  /** Names that went back: created, replaced or removed files. */
  readonly names: number;
  /** Sectors that went back to what they were. */
  readonly sectors: number;
  /** Writes that were not synced, of which these sectors are a part. */
  readonly writes: number;
}

/** Nothing is unsynced any more: a disk that kept everything. */
export function keepEverything(disk: DiskOptions): void {
  rmSync(disk.journal, { recursive: true, force: true });
  rmSync(disk.aside, { recursive: true, force: true });
  mkdirSync(disk.journal, { recursive: true });
}

/**
 * Makes the disk of a process that is dead what it may be after a power loss at that moment: bytes that no sync has
 * promised are kept, lost or torn by sectors, in any order; names that no sync of their directory has promised come
 * back from some moment on, in order, as file systems with a journal do it. Within that, `prng` decides.
 */
export function losePower(disk: DiskOptions, prng: Prng): Loss {
  const entries = journalNames.flatMap((name) => readJournal(disk.journal, name)).sort((a, b) => a.note.seq - b.note.seq);
  const promises = promisesOf(entries);
  const pending = entries.filter(({ note }) => !promises.hold(note));
  const names = undoNames(
    pending.map(({ note }) => note).filter((note) => "path" in note),
    prng.fork("names"),
  );
  const unsynced = pending.filter((entry): entry is Entry<DataNote> => "size" in entry.note);
  const sectors = undoWrites(disk.data, unsynced, prng.fork("data"));
  keepEverything(disk);
  return { names, sectors, writes: unsynced.length };
}

/** Which notes are about something that a later sync has made durable. */
function promisesOf(entries: readonly Entry[]): { hold(note: Note): boolean } {
  const files = new Map<number, number>();
  const directories = new Map<string, number>();
  for (const { note } of entries) {
    if (note.kind === "synced") files.set(note.inode, note.seq);
    else if (note.kind === "names-synced") directories.set(note.directory, note.seq);
  }
  const isNamed = (path: string, seq: number): boolean => (directories.get(dirname(path)) ?? 0) > seq;
  return {
    hold: (note) => {
      if ("path" in note) return isNamed(note.path, note.seq) && (note.kind !== "rename" || isNamed(note.to, note.seq));
      return "size" in note && (files.get(note.inode) ?? 0) > note.seq;
    },
  };
}

/** A prefix is kept, what came after it is undone, the last first. */
function undoNames(notes: readonly NameNote[], prng: Prng): number {
  const kept = prng.pick([0, notes.length, notes.length === 0 ? 0 : prng.below(notes.length + 1)]);
  const undone = notes.slice(kept).reverse();
  for (const note of undone) {
    if (note.kind === "create") rmSync(note.path, { force: true });
    else {
      if (note.kind === "rename" && existsSync(note.to)) renameSync(note.to, note.path);
      const lost = note.kind === "rename" ? note.to : note.path;
      if (note.aside !== undefined && existsSync(note.aside)) renameSync(note.aside, lost);
    }
  }
  return undone.length;
}

function undoWrites(data: string, entries: readonly Entry<DataNote>[], prng: Prng): number {
  const paths = inodesBelow(data);
  const byInode = new Map<number, Entry<DataNote>[]>();
  for (const entry of entries) byInode.set(entry.note.inode, [...(byInode.get(entry.note.inode) ?? []), entry]);
  let sectors = 0;
  for (const [inode, list] of byInode) {
    const path = paths.get(inode);
    if (path !== undefined) sectors += undoFile(path, list, prng.fork(String(inode)));
  }
  return sectors;
}

/** From the last note to the first; a sector goes back version by version until the draw lets it stay. */
function undoFile(path: string, entries: readonly Entry<DataNote>[], prng: Prng): number {
  const chance = prng.pick([0, 1, 2, 4, 4]);
  const settled = new Set<number>();
  const fd = openSync(path, "r+");
  let lost = 0;
  let keptEnd = 0;
  try {
    for (const { note, payload } of [...entries].reverse()) {
      if (note.kind === "cut") {
        if (settled.size > 0 || !prng.chance(chance, 4)) break;
        ftruncateSync(fd, note.size);
        put(fd, payload, 0, payload.length, note.length);
        continue;
      }
      const end = note.offset + note.length;
      for (let from = note.offset; from < end; ) {
        const sector = Math.floor(from / sectorBytes);
        const to = Math.min(end, (sector + 1) * sectorBytes);
        if (!settled.has(sector) && prng.chance(chance, 4)) {
          restore(fd, note.offset, payload, from, to);
          lost++;
        } else {
          settled.add(sector);
          keptEnd = Math.max(keptEnd, to);
        }
        from = to;
      }
    }
    const first = entries[0]?.note;
    if (first !== undefined && prng.chance(1, 2)) shorten(fd, Math.max(first.size, keptEnd));
  } finally {
    closeSync(fd);
  }
  return lost;
}

/** What stood there before; behind the old end of the file there was nothing, and nothing reads as zeros. */
function restore(fd: number, offset: number, before: Uint8Array, from: number, to: number): void {
  const bytes = new Uint8Array(to - from);
  bytes.set(before.subarray(Math.min(before.length, from - offset), Math.min(before.length, to - offset)));
  put(fd, bytes, 0, bytes.length, from);
}

function put(fd: number, bytes: Uint8Array, from: number, length: number, offset: number): void {
  for (let done = 0; done < length; ) done += writeSync(fd, bytes, from + done, length - done, offset + done);
}

function shorten(fd: number, length: number): void {
  if (length < fstatSync(fd).size) ftruncateSync(fd, length);
}

function inodesBelow(directory: string): ReadonlyMap<number, string> {
  const found = new Map<number, string>();
  for (const name of readdirSync(directory, { recursive: true }) as string[]) {
    const path = join(directory, name);
    const info = lstatSync(path, { throwIfNoEntry: false });
    if (info?.isFile() === true) found.set(info.ino, path);
  }
  return found;
}
