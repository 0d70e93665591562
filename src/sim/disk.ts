import { assert } from "../base/index.ts";
import type { Prng } from "../base/index.ts";
import { DiskError } from "../ports/index.ts";
import type { Clock, Disk, File, Timer } from "../ports/index.ts";
import { SimInode } from "./disk-inode.ts";
import { DiskNames } from "./disk-names.ts";

export interface SimDiskOptions {
  readonly clock: Clock;
  readonly prng: Prng;
  /** Bytes that all files together may have. Default: no limit. */
  readonly capacityBytes?: number;
  /** Shortest and longest time of an operation. Defaults: 0.1 to 0.3 ms on the log lane, 0.1 to 2 ms on the bulk lane. */
  readonly logMs?: readonly [number, number];
  readonly bulkMs?: readonly [number, number];
  /** What a second process that wants the lock is told. Default 1. */
  readonly pid?: number;
}

export type CrashKind =
  /** kill -9: what was written stays in the system's cache; nothing becomes durable by it. */
  | "process"
  /** Power loss: what was not synced is kept, lost or torn, sector by sector, as the seed says. */
  | "power";

/** What becomes of unsynced sectors and names at a power loss. "mix" decides for each. */
export type CrashFate = "lose" | "keep" | "mix";

type Lane = "log" | "bulk";

interface Waiting {
  readonly lane: Lane;
  readonly finish: () => void;
  timer: Timer | undefined;
}

/** What `failNext` may refuse. */
export type DiskOperation = "sync" | "write" | "read";

/**
 * A disk in memory, over virtual time, that loses what a real one may lose and nothing else.
 *
 * A crash ends all handles: their operations never settle, as those of a dead process. Whoever crashes
 * the disk crashes the process that uses it, so that no timer of it calls the disk again.
 */
export class SimDisk implements Disk {
  capacityBytes: number;
  /** As on a file system that copies what it overwrites: when the disk is full, every write is refused, also within what is there. */
  copiesOnWrite = false;
  private readonly clock: Clock;
  private readonly prng: Prng;
  private readonly pid: number;
  private readonly latencyMs: Readonly<Record<Lane, readonly [number, number]>>;
  private readonly names = new DiskNames();
  private readonly locks = new Map<string, number>();
  /** Every operation takes this many times as long. */
  private slowness = 1;
  /** Operations that have not ended, in the order in which they were asked for. */
  private readonly waiting = new Set<Waiting>();
  private readonly freeAt: Record<Lane, number> = { log: 0, bulk: 0 };
  private life = 0;
  private readonly failures: Record<DiskOperation, number> = { sync: 0, write: 0, read: 0 };
  private tripwire: { left: number; readonly callback: () => void } | undefined;
  private counts = { writes: 0, syncs: 0 };

  constructor(options: SimDiskOptions) {
    this.clock = options.clock;
    this.prng = options.prng;
    this.pid = options.pid ?? 1;
    this.capacityBytes = options.capacityBytes ?? Number.MAX_SAFE_INTEGER;
    this.latencyMs = { log: options.logMs ?? [0.1, 0.3], bulk: options.bulkMs ?? [0.1, 2] };
  }

  get writes(): number {
    return this.counts.writes;
  }

  get syncs(): number {
    return this.counts.syncs;
  }

