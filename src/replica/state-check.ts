import type { ReplicaId, UnumError } from "../base/index.ts";
import { commandBytes, envelopeBytes, Kind } from "../machine/index.ts";
import { isVoter, membersOf } from "../raft/index.ts";
import type { SnapshotFile } from "../storage/index.ts";
import { corrupt } from "./refusals.ts";
import type { Replica } from "./replica.ts";
import { StateHashes } from "./state-hashes.ts";
import type { ReplicaHost, StateCondition } from "./types.ts";

/** How often what may have been lost is said again: one's own hash in a dispute, the wish for a snapshot. */
const repeatMs = 1_000;

/** A state that a majority of the voters does not share. */
interface Discarded {
  /** The checkpoint at which it differed. */
  readonly index: number;
  /** A snapshot must reach beyond everything that was applied here: what raft handed out comes once. */
  readonly minIndex: number;
  /** Voters whose state is the majority's. */
  readonly sound: readonly ReplicaId[];
}

/**
 * Whether this replica's state is the one that the others have. The leader writes a checkpoint now and
 * then; each replica tells the others what its state hashes to there. One that differs from a majority
 * discards its state, serves nothing and takes a snapshot from the leader; its log and its vote were
 * never in doubt and go on counting. When no state has a majority, the group's writes stop until
 * a later checkpoint finds one.
 */
export class StateCheck {
  /** No state has a majority: commands are refused with this. */
  corrupt: UnumError | undefined;
  private readonly replica: Replica;
  private readonly host: ReplicaHost;
  private readonly everyMs: number;
  private readonly hashes: StateHashes;
  private agreed = 0;
  private lost: Discarded | undefined;
  private snapshot: SnapshotFile | undefined;
  /** The own newest checkpoint, and the one that the others were told last. */
  private newest = 0;
  private told = 0;
  private proposedMs = Number.NEGATIVE_INFINITY;
  private proposedTerm = 0;
  private repeatedMs = Number.NEGATIVE_INFINITY;

  constructor(replica: Replica, host: ReplicaHost, everyMs: number) {
    this.replica = replica;
    this.host = host;
    this.everyMs = everyMs;
    this.hashes = new StateHashes(replica.id);
  }

  /** The state is wrong: it is neither read, nor advanced, nor given to anybody. */
  get isDiscarded(): boolean {
    return this.lost !== undefined;
  }

  get condition(): StateCondition {
    if (this.lost !== undefined) return "discarded";
    if (this.corrupt !== undefined) return "corrupt";
    return this.agreed > 0 ? "agreed" : "unchecked";
  }

  /** The newest checkpoint at which a majority had this state. */
  get agreedIndex(): number {
    return this.agreed;
  }

  /** With every tick. The command, if any, is proposed. */
  tick(): Uint8Array | undefined {
    const now = this.host.clock.now();
    if (this.lost !== undefined) {
      this.seekSnapshot(this.lost, now);
      return undefined;
    }
    if (this.hashes.isDisputed()) {
      this.judge();
      if (now - this.repeatedMs >= repeatMs) this.tell();
    }
    return this.due(now);
  }

  /** At once in a new term: whoever leads from here on knows soon whether it may. */
  private due(now: number): Uint8Array | undefined {
    const { replica } = this;
    if (!replica.isServing || (this.proposedTerm === replica.term && now - this.proposedMs < this.everyMs)) return undefined;
    this.proposedMs = now;
    this.proposedTerm = replica.term;
    return commandBytes({ kind: "checkpoint" });
  }

  /** A command was applied here as part of the entry at `index`. */
  applied(command: Uint8Array, index: number): void {
    if (command[envelopeBytes] !== Kind.checkpoint) return;
    this.newest = index;
    this.hashes.note(index, this.replica.id, this.replica.machine.hash());
  }

  /** After a turn's entries: of several checkpoints only the newest is worth telling. */
  compare(): void {
    if (this.newest === this.told) return;
    this.tell();
    this.judge();
  }

