import type { Probe, Prng, UnumError } from "../base/index.ts";
import type { Carrier, ClusterStatus, LeaderTransfer, MemberStatus, NodeStatus } from "../wire/index.ts";
import type { CallOptions, Handle, Running } from "./basics.ts";
import type {
  Claim,
  ClaimScope,
  ClaimSpaceOptions,
  Counter,
  Election,
  GuardOptions,
  Lock,
  Party,
  Semaphore,
  Sequence,
} from "./claims/types.ts";
import type { Duration } from "./duration.ts";
import type { Schedule, ScheduleOptions, ScheduleStatus, Tick } from "./schedule/types.ts";
import type { InferInput, InferOutput, StandardSchemaV1 } from "./schema.ts";
import type { AbortSignalLike, Signal } from "./signal.ts";

export type { CallOptions, Handle, Running } from "./basics.ts";

/** What a handle needs of time; the clock port has this shape. */
export interface HandleClock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Milliseconds since 1970. */
  wall(): number;
  after(delayMs: number, callback: () => void): { cancel(): void };
  defer(callback: () => void): void;
}

/** What a handle needs of a logger; the logger port has this shape. */
export interface HandleLogger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** What the roots give: a handle knows no platform and no runtime. */
export interface Environment {
  readonly clock: HandleClock;
  readonly prng: Prng;
  readonly logger: HandleLogger;
  /** Told of rare states as they are reached; changes nothing. */
  readonly probe?: Probe | undefined;
  /** Opens a carrier to an endpoint ("local" for the embedded node, or "host:port"). Rejects with UnumError UNAVAILABLE. */
  dial(endpoint: string, timeoutMs: number): Promise<Carrier>;
  /** Fulfils when what stands behind the handle has stopped for good; never rejects. The handle then fails with NODE_STOPPED. */
  readonly stopped?: Promise<UnumError>;
  /** Follows code through promises, so that a lock within its own work is refused. Without it such code waits until its timeout. */
  readonly scope?: ClaimScope | undefined;
  /** Renews the handle's leases while its own thread may stand still. Without it the handle does. */
  readonly keeper?: LeaseKeeper | undefined;
}

/** Somebody who is awake when the handle's own thread is not: the thread of the engine. */
export interface LeaseKeeper {
  keep(lease: KeptLease): LeaseKeep;
}

export interface KeptLease {
  readonly keyspace: string;
  readonly lease: bigint;
  readonly ttlMs: number;
  /** When the request was sent that granted it, by the handle's clocks. */
  readonly sent: { readonly nowMs: number; readonly wallMs: number };
  /** False: it is only counted down. */
  readonly renews: boolean;
  /** At most once, and not after `cancel`. */
  lost(why: string): void;
}

export interface LeaseKeep {
  /** Milliseconds for which the lease certainly lasts; right at any moment, also in the first statement after a stall. */
  leftMs(): number;
  /** It is not renewed any more. */
  cancel(): void;
}

export interface ClientOptions {
  /** At least one. */
  readonly endpoints: readonly string[];
  /** Of calls that name none. Default 10 s. */
  readonly timeout?: Duration | undefined;
  /** Shown by the nodes; for people. */
  readonly name?: string | undefined;
  /**
   * Whether the handle may open connections to members other than `endpoints`, to talk to leaders
   * directly and to have a second way when one is lost. Default true; an embedded node's handle says false.
   */
  readonly direct?: boolean | undefined;
  /** Runs once, when the handle closes, after its sessions have ended: stops the embedded node. */
  readonly onClose?: (() => Promise<void>) | undefined;
}

/** Text stands for its UTF-8 bytes. 1 to 4096 bytes. Keys are ordered as unsigned bytes, never as JavaScript strings. */
export type Key = string | Uint8Array;
/** `to` is the first key beyond; without it everything from `from` on. An empty prefix is everything. */
export type Range = { readonly prefix: Key } | { readonly from: Key; readonly to?: Key | undefined };

export interface Entry<T> {
  /** The key as text; where its bytes are no UTF-8, with replacement characters: then `keyBytes` is the truth. */
  readonly key: string;
  readonly keyBytes: Uint8Array;
  readonly value: T;
  /** Of the last write. */
  readonly revision: number;
  readonly createRevision: number;
  /** Writes since the key was created: 1 for a new key. */
  readonly version: number;
  /** Decimal. */
  readonly lease?: string;
}

