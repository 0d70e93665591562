import type { ClusterStatus, LeaderTransfer, MemberStatus, NodeStatus, ScheduleStatus } from "../api/index.ts";

export type { ClusterStatus, GroupStatus, LeaderTransfer, MemberStatus, NodeStatus, ReplicaReport, ScheduleStatus } from "../api/index.ts";

/**
 * What the commands need of a handle, in their own words. Values are bytes here: JSON is a matter of
 * `kv put` and `kv get`. `handle.ts` makes one from the library's handle.
 */
export interface Client {
  readonly kv: Store;
  keyspace(name: string): Store;
  status(options?: Timed): Promise<ClusterStatus>;
  /** Of the node that this handle talks to. */
  nodeStatus(options?: Timed): Promise<NodeStatus>;
  members(options?: Timed): Promise<readonly MemberStatus[]>;
  removeMember(member: string, options?: Timed): Promise<MemberStatus>;
  /** Without `keyspace` of every group that the default keyspace's leader leads; without `to` to the most advanced voter. */
  transferLeader(
    options?: Timed & { readonly keyspace?: string | undefined; readonly to?: string | undefined },
  ): Promise<readonly LeaderTransfer[]>;
  /** Waits in line for the lock. */
  lock(
    name: string,
    options: { readonly ttl: number | undefined; readonly timeout: number | undefined; readonly shared: boolean },
  ): Promise<HeldClaim>;
  election(name: string): {
    run(
      work: (claim: HeldSignal) => Promise<void>,
      options: { readonly ttl: number | undefined; readonly data: unknown },
    ): {
      readonly closed: Promise<void>;
      close(): Promise<void>;
    };
    observe(): AsyncIterable<{ readonly fence: number; readonly data: unknown } | undefined>;
  };
  schedules(options?: Timed): Promise<readonly ScheduleStatus[]>;
  /** The bytes of one backup file. */
  snapshotSave(options?: { readonly keyspaces?: readonly string[] | undefined }): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

export interface HeldSignal {
  readonly fence: number;
  readonly held: boolean;
  readonly signal: { readonly aborted: boolean; addEventListener(type: "abort", listener: () => void): void };
}

export interface HeldClaim extends HeldSignal {
  close(): Promise<void>;
}

export interface Timed {
  /** Milliseconds. */
  readonly timeout?: number | undefined;
}

export interface ReadOptions extends Timed {
  readonly consistency?: "linearizable" | "stale" | undefined;
  readonly revision?: number | undefined;
}

export interface PutOptions extends Timed {
  readonly ifRevision?: number | undefined;
  /** Milliseconds. */
  readonly ttl?: number | undefined;
}

export interface StoredEntry {
  /** Lossy where the key is not UTF-8; then `keyBytes` is the truth. */
  readonly key: string;
  readonly keyBytes: Uint8Array;
  readonly value: Uint8Array;
  readonly revision: number;
  readonly createRevision: number;
  readonly version: number;
  readonly lease?: string | undefined;
}

/** All keys: `{ prefix: "" }`. */
export type KeySpan = { readonly prefix: string } | { readonly from: string; readonly to?: string };

export interface StoredPage {
  readonly revision: number;
  readonly entries: readonly StoredEntry[];
  readonly more: boolean;
  readonly count: number;
}

export type StoredEvent =
  | { readonly kind: "put"; readonly key: string; readonly keyBytes: Uint8Array; readonly entry: StoredEntry }
  | { readonly kind: "delete"; readonly key: string; readonly keyBytes: Uint8Array };

export interface StoredChange {
  readonly revision: number;
  readonly events: readonly StoredEvent[];
}

export interface StoredWatch extends AsyncIterable<StoredChange> {
  readonly started: Promise<number>;
  close(): Promise<void>;
}

export type TxnCompare = {
  readonly key: string;
} & (
  | { readonly target: "exists"; readonly exists: boolean }
  | { readonly target: "version" | "createRevision" | "revision"; readonly relation: Relation; readonly number: number }
  | { readonly target: "value"; readonly relation: Relation; readonly value: Uint8Array }
);
export type Relation = "=" | "!=" | "<" | ">";

export type TxnOperation =
  | { readonly kind: "put"; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: "get"; readonly key: string }
  | { readonly kind: "delete"; readonly target: string | KeySpan }
  | { readonly kind: "range"; readonly range: KeySpan; readonly limit: number | undefined };

export interface Txn {
  readonly compare: readonly TxnCompare[];
  readonly success: readonly TxnOperation[];
  readonly failure: readonly TxnOperation[];
}

export type TxnOutcome =
  | { readonly kind: "put" }
  | { readonly kind: "get"; readonly entry: StoredEntry | undefined }
  | { readonly kind: "delete"; readonly deleted: number }
  | { readonly kind: "range"; readonly entries: readonly StoredEntry[]; readonly more: boolean };

export interface Store {
  get(key: string, options?: ReadOptions): Promise<StoredEntry | undefined>;
  put(key: string, value: Uint8Array, options?: PutOptions): Promise<{ readonly revision: number }>;
  delete(
    target: string | KeySpan,
    options?: Timed & { readonly ifRevision?: number | undefined },
  ): Promise<{ readonly revision: number; readonly deleted: number }>;
  range(range: KeySpan, options?: ReadOptions & { readonly limit?: number | undefined }): Promise<StoredPage>;
  watch(target: { readonly key: string } | KeySpan, options?: { readonly from?: number | undefined }): StoredWatch;
  txn(txn: Txn, options?: Timed): Promise<{ readonly revision: number; readonly ok: boolean; readonly results: readonly TxnOutcome[] }>;
}
