import type { Prng, Probe, ReplicaId } from "../base/index.ts";

/** What an entry is. The numbers are on disk and on the wire. */
export const EntryKind = {
  /** Content for the machine; empty in the entry that a leader writes first in its term. */
  normal: 0,
  /** A new `Configuration`, encoded by `encodeConfiguration`. */
  configuration: 1,
} as const;
export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind];

export interface Entry {
  readonly index: number;
  readonly term: number;
  readonly kind: EntryKind;
  readonly data: Uint8Array;
}

/** What must be durable before a vote, a vote request or an append answer leaves (paper, figure 2). */
export interface HardState {
  readonly term: number;
  /** The replica voted for in `term`; 0: none. */
  readonly vote: ReplicaId;
  /** A hint: recovered commit indexes may lie lower than what was told before. */
  readonly commit: number;
}

/**
 * Who counts. While `outgoing` is not empty the configuration is joint (paper, section 6): a
 * decision needs a majority of `voters` and one of `outgoing`. Lists are in ascending order.
 */
export interface Configuration {
  readonly voters: readonly ReplicaId[];
  readonly outgoing: readonly ReplicaId[];
  readonly learners: readonly ReplicaId[];
  /** Voters of `outgoing` that become learners when the joint configuration is left. */
  readonly learnersNext: readonly ReplicaId[];
  /** The leader leaves the joint configuration by itself as soon as it is committed. */
  readonly autoLeave: boolean;
}

export interface SnapshotMeta {
  readonly index: number;
  readonly term: number;
  readonly configuration: Configuration;
}

/** One step of membership change. Several make one joint change. */
export type ConfigurationChange =
  | { readonly kind: "add-voter"; readonly replica: ReplicaId }
  | { readonly kind: "add-learner"; readonly replica: ReplicaId }
  | { readonly kind: "remove"; readonly replica: ReplicaId };

interface Envelope {
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  readonly term: number;
}

/**
 * Everything that replicas of one group say to each other. `term` is the sender's, except in a
 * pre-vote and in the answer that grants it: there it is the term that the election would have.
 */
export type Message =
  | (Envelope & {
      readonly type: "pre-vote" | "vote";
      readonly lastIndex: number;
      readonly lastTerm: number;
      /** A transfer of leadership: stickiness to the leader does not apply. */ readonly transfer: boolean;
    })
  | (Envelope & { readonly type: "pre-vote-response" | "vote-response"; readonly granted: boolean })
  | (Envelope & {
      readonly type: "append";
      readonly prevIndex: number;
      readonly prevTerm: number;
      readonly entries: readonly Entry[];
      readonly commit: number;
      /** The suspect report (see append-response) that the receiver may forget once it has accepted this append. 32 bits; absent: none. A codec must carry it. */
      readonly trusted?: number;
    })
  | (Envelope & {
      readonly type: "append-response";
      /** Accepted: the last index that is durable here and equal to the leader's. Rejected: the refused prevIndex. */ readonly index: number;
      readonly rejected: boolean;
      /** Rejected: where the follower's log may meet the leader's, and the term there. */ readonly hintIndex: number;
      readonly hintTerm: number;
      /**
       * The sender is suspect (its disk lost what it had acknowledged): it must be counted nowhere. The
       * number names this report, drawn anew in each life, 32 bits; absent: not suspect. A codec must carry it.
       */
      readonly suspect?: number;
    })
  | (Envelope & { readonly type: "heartbeat"; readonly commit: number /** ReadIndex round; 0: none. */; readonly context: number })
  | (Envelope & { readonly type: "heartbeat-response"; readonly context: number })
  /** The leader's commit index, as far as the follower holds it, when no append carries it: wants no answer. On the control connection, as heartbeats. */
  | (Envelope & { readonly type: "commit"; readonly commit: number })
  /** Sent by the shell when all chunks have arrived and are durable: the follower's raft installs it. */
  | (Envelope & { readonly type: "snapshot"; readonly meta: SnapshotMeta })
  | (Envelope & { readonly type: "timeout-now" });

export interface ReadState {
  readonly context: number;
  /** A read may be served once this index is applied. */
  readonly index: number;
}

/**
 * Entries are wanted that the log no longer keeps in memory: load [from, …) and call `supply`, or
 * `fetchFailed`. `to` is a follower that is behind, or this replica itself, whose committed entries
 * after a restart are not all in memory. One is outstanding per replica.
 */
export interface FetchRequest {
  readonly to: ReplicaId;
  readonly from: number;
  readonly maxBytes: number;
}

/** A follower is behind what the log keeps at all: send it a snapshot, then `snapshotSent` or `snapshotFailed`. */
export interface SnapshotRequest {
  readonly to: ReplicaId;
  /** The snapshot sent must reach at least this index. */
  readonly minIndex: number;
}

