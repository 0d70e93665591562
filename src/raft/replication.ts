import type { Core } from "./core.ts";
import { followConfiguration } from "./membership.ts";
import type { Progress } from "./progress.ts";
import { quorumIndex } from "./quorum.ts";
import { confirmReads } from "./reads.ts";
import { admitAnswer, maybeTrust } from "./suspects.ts";
import { continueTransfer } from "./transfer.ts";
import type { Message } from "./types.ts";

type AppendResponse = Extract<Message, { type: "append-response" }>;
type HeartbeatResponse = Extract<Message, { type: "heartbeat-response" }>;

export function handleAppendResponse(core: Core, message: AppendResponse): void {
  const progress = core.progress.get(message.from);
  if (core.role !== "leader" || progress === undefined || !admitAnswer(core, progress, message)) return;
  progress.active = true;
  core.sendDue = true;
  if (message.rejected) handleRejected(core, progress, message);
  else handleAccepted(core, progress, message);
}

function handleAccepted(core: Core, progress: Progress, message: AppendResponse): void {
  // Beyond our log nothing of ours can have been accepted: not an answer to this leadership.
  if (message.index > core.log.lastIndex) return;
  progress.advance(message.index);
  if (progress.state === "replicate") progress.inflights.freeTo(message.index);
  else if (progress.state === "probe") progress.becomeReplicate();
  else if (progress.match + 1 >= core.log.firstIndex) progress.becomeReplicate();
  wakeOnTick(core, progress);
  commitWhatAQuorumHas(core);
  maybeTrust(core);
  continueTransfer(core);
}

function handleRejected(core: Core, progress: Progress, message: AppendResponse): void {
  wakeOnTick(core, progress);
  if (progress.state === "replicate") {
    // An answer to an append that was sent before what has been acknowledged since says nothing new.
    if (message.index > progress.match) progress.becomeProbe(progress.match + 1);
  } else if (progress.state === "probe" && progress.next - 1 === message.index) {
    const { hintIndex, hintTerm } = message;
    const meet = hintTerm > 0 ? core.log.lastIndexWithTerm(hintIndex, hintTerm) : hintIndex;
    progress.becomeProbe(Math.max(Math.min(message.index, meet + 1), 1));
  }
}

export function handleHeartbeatResponse(core: Core, message: HeartbeatResponse): void {
  const progress = core.progress.get(message.from);
  // A suspect replica sends none: this is one of an earlier life.
  if (core.role !== "leader" || progress === undefined || progress.suspicion !== undefined) return;
  if (!progress.active) core.sendDue = true;
  progress.active = true;
  if (message.context > progress.attempt) progress.attempt = message.context;
  wakeOnTick(core, progress);
  confirmReads(core);
  maybeTrust(core);
}

/**
 * Once per tick an answer makes the leader repeat what may be lost: the probe, or an empty append
 * when something is in flight and nothing was acknowledged since the tick before. A follower that
 * misses something refuses it, and is probed.
 */
function wakeOnTick(core: Core, progress: Progress): void {
  if (!progress.ticked) return;
  progress.ticked = false;
  core.sendDue = true;
  if (progress.state === "probe") progress.paused = false;
  else if (progress.state === "replicate" && progress.match < progress.next - 1 && progress.match === progress.matchAtTick)
    progress.appendDue = true;
  progress.matchAtTick = progress.match;
}

/**
 * Moves the commit index to what a quorum has durably, this replica's own log included as far as it
 * is durable. Only an entry of the leader's own term is committed by counting (paper, section 5.4.2).
 */
export function commitWhatAQuorumHas(core: Core): void {
  if (core.role !== "leader") return;
  const { log } = core;
  const index = quorumIndex(core.configuration, (replica) => {
    if (replica === core.replica) return log.persisted;
    const progress = core.progress.get(replica);
    return progress === undefined || progress.suspicion !== undefined ? 0 : progress.match;
  });
  if (index <= core.commit || log.term(index) !== core.term) return;
  core.commitTo(index);
  core.sendDue = true;
  followConfiguration(core);
}
