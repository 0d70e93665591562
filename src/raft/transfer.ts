import { noReplica } from "../base/index.ts";
import type { ReplicaId } from "../base/index.ts";
import type { Core } from "./core.ts";
import { bestSuccessor } from "./membership.ts";
import { stepDown } from "./roles.ts";

/**
 * Hands leadership to a voter (thesis, section 3.10): proposals are refused until the target has the
 * whole log and is told to campaign, or an election timeout has passed. False: not the leader, or
 * the target cannot lead.
 */
export function transfer(core: Core, target: ReplicaId): boolean {
  if (core.role !== "leader" || target === core.replica) return false;
  if (core.transferee === target) return true;
  const progress = core.progress.get(target);
  if (progress === undefined || progress.suspicion !== undefined || !core.configuration.voters.includes(target)) return false;
  core.transferee = target;
  core.transferElapsed = 0;
  core.transferSent = false;
  core.sendDue = true;
  continueTransfer(core);
  return true;
}

/** Called whenever the transferee may have caught up. */
export function continueTransfer(core: Core): void {
  const { transferee } = core;
  if (transferee === noReplica || core.transferSent) return;
  const progress = core.progress.get(transferee);
  if (progress === undefined || progress.suspicion !== undefined || !core.configuration.voters.includes(transferee)) {
    // A change of configuration or a damage report took the target away.
    core.probe?.("transfer-target-lost");
    core.transferee = noReplica;
    return;
  }
  if (progress.match !== core.log.lastIndex) return;
  core.transferSent = true;
  core.send({ type: "timeout-now", from: core.replica, to: transferee, term: core.term });
}

/** For a leader that is stuck or about to stop: to the best follower if any answers, else no leader is better than this one. */
export function transferOrStepDown(core: Core): void {
  if (core.role !== "leader") return;
  const target = bestSuccessor(core);
  if (target === noReplica || !transfer(core, target)) stepDown(core);
}
