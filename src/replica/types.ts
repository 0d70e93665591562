import type { GroupId, Prng, Probe, ReplicaId, UnumError } from "../base/index.ts";
import type { MachineFactory } from "../machine/index.ts";
import type { Clock, Logger } from "../ports/index.ts";
import type { Configuration, Entry, Message, RaftLimits } from "../raft/index.ts";
import type { GroupLog, SnapshotFile } from "../storage/index.ts";
import type { StateMessage } from "../wire/index.ts";
import type { Replica } from "./replica.ts";

/**
 * Who waits for the outcome of one command or read. An object rather than a promise or a closure:
 * on the hot path there is one per request, and its owner has one anyway.
 */
export interface Waiter {
  /** The machine's reply. */
  reply(bytes: Uint8Array): void;
  fail(error: UnumError): void;
}

/** A linearizable read: `run` is called when the applied state reflects everything acknowledged before it was asked. */
export interface ReadWaiter {
  run(): void;
  fail(error: UnumError): void;
}

/** What a replica asks of the node that it lives on. */
export interface ReplicaHost {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly probe?: Probe | undefined;
  /** Where they differ from `limits`. */
  readonly raftLimits?: Partial<RaftLimits> | undefined;
  /** There is work for the end of this turn. Idempotent within a turn. */
  dirty(replica: Replica): void;
  send(group: GroupId, message: Message): void;
  /** Streams a snapshot to another replica; then `replica.snapshotSent` or `snapshotFailed`. */
  sendSnapshot(replica: Replica, to: ReplicaId, file: SnapshotFile): void;
  /** To another replica of the group; it may be lost. */
  sendState(group: GroupId, message: StateMessage): void;
  /** Whether this node leaves leading to others while one can: its wall clock is off, say. */
  declinesLeadership(): boolean;
  /** Role, term, leader or the applied configuration changed. */
  changed(replica: Replica): void;
  /** Commands were applied: watchers, stale reads and the runtime's view of the state may move on. */
  applied(replica: Replica): void;
  /** Only where somebody compares replicas (the simulator): one entry was applied. Changes nothing. */
  entryApplied?(replica: Replica, entry: Entry): void;
  /** As `entryApplied`: linearizable reads were asked of raft in this context, or confirmed by it. */
  readsAsked?(replica: Replica, context: number): void;
  readsConfirmed?(replica: Replica, context: number): void;
  /** The state is another, a snapshot's; after a start, it is loaded at last. Whoever held the old machine lets go of it. */
  replaced(replica: Replica): void;
  /** The state is not the majority's: nothing of it is served any more. `replaced` follows. */
  discarded(replica: Replica): void;
  /** The group is stopped on this node (a machine failed, an upgrade is required): it serves nothing from here on. */
  stopped(replica: Replica, error: UnumError): void;
}

/**
 * What the comparison with the other replicas says of the state: not compared yet in this life; a majority's; not a
 * majority's, and being replaced; or none has a majority, and writes have stopped.
 */
export type StateCondition = "unchecked" | "agreed" | "discarded" | "corrupt";

export interface ReplicaStatus {
  readonly group: GroupId;
  readonly replica: ReplicaId;
  readonly role: string;
  readonly term: number;
  readonly leader: ReplicaId;
  readonly commit: number;
  readonly applied: number;
  readonly lastIndex: number;
  readonly revision: number;
  readonly configuration: Configuration;
  readonly suspect: boolean;
  readonly state: StateCondition;
  /** The newest index at which a majority was seen to have this state; 0: none in this life. */
  readonly agreedIndex: number;
  readonly logBytes: number;
  readonly memoryBytes: number;
}

export interface ReplicaOptions {
  readonly group: GroupId;
  readonly log: GroupLog;
  readonly factory: MachineFactory;
  readonly host: ReplicaHost;
  readonly prng: Prng;
  readonly electionTicks: number;
  /** Log bytes after which a snapshot is due; the last snapshot's size when that is larger. */
  readonly snapshotLogBytes?: number;
  /** Time between two comparisons of the replicas' states. */
  readonly checkpointMs?: number;
}
