import { assert, emptyBytes, noReplica } from "../base/index.ts";
import type { ReplicaId } from "../base/index.ts";
import { membersOf, votersOf } from "./configuration.ts";
import type { Core } from "./core.ts";
import { Inflights, Progress } from "./progress.ts";
import { quorumVote } from "./quorum.ts";
import { dropReads } from "./reads.ts";
import { EntryKind } from "./types.ts";

/** Forgets everything that belongs to the role, and to the term when it changes. */
function reset(core: Core, term: number): void {
  assert(term >= core.term, "terms never fall");
  if (term !== core.term) {
    core.term = term;
    core.vote = noReplica;
    core.matched = 0;
    core.acknowledge = -1;
  }
  core.leader = noReplica;
  core.votes.clear();
  core.ownVoteNumber = 0;
  core.restartElectionTimer();
  dropReads(core);
  core.progress.clear();
  core.transferee = noReplica;
  core.transferSent = false;
  core.uncommittedBytes = 0;
}

export function becomeFollower(core: Core, term: number, leader: ReplicaId): void {
  reset(core, term);
  core.role = "follower";
  setLeader(core, leader);
}

/** A leader of the current term was heard. */
export function setLeader(core: Core, leader: ReplicaId): void {
  core.leader = leader;
  if (leader !== noReplica && leader !== core.lostLeader) core.lostLeader = noReplica;
}

/** Asks the others whether an election would be won, before any term is raised (thesis, section 9.6). */
export function becomePreCandidate(core: Core): void {
  assert(core.role !== "leader", "a leader does not campaign");
  core.role = "pre-candidate";
  core.leader = noReplica;
  core.votes.clear();
  core.restartElectionTimer();
  for (const voter of votersOf(core.configuration)) {
    if (voter !== core.replica)
      core.send({
        type: "pre-vote",
        from: core.replica,
        to: voter,
        term: core.term + 1,
        lastIndex: core.log.lastIndex,
        lastTerm: core.log.lastTerm,
        transfer: false,
      });
  }
  recordVote(core, core.replica, true);
}

/** Raises the term and votes for itself; that vote counts once it is durable, see `countOwnVote`. */
export function becomeCandidate(core: Core, transfer: boolean): void {
  assert(core.role !== "leader", "a leader does not campaign");
  reset(core, core.term + 1);
  core.role = "candidate";
  core.vote = core.replica;
  for (const voter of votersOf(core.configuration)) {
    if (voter !== core.replica)
      core.sendAfterPersist({
        type: "vote",
        from: core.replica,
        to: voter,
        term: core.term,
        lastIndex: core.log.lastIndex,
        lastTerm: core.log.lastTerm,
        transfer,
      });
  }
}

/** Everything up to the write `number` is durable: if that holds a candidate's vote for itself, it counts. */
export function countOwnVote(core: Core, number: number): void {
  if (core.role !== "candidate" || core.ownVoteNumber === 0 || number < core.ownVoteNumber) return;
  if (!core.votes.has(core.replica)) recordVote(core, core.replica, true);
}

/** The first answer of a voter counts. A vote of one who is no voter counts nowhere. */
export function recordVote(core: Core, voter: ReplicaId, granted: boolean): void {
  if (!core.votes.has(voter)) core.votes.set(voter, granted);
  const result = quorumVote(core.configuration, (replica) => core.votes.get(replica));
  if (result === "lost") {
    if (core.role === "candidate") core.probe?.("candidate-loses");
    becomeFollower(core, core.term, noReplica);
  } else if (result === "won") {
    if (core.role === "pre-candidate") becomeCandidate(core, false);
    else becomeLeader(core);
  }
}

function becomeLeader(core: Core): void {
  assert(core.role === "candidate", "only a candidate is elected");
  if (core.configuration.outgoing.length > 0) core.probe?.("elected-in-joint-configuration");
  reset(core, core.term);
  core.role = "leader";
  core.leader = core.replica;
  rebuildProgress(core);
  // Nothing of an earlier term is committed by counting; this first entry of the term brings it along (paper, section 5.4.2).
  appendOwn(core, EntryKind.normal, emptyBytes);
}

/** Follows the configuration in force: one progress for every other member, and none for anybody else. */
export function rebuildProgress(core: Core): void {
  const { appendInflightMax, appendInflightBytesMax } = core.limits;
  const members = membersOf(core.configuration);
  for (const replica of core.progress.keys()) if (!members.includes(replica)) core.progress.delete(replica);
  for (const replica of members) {
    if (replica === core.replica || core.progress.has(replica)) continue;
    const progress = new Progress(core.log.lastIndex + 1, new Inflights(appendInflightMax, appendInflightBytesMax));
    // Until the next check of the quorum a new voter has the benefit of the doubt.
    progress.active = true;
    core.progress.set(replica, progress);
  }
  core.sendDue = true;
}

/** Appends an entry of the leader's own term and returns its index. */
export function appendOwn(core: Core, kind: EntryKind, data: Uint8Array): number {
  const index = core.log.lastIndex + 1;
  core.log.push({ index, term: core.term, kind, data });
  core.uncommittedBytes += data.length;
  core.sendDue = true;
  return index;
}

/** Ends leadership within the term. Followers notice when the heartbeats stop, or by `timeout-now`. */
export function stepDown(core: Core): void {
  if (core.role === "leader") becomeFollower(core, core.term, noReplica);
}