export interface Page<T> {
  readonly revision: number;
  readonly entries: readonly Entry<T>[];
  /** There are further entries behind the last one. */
  readonly more: boolean;
  /** All entries in the range, not only of this page. */
  readonly count: number;
}

export interface ReadOptions extends CallOptions {
  /** Default "linearizable". "stale" answers from the node at hand, but never from before what this handle has seen. */
  readonly consistency?: "linearizable" | "stale" | undefined;
  /** Reads the past. COMPACTED when it is no longer kept, FUTURE_REVISION when it is not there yet. */
  readonly revision?: number | undefined;
}

export interface WriteOptions extends CallOptions {
  /** Writes only while this claim is held, else FENCED: exact, since both are looked at in the same step. A claim of the same keyspace. */
  readonly fence?: Claim | undefined;
  /** Writes only if this is the entry's revision, else CONFLICT; 0: only if there is no entry. */
  readonly ifRevision?: number | undefined;
}

export interface PutOptions extends WriteOptions {
  /** The entry goes after this time: a lease of its own, at least 2 s. Not with `lease`. */
  readonly ttl?: Duration | undefined;
  /** The entry goes when this lease ends. */
  readonly lease?: Lease | undefined;
}

/** Between values and bytes. Bytes given to `decode` are its own; both throw what they like: it becomes the cause of INVALID_VALUE or DECODE_FAILED. */
export interface Codec<I, O = I> {
  encode(value: I): Uint8Array;
  decode(bytes: Uint8Array): O;
}

export interface WatchOptions {
  readonly signal?: AbortSignalLike | undefined;
  /** The first revision wanted; default the next one. */
  readonly from?: number | undefined;
  /** With each event, the entry as it was before. */
  readonly previous?: boolean | undefined;
}

/** A condition of a transaction; made by `key(…)`. */
export interface Compare {
  readonly key: Key;
  readonly target: "version" | "create" | "revision" | "value" | "lease";
  readonly relation: Relation;
  /** A number, a lease, or a value for the handle's codec. */
  readonly operand: unknown;
}

export type Relation = "equal" | "not-equal" | "greater" | "less";

declare const resultType: unique symbol;

/** The parts of a transaction; made by `op`. Values are encoded by the handle that runs it. */
export type Op = PutOp | GetOp | DeleteOp | RangeOp | TxnOp;

export interface PutOp {
  readonly kind: "put";
  readonly key: Key;
  readonly value: unknown;
  readonly lease?: Lease | undefined;
}

export interface GetOp<T = unknown> {
  readonly kind: "get";
  readonly key: Key;
  readonly [resultType]?: T;
}

export interface DeleteOp {
  readonly kind: "delete";
  readonly target: Key | Range;
}

export interface RangeOp<T = unknown> {
  readonly kind: "range";
  readonly range: Range;
  readonly limit?: number | undefined;
  readonly [resultType]?: T;
}

export interface TxnOp<D extends readonly Op[] = readonly Op[], E extends readonly Op[] = readonly Op[]> {
  readonly kind: "txn";
  readonly if?: readonly Compare[] | undefined;
  readonly do: D;
  readonly else?: E | undefined;
}

/** What an operation gives: as the method of the same name. */
export type ResultOf<O> = O extends PutOp
  ? { readonly revision: number }
  : O extends GetOp<infer T>
    ? Entry<T> | undefined
    : O extends DeleteOp
      ? { readonly revision: number; readonly deleted: number }
      : O extends RangeOp<infer T>
        ? Page<T>
        : O extends TxnOp<infer D, infer E>
          ? TxnResult<D, E>
          : never;

export type Results<D extends readonly Op[]> = { readonly [I in keyof D]: ResultOf<D[I]> };

export type TxnResult<D extends readonly Op[], E extends readonly Op[]> = { readonly revision: number } & (
  | { readonly ok: true; readonly results: Results<D> }
  | { readonly ok: false; readonly results: Results<E> }
);

