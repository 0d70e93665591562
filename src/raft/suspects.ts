import type { Core } from "./core.ts";
import type { Progress } from "./progress.ts";
import { confirmedAttempt, wantRound } from "./reads.ts";
import type { Message } from "./types.ts";

type AppendResponse = Extract<Message, { type: "append-response" }>;

/**
 * The leader's side of "a replica with damage is counted nowhere" (README, "A suspect replica").
 * Returns false when the answer comes from an earlier life of a suspect replica and proves nothing.
 */
export function admitAnswer(core: Core, progress: Progress, message: AppendResponse): boolean {
  const report = message.suspect ?? 0;
  if (report === 0) {
    if (progress.suspicion !== undefined) core.probe?.("answer-of-earlier-life");
    return progress.suspicion === undefined;
  }
  if (report === progress.trustedReport) {
    progress.trustDue = true;
    core.sendDue = true;
    return true;
  }
  if (progress.suspicion?.report !== report) beginSuspicion(core, progress, message, report);
  return true;
}

/** What was known of the replica's log is void: it is found out again, from its own words. */
function beginSuspicion(core: Core, progress: Progress, message: AppendResponse, report: number): void {
  const { log } = core;
  core.probe?.("suspicion-begins");
  progress.match = 0;
  progress.attempt = 0;
  progress.trustedReport = 0;
  progress.trustDue = false;
  progress.suspicion = { report, target: log.lastIndex, attempt: wantRound(core) };
  const meet = message.rejected ? log.lastIndexWithTerm(message.hintIndex, message.hintTerm) : message.index;
  progress.becomeProbe(Math.min(meet, log.lastIndex) + 1);
}

/**
 * The replica counts again once a quorum without it has confirmed this leader in a round that began
 * after the report, the leader has committed in its term, and the replica's durable log reaches the
 * target. It is told with the next append.
 */
export function maybeTrust(core: Core): void {
  for (const progress of core.progress.values()) {
    const { suspicion } = progress;
    if (suspicion === undefined || progress.match < suspicion.target || !core.hasCommittedInTerm) continue;
    if (confirmedAttempt(core) < suspicion.attempt) continue;
    progress.suspicion = undefined;
    progress.trustedReport = suspicion.report;
    progress.trustDue = true;
    core.sendDue = true;
  }
}
