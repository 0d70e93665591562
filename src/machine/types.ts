/** The circumstances of a command: equal on every replica. */
export interface ApplyMeta {
  /** Index of the entry that carries the command. */
  readonly index: number;
  /** Position of the command within its entry, from 0: (index, position) is unique. */
  readonly position: number;
  /** The term of the entry: a lease revoked by expiry says in which term it was timed. */
  readonly term: number;
  /** The leader's wall clock in milliseconds when it wrote the entry; never falls within a log. */
  readonly timestamp: number;
}

/**
 * A replicated state machine: deterministic and total. A bad command is an error reply, never an
 * exception; a command kind or flag that this build does not know throws `UpgradeRequired`, and the
 * group stops on this node.
 */
export interface Machine {
  /** Which machine: stands in snapshots, so that a file is never loaded into another kind. */
  readonly kind: string;
  /** The reply does not change afterwards, but shares its buffer with others: copy what is kept. The command's bytes are not kept. */
  apply(command: Uint8Array, meta: ApplyMeta): Uint8Array;
  /** A read of the applied state. Bytes in, bytes out; a bad request is an error reply. */
  query(request: Uint8Array): Uint8Array;
  /** The state as it is now, frozen at a cost independent of its size. Release it when done. */
  snapshot(): SnapshotSource;
  /** Order-independent hash of the replicated state, kept up to date by `apply`: 16 hex digits. */
  hash(): string;
  /** Bytes that the state holds, history included. */
  readonly memoryBytes: number;
  /** The newest revision (kv) or version (system) that is applied. */
  readonly revision: number;
  /** What the group may use: raised by `activate`, never lowered. */
  readonly featureLevel: number;
  /** What only the leader may start (expiry, compaction by age …) is asked here; the commands it returns are proposed. */
  due(now: LeaderTime): readonly Uint8Array[];
  /** A new leader's first entry was applied here: leases start anew. */
  lead(now: LeaderTime): void;
  /** Leadership ended here. */
  follow(): void;
  /** Deferred work that changes no replicated state (compacting slabs), about `budgetMs` of it; false when there is none left. */
  work(clock: () => number, budgetMs: number): boolean;
}

/** Leader-only time: never enters replicated state except through a command. */
export interface LeaderTime {
  /** Monotonic. */
  readonly nowMs: number;
  readonly wallMs: number;
  readonly term: number;
}

export interface SnapshotSource {
  /** An estimate, for progress. */
  readonly bytes: number;
  /** The next chunk, of at most about `maxBytes`; undefined after the last. Bytes are the caller's own. */
  next(maxBytes: number): Uint8Array | undefined;
  release(): void;
}

/** Builds a machine from the chunks of a snapshot. */
export interface MachineRestorer {
  /** Chunks may be cut anywhere. Throws `MalformedBytes` or `UpgradeRequired`. */
  push(chunk: Uint8Array): void;
  finish(): Machine;
}

export interface MachineFactory {
  create(): Machine;
  restore(): MachineRestorer;
}

/** A machine with leases. Deadlines live on the leader only; they are no replicated state. */
export interface LeaseMachine extends Machine {
  /**
   * Renews the deadline of a lease: called on the leader after a quorum round that began after the
   * request arrived. Milliseconds of the full time that the lease has now; undefined: there is no such
   * lease, or its revoke is proposed already, and then it must not be renewed.
   */
  keepAlive(lease: bigint, now: LeaderTime): number | undefined;
}

/** A command kind or flag that this build does not know. */
export class UpgradeRequired extends Error {
  override readonly name = "UpgradeRequired";
}

/** A machine whose changes can be watched. */
export interface WatchableMachine extends Machine {
  /**
   * Opens a watch. `request` is an encoded watch request. `onReady` is called (once, until the next
   * `take`) when there is something to take; never from within `watch` or `take`, always from within
   * `publish` or `work`. What the history already holds may be taken at once, without waiting for it.
   * Throws `MalformedBytes` or `UpgradeRequired`.
   */
  watch(request: Uint8Array, onReady: () => void): Watcher;
  /** Tells the watchers what the last entry's commands changed. Called once per applied entry. */
  publish(): void;
}

/** One watch on one node. Whoever holds it takes items as its credit allows; nothing is lost meanwhile. */
export interface Watcher {
  /** The first revision that it sees. */
  readonly startRevision: number;
  /**
   * Encoded changes in order of revision, at least one when there is any and about `maxBytes` at most;
   * a revision is never split. Encodings are shared between watchers: do not change them.
   * `more`: take again, `onReady` is not called for the rest; a page may be empty and have more behind it.
   * `ended`: no more will come, the reply bytes say why (COMPACTED, with `compactRevision`).
   */
  take(maxBytes: number): { readonly items: readonly Uint8Array[]; readonly more: boolean; readonly ended?: Uint8Array };
  /** Everything up to this revision has been taken: a later watch may resume at + 1. */
  readonly progress: number;
  cancel(): void;
}