/**
 * What one round of mutations asks of the shell, in this order: write `hardState`, `snapshot`,
 * `entries` as one numbered write; send `messages` at once; send `messagesAfterPersist` when the
 * write numbered `number` and all before it are durable; apply `committed`; answer `reads`.
 */
export interface Ready {
  /** The write's number, counted up; 0 when nothing is written, and then `messagesAfterPersist` wait for the last numbered write. */
  readonly number: number;
  readonly hardState: HardState | undefined;
  /** To append. The first index may lie within the log: what is there from it on is replaced. */
  readonly entries: readonly Entry[];
  /** To install in place of log and state. Its bytes are on this node's disk already. */
  readonly snapshot: SnapshotMeta | undefined;
  readonly messages: readonly Message[];
  readonly messagesAfterPersist: readonly Message[];
  /** Committed and durable here, in order, each exactly once per life of the object. */
  readonly committed: readonly Entry[];
  readonly readStates: readonly ReadState[];
  readonly fetches: readonly FetchRequest[];
  readonly snapshots: readonly SnapshotRequest[];
  /** Contexts of reads that were dropped by a change of leader: ask again, with a new context. */
  readonly readsDropped: readonly number[];
  /** This replica was suspect and is trusted from here on: the shell makes that durable (`GroupLog.trust()`). */
  readonly trusted: boolean;
}

export type Role = "follower" | "pre-candidate" | "candidate" | "leader";

export interface RaftStatus {
  readonly replica: ReplicaId;
  readonly role: Role;
  readonly term: number;
  readonly vote: ReplicaId;
  /** 0: unknown. */
  readonly leader: ReplicaId;
  readonly commit: number;
  readonly applied: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly persistedIndex: number;
  readonly configuration: Configuration;
  /** 0: none under way. */
  readonly transferee: ReplicaId;
  readonly uncommittedBytes: number;
  /** This replica may not vote, campaign or be counted. */
  readonly suspect: boolean;
  /** On the leader: each other replica's progress. */
  readonly progress: ReadonlyMap<ReplicaId, ProgressStatus>;
}

export type ProgressState = "probe" | "replicate" | "snapshot";

export interface ProgressStatus {
  readonly match: number;
  readonly next: number;
  readonly state: ProgressState;
  /** It answered since the last check of the quorum. */
  readonly active: boolean;
  readonly learner: boolean;
  /** It reported damage and is counted nowhere until it is brought up to date. */
  readonly suspect: boolean;
}

export type Refusal = "not-leader" | "transferring" | "too-large" | "overloaded" | "change-pending" | "not-ready" | "invalid-change";
export type ProposeResult =
  | { readonly accepted: true; readonly index: number; readonly term: number }
  | { readonly accepted: false; readonly reason: Refusal; readonly leader: ReplicaId };

/** The part of `limits` (base) that raft enforces. Bytes are those of entry data. */
export interface RaftLimits {
  readonly entryBytesMax: number;
  readonly appendBytesMax: number;
  readonly appendInflightMax: number;
  readonly appendInflightBytesMax: number;
  readonly uncommittedBytesMax: number;
  readonly logCacheBytesMax: number;
}

export interface RaftOptions {
  readonly replica: ReplicaId;
  /** Never a stream that an earlier life of this replica used: timeouts and suspect reports are drawn from it. */
  readonly prng: Prng;
  readonly hardState: HardState;
  /** The newest durable snapshot, or the initial one. */
  readonly snapshot: SnapshotMeta;
  /** The recovered log's tail, contiguous up to `lastIndex`. It may begin above `snapshot.index + 1`: then `configurations` is needed. */
  readonly entries: readonly Entry[];
  /** Runs of equal terms for all of `firstIndex` to `lastIndex`, ascending. */
  readonly terms: readonly { readonly from: number; readonly term: number }[];
  /** What the log on disk holds, durable. An empty log has `lastIndex` = `firstIndex` - 1. */
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** Every configuration entry above the snapshot and below `entries[0]`, ascending; an empty list when there is none. */
  readonly configurations?: readonly { readonly index: number; readonly configuration: Configuration }[] | undefined;
  /**
   * In place of `configurations`, when only the newest of them is known: the configuration as of the entry before `entries[0]`.
   * Inexact: it is taken for committed, so that replacing a suffix which begins below `entries[0]` cannot bring an older one back.
   */
  readonly configuration?: Configuration | undefined;
  /** The machine's applied index, at least `snapshot.index`: committed entries after it are handed out (again). */
  readonly applied: number;
  /** Ticks without a leader before an election, at least; at most twice as many. Default 10. */
  readonly electionTicks?: number;
  /** A leader beats on every tick whose number is a multiple of this. Default 1. */
  readonly heartbeatTicks?: number;
  /** Damage below the synced mark was found: see the README, "A suspect replica". */
  readonly suspect: boolean;
  /** Default: `limits` of base. */
  readonly limits?: Partial<RaftLimits>;
  readonly probe?: Probe | undefined;
}