  async open(path: string, options: { readonly create: boolean; readonly lane: Lane }): Promise<File> {
    return await this.run(options.lane, () => {
      let inode = this.names.find(path);
      if (inode === undefined) {
        if (!options.create) throw new DiskError("missing", `${path} does not exist`);
        inode = new SimInode();
        this.names.create(path, inode);
        this.changed();
      }
      return new SimFile(this, path, inode, options.lane, this.life);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.run("bulk", () => {
      if (this.names.find(from) === undefined) throw new DiskError("missing", `${from} does not exist`);
      this.names.rename(from, to);
      this.changed();
    });
  }

  remove(path: string): Promise<void> {
    return this.run("bulk", () => {
      this.names.remove(path);
      this.changed();
    });
  }

  list(directory: string): Promise<string[]> {
    return this.run("bulk", () => this.names.list(directory));
  }

  makeDirectory(_path: string): Promise<void> {
    return this.run("bulk", () => undefined);
  }

  syncDirectory(path: string): Promise<void> {
    const covered = this.names.pendingIn(path);
    return this.run("bulk", () => {
      if (this.takeFailure("sync")) throw new DiskError("io", `sync of directory ${path} failed`);
      this.names.commit(path, covered);
    });
  }

  freeBytes(): Promise<number> {
    return this.run("bulk", () => Math.max(0, this.capacityBytes - this.usedBytes()));
  }

  lock(path: string): Promise<{ release(): Promise<void> }> {
    return this.run("bulk", () => {
      const pid = this.locks.get(path);
      if (pid !== undefined) throw new DiskError("locked", `${path} is held`, { pid });
      this.locks.set(path, this.pid);
      return {
        release: async (): Promise<void> => {
          this.locks.delete(path);
        },
      };
    });
  }

  /** Ends every handle and lock. See `CrashKind`; `fate` undefined draws one. */
  crash(kind: CrashKind = "power", fate?: CrashFate): void {
    this.life++;
    this.tripwire = undefined;
    this.locks.clear();
    this.freeAt.log = 0;
    this.freeAt.bulk = 0;
    this.waiting.clear();
    if (kind === "process") return;
    const drawn = fate ?? this.prng.pick(["lose", "keep", "mix", "mix"] as const);
    this.names.crash((count) => this.survivors(count, drawn));
    for (const inode of this.names.inodes())
      inode.crash((versions) => (drawn === "mix" ? this.prng.below(versions) : drawn === "lose" ? 0 : versions - 1));
  }

  /** Flips one bit, in every version of the sector: bit rot. */
  corrupt(path: string, offset: number, bit = 0): void {
    this.inode(path).flip(offset, bit);
  }

  /** Zeros in the place of `from` to `to`, in every version of the sector: a place that cannot be read any more. */
  erase(path: string, from: number, to: number): void {
    const inode = this.inode(path);
    for (let offset = from; offset < Math.min(to, inode.size); offset++) inode.clear(offset);
  }

  /**
   * The next operation of this kind, on any file, is refused with "io". A "sync" may be a directory's, and what it
   * covered is never made durable by a later one; of a "write" nothing arrives.
   */
  failNext(operation: DiskOperation): void {
    this.failures[operation]++;
  }

  /**
   * Calls back when so many more changes (writes, truncations, names) were accepted, before any of them can be synced:
   * the moment for a crash. A crash forgets it.
   */
  afterChanges(count: number, callback: () => void): void {
    this.tripwire = { left: count, callback };
  }

  /** Every operation that begins takes `factor` times as long, until `hurry`. */
  slow(factor: number): void {
    this.slowness = factor;
  }

  /** It is as fast as ever, for what waits already, too: a disk that was slow is not slow for what was asked of it then. */
  hurry(): void {
    if (this.slowness === 1) return;
    this.slowness = 1;
    const now = this.clock.now();
    for (const lane of ["log", "bulk"] as const) {
      let done = now;
      for (const operation of this.waiting) {
        if (operation.lane !== lane) continue;
        operation.timer?.cancel();
        done += this.latencyMs[lane][1];
        operation.timer = this.clock.after(done - now, operation.finish);
      }
      this.freeAt[lane] = done;
    }
  }

  /** From here on it is fast, has room and refuses nothing. */
  heal(): void {
    this.hurry();
    this.capacityBytes = Number.MAX_SAFE_INTEGER;
    this.copiesOnWrite = false;
    this.tripwire = undefined;
    for (const operation of ["sync", "write", "read"] as const) this.failures[operation] = 0;
  }

  /** What stands under a name now: another object once the file was written anew. */
  identityOf(path: string): object | undefined {
    return this.names.find(path);
  }

  /** Another, empty disk is in the place of this one. */
  wipe(): void {
    this.crash("process");
    for (const path of this.names.paths()) this.names.lose(path);
  }

  /** Names and sizes, as a process would see them now. */
  files(): { readonly path: string; readonly size: number }[] {
    return this.names.paths().map((path) => ({ path, size: this.inode(path).size }));
  }

  /** A copy of a file's bytes, as a process would see them now. */
  bytesOf(path: string): Uint8Array {
    return this.inode(path).bytes().slice();
  }

  /** Replaces or makes a file, durably: to put fixtures and damage in place. */
  put(path: string, bytes: Uint8Array): void {
    this.names.put(path, new SimInode(bytes));
  }

  /** Cuts a file, durably. */
  cut(path: string, length: number): void {
    this.put(path, this.bytesOf(path).subarray(0, length));
  }

  /** Removes a name, durably. */
  lose(path: string): void {
    this.names.lose(path);
  }

  /** Runs an operation when its lane comes to it. One that a crash overtakes never settles. */
  run<T>(lane: Lane, action: () => T, costly = 1): Promise<T> {
    const { life } = this;
    const [low, high] = this.latencyMs[lane];
    const ms = (low + ((high - low) * this.prng.below(1001)) / 1000) * this.slowness * costly;
    const now = this.clock.now();
    const done = Math.max(now, this.freeAt[lane]) + ms;
    this.freeAt[lane] = done;
    return new Promise((resolve, reject) => {
      const operation: Waiting = {
        lane,
        finish: () => {
          this.waiting.delete(operation);
          if (life !== this.life) return;
          try {
            resolve(action());
          } catch (error) {
            reject(error);
          }
        },
        timer: undefined,
      };
      this.waiting.add(operation);
      operation.timer = this.clock.after(done - now, operation.finish);
    });
  }

  isAlive(life: number): boolean {
    return life === this.life;
  }

  usedBytes(): number {
    let used = 0;
    for (const inode of this.names.inodes()) used += inode.size;
    return used;
  }

  /** Throws when a file may not grow by so much. */
  reserve(extra: number, path: string): void {
    if (extra > 0 && this.usedBytes() + extra > this.capacityBytes) throw new DiskError("full", `no room to grow ${path}`);
  }

  /** Throws when so much cannot be written, of which a file grows by `extra`. */
  admit(length: number, extra: number, path: string): void {
    this.reserve(this.copiesOnWrite ? Math.max(length, extra) : extra, path);
  }

  takeFailure(operation: DiskOperation): boolean {
    if (this.failures[operation] === 0) return false;
    this.failures[operation]--;
    return true;
  }

  /** Something was changed that no sync covers yet. */
  changed(): void {
    const { tripwire } = this;
    if (tripwire === undefined || --tripwire.left > 0) return;
    this.tripwire = undefined;
    tripwire.callback();
  }

  count(what: "writes" | "syncs"): void {
    this.counts[what]++;
  }

  private survivors(count: number, fate: CrashFate): number {
    return fate === "lose" ? 0 : fate === "keep" ? count : this.prng.below(count + 1);
  }

  private inode(path: string): SimInode {
    const inode = this.names.find(path);
    assert(inode !== undefined, `${path} is on the simulated disk`);
    return inode;
  }
}

class SimFile implements File {
  private readonly disk: SimDisk;
  private readonly path: string;
  private readonly inode: SimInode;
  private readonly lane: Lane;
  private readonly life: number;
  private closed = false;

  constructor(disk: SimDisk, path: string, inode: SimInode, lane: Lane, life: number) {
    this.disk = disk;
    this.path = path;
    this.inode = inode;
    this.lane = lane;
    this.life = life;
  }

  readAt(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    return this.use(() => {
      if (this.disk.takeFailure("read")) throw new DiskError("io", `${this.path} could not be read`);
      const bytes = this.inode.read(offset, length);
      if (into === undefined) return bytes;
      into.set(bytes);
      return into.subarray(0, bytes.length);
    });
  }

  writeAt(offset: number, chunks: readonly Uint8Array[], options: { readonly sync: boolean }): Promise<void> {
    if (this.isDead) return never();
    let length = 0;
    for (const chunk of chunks) length += chunk.length;
    this.disk.count("writes");
    // Accepted at once, durable only when a sync that begins now has ended.
    let refusal: DiskError | undefined;
    try {
      this.disk.admit(length, offset + length - this.inode.size, this.path);
      if (this.disk.takeFailure("write")) throw new DiskError("io", `${this.path} could not be written`);
      this.inode.write(offset, chunks);
      this.disk.changed();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      refusal = error;
    }
    if (refusal === undefined && options.sync) return this.sync();
    return this.use(() => {
      if (refusal !== undefined) throw refusal;
    });
  }

  sync(): Promise<void> {
    if (this.isDead) return never();
    this.disk.count("syncs");
    const mark = this.inode.beginSync();
    return this.use(() => {
      if (this.disk.takeFailure("sync")) {
        this.inode.failSync(mark);
        throw new DiskError("io", `sync of ${this.path} failed`);
      }
      this.inode.endSync(mark);
    });
  }

  truncate(length: number): Promise<void> {
    if (this.isDead) return never();
    this.inode.resize(length);
    this.disk.changed();
    return this.use(() => undefined);
  }

  size(): Promise<number> {
    return this.use(() => this.inode.size);
  }

  preallocate(length: number): Promise<void> {
    if (this.isDead) return never();
    try {
      this.disk.reserve(length - this.inode.size, this.path);
    } catch (error) {
      return this.use(() => {
        throw error;
      });
    }
    this.inode.beginPreallocate(length);
    return this.use(() => this.inode.endPreallocate(), 10);
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  private get isDead(): boolean {
    return !this.disk.isAlive(this.life);
  }

  private use<T>(action: () => T, costly = 1): Promise<T> {
    if (this.isDead) return never();
    if (this.closed) return Promise.reject(new DiskError("closed", `${this.path} is closed`));
    return this.disk.run(this.lane, action, costly);
  }
}

function never<T>(): Promise<T> {
  return new Promise(() => undefined);
}
