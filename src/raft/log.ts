import { assert } from "../base/index.ts";
import type { Entry, SnapshotMeta } from "./types.ts";

interface Run {
  readonly from: number;
  readonly term: number;
}

export interface LogOptions {
  readonly snapshot: SnapshotMeta;
  readonly entries: readonly Entry[];
  readonly terms: readonly Run[];
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly cacheBytesMax: number;
}

/** What an entry costs beside its data. */
const entryOverheadBytes = 64;

export function entryBytes(entry: Entry): number {
  return entry.data.length + entryOverheadBytes;
}

/**
 * The log as raft sees it: the terms of all of it, and in memory only its tail. Everything below
 * `memoryFirst` is on disk only.
 *
 * Invariant: firstIndex - 1 ≤ persisted ≤ handed ≤ lastIndex, unless a snapshot is being installed;
 * entries above `persisted` are always in memory.
 */
export class Log {
  snapshot: SnapshotMeta;
  /** First index that the log keeps at all. */
  firstIndex: number;
  lastIndex: number;
  lastTerm: number;
  /** Everything up to here is durable on this replica. */
  persisted: number;
  /** Everything up to here was given to the shell to write. */
  private handed: number;
  /** Index of `entries[0]`; lastIndex + 1 when memory holds nothing. */
  memoryFirst: number;
  private entries: Entry[];
  private bytes = 0;
  private runs: Run[];
  private cacheBytesMax: number;
  /**
   * The writes in flight, oldest first: `to` is the last index that the write carried *and that no
   * later write has carried again*. This is how each index remembers the write that last carried it:
   * an acknowledgement of an older write for the same index, even with the same term, proves nothing.
   */
  private writes: { readonly number: number; to: number }[] = [];

  constructor(options: LogOptions) {
    const { snapshot, entries } = options;
    const empty = options.lastIndex < snapshot.index || options.lastIndex < options.firstIndex;
    this.snapshot = snapshot;
    this.firstIndex = empty ? snapshot.index + 1 : options.firstIndex;
    this.lastIndex = empty ? snapshot.index : options.lastIndex;
    assert(this.firstIndex <= snapshot.index + 1, "the log has no gap behind the snapshot");
    this.entries = empty ? [] : [...entries];
    this.memoryFirst = this.lastIndex + 1 - this.entries.length;
    this.entries.forEach((entry, at) =>
      assert(entry.index === this.memoryFirst + at, "recovered entries are contiguous up to the last index"),
    );
    for (const entry of this.entries) this.bytes += entryBytes(entry);
    this.runs = empty ? [] : [...options.terms];
    this.runs.forEach((run, at) => assert(run.term > (this.runs[at - 1]?.term ?? 0), "the terms of a recovered log only rise"));
    this.persisted = this.lastIndex;
    this.handed = this.lastIndex;
    this.cacheBytesMax = options.cacheBytesMax;
    this.lastTerm = 0;
    this.noteLastTerm();
  }

  /** Another limit from the next `evict` on. */
  limitMemory(bytesMax: number): void {
    this.cacheBytesMax = bytesMax;
  }

  /** Bytes of the entries in memory. */
  get memoryBytes(): number {
    return this.bytes;
  }

  private noteLastTerm(): void {
    const term = this.term(this.lastIndex);
    assert(term !== undefined, "the term of the last index is known");
    this.lastTerm = term;
  }

  /** The term at `index`; undefined above the log and where it is not known any more. */
  term(index: number): number | undefined {
    if (index === this.snapshot.index) return this.snapshot.term;
    if (index > this.lastIndex) return undefined;
    if (index === 0) return 0;
    for (let at = this.runs.length - 1; at >= 0; at--) {
      const run = this.runs[at] as Run;
      if (run.from <= index) return run.term;
    }
    return undefined;
  }

