import { UnumError, latin1Decode } from "../../base/index.ts";
import type {
  DeleteRangeResponse,
  KeyValue as EtcdKeyValue,
  PutResponse,
  RangeResponse,
  ResponseHeader,
  ResponseOp,
  TxnResponse,
} from "../../etcd/index.ts";
import type { KeyValue, OperationResult, Reply, ReplyResult } from "../../machine/commands/index.ts";

/** Revisions are numbers here: one beyond 2^53 is no revision that an etcd reaches. */
export function numberOf(value: bigint): number {
  if (value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw new UnumError("MALFORMED", `The etcd answers with the number ${value}.`, { outcome: "unknown", retry: "maybe-applied" });
}

export function keyValueOf(entry: EtcdKeyValue): KeyValue {
  return {
    key: latin1Decode(entry.key),
    value: entry.value,
    createRevision: numberOf(entry.createRevision),
    modRevision: numberOf(entry.modRevision),
    version: numberOf(entry.version),
    lease: BigInt.asUintN(64, entry.lease),
  };
}

export function revisionOf(header: ResponseHeader | undefined): number {
  return header === undefined ? 0 : numberOf(header.revision);
}

export function accepted(header: ResponseHeader | undefined, result: ReplyResult): Reply {
  return { ok: true, revision: revisionOf(header), result };
}

export function putResult({ prevKv }: PutResponse): OperationResult {
  return { kind: "put", previous: prevKv === undefined ? undefined : keyValueOf(prevKv) };
}

export function deleteResult({ deleted, prevKvs }: DeleteRangeResponse): OperationResult {
  return { kind: "delete", deleted: numberOf(deleted), previous: prevKvs.map(keyValueOf) };
}

export function rangeResult({ count, kvs, more }: RangeResponse): OperationResult {
  return { kind: "range", entries: kvs.map(keyValueOf), more, count: numberOf(count) };
}

export function txnResult({ responses, succeeded }: TxnResponse): OperationResult {
  return { kind: "txn", succeeded, results: responses.map(partOf) };
}

function partOf({ response }: ResponseOp): OperationResult {
  switch (response.case) {
    case "responsePut":
      return putResult(response.value);
    case "responseDeleteRange":
      return deleteResult(response.value);
    case "responseRange":
      return rangeResult(response.value);
    case "responseTxn":
      return txnResult(response.value);
    default:
      throw new UnumError("MALFORMED", "The etcd answers an operation of a transaction with nothing.", {
        outcome: "unknown",
        retry: "maybe-applied",
      });
  }
}
