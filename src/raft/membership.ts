import { noReplica } from "../base/index.ts";
import type { ReplicaId } from "../base/index.ts";
import { encodeConfiguration, isJoint, sortedUnion } from "./configuration.ts";
import type { Core } from "./core.ts";
import { appendOwn, becomeFollower, rebuildProgress } from "./roles.ts";
import { refused } from "./proposals.ts";
import { EntryKind } from "./types.ts";
import type { Configuration, ConfigurationChange, ProposeResult } from "./types.ts";

const ascending = (a: ReplicaId, b: ReplicaId): number => a - b;

/**
 * The configuration that `changes` lead to: the new one when at most one voter comes or goes (thesis,
 * section 4.1), a joint one otherwise (paper, section 6). Undefined when the changes make no sense: a
 * replica named twice, nothing changed, or no voter left.
 */
export function changedConfiguration(current: Configuration, changes: readonly ConfigurationChange[]): Configuration | undefined {
  if (changes.length === 0 || isJoint(current)) return undefined;
  const voters = new Set(current.voters);
  const learners = new Set(current.learners);
  const named = new Set<ReplicaId>();
  for (const { kind, replica } of changes) {
    if (replica <= noReplica || named.has(replica)) return undefined;
    named.add(replica);
    const wasMember = voters.has(replica) || learners.has(replica);
    if (kind === "remove" ? !wasMember : (kind === "add-voter" ? voters : learners).has(replica)) return undefined;
    voters.delete(replica);
    learners.delete(replica);
    if (kind === "add-voter") voters.add(replica);
    if (kind === "add-learner") learners.add(replica);
  }
  if (voters.size === 0) return undefined;
  const changed =
    [...voters].filter((replica) => !current.voters.includes(replica)).length +
    current.voters.filter((replica) => !voters.has(replica)).length;
  const next = {
    voters: [...voters].sort(ascending),
    outgoing: [],
    learners: [...learners].sort(ascending),
    learnersNext: [],
    autoLeave: false,
  };
  if (changed <= 1) return next;
  // One that still votes on the outgoing side cannot be a learner at the same time.
  const waiting = next.learners.filter((replica) => current.voters.includes(replica));
  return {
    ...next,
    outgoing: current.voters,
    learners: next.learners.filter((replica) => !waiting.includes(replica)),
    learnersNext: waiting,
    autoLeave: true,
  };
}

export function leftConfiguration(joint: Configuration): Configuration {
  return {
    voters: joint.voters,
    outgoing: [],
    learners: sortedUnion(joint.learners, joint.learnersNext),
    learnersNext: [],
    autoLeave: false,
  };
}

/** One change at a time; the next waits until the last one is committed, and joint configurations are left. */
export function changeConfiguration(core: Core, changes: readonly ConfigurationChange[]): ProposeResult {
  if (core.role !== "leader") return refused(core, "not-leader");
  if (core.transferee !== noReplica) return refused(core, "transferring");
  if (core.configurations.index > core.commit || isJoint(core.configuration)) return refused(core, "change-pending");
  // Until then an unknown earlier change may be under way (the bug of the single-server change, raft-dev 2015).
  if (!core.hasCommittedInTerm) return refused(core, "not-ready");
  const configuration = changedConfiguration(core.configuration, changes);
  if (configuration === undefined) return refused(core, "invalid-change");
  return { accepted: true, index: appendConfiguration(core, configuration), term: core.term };
}

function appendConfiguration(core: Core, configuration: Configuration): number {
  const index = appendOwn(core, EntryKind.configuration, encodeConfiguration(configuration));
  core.configurations.append(index, configuration);
  rebuildProgress(core);
  return index;
}

/** After the commit index moved: leaves a joint configuration, or the leadership if it left this replica out. */
export function followConfiguration(core: Core): void {
  if (core.role !== "leader" || core.configurations.index > core.commit) return;
  const { configuration } = core;
  if (isJoint(configuration)) {
    if (configuration.autoLeave) appendConfiguration(core, leftConfiguration(configuration));
  } else if (!configuration.voters.includes(core.replica)) retire(core);
}

/** The leader is no voter any more (thesis, section 4.2.2). The best follower need not wait for its timeout. */
function retire(core: Core): void {
  core.probe?.("leader-leaves-itself-out");
  const { term } = core;
  const successor = bestSuccessor(core);
  becomeFollower(core, term, noReplica);
  if (successor !== noReplica) core.send({ type: "timeout-now", from: core.replica, to: successor, term });
}

/** The voter that answers and has most of the log; 0: none. */
export function bestSuccessor(core: Core): ReplicaId {
  let best: ReplicaId = noReplica;
  let bestMatch = -1;
  for (const [replica, progress] of core.progress) {
    if (!core.configuration.voters.includes(replica) || !progress.active || progress.suspicion !== undefined) continue;
    if (progress.match <= bestMatch) continue;
    best = replica;
    bestMatch = progress.match;
  }
  return best;
}
