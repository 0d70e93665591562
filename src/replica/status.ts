import type { RaftStatus } from "../raft/index.ts";
import type { Replica } from "./replica.ts";
import type { ReplicaStatus } from "./types.ts";

/** A replica as others see it: raft's view, and that of its machine and its log. */
export function statusOf(replica: Replica, raft: RaftStatus): ReplicaStatus {
  return {
    group: replica.group,
    replica: replica.id,
    role: raft.role,
    term: raft.term,
    leader: raft.leader,
    commit: raft.commit,
    applied: replica.applied,
    lastIndex: raft.lastIndex,
    revision: replica.machine.revision,
    configuration: raft.configuration,
    suspect: raft.suspect,
    logBytes: replica.log.bytesSinceSnapshot,
    memoryBytes: replica.machine.memoryBytes,
  };
}