export interface KV<I = unknown, O = I> {
  get<T extends O = O>(key: Key, options?: ReadOptions): Promise<Entry<T> | undefined>;
  put(key: Key, value: I, options?: PutOptions): Promise<{ readonly revision: number }>;
  /**
   * Reads, changes, writes if nobody wrote between, else again, within the timeout. `change` may run several times.
   * When it gives undefined the entry is left as it is. Fulfils with the entry as it is then.
   */
  update<T extends O = O>(key: Key, change: (value: T | undefined) => I | undefined, options?: PutOptions): Promise<Entry<T> | undefined>;
  delete(target: Key | Range, options?: WriteOptions): Promise<{ readonly revision: number; readonly deleted: number }>;
  /** In order of keys; `limit` 1,000 unless told, at most 10,000. */
  range<T extends O = O>(range: Range, options?: ReadOptions & { readonly limit?: number | undefined }): Promise<Page<T>>;
  /** All entries, read in pages at one revision. The timeout is each page's. */
  entries<T extends O = O>(range: Range, options?: ReadOptions): AsyncIterableIterator<Entry<T>>;
  watch<T extends O = O>(target: Range | { readonly key: Key }, options?: WatchOptions): Watch<T>;
  /** Reads the range, then watches it: synchronous reads of a copy that follows. */
  cache<T extends O = O>(range: Range, options?: CallOptions): Promise<Cache<T>>;
  txn<const D extends readonly Op[], const E extends readonly Op[] = readonly []>(
    txn: { readonly if?: readonly Compare[] | undefined; readonly do: D; readonly else?: E | undefined },
    options?: CallOptions & { readonly fence?: Claim | undefined },
  ): Promise<TxnResult<D, E>>;
  /** The keys that begin with `prefix`, named without it. */
  prefix(prefix: string): KV<I, O>;
  with<S extends StandardSchemaV1>(schema: S): KV<InferInput<S>, InferOutput<S>>;
  with<A, B>(codec: Codec<A, B>): KV<A, B>;
}

/** Never loses, repeats or reorders; resumes by itself. Ends with COMPACTED when what it needs is no longer kept. One consumer. */
export interface Watch<T> extends AsyncIterable<Change<T>>, Handle {
  /** The first revision it sees: a write after this has fulfilled is always seen. */
  readonly started: Promise<number>;
  [Symbol.asyncIterator](): AsyncIterator<Change<T>, undefined>;
}

/** One per revision, never split: a later watch resumes from `revision + 1`. */
export interface Change<T> {
  readonly revision: number;
  readonly events: readonly WatchEvent<T>[];
}

export type WatchEvent<T> =
  | { readonly kind: "put"; readonly key: string; readonly keyBytes: Uint8Array; readonly entry: Entry<T>; readonly previous?: Entry<T> }
  | { readonly kind: "delete"; readonly key: string; readonly keyBytes: Uint8Array; readonly previous?: Entry<T> };

/** A copy of a range that follows the cluster. */
export interface Cache<T> extends Handle {
  /** Everything up to here is in it. */
  readonly revision: number;
  /** Cut off from the cluster now: what it says may be old. */
  readonly stale: boolean;
  readonly size: number;
  get(key: Key): Entry<T> | undefined;
  /** In order of keys. */
  entries(): readonly Entry<T>[];
  /** Fulfils when the copy holds `revision`. */
  reached(revision: number, options?: CallOptions): Promise<void>;
  /** Fulfils after `close()`; rejects when it ended otherwise. */
  readonly closed: Promise<void>;
}

export interface LeaseOptions extends CallOptions {
  /** Keep it alive until it is closed. Default true. */
  readonly keepAlive?: boolean | undefined;
  /** The keyspace whose keys it shall hold. Default: the default one. */
  readonly keyspace?: string | undefined;
}

/** Entries put with it go when it ends. */
export interface Lease extends Handle {
  /** Decimal. */
  readonly id: string;
  readonly keyspace: string;
  readonly ttlMs: number;
  /** Aborts before the lease can end elsewhere, by this machine's clocks less the drift bound. */
  readonly signal: Signal;
  /** Reads the deadline itself, so it is right in the first statement after a stall. */
  readonly held: boolean;
  /** Ends it now, with its entries. `close()` does the same and never rejects. */
  revoke(options?: CallOptions): Promise<void>;
}

export type Status = ClusterStatus;

export interface BackupOptions {
  readonly signal?: AbortSignalLike | undefined;
  /** Default: all. */
  readonly keyspaces?: readonly string[] | undefined;
}

