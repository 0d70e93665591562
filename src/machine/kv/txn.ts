import { compareBytes, type Writer } from "../../base/index.ts";
import {
  Status,
  type Compare,
  type DeleteOperation,
  type Operation,
  type PutOperation,
  type RangeOperation,
  type TxnOperation,
} from "../commands/index.ts";
import { refusal, type Refusal } from "../refusal.ts";
import { UpgradeRequired } from "../types.ts";
import { pageBytesMax, visitLive, writeEntry, writeRange } from "./range.ts";
import type { KvState } from "./state.ts";

const two32 = 0x1_0000_0000n;
const leaseLow = (lease: bigint): number => Number(lease % two32);
const leaseHigh = (lease: bigint): number => Number(lease / two32);

/** How many live bytes the writes so far will add. */
export interface Growth {
  bytes: number;
}

function emptyKey(): Refusal {
  return refusal("INVALID_KEY", "the key is empty");
}

export function checkPut(state: KvState, operation: PutOperation, growth: Growth): Refusal | undefined {
  const { key, value, lease, ignoreValue, ignoreLease } = operation;
  if (key === "") return emptyKey();
  if (ignoreValue && value.length > 0) return refusal("INVALID_ARGUMENT", "a value is given and to be ignored");
  if (ignoreLease && lease !== 0n) return refusal("INVALID_ARGUMENT", "a lease is given and to be ignored");
  if (lease !== 0n && !state.hasLease(leaseLow(lease), leaseHigh(lease))) {
    return refusal("LEASE_NOT_FOUND", `lease ${lease} has ended or never was`, { lease: String(lease) });
  }
  const missing = checkKept(state, operation);
  if (missing !== undefined) return missing;
  const old = state.live.get(key);
  if (old === undefined) growth.bytes += state.entryBytes(key, value.length);
  else if (!ignoreValue) growth.bytes += value.length - state.records.valueLength(old);
  return undefined;
}

/** Who keeps a value or a lease needs the key. */
function checkKept(state: KvState, { key, ignoreValue, ignoreLease }: PutOperation): Refusal | undefined {
  if ((!ignoreValue && !ignoreLease) || key === "" || state.live.get(key) !== undefined) return undefined;
  return refusal("NOT_FOUND", "the key whose value or lease is to be kept does not exist");
}

/** Only growth is refused: what shrinks or stays passes, so that a full keyspace can be emptied. */
export function checkQuota(state: KvState, growth: number): Refusal | undefined {
  const { maxBytes } = state.settings;
  if (growth <= 0 || state.liveBytes + growth <= maxBytes) return undefined;
  return refusal("OVER_QUOTA", `${state.liveBytes} of ${maxBytes} bytes are used and ${growth} more are wanted`, {
    bytes: state.liveBytes,
    maxBytes,
  });
}

/** Writes the body of a put's result: [flags u8][previous entry]. */
export function executePut(writer: Writer, state: KvState, operation: PutOperation): void {
  const { records } = state;
  const old = operation.previous || operation.ignoreValue || operation.ignoreLease ? state.live.get(operation.key) : undefined;
  const showsPrevious = operation.previous && old !== undefined;
  writer.u8(showsPrevious ? 1 : 0);
  if (showsPrevious) writeEntry(writer, state, old, false);
  // A copy: the slab that holds the old value may move while the new version is written.
  const value = operation.ignoreValue && old !== undefined ? records.value(old).slice() : operation.value;
  const keeps = operation.ignoreLease && old !== undefined;
  const low = keeps ? records.leaseLow(old) : operation.lease === 0n ? 0 : leaseLow(operation.lease);
  const high = keeps ? records.leaseHigh(old) : operation.lease === 0n ? 0 : leaseHigh(operation.lease);
  state.write(operation.key, value, low, high);
}

/** Writes the body of a deletion's result: [deleted u64][previous entries]. */
export function executeDelete(writer: Writer, state: KvState, operation: DeleteOperation): void {
  const handles: number[] = [];
  visitLive(state, operation, (handle) => {
    handles.push(handle);
    return true;
  });
  writer.u64(handles.length).u32(operation.previous ? handles.length : 0);
  if (operation.previous) for (const handle of handles) writeEntry(writer, state, handle, false);
  for (const handle of handles) state.remove(handle);
}

function relate(order: number, relation: Compare["relation"]): boolean {
  switch (relation) {
    case "equal":
      return order === 0;
    case "not-equal":
      return order !== 0;
    case "greater":
      return order > 0;
    default:
      return order < 0;
  }
}

