import { UnumError, emptyBytes, isUnumError } from "../../base/index.ts";
import type { Compare as MachineCompare, Operation, OperationResult, PutOperation, TxnOperation } from "../../machine/commands/index.ts";
import { leaseId } from "../lease-id.ts";
import type { Compare, Op, TxnOp } from "../types.ts";
import { encodeValue } from "./codec.ts";
import { isRange, keyString, rangeOf } from "./keys.ts";
import { pageLimit, rangeQuery, toEntry, toPage } from "./view.ts";
import type { View } from "./view.ts";

export interface TxnInput {
  readonly if?: readonly Compare[] | undefined;
  readonly do: readonly Op[];
  readonly else?: readonly Op[] | undefined;
}

/** `key` is a byte string, whole. */
export function putOperation(view: View, key: string, value: unknown, lease: bigint): PutOperation {
  return { kind: "put", key, value: encodeValue(view.codec, value), lease, previous: false, ignoreValue: false, ignoreLease: false };
}

/** A caller's transaction in the words of the machine. `space` is the keyspace's name: leases must be of it. */
export function txnOperation(view: View, space: string, input: TxnInput): TxnOperation {
  if (!Array.isArray(input?.do))
    throw new UnumError("INVALID_ARGUMENT", "A transaction is { if, do, else }, and do is a list of operations.");
  return {
    kind: "txn",
    compare: (input.if ?? []).map((compare) => toCompare(view, space, compare)),
    success: input.do.map((operation) => toOperation(view, space, operation)),
    failure: (input.else ?? []).map((operation) => toOperation(view, space, operation)),
  };
}

/** Whether it can be asked as a query, which needs no entry in the log. */
export function onlyReads(txn: TxnOperation): boolean {
  const reads = (operation: Operation): boolean => operation.kind === "range" || (operation.kind === "txn" && onlyReads(operation));
  return txn.success.every(reads) && txn.failure.every(reads);
}

/** A comparison that a single key satisfies by its revision: 0 when it must not exist. */
export function revisionCompare(key: string, revision: number): MachineCompare {
  return { key, end: "", target: "mod", relation: "equal", number: revision, lease: 0n, value: emptyBytes };
}

function toCompare(view: View, space: string, compare: Compare): MachineCompare {
  const name = keyString(view.prefix, compare.key);
  const blank = { key: name, end: "", relation: compare.relation, number: 0, lease: 0n, value: emptyBytes };
  switch (compare.target) {
    case "value":
      return { ...blank, target: "value", value: encodeValue(view.codec, compare.operand) };
    case "lease":
      return { ...blank, target: "lease", lease: leaseId(compare.operand, space) };
    default: {
      const number = compare.operand;
      if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0) {
        throw new UnumError("INVALID_ARGUMENT", `A ${compare.target} is a whole number from 0, not ${String(number)}.`);
      }
      return { ...blank, target: compare.target === "revision" ? "mod" : compare.target, number };
    }
  }
}

function toOperation(view: View, space: string, operation: Op): Operation {
  switch (operation.kind) {
    case "put": {
      const lease = operation.lease === undefined ? 0n : leaseId(operation.lease, space);
      return putOperation(view, keyString(view.prefix, operation.key), operation.value, lease);
    }
    case "get":
      return rangeQuery({ key: keyString(view.prefix, operation.key), end: "" }, 0, 0);
    case "delete": {
      const target = operation.target;
      const range = isRange(target) ? rangeOf(view.prefix, target) : { key: keyString(view.prefix, target), end: "" };
      return { kind: "delete", ...range, previous: false };
    }
    case "range":
      return rangeQuery(rangeOf(view.prefix, operation.range), pageLimit(operation.limit), 0);
    case "txn":
      return txnOperation(view, space, operation);
    default:
      throw new UnumError("INVALID_ARGUMENT", "An operation of a transaction is made by op.put, op.get, op.delete, op.range or op.txn.");
  }
}

/** What the caller gets for the transaction that he gave. */
export function toTxnResult(view: View, input: TxnInput, revision: number, result: Extract<OperationResult, { kind: "txn" }>): unknown {
  const operations = result.succeeded ? input.do : (input.else ?? []);
  const results = operations.map((operation, at) => toResult(view, operation, revision, result.results[at]));
  return { revision, ok: result.succeeded, results };
}

function toResult(view: View, operation: Op, revision: number, result: OperationResult | undefined): unknown {
  if (operation.kind === "put" && result?.kind === "put") return { revision };
  if (operation.kind === "delete" && result?.kind === "delete") return { revision, deleted: result.deleted };
  if (operation.kind === "get" && result?.kind === "range") {
    const entry = result.entries[0];
    return entry === undefined ? undefined : toEntry(view, entry);
  }
  if (operation.kind === "range" && result?.kind === "range") return toPage(view, revision, result);
  if (operation.kind === "txn" && result?.kind === "txn") return toTxnResult(view, operation as TxnOp, revision, result);
  throw new UnumError("MALFORMED", `The answer to ${operation.kind} is ${result?.kind ?? "missing"}.`, {
    outcome: "unknown",
    retry: "maybe-applied",
  });
}

/** A transaction that wrote and whose reads do not decode has been applied all the same: the error must say so. */
export function appliedAnyway<T>(decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (!isUnumError(error, "DECODE_FAILED")) throw error;
    throw new UnumError("DECODE_FAILED", `The transaction was applied. ${error.message}`, {
      outcome: "unknown",
      retry: "maybe-applied",
      details: { ...error.details, applied: true },
      cause: error.cause,
    });
  }
}
