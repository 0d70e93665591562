import { UnumError } from "../../base/index.ts";
import type { GuardedCommand } from "../../machine/commands/index.ts";
import type { CallOptions } from "../basics.ts";
import { expectResult } from "../client/replies.ts";
import { byteString } from "../kv/keys.ts";
import type { Keyspace } from "../kv/keyspace.ts";
import type { ClaimMark } from "./claim.ts";

/**
 * A write for a claim of another keyspace. It is refused with FENCED once a later claim of the same name has acted here, or was
 * acquired with this keyspace among its `guards`. UNSUPPORTED for a claim that others hold at the same time.
 */
export function guardedCommand(space: Keyspace, mark: ClaimMark, operation: NonNullable<GuardedCommand["operation"]>): GuardedCommand {
  if (!mark.alone) {
    throw new UnumError(
      "UNSUPPORTED",
      `Several hold claims of this name at a time, so that keyspace "${space.name}" cannot tell by a fence which of them have ended. Write in the keyspace of the claim, "${mark.keyspace}".`,
    );
  }
  return markCommand(mark, operation);
}

/** From here on the keyspace refuses every earlier claim of the name. */
export function raiseMark(space: Keyspace, mark: ClaimMark, options: CallOptions): Promise<void> {
  return space.command(markCommand(mark, undefined), (body) => space.note(expectResult(body, "done").revision), options);
}

function markCommand({ fence, keyspace, line }: ClaimMark, operation: GuardedCommand["operation"]): GuardedCommand {
  return { kind: "guarded", source: byteString(keyspace, "The keyspace"), name: line, fence, operation };
}
