import { assert, noReplica } from "../base/index.ts";
import type { Core } from "./core.ts";
import { appendOwn } from "./roles.ts";
import { EntryKind } from "./types.ts";
import type { ProposeResult, Refusal } from "./types.ts";

export function refused(core: Core, reason: Refusal): ProposeResult {
  return { accepted: false, reason, leader: core.leader };
}

/** Appends an entry of the leader's term. It leaves with the next ready, together with all others of the turn. */
export function propose(core: Core, data: Uint8Array): ProposeResult {
  assert(data.length > 0, "only a leader's first entry is empty");
  if (core.role !== "leader") return refused(core, "not-leader");
  if (core.transferee !== noReplica) return refused(core, "transferring");
  if (data.length > core.limits.entryBytesMax) return refused(core, "too-large");
  // An entry passes alone whatever its size, so that the limit never blocks for good.
  if (core.uncommittedBytes > 0 && core.uncommittedBytes + data.length > core.limits.uncommittedBytesMax)
    return refused(core, "overloaded");
  return { accepted: true, index: appendOwn(core, EntryKind.normal, data), term: core.term };
}
