import type { MessageInitShape } from "@bufbuild/protobuf";
import type { KeyValue, OperationResult } from "../../../api/index.ts";
import { latin1Encode } from "../../../base/index.ts";
import type { KeyValueSchema, ResponseOpSchema } from "../../../etcd/index.ts";
import { signedLease } from "./operations.ts";

export type KeyValueInit = MessageInitShape<typeof KeyValueSchema>;

/** The value is copied: the reply's bytes are valid only while it is taken. */
export function keyValueOf(entry: KeyValue): KeyValueInit {
  return {
    key: latin1Encode(entry.key),
    value: entry.value.slice(),
    createRevision: BigInt(entry.createRevision),
    modRevision: BigInt(entry.modRevision),
    version: BigInt(entry.version),
    lease: signedLease(entry.lease),
  };
}

/**
 * The revision that the parts of a transaction have in their headers: before its first change the store's
 * as it was, from then on the new one.
 */
interface Progress {
  revision: bigint;
  readonly after: bigint;
}

function changes(results: readonly OperationResult[]): boolean {
  return results.some(
    (result) =>
      result.kind === "put" || (result.kind === "delete" && result.deleted > 0) || (result.kind === "txn" && changes(result.results)),
  );
}

function responseOf(result: OperationResult, progress: Progress): MessageInitShape<typeof ResponseOpSchema> {
  switch (result.kind) {
    case "put":
      progress.revision = progress.after;
      return { response: { case: "responsePut", value: { header: { revision: progress.revision }, ...previousOf(result.previous) } } };
    case "delete":
      if (result.deleted > 0) progress.revision = progress.after;
      return { response: { case: "responseDeleteRange", value: { header: { revision: progress.revision }, ...deletedOf(result) } } };
    case "range":
      return { response: { case: "responseRange", value: { header: { revision: progress.revision }, ...rangeResultOf(result) } } };
    case "txn":
      // etcd gives nested transactions an empty header.
      return { response: { case: "responseTxn", value: { header: {}, ...partsOf(result, progress) } } };
  }
}

export function previousOf(previous: KeyValue | undefined): { readonly prevKv?: KeyValueInit } {
  return previous === undefined ? {} : { prevKv: keyValueOf(previous) };
}

export function deletedOf(result: Extract<OperationResult, { readonly kind: "delete" }>): {
  readonly deleted: bigint;
  readonly prevKvs: KeyValueInit[];
} {
  return { deleted: BigInt(result.deleted), prevKvs: result.previous.map(keyValueOf) };
}

export function rangeResultOf(result: Extract<OperationResult, { readonly kind: "range" }>): {
  readonly kvs: KeyValueInit[];
  readonly more: boolean;
  readonly count: bigint;
} {
  return { kvs: result.entries.map(keyValueOf), more: result.more, count: BigInt(result.count) };
}

type TxnResult = Extract<OperationResult, { readonly kind: "txn" }>;
type TxnParts = { readonly succeeded: boolean; readonly responses: MessageInitShape<typeof ResponseOpSchema>[] };

function partsOf(result: TxnResult, progress: Progress): TxnParts {
  return { succeeded: result.succeeded, responses: result.results.map((inner) => responseOf(inner, progress)) };
}

/** `revision`: the store's after the transaction. */
export function txnResultOf(result: TxnResult, revision: number): TxnParts {
  const after = BigInt(revision);
  return partsOf(result, { after, revision: changes(result.results) ? after - 1n : after });
}
