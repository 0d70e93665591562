import { MalformedBytes, Reader, UnumError } from "../base/index.ts";
import { Kind, PutFlag, UpgradeRequired, commandKind, decodeCommand, envelopeBytes } from "../machine/index.ts";

const flagsOffset = envelopeBytes + 1;

/**
 * Checks a client's command before it is proposed. What reaches the log is applied by every replica,
 * and a kind or flag that a build does not know stops the group there; so nothing unknown may enter.
 * Throws MALFORMED or UNSUPPORTED.
 */
export function admitCommand(body: Uint8Array): void {
  const kind = commandKind(body);
  // A put is by far the most frequent: its flags say whether it is understood, `apply` checks the rest.
  if (kind === Kind.put && ((body[flagsOffset] ?? 0xff) & ~PutFlag.known) === 0) return;
  let command;
  try {
    command = decodeCommand(new Reader(body, envelopeBytes));
  } catch (error) {
    if (error instanceof UpgradeRequired) throw new UnumError("UNSUPPORTED", `The node does not know this command: ${error.message}.`);
    if (error instanceof MalformedBytes) throw new UnumError("MALFORMED", error.message);
    throw error;
  }
  switch (command.kind) {
    case "lease-checkpoint":
    case "checkpoint":
    case "activate":
      throw new UnumError("MALFORMED", `"${command.kind}" is a leader's own command.`);
    case "lease-revoke":
      if (command.term !== 0) throw new UnumError("MALFORMED", "A client's revoke carries no term.");
      break;
  }
}
