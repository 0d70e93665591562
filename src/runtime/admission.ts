import { Reader, UnumError } from "../base/index.ts";
import { Kind, checkKeyspaceCommand, commandKind, decodeCommand, envelopeBytes } from "../machine/index.ts";
import type { Call } from "./connection.ts";

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

/** Commands that free memory or keep sessions and claims alive go before those that bring data. */
export function isUrgent(body: Uint8Array): boolean {
  switch (commandKind(body)) {
    case Kind.put:
    case Kind.txn:
    case Kind.guarded:
    case Kind.leaseGrant:
      return false;
    default:
      return true;
  }
}

/**
 * Who takes turns with whom: a connection, or, where another node passes the commands of many clients on, each of their
 * sessions.
 */
export function askerOf(call: Call): unknown {
  const { connection, request } = call;
  if (!connection.isNode || request.body.length < envelopeBytes) return connection;
  const reader = new Reader(request.body);
  const session = reader.u32() + reader.u32() * 0x1_0000_0000;
  return session === 0 ? connection : session;
}
