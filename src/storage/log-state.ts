import { noReplica } from "../base/index.ts";
import type { Describable, GroupId, ReplicaId } from "../base/index.ts";
import type { HardState, SnapshotMeta } from "../raft/types.ts";
import type { ReplicaState } from "./codec.ts";
import { LogIndex } from "./log-index.ts";

export const emptyHardState: HardState = { term: 0, vote: noReplica, commit: 0 };

const noConfiguration = { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false } as const;
export const emptyMeta: SnapshotMeta = { index: 0, term: 0, configuration: noConfiguration };

/**
 * A replica's durable state as of the last record composed (or, during recovery, applied). The next
 * segment's head says exactly this.
 */
export class LogState implements Describable {
  readonly group: GroupId;
  readonly incarnation: number;
  replica: ReplicaId;
  hardState: HardState = emptyHardState;
  snapshot: SnapshotMeta = emptyMeta;
  snapshotHasBytes = false;
  suspect = false;
  discarded = false;
  readonly index: LogIndex;
  /** Where recovery saw the record of a configuration, among others that are none any more. */
  readonly configurations = new Set<number>();

  constructor(group: GroupId, incarnation: number, replica: ReplicaId, first: number) {
    this.group = group;
    this.incarnation = incarnation;
    this.replica = replica;
    this.index = new LogIndex(first);
  }

  state(): ReplicaState {
    return {
      replica: this.replica,
      hardState: this.hardState,
      snapshot: this.snapshot,
      snapshotHasBytes: this.snapshotHasBytes,
      suspect: this.suspect,
      discarded: this.discarded,
      firstIndex: this.index.first,
      lastIndex: this.index.last,
      terms: this.index.runs(),
    };
  }

  describe(): string {
    const { term, vote, commit } = this.hardState;
    const log = this.index.last < this.index.first ? `empty from ${this.index.first}` : `${this.index.first}..${this.index.last}`;
    const marks = `${this.suspect ? " suspect" : ""}${this.discarded ? " discarded" : ""}`;
    return `group ${this.group} incarnation ${this.incarnation} replica ${this.replica}: term ${term} vote ${vote} commit ${commit} log ${log} snapshot ${this.snapshot.index}${marks}`;
  }
}