export interface UnumHandle extends Running {
  /** The default keyspace. */
  readonly kv: KV;
  /** Made on its first use. */
  keyspace(name: string): KV;
  /** INVALID_ARGUMENT below 2 s. */
  lease(ttl: Duration, options?: LeaseOptions): Promise<Lease>;
  /** One holder at a time, in a fair line. INVALID_ARGUMENT for a name that is none, here and below. */
  lock(name: string, options?: GuardOptions): Lock;
  election(name: string, options?: GuardOptions): Election;
  /** Up to `permits` holders at a time. */
  semaphore(name: string, permits: number, options?: ClaimSpaceOptions): Semaphore;
  /** Who is here. */
  party(name: string, options?: ClaimSpaceOptions): Party;
  counter(name: string, options?: ClaimSpaceOptions): Counter;
  /** Takes `block` numbers at a time from the cluster. Default 100. */
  sequence(name: string, options?: ClaimSpaceOptions & { readonly block?: number | undefined }): Sequence;
  /**
   * Runs `run` at each tick of a cron pattern (UTC unless `timezone` says otherwise) or period, on one of the handles that registered
   * the name. INVALID_ARGUMENT for what is no pattern.
   */
  schedule(
    name: string,
    when: string | { readonly every: Duration },
    run: (tick: Tick) => void | Promise<void>,
    options?: ScheduleOptions,
  ): Schedule;
  /** The schedules of the default keyspace, with what comes next and what went before, by name. */
  schedules(options?: CallOptions): Promise<readonly ScheduleStatus[]>;
  status(options?: CallOptions): Promise<Status>;
  /** Of the node that this handle talks to. */
  nodeStatus(options?: CallOptions): Promise<NodeStatus>;
  members(options?: CallOptions): Promise<readonly MemberStatus[]>;
  /**
   * By name or id. Fulfils when the member is gone: every group does without it. MEMBER_NOT_FOUND; REMOVAL_PENDING when that takes longer
   * than the call may (`details.groups` names who still needs it; the removal goes on); INVALID_ARGUMENT for the last member.
   */
  removeMember(member: string, options?: CallOptions): Promise<MemberStatus>;
  /** Without `keyspace` of every group that the default keyspace's leader leads; without `to` to the most advanced voter. */
  transferLeader(
    options?: CallOptions & { readonly keyspace?: string | undefined; readonly to?: string | undefined },
  ): Promise<readonly LeaderTransfer[]>;
  keyspaces(options?: CallOptions): Promise<readonly { readonly name: string; readonly group: number }[]>;
  /** The bytes of a backup. Ends with an error when its node is lost: begin anew. */
  snapshotSave(options?: BackupOptions): AsyncIterableIterator<Uint8Array>;
  /** Gives this node's membership up for good, then closes. UNSUPPORTED for a handle that is no node; REMOVAL_PENDING as `removeMember`. */
  leave(options?: CallOptions): Promise<void>;
}

/** What an engine that is no Unum may offer, each by its name. Its keyspace is the default one and its only one, so no option names another. */
export interface EngineParts {
  /** With watches and caches. */
  readonly kv: Pick<UnumHandle, "kv">;
  readonly lease: { lease(ttl: Duration, options?: Omit<LeaseOptions, "keyspace">): Promise<Lease> };
  readonly lock: { lock(name: string): Lock };
  readonly election: { election(name: string): Election };
  readonly semaphore: { semaphore(name: string, permits: number): Semaphore };
  readonly party: { party(name: string): Party };
  readonly counter: { counter(name: string): Counter };
  readonly sequence: { sequence(name: string, options?: { readonly block?: number | undefined }): Sequence };
  readonly schedule: Pick<UnumHandle, "schedule" | "schedules">;
}

export type EnginePart = keyof EngineParts;
/** `cluster`: all that Unum's own cluster offers, keyspaces, members and backups among it. */
export type Part = EnginePart | "cluster";
/** What an etcd behind `connect("etcd://…")` offers. */
export type EtcdPart = EnginePart;
/** What a ZooKeeper behind `connect("zookeeper://…")` offers. */
export type ZooKeeperPart = EnginePart;

type Both<T> = (T extends unknown ? (part: T) => void : never) extends (part: infer B) => void ? B : never;

/** What `start` and `connect` give: everything, or over another engine the parts that it can honour. */
export type Unum<P extends Part = Part> = "cluster" extends P ? UnumHandle : Running & Both<EngineParts[Extract<P, EnginePart>]>;
