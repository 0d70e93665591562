import type { Compare, DeleteOp, GetOp, Key, Lease, Op, PutOp, Range, RangeOp, Relation, TxnOp } from "../types.ts";

/** What can be asked of a key before a transaction. A missing key has revision, createRevision and version 0. */
export interface KeyConditions {
  missing(): Compare;
  exists(): Compare;
  revision(revision: number, relation?: Relation): Compare;
  createRevision(revision: number, relation?: Relation): Compare;
  version(version: number, relation?: Relation): Compare;
  /** Compared as the bytes that the handle's codec makes of it. */
  value(value: unknown, relation?: Relation): Compare;
  lease(lease: Lease, relation?: Relation): Compare;
}

/** Conditions on one key: `key("a").missing()`. */
export function key(name: Key): KeyConditions {
  const compare = (target: Compare["target"], relation: Relation, operand: unknown): Compare => ({ key: name, target, relation, operand });
  return {
    missing: () => compare("version", "equal", 0),
    exists: () => compare("version", "greater", 0),
    revision: (revision, relation = "equal") => compare("revision", relation, revision),
    createRevision: (revision, relation = "equal") => compare("create", relation, revision),
    version: (version, relation = "equal") => compare("version", relation, version),
    value: (value, relation = "equal") => compare("value", relation, value),
    lease: (lease, relation = "equal") => compare("lease", relation, lease),
  };
}

/**
 * The parts of a transaction, which run in order; reads see the writes before them. All conditions,
 * those of nested transactions too, are asked of the state before any of it, as in etcd.
 */
export const op: {
  put(key: Key, value: unknown, options?: { readonly lease?: Lease | undefined }): PutOp;
  get<T = unknown>(key: Key): GetOp<T>;
  delete(target: Key | Range): DeleteOp;
  range<T = unknown>(range: Range, options?: { readonly limit?: number | undefined }): RangeOp<T>;
  txn<const D extends readonly Op[], const E extends readonly Op[] = readonly []>(txn: {
    readonly if?: readonly Compare[] | undefined;
    readonly do: D;
    readonly else?: E | undefined;
  }): TxnOp<D, E>;
} = {
  put: (name, value, options) => ({ kind: "put", key: name, value, lease: options?.lease }),
  get: (name) => ({ kind: "get", key: name }),
  delete: (target) => ({ kind: "delete", target }),
  range: (range, options) => ({ kind: "range", range, limit: options?.limit }),
  txn: (txn) => ({ kind: "txn", if: txn.if, do: txn.do, else: txn.else }),
};
