import { limits, MalformedBytes, Reader } from "../base/index.ts";
import {
  decodeCommand,
  envelopeBytes,
  errorReply,
  Kind,
  PutFlag,
  type Command,
  type GuardedCommand,
  type KeyRange,
  type TxnOperation,
} from "./commands/index.ts";
import { featureLevelMax } from "./features.ts";
import { u32At } from "./keys.ts";
import { checkDuplicates, checkTxnSize } from "./kv/duplicates.ts";
import { refusal, type Refusal } from "./refusal.ts";
import { UpgradeRequired } from "./types.ts";

/**
 * For the gate, before a command is proposed: what `apply` would stop the group for, or must not decide
 * itself because the limit is a node's. Undefined: propose it. Otherwise the reply to give.
 */
export function checkKeyspaceCommand(command: Uint8Array): Uint8Array | undefined {
  if (command.length > limits.requestBytesMax)
    return errorReply("TOO_LARGE", `a request of ${command.length} bytes; ${limits.requestBytesMax} are allowed`);
  if (command.length <= envelopeBytes) return errorReply("MALFORMED", "the bytes are too short for a command");
  const flags = command[envelopeBytes + 1] ?? 0;
  if (command[envelopeBytes] === Kind.put && (flags & ~PutFlag.known) === 0) return checkPutBytes(command, envelopeBytes + 2, flags);
  try {
    const refused = refuseAtGate(decodeCommand(new Reader(command, envelopeBytes)));
    return refused === undefined ? undefined : errorReply(refused.code, refused.message, refused.details);
  } catch (error) {
    if (error instanceof MalformedBytes) return errorReply("MALFORMED", error.message);
    if (error instanceof UpgradeRequired) return errorReply("UNSUPPORTED", `this node does not know ${error.message}`);
    throw error;
  }
}

/**
 * Whether applying the command may need more memory than before: puts and grants do. Deletes, revokes, compaction and what
 * is needed to ask for them (sessions) never do, so that a full node can be emptied. For commands that the gate let pass.
 */
export function growsKeyspace(command: Uint8Array): boolean {
  switch (command[envelopeBytes]) {
    case Kind.put:
    case Kind.leaseGrant:
      return true;
    case Kind.txn: {
      const txn = decodeCommand(new Reader(command, envelopeBytes));
      return txn.kind === "txn" && txnGrows(txn);
    }
    case Kind.guarded: {
      const guarded = decodeCommand(new Reader(command, envelopeBytes));
      return guarded.kind === "guarded" && (guarded.operation === undefined || operationGrows(guarded.operation));
    }
    default:
      return false;
  }
}

function operationGrows(operation: TxnOperation["success"][number]): boolean {
  return operation.kind === "put" || operation.kind === "enqueue" || (operation.kind === "txn" && txnGrows(operation));
}

function txnGrows(txn: TxnOperation): boolean {
  return [...txn.success, ...txn.failure].some(operationGrows);
}

/** The hot path: looks at the lengths without an object for the command. */
function checkPutBytes(command: Uint8Array, bodyAt: number, flags: number): Uint8Array | undefined {
  const at = bodyAt + ((flags & PutFlag.lease) === 0 ? 0 : 8);
  const keyLength = at + 4 <= command.length ? u32At(command, at) : 0;
  const valueAt = at + 8 + keyLength;
  if (valueAt > command.length || valueAt + u32At(command, valueAt - 4) !== command.length)
    return errorReply("MALFORMED", "a put ends elsewhere than it says");
  const refused = checkKeyLength(keyLength);
  return refused === undefined ? undefined : errorReply(refused.code, refused.message);
}

function checkKeyLength(length: number): Refusal | undefined {
  return length >= 1 && length <= limits.keyBytesMax
    ? undefined
    : refusal("INVALID_KEY", `a key has 1 to ${limits.keyBytesMax} bytes, not ${length}`);
}

function checkRangeKeys(range: KeyRange): Refusal | undefined {
  if (range.end.length > limits.keyBytesMax) return checkKeyLength(range.end.length);
  return checkKeyLength(range.key.length);
}

function refuseAtGate(command: Command): Refusal | undefined {
  switch (command.kind) {
    case "put":
      return checkKeyLength(command.key.length);
    case "delete":
      return checkRangeKeys(command);
    case "txn":
      return checkTxnSize(command) ?? checkTxnKeys(command) ?? checkDuplicates(command);
    case "guarded":
      return checkClaim(command) ?? (command.operation === undefined ? undefined : refuseAtGate(command.operation));
    case "activate":
      if (command.featureLevel > featureLevelMax)
        return refusal("UNSUPPORTED", `this node does not know feature level ${command.featureLevel}`);
      return undefined;
    default:
      return undefined;
  }
}

function checkClaim({ fence, name, source }: GuardedCommand): Refusal | undefined {
  if (source === "" || name === "" || source.length > limits.keyBytesMax || name.length > limits.keyBytesMax)
    return refusal("INVALID_ARGUMENT", `a claim and its keyspace have names of 1 to ${limits.keyBytesMax} bytes`);
  return fence >= 1 ? undefined : refusal("INVALID_ARGUMENT", "a claim's fence is at least 1");
}

function checkTxnKeys(txn: TxnOperation): Refusal | undefined {
  for (const compare of txn.compare) {
    const refused = checkRangeKeys(compare);
    if (refused !== undefined) return refused;
  }
  for (const operation of [...txn.success, ...txn.failure]) {
    let refused: Refusal | undefined;
    if (operation.kind === "put") refused = checkKeyLength(operation.key.length);
    else if (operation.kind === "txn") refused = checkTxnKeys(operation);
    else if (operation.kind !== "enqueue") refused = checkRangeKeys(operation);
    if (refused !== undefined) return refused;
  }
  return undefined;
}
