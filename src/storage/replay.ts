import { MalformedBytes, groupId, noReplica } from "../base/index.ts";
import type { GroupId } from "../base/index.ts";
import { EntryKind } from "../raft/types.ts";
import { decodeHardState, decodeReplicaState } from "./codec.ts";
import type { ReplicaState } from "./codec.ts";
import { RecordKind, StateReason } from "./format.ts";
import { LogState } from "./log-state.ts";
import type { ScannedBatch, ScannedRecord } from "./scan.ts";

/** A replica as the batches applied so far describe it, and what is in doubt about it. */
export interface Tracked {
  state: LogState;
  /** Damage that could not be attributed may have hidden records of its log. Settled by the next state record. */
  doubt: boolean;
  /** A change of term or vote may have been lost. Settled by the next intact hard state. */
  hardDoubt: boolean;
  /** False until a state record names the replica: its beginning was lost. */
  known: boolean;
}

/**
 * Applies batches in the order of their sequences. Damaged ones are applied as far as their records
 * are intact; what is missing becomes holes and doubts, which `recover` turns into suspect and
 * discarded replicas.
 *
 * Hard states: a batch that changes a term or a vote is followed, in the same write, by a batch of
 * copies. So one damaged batch alone loses nothing: either copies follow it, or it held no change.
 */
export class Replay {
  readonly tracked = new Map<GroupId, Tracked>();
  /** Incarnations that were destroyed: their files may go. */
  readonly destroyed: { readonly group: GroupId; readonly incarnation: number }[] = [];
  private expected: number;
  /** Hard states lost in the batch before, unless copies in the next one bring them back. */
  private lost: Set<GroupId> | "all" | undefined;

  constructor(start: number) {
    this.expected = start;
  }

  apply(batch: ScannedBatch, file: number): void {
    this.passGap(batch.sequence, batch);
    const lostBefore = this.lost;
    this.lost = undefined;
    this.settle(lostBefore, batch);
    for (const record of batch.records) this.applyRecord(record, file);
    if (!batch.intact) this.noteDamage(batch);
    if (batch.isHead && batch.intact) this.keepOnly(batch);
  }

  /** After the last batch: what is lost stays lost. */
  finish(end: number): void {
    this.passGap(end + 1, undefined);
    this.doubtHardStates(this.lost);
    this.lost = undefined;
  }

  /** Records of any group may be missing at the end. */
  doubtAll(): void {
    for (const tracked of this.tracked.values()) tracked.doubt = true;
  }

  /** Batches from `expected` up to `sequence` are missing altogether. */
  private passGap(sequence: number, next: ScannedBatch | undefined): void {
    const missing = sequence - this.expected;
    this.expected = sequence + (next === undefined ? 0 : 1);
    if (missing === 0) return;
    this.doubtAll();
    this.doubtHardStates(this.lost);
    if (missing > 1) this.doubtHardStates("all");
    this.lost = "all";
  }

  /** Hard states lost in the batch before: without copies in this one there were no changes there. */
  private settle(lost: Set<GroupId> | "all" | undefined, batch: ScannedBatch): void {
    if (lost === undefined) return;
    if (!batch.headerIntact) {
      this.doubtHardStates(lost);
      return;
    }
    if (!batch.isCopies) return;
    if (batch.unattributed) this.doubtHardStates(lost);
    for (const record of batch.records) {
      const tracked = this.tracked.get(groupId(record.header.group));
      if (!record.intact && tracked !== undefined) tracked.hardDoubt = true;
    }
  }

  private doubtHardStates(groups: Set<GroupId> | "all" | undefined): void {
    if (groups === undefined) return;
    for (const [group, tracked] of this.tracked) if (groups === "all" || groups.has(group)) tracked.hardDoubt = true;
  }

  private noteDamage(batch: ScannedBatch): void {
    // Heads and copies repeat states: what is lost with one is no part of any log.
    const repeats = batch.headerIntact && (batch.isHead || batch.isCopies);
    const groups = new Set<GroupId>();
    for (const { header, intact } of batch.records) {
      if (intact || header.kind === RecordKind.entry) continue;
      const group = groupId(header.group);
      groups.add(group);
      const tracked = this.tracked.get(group);
      if (tracked !== undefined && header.kind !== RecordKind.hardState && !repeats) tracked.doubt = true;
    }
    if (batch.unattributed && !repeats) this.doubtAll();
    this.lost = batch.unattributed ? "all" : groups;
  }

  /** A segment's head names every group there was; others were destroyed. */
  private keepOnly(head: ScannedBatch): void {
    const named = new Set(head.records.map((record) => record.header.group));
    for (const group of this.tracked.keys()) if (!named.has(group)) this.tracked.delete(group);
  }

