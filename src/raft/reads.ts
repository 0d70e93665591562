import type { Core } from "./core.ts";
import { quorumIndex } from "./quorum.ts";

/** Asks for a round of its own even without a read; its number is the result. */
export function wantRound(core: Core): number {
  core.reads.wanted = true;
  core.sendDue = true;
  return core.reads.attempt + 1;
}

export function readIndex(core: Core, context: number): boolean {
  if (core.role !== "leader") return false;
  core.reads.waiting.push(context);
  core.sendDue = true;
  return true;
}

/** Begins a round for everything that was asked since the last one. */
export function beginRound(core: Core): void {
  const { reads } = core;
  const begins = reads.waiting.length > 0 && core.hasCommittedInTerm;
  if (reads.waiting.length > 0 && !begins) core.probe?.("read-waits-for-first-commit");
  if (!begins && !reads.wanted) return;
  reads.wanted = false;
  newAttempt(core);
  if (begins) {
    reads.rounds.push({ attempt: reads.attempt, index: core.commit, contexts: reads.waiting });
    reads.waiting = [];
  }
  confirmReads(core);
}

/** Heartbeats leave to all with a new number. */
export function newAttempt(core: Core): void {
  core.reads.attempt++;
  for (const progress of core.progress.values()) progress.heartbeatDue = true;
}

/** The newest attempt that a quorum has answered. */
export function confirmedAttempt(core: Core): number {
  return quorumIndex(core.configuration, (replica) => {
    if (replica === core.replica) return core.reads.attempt;
    const progress = core.progress.get(replica);
    return progress === undefined || progress.suspicion !== undefined ? 0 : progress.attempt;
  });
}

/** Answers the reads of all rounds that a quorum has confirmed. */
export function confirmReads(core: Core): void {
  const { reads } = core;
  if (reads.rounds.length === 0) return;
  const confirmed = confirmedAttempt(core);
  let done = 0;
  for (const round of reads.rounds) {
    if (round.attempt > confirmed) break;
    for (const context of round.contexts) core.out.readStates.push({ context, index: round.index });
    done++;
  }
  if (done > 0) reads.rounds.splice(0, done);
}

/** Leadership ends: nobody may be answered by a later leadership's rounds. */
export function dropReads(core: Core): void {
  const { reads, out } = core;
  if (reads.rounds.length > 0) core.probe?.("reads-dropped");
  for (const round of reads.rounds) out.readsDropped.push(...round.contexts);
  out.readsDropped.push(...reads.waiting);
  reads.rounds = [];
  reads.waiting = [];
  reads.wanted = false;
}
