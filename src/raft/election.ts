import { noReplica } from "../base/index.ts";
import type { ReplicaId } from "../base/index.ts";
import type { Core } from "./core.ts";
import { hasQuorum } from "./quorum.ts";
import { newAttempt } from "./reads.ts";
import { becomeCandidate, becomePreCandidate, recordVote, stepDown } from "./roles.ts";
import type { Message } from "./types.ts";

type VoteRequest = Extract<Message, { type: "pre-vote" | "vote" }>;
type VoteResponse = Extract<Message, { type: "pre-vote-response" | "vote-response" }>;

/** A replica that should not lead waits so many times as long before it campaigns. */
const reluctance = 3;

export function tick(core: Core, number: number): void {
  core.ticks = number;
  if (core.ownFetch === "failed") core.ownFetch = "idle";
  if (core.role === "leader") tickLeader(core);
  else tickFollower(core);
}

function tickFollower(core: Core): void {
  core.electionElapsed++;
  // Only its own candidacy waits: it gives the dead leader up, and votes, as soon as everybody else.
  if (core.electionElapsed < core.electionTimeout * (core.isReluctant ? reluctance : 1)) return;
  if (core.isPromotable) becomePreCandidate(core);
  else {
    core.leader = noReplica;
    core.restartElectionTimer();
  }
}

function tickLeader(core: Core): void {
  core.electionElapsed++;
  if (core.transferee !== noReplica && ++core.transferElapsed >= core.electionTicks) {
    core.probe?.("transfer-times-out");
    core.transferee = noReplica;
  }
  if (core.electionElapsed >= core.electionTicks) {
    core.electionElapsed = 0;
    if (!checkQuorum(core)) {
      core.probe?.(core.transferee === noReplica ? "leader-loses-quorum" : "transfer-loses-quorum");
      stepDown(core);
      return;
    }
  }
  if (core.ticks % core.heartbeatTicks !== 0) return;
  core.sendDue = true;
  for (const progress of core.progress.values()) {
    progress.heartbeatDue = true;
    progress.ticked = true;
  }
  if (core.reads.rounds.length > 0 || isAnyoneSuspect(core)) newAttempt(core);
}

function isAnyoneSuspect(core: Core): boolean {
  for (const progress of core.progress.values()) if (progress.suspicion !== undefined) return true;
  return false;
}

/** CheckQuorum (thesis, section 6.2): a leader that a quorum has not answered for an election timeout is none. */
function checkQuorum(core: Core): boolean {
  const reached = hasQuorum(core.configuration, (replica) => {
    if (replica === core.replica) return true;
    const progress = core.progress.get(replica);
    return progress !== undefined && progress.active && progress.suspicion === undefined;
  });
  for (const progress of core.progress.values()) progress.active = false;
  return reached;
}

export function campaign(core: Core): void {
  if (core.role !== "leader" && core.isPromotable && !core.isReluctant) becomePreCandidate(core);
}

/** Whether this replica has reason to believe in its leader, so that nobody else is to be elected (thesis, section 4.2.3). */
function isSticky(core: Core): boolean {
  return core.leader !== noReplica && core.leader !== core.lostLeader && core.electionElapsed < core.electionTicks;
}

/** Whether a vote request of a later term is refused although it raises the term: then it does not. */
export function isIgnoredVote(core: Core, message: VoteRequest): boolean {
  return !message.transfer && isSticky(core);
}

export function handlePreVote(core: Core, message: VoteRequest): void {
  const mayVote = message.term > core.term || core.vote === message.from || (core.vote === noReplica && core.leader === noReplica);
  const granted = mayVote && !core.isSuspect && !isIgnoredVote(core, message) && core.log.isUpToDate(message.lastIndex, message.lastTerm);
  core.send({ type: "pre-vote-response", from: core.replica, to: message.from, term: granted ? message.term : core.term, granted });
  if (granted && core.role === "pre-candidate" && isBetter(core, message)) becomePassive(core);
}

/** Of two replicas that campaign at the same moment, both sides prefer the same one. */
function isBetter(core: Core, other: VoteRequest): boolean {
  const { lastTerm, lastIndex } = core.log;
  if (other.lastTerm !== lastTerm) return other.lastTerm > lastTerm;
  if (other.lastIndex !== lastIndex) return other.lastIndex > lastIndex;
  return other.from > core.replica;
}

/** Gives an attempt up for another's, or two that lost the leader at once would split the votes. The timer goes on. */
function becomePassive(core: Core): void {
  core.probe?.("campaign-yields");
  core.role = "follower";
  core.votes.clear();
}

export function handleVote(core: Core, message: VoteRequest): void {
  const mayVote = core.vote === message.from || (core.vote === noReplica && core.leader === noReplica);
  const granted = mayVote && !core.isSuspect && core.log.isUpToDate(message.lastIndex, message.lastTerm);
  if (granted) {
    core.vote = message.from;
    core.electionElapsed = 0;
  }
  core.sendAfterPersist({ type: "vote-response", from: core.replica, to: message.from, term: core.term, granted });
}

export function handleVoteResponse(core: Core, message: VoteResponse): void {
  const wanted = message.type === "pre-vote-response" ? "pre-candidate" : "candidate";
  if (core.role !== wanted) return;
  if (message.type === "pre-vote-response" && message.granted && message.term !== core.term + 1) return;
  recordVote(core, message.from, message.granted);
}

/** A vote request of a term that has passed: the sender learns of ours. */
export function refuseStaleVote(core: Core, message: VoteRequest): void {
  const { from, type } = message;
  if (type === "pre-vote") core.send({ type: "pre-vote-response", from: core.replica, to: from, term: core.term, granted: false });
  else core.sendAfterPersist({ type: "vote-response", from: core.replica, to: from, term: core.term, granted: false });
}

/** The leader hands over: campaign at once, stickiness aside. A replica that campaigns already goes on as it is. */
export function handleTimeoutNow(core: Core): void {
  if (core.role === "follower" && core.isPromotable) becomeCandidate(core, true);
}

export function leaderLost(core: Core, leader: ReplicaId): void {
  if (leader !== noReplica && leader !== core.replica) core.lostLeader = leader;
}

export function leaderBack(core: Core, leader: ReplicaId): void {
  if (core.lostLeader === leader) core.lostLeader = noReplica;
}
