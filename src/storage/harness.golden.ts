import { Prng, crc32, defined, groupId, replicaId } from "../base/index.ts";
import type { GroupId } from "../base/index.ts";
import { silentLogger } from "../ports/index.ts";
import type { Clock, Timer } from "../ports/index.ts";
import type { Entry, SnapshotMeta } from "../raft/types.ts";
import { SimDisk } from "../sim/disk.ts";
import type { CrashFate, CrashKind, SimDiskOptions } from "../sim/disk.ts";
import type { StorageSettings } from "./settings.ts";
import { openStorage } from "./storage.ts";
import type { GroupLog, Storage } from "./types.ts";

interface Due {
  readonly at: number;
  readonly callback: () => void;
  cancelled: boolean;
}

/** Time that moves only when told: for storage's tests, which need no world around them. */
export class ManualClock implements Clock {
  private time = 0;
  private due: Due[] = [];

  now(): number {
    return this.time;
  }

  wall(): number {
    return 1_704_067_200_000 + this.time;
  }

  after(delayMs: number, callback: () => void): Timer {
    const due: Due = { at: this.time + Math.max(0, delayMs), callback, cancelled: false };
    let position = this.due.length;
    while (position > 0 && (this.due[position - 1] as Due).at > due.at) position--;
    this.due.splice(position, 0, due);
    return {
      cancel: () => {
        due.cancelled = true;
      },
    };
  }

  defer(callback: () => void): void {
    this.after(0, callback);
  }

  deferLast(callback: () => void): void {
    this.after(0, callback);
  }

  /** The process died: none of its timers fires. */
  clear(): void {
    this.due = [];
  }

  /** Runs everything due within `ms`, what it causes included. */
  async pass(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      await settle();
      const next = this.due[0];
      if (next === undefined || next.at > end) break;
      this.fire(next);
    }
    this.time = end;
  }

  /** Runs until the promise has settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    promise.then(mark, mark);
    for (let turns = 0; ; turns++) {
      await settle();
      if (settled) return await promise;
      const next = this.due[0];
      if (next === undefined || turns > 200_000) throw new Error("nothing is due, and the promise waits");
      this.fire(next);
    }
  }

  /** Fires the next `count` timers. */
  async step(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      await settle();
      const next = this.due[0];
      if (next === undefined) return;
      this.fire(next);
    }
    await settle();
  }

  private fire(next: Due): void {
    this.due.shift();
    this.time = Math.max(this.time, next.at);
    if (!next.cancelled) next.callback();
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

export const checksum = { crc32 };

export const smallSettings: Partial<StorageSettings> = {
  segmentBytes: 16 * 1024,
  firstSegmentBytes: 8 * 1024,
  walBytesMax: 40 * 1024,
  walSegmentsMax: 4,
  batchBytesMax: 4 * 1024,
  reserveBytes: 2 * 1024,
  stepBytes: 1024,
  snapshotBytesPerSecond: 0,
  groupFileBytes: 4 * 1024,
  markDelayMs: 10,
  retryMs: 100,
  recoveredBytesMax: 64 * 1024,
};

export function configuration(...voters: number[]): SnapshotMeta["configuration"] {
  return { voters: voters.map(replicaId), outgoing: [], learners: [], learnersNext: [], autoLeave: false };
}

/** Data that tells by itself which entry it belongs to. */
export function entryData(group: number, index: number, term: number, size: number): Uint8Array {
  const text = `${group}/${index}/${term}/`;
  const bytes = new Uint8Array(Math.max(size, text.length));
  for (let i = 0; i < bytes.length; i++) bytes[i] = i < text.length ? text.charCodeAt(i) : (index * 31 + term * 7 + i) & 0xff;
  return bytes;
}

export function makeEntries(group: number, from: number, to: number, term: number, size = 40): Entry[] {
  const entries: Entry[] = [];
  for (let index = from; index <= to; index++) entries.push({ index, term, kind: 0, data: entryData(group, index, term, size) });
  return entries;
}

/** A disk that outlives crashes, and the storage opened on it. */
export class StorageWorld {
  readonly clock = new ManualClock();
  readonly disk: SimDisk;
  readonly settings: Partial<StorageSettings>;
  private current: Storage | undefined;
  private lives = 0;
  private readonly seed: number;

  constructor(seed = 1, settings: Partial<StorageSettings> = smallSettings, latency: Pick<SimDiskOptions, "logMs" | "bulkMs"> = {}) {
    this.seed = seed;
    this.settings = settings;
    this.disk = new SimDisk({ clock: this.clock, prng: new Prng(seed).fork("disk"), ...latency });
  }

  get storage(): Storage {
    return defined(this.current, "an open storage");
  }

  get isOpen(): boolean {
    return this.current !== undefined;
  }

  beginOpen(): Promise<Storage> {
    this.lives++;
    const prng = new Prng(this.seed).fork(`life ${this.lives}`);
    return openStorage({ disk: this.disk, clock: this.clock, checksum, prng, logger: silentLogger, settings: this.settings });
  }

  async open(): Promise<Storage> {
    this.current = await this.clock.until(this.beginOpen());
    return this.current;
  }

  async close(): Promise<void> {
    await this.clock.until(this.storage.close());
    this.current = undefined;
  }

  crash(kind: CrashKind = "power", fate?: CrashFate): void {
    this.clock.clear();
    this.disk.crash(kind, fate);
    this.current = undefined;
  }

  log(group: number): GroupLog {
    return defined(this.storage.groups.get(groupId(group)), `group ${group}`);
  }

  groups(): GroupId[] {
    return [...this.storage.groups.keys()].sort((a, b) => a - b);
  }

  create(group: number, incarnation = 1, replica = 1): GroupLog {
    return this.storage.create(groupId(group), replicaId(replica), incarnation, {
      index: 0,
      term: 0,
      configuration: configuration(1, 2, 3),
    });
  }
}
