import type { MessageInitShape } from "@bufbuild/protobuf";
import { UnumError, latin1Encode, unreachable } from "../../base/index.ts";
import { Compare_CompareResult, Compare_CompareTarget, RangeRequest_SortOrder, RangeRequest_SortTarget } from "../../etcd/index.ts";
import type {
  CompareSchema,
  DeleteRangeRequestSchema,
  PutRequestSchema,
  RangeRequestSchema,
  RequestOpSchema,
  TxnRequestSchema,
} from "../../etcd/index.ts";
import type {
  Compare,
  DeleteOperation,
  KeyRange,
  Operation,
  PutOperation,
  RangeOperation,
  TxnOperation,
} from "../../machine/commands/index.ts";

/** Lease ids are unsigned in the machine and signed in etcd. */
export function etcdLease(id: bigint): bigint {
  return BigInt.asIntN(64, id);
}

export function rangeFields({ end, key }: KeyRange): { readonly key: Uint8Array; readonly rangeEnd: Uint8Array } {
  return { key: latin1Encode(key), rangeEnd: latin1Encode(end) };
}

export function putRequest(operation: PutOperation): MessageInitShape<typeof PutRequestSchema> {
  return {
    key: latin1Encode(operation.key),
    value: operation.value,
    lease: etcdLease(operation.lease),
    prevKv: operation.previous,
    ignoreValue: operation.ignoreValue,
    ignoreLease: operation.ignoreLease,
  };
}

export function deleteRequest(operation: DeleteOperation): MessageInitShape<typeof DeleteRangeRequestSchema> {
  return { ...rangeFields(operation), prevKv: operation.previous };
}

const sortTargets = {
  key: RangeRequest_SortTarget.KEY,
  version: RangeRequest_SortTarget.VERSION,
  create: RangeRequest_SortTarget.CREATE,
  mod: RangeRequest_SortTarget.MOD,
  value: RangeRequest_SortTarget.VALUE,
} as const;

/** `serializable`: any member may answer, from what it has. */
export function rangeRequest(operation: RangeOperation, serializable: boolean): MessageInitShape<typeof RangeRequestSchema> {
  const { sort } = operation;
  const order = sort?.descending === true ? RangeRequest_SortOrder.DESCEND : RangeRequest_SortOrder.ASCEND;
  return {
    ...rangeFields(operation),
    revision: BigInt(operation.revision),
    limit: BigInt(operation.limit),
    ...(sort === undefined ? {} : { sortTarget: sortTargets[sort.target], sortOrder: order }),
    keysOnly: operation.keysOnly,
    countOnly: operation.countOnly,
    minModRevision: BigInt(operation.minModRevision),
    maxModRevision: BigInt(operation.maxModRevision),
    minCreateRevision: BigInt(operation.minCreateRevision),
    maxCreateRevision: BigInt(operation.maxCreateRevision),
    serializable,
  };
}

const relations = {
  equal: Compare_CompareResult.EQUAL,
  "not-equal": Compare_CompareResult.NOT_EQUAL,
  greater: Compare_CompareResult.GREATER,
  less: Compare_CompareResult.LESS,
} as const;

function compareOf(compare: Compare): MessageInitShape<typeof CompareSchema> {
  const common = { ...rangeFields(compare), result: relations[compare.relation] };
  const number = BigInt(compare.number);
  switch (compare.target) {
    case "version":
      return { ...common, target: Compare_CompareTarget.VERSION, targetUnion: { case: "version", value: number } };
    case "create":
      return { ...common, target: Compare_CompareTarget.CREATE, targetUnion: { case: "createRevision", value: number } };
    case "mod":
      return { ...common, target: Compare_CompareTarget.MOD, targetUnion: { case: "modRevision", value: number } };
    case "value":
      return { ...common, target: Compare_CompareTarget.VALUE, targetUnion: { case: "value", value: compare.value } };
    case "lease":
      return { ...common, target: Compare_CompareTarget.LEASE, targetUnion: { case: "lease", value: etcdLease(compare.lease) } };
    default:
      return unreachable(compare.target);
  }
}

function operationOf(operation: Operation, serializable: boolean): MessageInitShape<typeof RequestOpSchema> {
  switch (operation.kind) {
    case "put":
      return { request: { case: "requestPut", value: putRequest(operation) } };
    case "delete":
      return { request: { case: "requestDeleteRange", value: deleteRequest(operation) } };
    case "range":
      return { request: { case: "requestRange", value: rangeRequest(operation, serializable) } };
    case "txn":
      return { request: { case: "requestTxn", value: txnRequest(operation, serializable) } };
    case "enqueue":
      throw new UnumError("UNSUPPORTED", "etcd has no queues.");
    default:
      return unreachable(operation);
  }
}

export function txnRequest({ compare, failure, success }: TxnOperation, serializable: boolean): MessageInitShape<typeof TxnRequestSchema> {
  return {
    compare: compare.map(compareOf),
    success: success.map((operation) => operationOf(operation, serializable)),
    failure: failure.map((operation) => operationOf(operation, serializable)),
  };
}