function holds(state: KvState, compare: Compare, handle: number): boolean {
  const { records } = state;
  const isMissing = handle < 0;
  switch (compare.target) {
    case "version":
      return relate((isMissing ? 0 : records.version(handle)) - compare.number, compare.relation);
    case "create":
      return relate((isMissing ? 0 : records.createRevision(handle)) - compare.number, compare.relation);
    case "mod":
      return relate((isMissing ? 0 : records.modRevision(handle)) - compare.number, compare.relation);
    case "lease": {
      const lease = isMissing ? 0n : records.lease(handle);
      return relate(lease < compare.lease ? -1 : lease > compare.lease ? 1 : 0, compare.relation);
    }
    default:
      return !isMissing && relate(compareBytes(records.value(handle), compare.value), compare.relation);
  }
}

/** Every key of the range satisfies it; of an empty range, as etcd has it, an entry of zeros that has no value. */
function compareHolds(state: KvState, compare: Compare): boolean {
  let isEmpty = true;
  let all = true;
  visitLive(state, compare, (handle) => {
    isEmpty = false;
    all = holds(state, compare, handle);
    return all;
  });
  return isEmpty ? holds(state, compare, -1) : all;
}

/** Which branch each level takes: decided for all levels on the state before the transaction, as etcd does. */
export interface Path {
  readonly succeeded: boolean;
  readonly operations: readonly Operation[];
  /** One for each nested transaction of `operations`, in order. */
  readonly nested: readonly Path[];
}

export function choosePath(state: KvState, txn: TxnOperation): Path {
  const succeeded = txn.compare.every((compare) => compareHolds(state, compare));
  const operations = succeeded ? txn.success : txn.failure;
  const nested: Path[] = [];
  for (const operation of operations) if (operation.kind === "txn") nested.push(choosePath(state, operation));
  return { succeeded, operations, nested };
}

/**
 * Everything that could refuse an operation of the chosen branches: afterwards execution cannot fail. As in etcd, which
 * refusal is given when there are several: what writes comes before what reads, and a missing key before a missing lease.
 */
export function checkPath(state: KvState, path: Path, growth: Growth): Refusal | undefined {
  return checkWrites(state, path, growth) ?? checkReads(state, path);
}

function checkWrites(state: KvState, path: Path, growth: Growth): Refusal | undefined {
  let nested = 0;
  for (const operation of path.operations) {
    let refused: Refusal | undefined;
    if (operation.kind === "put") refused = checkKept(state, operation) ?? checkPut(state, operation, growth);
    else if (operation.kind === "delete") refused = operation.key === "" ? emptyKey() : undefined;
    else if (operation.kind === "txn") refused = checkWrites(state, path.nested[nested++] as Path, growth);
    if (refused !== undefined) return refused;
  }
  return undefined;
}

function checkReads(state: KvState, path: Path): Refusal | undefined {
  let nested = 0;
  for (const operation of path.operations) {
    let refused: Refusal | undefined;
    if (operation.kind === "range") refused = operation.key === "" ? emptyKey() : state.checkReadable(operation.revision);
    else if (operation.kind === "txn") refused = checkReads(state, path.nested[nested++] as Path);
    if (refused !== undefined) return refused;
  }
  return undefined;
}

/** Writes the body of a transaction's result: [succeeded u8][count u16] and each result behind its status. */
export function executePath(writer: Writer, state: KvState, path: Path): void {
  const writes = { some: false };
  executeLevel(writer, state, path, writes, writer.length + pageBytesMax);
}

function executeLevel(writer: Writer, state: KvState, path: Path, writes: { some: boolean }, lengthMax: number): void {
  writer.u8(path.succeeded ? 1 : 0).u16(path.operations.length);
  let nested = 0;
  for (const operation of path.operations) {
    switch (operation.kind) {
      case "put":
        writer.u8(Status.put);
        executePut(writer, state, operation);
        writes.some = true;
        break;
      case "delete":
        writer.u8(Status.delete);
        executeDelete(writer, state, operation);
        writes.some = true;
        break;
      case "range":
        writer.u8(Status.range);
        writeRange(writer, state, operation, writes.some, Math.max(0, lengthMax - writer.length));
        break;
      case "txn":
        writer.u8(Status.txn);
        executeLevel(writer, state, path.nested[nested++] as Path, writes, lengthMax);
        break;
      default:
        throw new UpgradeRequired(`operation ${operation.kind}`);
    }
  }
}

/** Whether no branch of the transaction writes: then it may be a query. */
export function readsOnly(txn: TxnOperation): boolean {
  const reads = (operation: Operation): boolean => operation.kind === "range" || (operation.kind === "txn" && readsOnly(operation));
  return txn.success.every(reads) && txn.failure.every(reads);
}

export function checkRange(state: KvState, operation: RangeOperation): Refusal | undefined {
  return operation.key === "" ? emptyKey() : state.checkReadable(operation.revision);
}
