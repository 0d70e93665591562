import { assert } from "../base/index.ts";
import type { ProgressState } from "./types.ts";

/** The appends to one follower that are not acknowledged, oldest first: bounded by count and by bytes. */
export class Inflights {
  private items: { readonly lastIndex: number; readonly bytes: number }[] = [];
  private head = 0;
  private bytes = 0;
  private readonly countMax: number;
  private readonly bytesMax: number;

  constructor(countMax: number, bytesMax: number) {
    this.countMax = countMax;
    this.bytesMax = bytesMax;
  }

  get count(): number {
    return this.items.length - this.head;
  }

  /** One append may go beyond the limit of bytes, so that an entry of any size passes. */
  get full(): boolean {
    return this.count >= this.countMax || this.bytes >= this.bytesMax;
  }

  add(lastIndex: number, bytes: number): void {
    assert(!this.full, "there is room in the window");
    this.items.push({ lastIndex, bytes });
    this.bytes += bytes;
  }

  freeTo(index: number): void {
    while (this.head < this.items.length) {
      const item = this.items[this.head] as { lastIndex: number; bytes: number };
      if (item.lastIndex > index) break;
      this.bytes -= item.bytes;
      this.head++;
    }
    if (this.head === this.items.length) this.reset();
    else if (this.head > 64) {
      this.items.splice(0, this.head);
      this.head = 0;
    }
  }

  reset(): void {
    this.items = [];
    this.head = 0;
    this.bytes = 0;
  }
}

/** A replica that reported damage, and what it takes until it is trusted again. */
export interface Suspicion {
  /** The number that the replica gave to its report. */
  readonly report: number;
  /**
   * The leader's last index when it learned of the report. Whatever the replica acknowledged in an
   * earlier life in this term lies at or below it, even if the acknowledgement arrives only later.
   */
  readonly target: number;
  /** The quorum must confirm the leader in this round or a later one: it began after the report. */
  readonly attempt: number;
}

/**
 * What the leader knows of one other replica.
 *
 * probe: where the logs meet is being found, one append at a time. replicate: appends are sent ahead
 * of their answers. snapshot: it needs what the log has released, and appends wait.
 * Invariant: match < next.
 */
export class Progress {
  /** The last index known to be durable there and equal to ours. */
  match = 0;
  /** The next index to send. */
  next: number;
  state: ProgressState = "probe";
  /** An append is out while probing. */
  paused = false;
  readonly inflights: Inflights;
  /** It answered since the quorum was last checked. */
  active = false;
  /** The commit index that it has been told, as far as it is sure to use it. */
  toldCommit = 0;
  /** The newest round of heartbeats that it answered. */
  attempt = 0;
  /** First index of the entries being fetched for it; 0: none. */
  fetching = 0;
  /** A heartbeat leaves with the next ready. */
  heartbeatDue = false;
  /** An append leaves with the next ready even if it is empty. */
  appendDue = false;
  /** Since the last tick no answer came: the next one may wake what is waiting. */
  ticked = false;
  /** `match` at the last tick: unchanged while something is in flight means that it may be lost. */
  matchAtTick = 0;
  suspicion: Suspicion | undefined = undefined;
  /** The report that was answered: the replica counts again. 0: none. */
  trustedReport = 0;
  /** It has not heard yet that it is trusted. */
  trustDue = false;

  constructor(next: number, inflights: Inflights) {
    this.next = next;
    this.inflights = inflights;
  }

  becomeProbe(next: number): void {
    this.state = "probe";
    this.next = Math.max(next, this.match + 1);
    this.paused = false;
    this.toldCommit = 0;
    this.inflights.reset();
  }

  becomeReplicate(): void {
    this.state = "replicate";
    this.next = this.match + 1;
    this.paused = false;
    this.inflights.reset();
  }

  becomeSnapshot(): void {
    this.state = "snapshot";
    this.paused = false;
    this.inflights.reset();
  }

  /** Whether it moved. */
  advance(index: number): boolean {
    if (this.next <= index) this.next = index + 1;
    if (index <= this.match) return false;
    this.match = index;
    return true;
  }
}
