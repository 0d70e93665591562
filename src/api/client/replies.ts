import { UnumError } from "../../base/index.ts";
import { decodeReply } from "../../machine/commands/index.ts";
import type { Reply, ReplyResult } from "../../machine/commands/index.ts";

/** A machine's refusal as the error that the caller gets. */
export function replyError(reply: Extract<Reply, { readonly ok: false }>): UnumError {
  return new UnumError(reply.code, reply.message === "" ? undefined : reply.message, {
    details: { ...reply.details, revision: reply.revision },
  });
}

export type ResultKind = ReplyResult["kind"];

/** The result of one kind, and the revision after the command; throws the refusal. */
export function expectResult<K extends ResultKind>(
  body: Uint8Array,
  kind: K,
): { readonly revision: number; readonly result: Extract<ReplyResult, { kind: K }> } {
  const reply = decodeReply(body);
  if (!reply.ok) throw replyError(reply);
  if (reply.result.kind !== kind)
    throw new UnumError("MALFORMED", `The answer is a ${reply.result.kind}, not a ${kind}.`, { outcome: "unknown" });
  return { revision: reply.revision, result: reply.result as Extract<ReplyResult, { kind: K }> };
}
