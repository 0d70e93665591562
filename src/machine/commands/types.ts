/**
 * What can be said to the machines: commands (through the log), queries (of the applied state),
 * watch requests, and their replies. `api` and `backends` encode and decode these; the bytes of a
 * command travel unchanged from the handle to `apply`.
 *
 * Keys are byte strings, held as latin1 strings: one character per byte.
 */
export interface Envelope {
  /** 0n: no session; the command is applied each time that it is committed. */
  readonly session: bigint;
  /** Counted up from 1 by the handle, per session. */
  readonly sequence: number;
  /** The lowest sequence whose reply the handle has not seen. */
  readonly floor: number;
}

/** `end` as in etcd: "" is the single key, "\0" everything from `key` on, else the first key beyond. */
export interface KeyRange {
  readonly key: string;
  readonly end: string;
}

export interface PutOperation {
  readonly kind: "put";
  readonly key: string;
  readonly value: Uint8Array;
  /** 0n: none. */
  readonly lease: bigint;
  /** Reply with the entry as it was before. */
  readonly previous: boolean;
  /** Keep the value, or the lease, that the key has; it must exist. */
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
}

export interface DeleteOperation extends KeyRange {
  readonly kind: "delete";
  readonly previous: boolean;
}

export type SortTarget = "key" | "version" | "create" | "mod" | "value";

export interface RangeOperation extends KeyRange {
  readonly kind: "range";
  /** 0: the newest. */
  readonly revision: number;
  /** 0: none. Applied after sorting. */
  readonly limit: number;
  readonly sort: { readonly target: SortTarget; readonly descending: boolean } | undefined;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  /** 0: no bound. */
  readonly minModRevision: number;
  readonly maxModRevision: number;
  readonly minCreateRevision: number;
  readonly maxCreateRevision: number;
}

export interface TxnOperation {
  readonly kind: "txn";
  readonly compare: readonly Compare[];
  readonly success: readonly Operation[];
  readonly failure: readonly Operation[];
}

/**
 * Reserved in the codec: change state and enqueue in one apply. The leader will relay the outbox;
 * until that exists `apply` throws `UpgradeRequired`.
 */
export interface EnqueueOperation {
  readonly kind: "enqueue";
  readonly queue: string;
  readonly payload: Uint8Array;
}

export type Operation = PutOperation | DeleteOperation | RangeOperation | TxnOperation | EnqueueOperation;

/**
 * True when every key in the range satisfies it. Where there is no key, version, create, mod and lease
 * count as 0, and no comparison of values holds, not even not-equal, as in etcd.
 */
export interface Compare extends KeyRange {
  readonly target: "version" | "create" | "mod" | "value" | "lease";
  readonly relation: "equal" | "not-equal" | "greater" | "less";
  /** version, create, mod. */
  readonly number: number;
  readonly lease: bigint;
  readonly value: Uint8Array;
}

export interface GuardedCommand {
  readonly kind: "guarded";
  /** The keyspace of the claim, and its name there: byte strings of at least one byte. */
  readonly source: string;
  readonly name: string;
  readonly fence: number;
  readonly operation: PutOperation | DeleteOperation | TxnOperation | undefined;
}

export type Command =
  | PutOperation
  | DeleteOperation
  | TxnOperation
  | { readonly kind: "compact"; readonly revision: number }
  /** id 0n: the machine chooses one. */
  | { readonly kind: "lease-grant"; readonly lease: bigint; readonly ttlMs: number }
  | {
      readonly kind: "lease-revoke";
      readonly lease: bigint /** 0: on request; else only if the leader that timed it still leads in this term. */;
      readonly term: number;
    }
  /** Remaining times, so that a new leader need not start at the full time. */
  | { readonly kind: "lease-checkpoint"; readonly leases: readonly { readonly lease: bigint; readonly remainingMs: number }[] }
  | { readonly kind: "session-open" }
  | { readonly kind: "session-close"; readonly session: bigint }
  /** Replicas compare their hashes at this index. */
  | { readonly kind: "checkpoint" }
  /** From here on the group may use what this level brings. */
  | { readonly kind: "activate"; readonly featureLevel: number }
  /**
   * A write for a claim of another keyspace. Its mark is raised to `fence`; where it stands higher already, the claim was superseded:
   * FENCED, and nothing of the operation is done. Undefined: only the mark is raised.
   */
  | GuardedCommand
  /** Operator settings of a keyspace, as machine state because they change replies. */
  | { readonly kind: "configure"; readonly maxBytes: number; readonly historyMs: number; readonly historyBytes: number };

export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

export type OperationResult =
  | { readonly kind: "put"; readonly previous: KeyValue | undefined }
  | { readonly kind: "delete"; readonly deleted: number; readonly previous: readonly KeyValue[] }
  | { readonly kind: "range"; readonly entries: readonly KeyValue[]; readonly more: boolean; readonly count: number }
  | { readonly kind: "txn"; readonly succeeded: boolean; readonly results: readonly OperationResult[] };

/** What `apply` and `query` answer. `revision` is the keyspace's after the command. */
export type Reply =
  | { readonly ok: true; readonly revision: number; readonly result: ReplyResult }
  | {
      readonly ok: false;
      readonly revision: number;
      readonly code: import("../../base/index.ts").ErrorCode;
      readonly message: string;
      readonly details: Readonly<Record<string, unknown>>;
    };

export type ReplyResult =
  | OperationResult
  | { readonly kind: "done" }
  | {
      readonly kind: "lease";
      readonly lease: bigint;
      readonly ttlMs: number;
      readonly remainingMs: number;
      readonly keys: readonly string[];
    }
  | { readonly kind: "leases"; readonly leases: readonly bigint[] }
  | { readonly kind: "session"; readonly session: bigint }
  | { readonly kind: "hash"; readonly hash: string; readonly compactRevision: number }
  | { readonly kind: "summary"; readonly summary: KeyspaceSummary }
  /** The system machine's whole state: `decodeSystemState` reads it. */
  | { readonly kind: "system"; readonly state: Uint8Array }
  /** What a system command allocated (a group, say; 0 when nothing), and the version after it. */
  | { readonly kind: "created"; readonly id: number; readonly version: number };

export interface KeyspaceSummary {
  readonly revision: number;
  readonly compactRevision: number;
  readonly keys: number;
  readonly bytes: number;
  readonly maxBytes: number;
  readonly leases: number;
  readonly sessions: number;
  readonly watchers: number;
  readonly featureLevel: number;
}

export type Query =
  | RangeOperation
  /** A transaction whose branches only read. */
  | TxnOperation
  | { readonly kind: "lease"; readonly lease: bigint; readonly keys: boolean }
  | { readonly kind: "leases" }
  /** The hash of the entries as of a revision, 0 the newest. The hash of all state is what a checkpoint replies. */
  | { readonly kind: "hash"; readonly revision: number }
  | { readonly kind: "summary" };

export interface WatchRequest extends KeyRange {
  /** The first revision wanted; 0: the next one. */
  readonly from: number;
  /** With each event, the entry as it was before. */
  readonly previous: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
}

export interface WatchEvent {
  readonly kind: "put" | "delete";
  /** For a deletion: the key and the revision of the deletion; the other fields are empty. */
  readonly entry: KeyValue;
  readonly previous: KeyValue | undefined;
}

/** One item of a watch: one revision, never split. An empty list tells progress. */
export interface WatchChange {
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}