  private applyRecord(record: ScannedRecord, file: number): void {
    const { header, intact, payload } = record;
    const group = groupId(header.group);
    const before = this.tracked.get(group);
    if (before !== undefined && header.incarnation < before.state.incarnation) return;
    if (header.kind === RecordKind.destroy) {
      if (!intact) return;
      this.tracked.delete(group);
      this.destroyed.push({ group, incarnation: header.incarnation });
      return;
    }
    if (header.kind === RecordKind.state) {
      if (intact) this.applyState(group, header.incarnation, header.detail, decodeReplicaState(payload));
      return;
    }
    const tracked =
      before !== undefined && before.state.incarnation === header.incarnation
        ? before
        : this.placeholder(group, header.incarnation, header.index);
    if (header.kind === RecordKind.hardState) {
      if (!intact) return;
      tracked.state.hardState = decodeHardState(payload);
      tracked.hardDoubt = false;
    } else if (header.kind === RecordKind.truncate) {
      tracked.state.index.truncate(header.index);
    } else if (header.kind === RecordKind.entry) this.applyEntry(tracked, record, file);
    else throw new MalformedBytes(`record kind ${header.kind} is not of this format`);
  }

  /** Records of a replica whose beginning was lost: it is remembered, so that it can be reported. */
  private placeholder(group: GroupId, incarnation: number, index: number): Tracked {
    const tracked: Tracked = {
      state: new LogState(group, incarnation, noReplica, Math.max(1, index)),
      doubt: true,
      hardDoubt: true,
      known: false,
    };
    this.tracked.set(group, tracked);
    return tracked;
  }

  private applyEntry(tracked: Tracked, record: ScannedRecord, file: number): void {
    const { index } = tracked.state;
    const { header, intact } = record;
    const at = header.index;
    if (at < index.first) return;
    if (at - index.last > 1) {
      if (at - index.last > 10_000_000) {
        tracked.doubt = true;
        return;
      }
      for (let hole = index.last + 1; hole < at; hole++) index.put(hole, 0, 0, 0, 0);
    }
    const isSame = index.has(at) && index.termAt(at) === header.term;
    if (index.has(at) && !isSame) {
      // The record that cut the log here was lost: what stood behind is of an older term.
      if (index.termAt(at) !== 0) index.truncate(at + 1);
    }
    if (header.detail === EntryKind.configuration) tracked.state.configurations.add(at);
    if (intact) index.put(at, header.term, file, record.offset, header.length);
    else if (!isSame || index.fileAt(at) === 0) index.put(at, header.term, 0, 0, 0);
  }

  private applyState(group: GroupId, incarnation: number, reason: number, found: ReplicaState): void {
    const before = this.tracked.get(group);
    let state = before?.state;
    if (state === undefined || state.incarnation !== incarnation || reason === StateReason.create || before?.known === false) {
      const fresh = new LogState(group, incarnation, found.replica, found.firstIndex);
      if (state !== undefined && state.incarnation === incarnation) takeOver(fresh, state);
      state = fresh;
    }
    const { index } = state;
    if (reason === StateReason.install) index.reset(found.firstIndex);
    state.replica = found.replica;
    state.hardState = found.hardState;
    state.snapshot = found.snapshot;
    state.snapshotHasBytes = found.snapshotHasBytes;
    state.suspect = found.suspect;
    state.discarded = found.discarded;
    index.releaseBelow(found.firstIndex);
    reconcile(state, found);
    this.tracked.set(group, { state, doubt: false, hardDoubt: false, known: true });
  }
}

/** Entries found before the state record that tells where the log begins. */
function takeOver(fresh: LogState, old: LogState): void {
  for (const at of old.configurations) fresh.configurations.add(at);
  for (let at = fresh.index.first; at <= old.index.last; at++) {
    if (!old.index.has(at)) fresh.index.put(at, 0, 0, 0, 0);
    else {
      const place = old.index.placeAt(at);
      fresh.index.put(at, old.index.termAt(at), place.file, place.offset, place.length);
    }
  }
}

/** Makes the index exactly what the state says: entries of another term were replaced by lost ones, and become holes. */
function reconcile(state: LogState, found: ReplicaState): void {
  const { index } = state;
  index.truncate(found.lastIndex + 1);
  for (let run = 0; run < found.terms.length; run++) {
    const { from, term } = found.terms[run] as { from: number; term: number };
    const to = found.terms[run + 1]?.from ?? found.lastIndex + 1;
    for (let at = Math.max(from, index.first); at < to; at++) {
      if (!index.has(at) || index.termAt(at) !== term) index.put(at, term, 0, 0, 0);
    }
  }
}
