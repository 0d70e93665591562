import { limits, MalformedBytes, unreachable, type Reader, type Writer } from "../../base/index.ts";
import { UpgradeRequired } from "../types.ts";
import { compareRelations, compareTargets, DeleteFlag, Kind, PutFlag, RangeFlag, sortTargets } from "./kinds.ts";
import type { Compare, DeleteOperation, Operation, PutOperation, RangeOperation, TxnOperation } from "./types.ts";

/** Flags that this build knows; others come from a newer one, and to ignore them would diverge. */
export function knownFlags(flags: number, known: number, what: string): number {
  if ((flags & ~known) !== 0) throw new UpgradeRequired(`${what} with flags ${flags}`);
  return flags;
}

function at<T>(list: readonly T[], position: number, what: string): T {
  const item = list[position];
  if (item === undefined) throw new UpgradeRequired(`${what} ${position}`);
  return item;
}

export function encodePutBody(writer: Writer, operation: PutOperation): void {
  const { previous, ignoreValue, ignoreLease, lease } = operation;
  const flags = (previous ? PutFlag.previous : 0) | (ignoreValue ? PutFlag.ignoreValue : 0) | (ignoreLease ? PutFlag.ignoreLease : 0);
  writer.u8(lease === 0n ? flags : flags | PutFlag.lease);
  if (lease !== 0n) writer.big64(lease);
  writer.latin1(operation.key).blob(operation.value);
}

function decodePutBody(reader: Reader): PutOperation {
  const flags = knownFlags(reader.u8(), PutFlag.known, "put");
  const lease = flags & PutFlag.lease ? reader.big64() : 0n;
  return {
    kind: "put",
    key: reader.latin1(),
    value: reader.blob(),
    lease,
    previous: (flags & PutFlag.previous) !== 0,
    ignoreValue: (flags & PutFlag.ignoreValue) !== 0,
    ignoreLease: (flags & PutFlag.ignoreLease) !== 0,
  };
}

function encodeDeleteBody(writer: Writer, operation: DeleteOperation): void {
  writer
    .u8(operation.previous ? DeleteFlag.previous : 0)
    .latin1(operation.key)
    .latin1(operation.end);
}

function decodeDeleteBody(reader: Reader): DeleteOperation {
  const flags = knownFlags(reader.u8(), DeleteFlag.known, "delete");
  return { kind: "delete", key: reader.latin1(), end: reader.latin1(), previous: (flags & DeleteFlag.previous) !== 0 };
}

