import { UnumError, limits } from "../base/index.ts";
import type { GroupId, Probe } from "../base/index.ts";
import { EntryBuilder } from "../machine/index.ts";
import type { Raft } from "../raft/index.ts";
import { refused } from "./refusals.ts";
import type { Waiter } from "./types.ts";

/** What happened to the proposals of an entry: found by its index when it is applied. */
interface Pending {
  readonly term: number;
  readonly waiters: readonly (Waiter | undefined)[];
}

/** A batch that is ready to be proposed as one entry. */
interface Batch {
  readonly data: Uint8Array;
  readonly waiters: readonly (Waiter | undefined)[];
}

/**
 * The commands of a turn, gathered into entries, and who waits for each. Invariant: every waiter is
 * answered exactly once: by its reply, or by `fail` when its entry can no longer be traced here.
 */
export class Proposals {
  private readonly builder = new EntryBuilder();
  private waiters: (Waiter | undefined)[] = [];
  private readonly full: Batch[] = [];
  private readonly pending = new Map<number, Pending>();
  private lastTimestamp = 0;

  get gathered(): boolean {
    return this.builder.count > 0 || this.full.length > 0;
  }

  /** Entries of the log carry the leader's time, which never falls within a log. */
  observeTimestamp(timestamp: number): void {
    if (timestamp > this.lastTimestamp) this.lastTimestamp = timestamp;
  }

  add(command: Uint8Array, waiter: Waiter | undefined, wall: number): void {
    if (this.builder.count > 0 && this.builder.bytes + command.length > limits.entryBytesMax / 2) this.seal(wall);
    this.builder.add(command);
    this.waiters.push(waiter);
  }

  private seal(wall: number): void {
    this.lastTimestamp = Math.max(this.lastTimestamp, Math.floor(wall));
    this.full.push({ data: this.builder.finish(this.lastTimestamp), waiters: this.waiters });
    this.waiters = [];
  }

  /** Proposes what gathered in this turn. */
  flush(raft: Raft, group: GroupId, wall: number): void {
    if (!this.gathered) return;
    for (const batch of this.take(wall)) {
      const result = raft.propose(batch.data);
      if (result.accepted) this.pending.set(result.index, { term: result.term, waiters: batch.waiters });
      else failAll(batch.waiters, () => refused(result.reason, group, raft.term));
    }
  }

  /** The entries of this turn, oldest first. */
  private take(wall: number): readonly Batch[] {
    if (this.builder.count > 0) this.seal(wall);
    return this.full.splice(0);
  }

  /** Who waits for the entry that is about to be applied. An entry of another term took the place of ours. */
  claim(index: number, term: number): readonly (Waiter | undefined)[] | undefined {
    const pending = this.pending.get(index);
    if (pending === undefined) return undefined;
    this.pending.delete(index);
    if (pending.term === term) return pending.waiters;
    failAll(
      pending.waiters,
      () =>
        new UnumError("NOT_LEADER", "The entry was replaced by a newer leader's; the command was not applied.", { outcome: "not-applied" }),
    );
    return undefined;
  }

  /** Leadership is lost or the state was replaced: what was proposed may or may not be committed by others. */
  abandon(makeError: () => UnumError, probe?: Probe): void {
    if (this.pending.size > 0) probe?.("proposals-abandoned");
    for (const pending of this.pending.values()) failAll(pending.waiters, makeError);
    this.pending.clear();
  }

  /** Commands that were gathered and not yet proposed. */
  refuse(makeError: () => UnumError): void {
    const batches = this.full.splice(0);
    for (const batch of batches) failAll(batch.waiters, makeError);
    if (this.builder.count > 0) {
      this.builder.finish(0);
      const waiters = this.waiters;
      this.waiters = [];
      failAll(waiters, makeError);
    }
  }
}

export function failAll(waiters: readonly (Waiter | undefined)[], makeError: () => UnumError): void {
  if (waiters.length === 0) return;
  const error = makeError();
  for (const waiter of waiters) waiter?.fail(error);
}