  private tell(): void {
    const { id, configuration, group } = this.replica;
    const hash = this.hashes.hashOf(this.newest, id);
    this.told = this.newest;
    this.repeatedMs = this.host.clock.now();
    if (hash === undefined || !isVoter(configuration, id)) return;
    for (const to of membersOf(configuration)) {
      if (to !== id) this.host.sendState(group, { type: "state-hash", from: id, to, index: this.newest, hash });
    }
  }

  heard(from: ReplicaId, index: number, hash: string): void {
    this.hashes.note(index, from, hash);
    this.judge();
  }

  private judge(): void {
    const { configuration, group } = this.replica;
    const verdict = this.hashes.judge(configuration, this.host.clock.now());
    switch (verdict.kind) {
      case "agreed":
        this.agreed = Math.max(this.agreed, verdict.index);
        if (this.corrupt !== undefined) {
          this.corrupt = undefined;
          this.host.logger.warn("a majority of the replicas agrees on its state again: writes go on", { group, index: verdict.index });
        }
        break;
      case "minority":
        this.discard(verdict.index, verdict.sound);
        break;
      case "split":
        if (this.corrupt !== undefined) break;
        this.corrupt = corrupt(group, verdict.index);
        this.host.logger.error("the replicas' states differ and none has a majority: writes stop", { group, index: verdict.index });
        break;
      case "open":
        break;
    }
  }

  private discard(index: number, sound: readonly ReplicaId[]): void {
    const { replica, host } = this;
    const own = this.hashes.hashOf(index, replica.id);
    const majority = sound[0] === undefined ? undefined : this.hashes.hashOf(index, sound[0]);
    host.logger.error("the state of a replica is not the majority's: it is discarded here and taken anew from the leader", {
      group: replica.group,
      index,
      hash: own,
      majority,
      replicas: sound,
    });
    this.lost = { index, minIndex: replica.applied + 1, sound };
    this.corrupt = undefined;
    this.agreed = 0;
    this.hashes.forgetTo(replica.applied);
    replica.withdraw();
    host.discarded(replica);
  }

  /** A leader steps aside for one whose state is sound; then that one is asked. */
  private seekSnapshot(lost: Discarded, now: number): void {
    const { replica } = this;
    if (replica.isLeader) {
      replica.handOver(lost.sound);
      return;
    }
    if (replica.leader === 0 || this.snapshot !== undefined || now - this.repeatedMs < repeatMs) return;
    this.repeatedMs = now;
    const { index, minIndex } = lost;
    this.host.sendState(replica.group, { type: "state-wanted", from: replica.id, to: replica.leader, index, minIndex });
  }

  /** On the leader: whether a snapshot of this state may replace one that differed at `index`. If it is not old enough, it soon is. */
  maySend(index: number, minIndex: number): boolean {
    const { replica } = this;
    if (!replica.isServing || this.lost !== undefined) return false;
    if (this.agreed >= index && replica.applied >= minIndex) return true;
    this.proposedMs = Math.min(this.proposedMs, this.host.clock.now() - this.everyMs);
    return false;
  }

  /** A snapshot has arrived whole. */
  received(file: SnapshotFile): void {
    if (this.lost !== undefined && file.meta.index >= this.lost.minIndex) this.snapshot = file;
  }

  /** The snapshot to begin anew with, once raft has handed out everything that it covers. */
  usable(durableCommit: number): SnapshotFile | undefined {
    return this.snapshot !== undefined && this.snapshot.meta.index <= durableCommit ? this.snapshot : undefined;
  }

  /** The state was replaced by a snapshot. */
  replaced(): void {
    if (this.lost !== undefined)
      this.host.logger.warn("the discarded state was replaced by the leader's", { group: this.replica.group, index: this.replica.applied });
    this.lost = undefined;
    this.snapshot = undefined;
    this.hashes.forgetTo(this.replica.applied);
    this.newest = 0;
    this.told = 0;
  }
}
