import type { MessageInitShape } from "@bufbuild/protobuf";
import type { KeyValue, OperationResult } from "../../../api/index.ts";
import { latin1Encode } from "../../../base/index.ts";
import type { KeyValueSchema, ResponseOpSchema } from "../messages/index.ts";
import { signedLease } from "./operations.ts";

export type KeyValueInit = MessageInitShape<typeof KeyValueSchema>;
export type Revision = { readonly revision: bigint };

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

export function responseOf(result: OperationResult, header: Revision): MessageInitShape<typeof ResponseOpSchema> {
  switch (result.kind) {
    case "put":
      return { response: { case: "responsePut", value: { header, ...previousOf(result.previous) } } };
    case "delete":
      return { response: { case: "responseDeleteRange", value: { header, ...deletedOf(result) } } };
    case "range":
      return { response: { case: "responseRange", value: { header, ...rangeResultOf(result) } } };
    case "txn":
      // etcd gives nested transactions an empty header.
      return { response: { case: "responseTxn", value: { header: {}, ...txnResultOf(result, header) } } };
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

export function txnResultOf(
  result: Extract<OperationResult, { readonly kind: "txn" }>,
  header: Revision,
): { readonly succeeded: boolean; readonly responses: MessageInitShape<typeof ResponseOpSchema>[] } {
  return { succeeded: result.succeeded, responses: result.results.map((inner) => responseOf(inner, header)) };
}
