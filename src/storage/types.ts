import type { GroupId, ReplicaId } from "../base/index.ts";
import type { Configuration, Entry, HardState, SnapshotMeta } from "../raft/types.ts";

/**
 * A node's storage: one write-ahead log shared by all its groups, and each group's snapshots.
 * Every write is queued at once and becomes durable in the order of the calls; one sync covers all
 * that gathered while the previous one was in flight.
 */
export interface Storage {
  /** The groups found on disk, suspect ones included. */
  readonly groups: ReadonlyMap<GroupId, GroupLog>;
  /**
   * Replicas whose hard state was lost in both copies: they may have voted and do not know it. They are in no
   * list of groups, never act again, and are added anew under another replica id (`create`).
   */
  readonly discarded: readonly DiscardedReplica[];
  /** What recovery found, in sentences for the operator. */
  readonly report: readonly string[];
  /**
   * A new replica of a group on this node. `incarnation` tells it from an earlier replica of the same
   * group here, whose records are never read again; it must be larger than any before.
   */
  create(group: GroupId, replica: ReplicaId, incarnation: number, initial: SnapshotMeta): GroupLog;
  /** Forgets a replica, durably, and releases what it holds. */
  destroy(group: GroupId): void;
  /** Starts writing what is queued unless a write is in flight (it then follows by itself). Called once at the end of a turn. */
  flush(): void;
  /** Bytes queued and not yet durable, for back-pressure. */
  readonly queuedBytes: number;
  /** When the write in flight began (the clock's `now`), or undefined: a hung disk is told by it. */
  readonly writingSince: number | undefined;
  /** No room: entries are refused, hard states still go through the reserve. Resumes by itself. */
  readonly full: boolean;
  /** Settles with the error when the WAL is done: a failed sync is never retried. Never rejects. */
  readonly failed: Promise<Error>;
  stats(): StorageStats;
  /** Writes what is queued, then closes. */
  close(): Promise<void>;
}

export interface DiscardedReplica {
  readonly group: GroupId;
  /** 0 when even the replica's id is lost. */
  readonly replica: ReplicaId;
  readonly incarnation: number;
}

export interface StorageStats {
  readonly walBytes: number;
  readonly walSegments: number;
  readonly syncs: number;
  /** Milliseconds of the last write and sync, and the exponentially weighted mean. */
  readonly syncMsLast: number;
  readonly syncMsMean: number;
}

/** What a group's log was when the node stopped, as far as its disk can be trusted. */
export interface RecoveredLog {
  readonly replica: ReplicaId;
  readonly incarnation: number;
  readonly hardState: HardState;
  /** The newest intact snapshot, or the initial one. Its index + 1 … lastIndex can be read. */
  readonly snapshot: SnapshotMeta;
  readonly firstIndex: number;
  readonly lastIndex: number;
  /**
   * The newest entries of the log, up to `lastIndex`, for raft to start with: at most `logCacheBytesMax` of
   * data (at least one entry), so they may begin behind `firstIndex`; older ones are read with `read`.
   */
  readonly entries: readonly Entry[];
  /** The term of every index: runs of equal terms, ascending by `from`. */
  readonly terms: readonly { readonly from: number; readonly term: number }[];
  /** Ascending indexes at which the log may have a configuration, and no others; some are below `firstIndex` or of another kind by now. */
  readonly configurations: readonly number[];
  /** Damage below the synced mark was found: the replica must not vote, campaign or acknowledge. */
  readonly suspect: boolean;
}

export interface GroupLog {
  readonly group: GroupId;
  readonly recovered: RecoveredLog;
  /**
   * Queues one numbered write. `entries` replace what the log holds from their first index on: the
   * cut is a record of its own, durable before or with them. `done` is called, in the order of the
   * writes, once everything up to this write is durable; never after a failure.
   */
  append(write: { readonly hardState: HardState | undefined; readonly entries: readonly Entry[] }, done: () => void): void;
  /** Everything up to `index` is committed: what may move out of the WAL into the group's own segments. Called with each apply. */
  committed(index: number): void;
  /** Reads durable entries, `from` to `to`, both included: at least one, at most `maxBytes` beyond the first. Rejects with COMPACTED when released, CORRUPT when damaged, DISK_FAILED when the disk refuses. */
  read(from: number, to: number, maxBytes: number): Promise<readonly Entry[]>;
  /** Entries up to `index` are not needed any more: a snapshot at or above it is durable. */
  release(index: number): void;
  /** Bytes of log since the newest snapshot: when one is due is the replica's decision. */
  readonly bytesSinceSnapshot: number;
  /** The newest durable snapshot, or undefined when there is only the initial one without bytes. */
  readonly snapshot: SnapshotFile | undefined;
  /**
   * Writes a snapshot in steps, each synced before the next, rate-limited, yielding to the WAL.
   * `pull` gives the next chunk, or undefined at the end: small ones, since the loop turns only between two of them. Durable under its own name, and the
   * new `snapshot`, when it fulfils.
   */
  saveSnapshot(meta: SnapshotMeta, pull: () => Uint8Array | undefined, signal?: { readonly aborted: boolean }): Promise<SnapshotFile>;
  /** A snapshot arriving from the leader. A second call for the same meta resumes at `received`. */
  receiveSnapshot(meta: SnapshotMeta, totalBytes: number): Promise<SnapshotReceiver>;
  /**
   * Replaces log and snapshot by a received one: one numbered write. Entries above it are discarded
   * unless the log matches it at `meta.index` (`keepLog`).
   */
  install(file: SnapshotFile, hardState: HardState, keepLog: boolean, done: () => void): void;
  /** Clears the mark once a leader has brought the replica up to date; durable with the next write. */
  trust(): void;
}

export interface SnapshotFile {
  readonly meta: SnapshotMeta;
  readonly bytes: number;
  /** Verifies checksums as it reads; rejects with UnumError CORRUPT when they do not match. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /**
   * Reads all of it in order, a step at a time, and checks each before `visit` sees it. A chunk may be overwritten as soon
   * as `visit` has returned, or what it returned is fulfilled. Rejects as `read` does, and with what `visit` throws.
   */
  readAll(visit: (chunk: Uint8Array) => void | Promise<void>): Promise<void>;
}

export interface SnapshotReceiver {
  /** Bytes that are durable from an earlier attempt: the sender may begin here. */
  readonly received: number;
  /** In order of offsets; a repeated or early chunk is ignored (the result is what is wanted next). */
  write(offset: number, bytes: Uint8Array): Promise<number>;
  /** Verifies the whole and makes it durable. Rejects with CORRUPT, and forgets what was received, when it is damaged. */
  finish(): Promise<SnapshotFile>;
  abandon(): Promise<void>;
}

export type { Configuration };
