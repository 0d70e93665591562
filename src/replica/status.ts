import { noReplica } from "../base/index.ts";
import type { ReplicaId } from "../base/index.ts";
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
    state: replica.check.condition,
    agreedIndex: replica.check.agreedIndex,
    logBytes: replica.log.bytesSinceSnapshot,
    memoryBytes: replica.memoryBytes,
  };
}

/** Of `candidates` the one that answers and needs least to take over; 0: none answers. */
export function mostAdvanced({ progress }: RaftStatus, candidates: readonly ReplicaId[]): ReplicaId {
  let best = noReplica;
  let match = -1;
  for (const id of candidates) {
    const peer = progress.get(id);
    if (peer === undefined || !peer.active || peer.match <= match) continue;
    best = id;
    match = peer.match;
  }
  return best;
}
