import { UnumError } from "../base/index.ts";
import type { GroupId } from "../base/index.ts";
import type { Refusal } from "../raft/index.ts";

/** Refused by the leader, or by a replica that is none: not applied. */
export function notLeader(group: GroupId, term: number): UnumError {
  return new UnumError("NOT_LEADER", undefined, { details: { group, term } });
}

export function lostLeadership(group: GroupId): UnumError {
  return new UnumError("UNKNOWN_OUTCOME", "The leader was replaced before the command was committed; it may still be.", {
    details: { group },
  });
}

/** Why raft did not take a proposal. */
export function refused(reason: Refusal, group: GroupId, term: number): UnumError {
  switch (reason) {
    case "overloaded":
      return new UnumError("OVERLOADED", "Too many bytes are proposed and not yet committed in this group.");
    case "too-large":
      return new UnumError("TOO_LARGE");
    case "transferring":
      return new UnumError("NOT_LEADER", "Leadership is being handed over.", { details: { group, term } });
    default:
      return notLeader(group, term);
  }
}

/** The replicas' states differ and none has a majority. */
export function corrupt(group: GroupId, index: number): UnumError {
  return new UnumError(
    "CORRUPT",
    `The replicas of group ${group} have different states at index ${index} and none has a majority; its writes have stopped.`,
    {
      details: { group, index },
    },
  );
}