  matches(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** Whether a log that ends so is at least as up to date as this one (paper, section 5.4.1). */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  /**
   * The largest index at or below `index` whose term is at most `term`, or is not known: where a log
   * whose entry at `index` has that term may agree with this one at the latest.
   */
  lastIndexWithTerm(index: number, term: number): number {
    let at = Math.min(index, this.lastIndex);
    for (let r = this.runs.length - 1; r >= 0; r--) {
      const run = this.runs[r] as Run;
      if (run.from > at) continue;
      if (run.term <= term) return at;
      at = run.from - 1;
    }
    return Math.max(at, 0);
  }

  /** Appends, replacing what the log holds from the first of them on. The caller keeps what is committed. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(first.index <= this.lastIndex + 1, "entries leave no gap in the log");
    if (first.index <= this.lastIndex) this.truncate(first.index);
    for (const entry of entries) this.push(entry);
  }

  push(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, "entries follow each other");
    assert(entry.term >= this.lastTerm, "terms never fall within a log");
    if (this.runs.length === 0 || entry.term !== this.lastTerm) this.runs.push({ from: entry.index, term: entry.term });
    this.entries.push(entry);
    this.bytes += entryBytes(entry);
    this.lastIndex = entry.index;
    this.lastTerm = entry.term;
  }

  private truncate(from: number): void {
    assert(from > this.snapshot.index, "a snapshot's log is never replaced");
    const kept = Math.max(0, from - this.memoryFirst);
    for (let at = kept; at < this.entries.length; at++) this.bytes -= entryBytes(this.entries[at] as Entry);
    this.entries.length = Math.min(kept, this.entries.length);
    this.memoryFirst = Math.min(this.memoryFirst, from);
    this.lastIndex = from - 1;
    while (this.runs.length > 0 && (this.runs[this.runs.length - 1] as Run).from >= from) this.runs.pop();
    this.noteLastTerm();
    this.persisted = Math.min(this.persisted, from - 1);
    this.handed = Math.min(this.handed, from - 1);
    for (const write of this.writes) write.to = Math.min(write.to, from - 1);
  }

  entryAt(index: number): Entry | undefined {
    return this.entries[index - this.memoryFirst];
  }

  /** Entries in memory from `from` to at most `to`: one at least, and no more than `bytesMax` of data unless the first alone is larger. */
  slice(from: number, to: number, bytesMax: number): readonly Entry[] {
    assert(from >= this.memoryFirst, "the entries wanted are in memory");
    const start = from - this.memoryFirst;
    const limit = Math.min(to, this.lastIndex) - this.memoryFirst + 1;
    let end = start;
    let bytes = 0;
    while (end < limit) {
      bytes += entryBytes(this.entries[end] as Entry);
      if (end > start && bytes > bytesMax) break;
      end++;
    }
    return this.entries.slice(start, end);
  }

  get hasUnwritten(): boolean {
    return this.handed < this.lastIndex;
  }

  /** What the shell has not been given to write. */
  unwritten(): readonly Entry[] {
    return this.handed < this.lastIndex ? this.entries.slice(this.handed + 1 - this.memoryFirst) : [];
  }

  /** The write `number` carries everything that was not written yet up to `to`. */
  noteWrite(number: number, to: number): void {
    this.handed = to;
    this.writes.push({ number, to });
  }

  /** All writes up to `number` are durable. */
  persistedThrough(number: number): void {
    let done = 0;
    for (const write of this.writes) {
      if (write.number > number) break;
      if (write.to > this.persisted) this.persisted = write.to;
      done++;
    }
    if (done > 0) this.writes.splice(0, done);
  }

  /** Replaces everything by a snapshot. `durable`: the index up to which the log that goes is known to agree with it. */
  restore(meta: SnapshotMeta, durable: number): void {
    this.snapshot = meta;
    this.entries = [];
    this.bytes = 0;
    this.runs = [];
    this.firstIndex = meta.index + 1;
    this.memoryFirst = meta.index + 1;
    this.lastIndex = meta.index;
    this.lastTerm = meta.term;
    this.persisted = Math.min(this.persisted, durable);
    this.handed = meta.index;
    this.writes = [];
  }

  /** A newer snapshot of our own is durable. What it covers is still kept, until `release`. */
  compacted(meta: SnapshotMeta): void {
    if (meta.index <= this.snapshot.index) return;
    assert(this.term(meta.index) === meta.term, "a snapshot of our own is part of our log");
    const { index, term } = this.snapshot;
    if (index + 1 === this.firstIndex && index > 0 && (this.runs.length === 0 || (this.runs[0] as Run).from > index)) {
      this.runs.unshift({ from: index, term });
    }
    this.snapshot = meta;
  }

  /** Forgets everything up to `index`, which a durable snapshot covers. */
  release(index: number): void {
    const upTo = Math.min(index, this.snapshot.index);
    if (upTo < this.firstIndex) return;
    this.firstIndex = upTo + 1;
    this.forget(upTo);
    while (this.runs.length > 1 && (this.runs[1] as Run).from <= upTo) this.runs.shift();
  }

  /** Keeps memory within its limit: the oldest entries up to `index` (durable and applied) go. */
  evict(index: number): void {
    if (this.bytes <= this.cacheBytesMax) return;
    const target = this.cacheBytesMax - (this.cacheBytesMax >> 3);
    const upTo = Math.min(index, this.persisted);
    let bytes = this.bytes;
    let last = this.memoryFirst - 1;
    while (bytes > target && last < upTo) {
      last++;
      bytes -= entryBytes(this.entries[last - this.memoryFirst] as Entry);
    }
    this.forget(last);
  }

  private forget(upTo: number): void {
    const count = Math.min(upTo - this.memoryFirst + 1, this.entries.length);
    if (count <= 0) return;
    for (let at = 0; at < count; at++) this.bytes -= entryBytes(this.entries[at] as Entry);
    this.entries.splice(0, count);
    this.memoryFirst += count;
  }
}