function encodeRangeBody(writer: Writer, operation: RangeOperation): void {
  const { sort, revision, limit, minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = operation;
  const mod = minModRevision > 0 || maxModRevision > 0;
  const create = minCreateRevision > 0 || maxCreateRevision > 0;
  let flags = (operation.keysOnly ? RangeFlag.keysOnly : 0) | (operation.countOnly ? RangeFlag.countOnly : 0);
  if (sort !== undefined) flags |= RangeFlag.sort | (sort.descending ? RangeFlag.descending : 0);
  if (revision > 0) flags |= RangeFlag.revision;
  if (limit > 0) flags |= RangeFlag.limit;
  if (mod) flags |= RangeFlag.mod;
  if (create) flags |= RangeFlag.create;
  writer.u16(flags).latin1(operation.key).latin1(operation.end);
  if (sort !== undefined) writer.u8(sortTargets.indexOf(sort.target));
  if (revision > 0) writer.u64(revision);
  if (limit > 0) writer.u64(limit);
  if (mod) writer.u64(minModRevision).u64(maxModRevision);
  if (create) writer.u64(minCreateRevision).u64(maxCreateRevision);
}

function decodeRangeBody(reader: Reader): RangeOperation {
  const flags = knownFlags(reader.u16(), RangeFlag.known, "range");
  const key = reader.latin1();
  const end = reader.latin1();
  const sort =
    flags & RangeFlag.sort
      ? { target: at(sortTargets, reader.u8(), "sort target"), descending: (flags & RangeFlag.descending) !== 0 }
      : undefined;
  const revision = flags & RangeFlag.revision ? reader.u64() : 0;
  const limit = flags & RangeFlag.limit ? reader.u64() : 0;
  const mod = (flags & RangeFlag.mod) !== 0;
  const minModRevision = mod ? reader.u64() : 0;
  const maxModRevision = mod ? reader.u64() : 0;
  const create = (flags & RangeFlag.create) !== 0;
  const minCreateRevision = create ? reader.u64() : 0;
  const maxCreateRevision = create ? reader.u64() : 0;
  return {
    kind: "range",
    key,
    end,
    revision,
    limit,
    sort,
    minModRevision,
    maxModRevision,
    minCreateRevision,
    maxCreateRevision,
    keysOnly: (flags & RangeFlag.keysOnly) !== 0,
    countOnly: (flags & RangeFlag.countOnly) !== 0,
  };
}

function encodeCompare(writer: Writer, compare: Compare): void {
  writer.u8(compareTargets.indexOf(compare.target)).u8(compareRelations.indexOf(compare.relation)).latin1(compare.key).latin1(compare.end);
  if (compare.target === "value") writer.blob(compare.value);
  else if (compare.target === "lease") writer.big64(compare.lease);
  else writer.u64(compare.number);
}

function decodeCompare(reader: Reader): Compare {
  const target = at(compareTargets, reader.u8(), "compare target");
  const relation = at(compareRelations, reader.u8(), "compare relation");
  const key = reader.latin1();
  const end = reader.latin1();
  const value = target === "value" ? reader.blob() : noValue;
  const lease = target === "lease" ? reader.big64() : 0n;
  const number = target === "value" || target === "lease" ? 0 : reader.u64();
  return { key, end, target, relation, number, lease, value };
}

const noValue = new Uint8Array(0);

export function encodeTxnBody(writer: Writer, txn: TxnOperation): void {
  writer.u16(txn.compare.length);
  for (const compare of txn.compare) encodeCompare(writer, compare);
  for (const branch of [txn.success, txn.failure]) {
    writer.u16(branch.length);
    for (const operation of branch) encodeOperation(writer, operation);
  }
}

/** What one decoding may still hold: etcd counts operations of all levels against one budget. */
interface Budget {
  operations: number;
}

function decodeBranch(reader: Reader, depth: number, budget: Budget): Operation[] {
  const count = reader.u16();
  const operations: Operation[] = [];
  for (let i = 0; i < count; i++) operations.push(decodeOperationAt(reader, depth, budget));
  return operations;
}

export function decodeTxnBody(reader: Reader, depth: number = 1, budget: Budget = { operations: operationsDecodedMax }): TxnOperation {
  if (depth > limits.transactionDepthMax + 1) throw new MalformedBytes(`transactions nested deeper than ${limits.transactionDepthMax}`);
  const compare: Compare[] = [];
  const compares = reader.u16();
  for (let i = 0; i < compares; i++) {
    spend(budget);
    compare.push(decodeCompare(reader));
  }
  return { kind: "txn", compare, success: decodeBranch(reader, depth, budget), failure: decodeBranch(reader, depth, budget) };
}

/** Beyond any allowed transaction: what is larger is no command, and the state decides about the rest. */
const operationsDecodedMax = 65_536;

function spend(budget: Budget): void {
  if (--budget.operations < 0) throw new MalformedBytes("too many operations in a transaction");
}

export function encodeOperation(writer: Writer, operation: Operation): void {
  switch (operation.kind) {
    case "put":
      writer.u8(Kind.put);
      return encodePutBody(writer, operation);
    case "delete":
      writer.u8(Kind.delete);
      return encodeDeleteBody(writer, operation);
    case "range":
      writer.u8(Kind.range);
      return encodeRangeBody(writer, operation);
    case "txn":
      writer.u8(Kind.txn);
      return encodeTxnBody(writer, operation);
    case "enqueue":
      writer.u8(Kind.enqueue).text(operation.queue).blob(operation.payload);
      return;
    default:
      return unreachable(operation);
  }
}

function decodeOperationAt(reader: Reader, depth: number, budget: Budget): Operation {
  spend(budget);
  const kind = reader.u8();
  const operation = kind === Kind.txn ? decodeTxnBody(reader, depth + 1, budget) : decodeOperationBody(reader, kind);
  if (operation === undefined) throw new UpgradeRequired(`operation kind ${kind}`);
  return operation;
}

/** The operation behind its kind byte; undefined when `kind` is no operation. */
export function decodeOperationBody(reader: Reader, kind: number): Operation | undefined {
  switch (kind) {
    case Kind.put:
      return decodePutBody(reader);
    case Kind.delete:
      return decodeDeleteBody(reader);
    case Kind.range:
      return decodeRangeBody(reader);
    case Kind.txn:
      return decodeTxnBody(reader);
    case Kind.enqueue:
      return { kind: "enqueue", queue: reader.text(), payload: reader.blob() };
    default:
      return undefined;
  }
}
