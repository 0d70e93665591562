import type { ReplicaId } from "../base/index.ts";
import type { Core } from "./core.ts";
import type { ProgressStatus, RaftStatus } from "./types.ts";

export function raftStatus(core: Core): RaftStatus {
  const { log, configuration } = core;
  const progress = new Map<ReplicaId, ProgressStatus>();
  for (const [replica, { match, next, state, active, suspicion }] of core.progress) {
    const learner = !configuration.voters.includes(replica) && !configuration.outgoing.includes(replica);
    progress.set(replica, { match, next, state, active, learner, suspect: suspicion !== undefined });
  }
  return {
    replica: core.replica,
    role: core.role,
    term: core.term,
    vote: core.vote,
    leader: core.leader,
    commit: core.commit,
    applied: core.applied,
    firstIndex: log.firstIndex,
    lastIndex: log.lastIndex,
    persistedIndex: log.persisted,
    configuration,
    transferee: core.transferee,
    uncommittedBytes: core.uncommittedBytes,
    suspect: core.isSuspect,
    progress,
  };
}
