import type { KeyRange, Operation, PutOperation, RangeOperation, RawCompare, TxnOperation } from "../../../api/index.ts";
import { emptyBytes, latin1Decode } from "../../../base/index.ts";
import { Compare_CompareResult, Compare_CompareTarget, RangeRequest_SortOrder, RangeRequest_SortTarget } from "../../../etcd/index.ts";
import type { Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest } from "../../../etcd/index.ts";

const safeMax = Number.MAX_SAFE_INTEGER;
const big = BigInt(safeMax);

/** The machine counts to 2^53: what lies beyond is beyond every revision. Negative numbers are 0, which means "none". */
export function boundedNumber(value: bigint): number {
  return value <= 0n ? 0 : value >= big ? safeMax : Number(value);
}

export function rangeOf(request: { readonly key: Uint8Array; readonly rangeEnd: Uint8Array }): KeyRange {
  return { key: latin1Decode(request.key), end: latin1Decode(request.rangeEnd) };
}

/** Lease ids are signed for etcd's clients and unsigned in the machine. */
export function leaseOf(id: bigint): bigint {
  return BigInt.asUintN(64, id);
}

export function signedLease(id: bigint): bigint {
  return BigInt.asIntN(64, id);
}

const targets = {
  [RangeRequest_SortTarget.KEY]: "key",
  [RangeRequest_SortTarget.VERSION]: "version",
  [RangeRequest_SortTarget.CREATE]: "create",
  [RangeRequest_SortTarget.MOD]: "mod",
  [RangeRequest_SortTarget.VALUE]: "value",
} as const;

function sortOf({ sortOrder, sortTarget }: RangeRequest): RangeOperation["sort"] {
  const target = targets[sortTarget as keyof typeof targets] ?? "key";
  const descending = sortOrder === RangeRequest_SortOrder.DESCEND;
  // Entries come in order of their keys anyway.
  return target === "key" && !descending ? undefined : { target, descending };
}

export function rangeOperation(request: RangeRequest): RangeOperation {
  // A negative upper bound lets nothing pass: no revision is beyond the largest lower one.
  const nothing = request.maxModRevision < 0n || request.maxCreateRevision < 0n;
  return {
    kind: "range",
    ...rangeOf(request),
    revision: boundedNumber(request.revision),
    limit: boundedNumber(request.limit),
    sort: sortOf(request),
    keysOnly: request.keysOnly,
    countOnly: request.countOnly,
    minModRevision: nothing ? safeMax : boundedNumber(request.minModRevision),
    maxModRevision: boundedNumber(request.maxModRevision),
    minCreateRevision: boundedNumber(request.minCreateRevision),
    maxCreateRevision: boundedNumber(request.maxCreateRevision),
  };
}

export function putOperation(request: PutRequest): PutOperation {
  return {
    kind: "put",
    key: latin1Decode(request.key),
    value: request.value,
    lease: leaseOf(request.lease),
    previous: request.prevKv,
    ignoreValue: request.ignoreValue,
    ignoreLease: request.ignoreLease,
  };
}

export function deleteOperation(request: DeleteRangeRequest): Extract<Operation, { readonly kind: "delete" }> {
  return { kind: "delete", ...rangeOf(request), previous: request.prevKv };
}

export function txnOperation(request: TxnRequest): TxnOperation {
  return {
    kind: "txn",
    compare: request.compare.map(compareOf),
    success: request.success.map(operationOf),
    failure: request.failure.map(operationOf),
  };
}

function operationOf({ request }: RequestOp): Operation {
  switch (request.case) {
    case "requestRange":
      return rangeOperation(request.value);
    case "requestPut":
      return putOperation(request.value);
    case "requestDeleteRange":
      return deleteOperation(request.value);
    case "requestTxn":
      return txnOperation(request.value);
    default:
      throw new Error("an operation without a request was not refused");
  }
}

const relations = {
  [Compare_CompareResult.EQUAL]: "equal",
  [Compare_CompareResult.GREATER]: "greater",
  [Compare_CompareResult.LESS]: "less",
  [Compare_CompareResult.NOT_EQUAL]: "not-equal",
} as const;

function compareOf(compare: Compare): RawCompare {
  const relation = relations[compare.result as keyof typeof relations] ?? "equal";
  const base = { ...rangeOf(compare), number: 0, lease: 0n, value: emptyBytes };
  const { targetUnion: union } = compare;
  switch (compare.target) {
    case Compare_CompareTarget.VALUE:
      return { ...base, target: "value", relation, value: union.case === "value" ? union.value : emptyBytes };
    case Compare_CompareTarget.LEASE:
      return { ...base, target: "lease", relation, lease: union.case === "lease" ? leaseOf(union.value) : 0n };
    case Compare_CompareTarget.CREATE:
      return { ...base, target: "create", ...numbers(relation, union.case === "createRevision" ? union.value : 0n) };
    case Compare_CompareTarget.MOD:
      return { ...base, target: "mod", ...numbers(relation, union.case === "modRevision" ? union.value : 0n) };
    default:
      return { ...base, target: "version", ...numbers(relation, union.case === "version" ? union.value : 0n) };
  }
}

/** The machine has no negative numbers and none beyond 2^53: a comparison with one is always true or always false. */
function numbers(relation: RawCompare["relation"], value: bigint): { readonly relation: RawCompare["relation"]; readonly number: number } {
  if (value >= 0n && value < big) return { relation, number: Number(value) };
  const holds = relation === "not-equal" || (value < 0n ? relation === "greater" : relation === "less");
  return { relation: holds ? "not-equal" : "equal", number: safeMax };
}
