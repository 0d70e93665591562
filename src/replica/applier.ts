import { assert, defined, limits } from "../base/index.ts";
import type { Entry } from "../raft/index.ts";

/** The committed entries that wait to be applied, in order. Invariant: the first one is `applied` + 1. */
export class Applier {
  applied: number;
  /** Term of the entry at `applied`; 0 before the first one of this life. */
  appliedTerm = 0;
  private queue: readonly Entry[] = [];
  private at = 0;
  private readonly more: (readonly Entry[])[] = [];
  /** Of the data of entries that wait. */
  waitingBytes = 0;

  private readonly waitingBytesMax: number;

  constructor(applied: number, waitingBytesMax: number = limits.applyWaitBytesMax) {
    this.waitingBytesMax = Math.min(waitingBytesMax, limits.applyWaitBytesMax);
    this.applied = applied;
    this.handedOut = applied;
  }

  get waiting(): boolean {
    return this.at < this.queue.length || this.more.length > 0;
  }

  /** So much waits, because a state is being replaced or applying is slow, that no more is to be taken. */
  get isFull(): boolean {
    return this.waitingBytes >= this.waitingBytesMax;
  }

  /** The last index that raft has handed out; every one up to it was added. */
  handedOut: number;

  add(entries: readonly Entry[]): void {
    const last = entries[entries.length - 1];
    if (last === undefined) return;
    assert(last.index - this.handedOut === entries.length, `entries up to ${last.index} are handed out after ${this.handedOut}`);
    this.more.push(entries);
    for (const entry of entries) this.waitingBytes += entry.data.length;
    this.handedOut = last.index;
  }

  take(): Entry {
    if (this.at === this.queue.length) {
      this.queue = defined(this.more.shift(), "a committed entry");
      this.at = 0;
    }
    const entry = defined(this.queue[this.at++], "a committed entry");
    this.waitingBytes -= entry.data.length;
    assert(entry.index === this.applied + 1, `entry ${entry.index} is applied after ${this.applied}`);
    return entry;
  }

  done(entry: Entry): void {
    this.applied = entry.index;
    this.appliedTerm = entry.term;
  }

  /** A snapshot takes the place of everything up to `index`. */
  reset(index: number, term: number): void {
    this.queue = [];
    this.at = 0;
    this.more.length = 0;
    this.waitingBytes = 0;
    this.applied = index;
    this.appliedTerm = term;
    this.handedOut = index;
  }

  /** A state that covers everything up to `index`, handed out or not, takes the place of the one here; what was handed out behind it stays. */
  skipTo(index: number, term: number): void {
    assert(index > this.applied, "what is skipped was not applied");
    if (index > this.handedOut) this.reset(index, term);
    while (this.applied < index) this.done(this.take());
    this.appliedTerm = term;
  }
}
