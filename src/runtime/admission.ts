import { Reader, UnumError } from "../base/index.ts";
import { Kind, checkKeyspaceCommand, commandKind, decodeCommand, envelopeBytes } from "../machine/index.ts";

/**
 * Checks a client's command before it is proposed. What reaches the log is applied by every replica,
 * and a kind or flag that a build does not know stops the group there; so nothing unknown may enter.
 * Gives the machine's own refusal, or undefined; throws MALFORMED for what only a leader may say.
 */
export function admitCommand(body: Uint8Array): Uint8Array | undefined {
  const refusal = checkKeyspaceCommand(body);
  if (refusal !== undefined) return refusal;
  switch (commandKind(body)) {
    case Kind.leaseCheckpoint:
    case Kind.checkpoint:
    case Kind.activate:
      throw new UnumError("MALFORMED", "Only a group's leader says this.");
    case Kind.leaseRevoke: {
      const command = decodeCommand(new Reader(body, envelopeBytes));
      if (command.kind === "lease-revoke" && command.term !== 0) throw new UnumError("MALFORMED", "A client's revoke carries no term.");
      break;
    }
  }
  return undefined;
}
