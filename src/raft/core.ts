import { assert, limits, noReplica } from "../base/index.ts";
import type { Prng, Probe, ReplicaId } from "../base/index.ts";
import { Configurations, decodeConfiguration } from "./configuration.ts";
import { Log } from "./log.ts";
import type { Progress } from "./progress.ts";
import { Reads } from "./rounds.ts";
import { EntryKind } from "./types.ts";
import type {
  Configuration,
  Entry,
  FetchRequest,
  HardState,
  Message,
  RaftLimits,
  RaftOptions,
  ReadState,
  Role,
  SnapshotMeta,
  SnapshotRequest,
} from "./types.ts";

/** What waits to be given out by the next ready. */
export class Outputs {
  messages: Message[] = [];
  messagesAfterPersist: Message[] = [];
  readStates: ReadState[] = [];
  readsDropped: number[] = [];
  fetches: FetchRequest[] = [];
  snapshots: SnapshotRequest[] = [];
  trusted = false;
}

/**
 * The state of one replica, shared by the handlers (one file per concern). Nobody outside of this
 * folder sees it: `Raft` is the door.
 */
export class Core {
  readonly replica: ReplicaId;
  readonly prng: Prng;
  /** Undefined: nobody counts rare states. */
  readonly probe: Probe | undefined;
  readonly limits: RaftLimits;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;

  role: Role = "follower";
  term: number;
  vote: ReplicaId;
  leader: ReplicaId = noReplica;
  readonly log: Log;
  readonly configurations: Configurations;
  /** The last index known to be committed. It may be ahead of what is durable here, never of the log. */
  commit: number;
  applied: number;
  /** Committed entries up to here were given to the shell. */
  handedOut: number;

  /** Ticks since the leader was heard, since this replica campaigned, or since a leader checked its quorum. */
  electionElapsed = 0;
  /** Number of the last tick. */
  ticks = 0;
  /** Ticks after which this replica campaigns: drawn anew for each wait. */
  electionTimeout = 0;
  /** It should not lead: it campaigns later than the others do. */
  isReluctant = false;
  /** What was handed out and waits to be applied is enough: nothing more is handed out. */
  holdsCommitted = false;
  readonly votes = new Map<ReplicaId, boolean>();
  /** The write that makes a candidate's own vote durable; 0: not given out yet. */
  ownVoteNumber = 0;
  /** The leader to which this node's own control connection is lost: stickiness to it is dropped. */
  lostLeader: ReplicaId = noReplica;

  readonly progress = new Map<ReplicaId, Progress>();
  readonly reads = new Reads();
  transferee: ReplicaId = noReplica;
  transferElapsed = 0;
  /** `timeout-now` went out: once is enough, the transferee either campaigns or the transfer times out. */
  transferSent = false;
  uncommittedBytes = 0;
  /** Something happened that may let appends or heartbeats leave: looked at when the next ready is made. */
  sendDue = false;

  /** The number of this life's suspect report; 0: this replica is trusted. */
  report: number;
  /** The last index that an append of this term's leader proved equal to its log, in this life. */
  matched = 0;
  /** An accepted append to answer: one answer per turn is enough. -1: none. */
  acknowledge = -1;

  /** A received snapshot to install with the next ready. */
  pendingSnapshot: SnapshotMeta | undefined = undefined;
  /** Old entries of our own that were fetched to be handed out again after a restart. */
  supplied: readonly Entry[] = [];
  ownFetch: "idle" | "asked" | "failed" = "idle";
  /** What was last given out to be written. */
  written: HardState;
  number = 0;
  out = new Outputs();

  constructor(options: RaftOptions) {
    const { snapshot, hardState } = options;
    this.replica = options.replica;
    this.prng = options.prng;
    this.probe = options.probe;
    this.limits = { ...limits, ...options.limits };
    this.electionTicks = options.electionTicks ?? 10;
    this.heartbeatTicks = options.heartbeatTicks ?? 1;
    assert(this.electionTicks > this.heartbeatTicks, "an election timeout is longer than the time between heartbeats");
    assert(options.applied >= snapshot.index, "the machine is not behind its snapshot");
    this.log = new Log({ ...options, cacheBytesMax: this.limits.logCacheBytesMax });
    assert(options.applied <= this.log.lastIndex, "the machine is not ahead of the log");
    this.configurations = recoverConfigurations(options, this.log);
    this.term = hardState.term;
    this.vote = hardState.vote;
    if (this.log.lastTerm > this.term) {
      // Entries of a term whose hard state was torn off: a vote in it cannot have left.
      this.term = this.log.lastTerm;
      this.vote = noReplica;
    }
    // A suspect log may hold entries that were replaced by what was damaged: only its snapshot is known to be committed.
    const known = options.suspect ? 0 : Math.min(hardState.commit, this.log.lastIndex);
    this.commit = Math.max(known, options.applied);
    this.configurations.commit(this.commit);
    this.applied = options.applied;
    this.handedOut = options.applied;
    this.written = { term: hardState.term, vote: hardState.vote, commit: hardState.commit };
    this.report = options.suspect ? this.prng.between(1, 0xffff_ffff) : 0;
    this.restartElectionTimer();
  }

  get configuration(): Configuration {
    return this.configurations.current;
  }

  get isSuspect(): boolean {
    return this.report !== 0;
  }

  /** Whether this replica may stand for election. */
  get isPromotable(): boolean {
    // Not only as of the newest configuration: a leader that removed itself may be needed to commit just that (thesis, section 4.2.2).
    return !this.isSuspect && this.pendingSnapshot === undefined && this.configurations.mayVote(this.replica);
  }

  /** Whether the leader has committed an entry of its own term: only then does it know what is committed. */
  get hasCommittedInTerm(): boolean {
    return this.log.term(this.commit) === this.term;
  }

  restartElectionTimer(): void {
    this.electionElapsed = 0;
    this.electionTimeout = this.electionTicks + this.prng.below(this.electionTicks);
  }

  send(message: Message): void {
    this.out.messages.push(message);
  }

  sendAfterPersist(message: Message): void {
    this.out.messagesAfterPersist.push(message);
  }

  /** The commit index moved: entries up to it are safe for good. */
  commitTo(index: number): void {
    if (index <= this.commit) return;
    assert(index <= this.log.lastIndex, "what is committed is in the log");
    if (this.uncommittedBytes > 0) {
      for (let at = this.commit + 1; at <= index; at++) {
        const entry = this.log.entryAt(at);
        if (entry !== undefined && entry.term === this.term) this.uncommittedBytes -= entry.data.length;
      }
    }
    this.commit = index;
    this.configurations.commit(index);
  }
}

/** The snapshot's configuration, those of entries that are on disk only, and those of the recovered entries. */
function recoverConfigurations(options: RaftOptions, log: Log): Configurations {
  const { snapshot, entries, configuration } = options;
  const before = (entries[0]?.index ?? log.lastIndex + 1) - 1;
  const complete = before <= snapshot.index || options.configurations !== undefined;
  assert(complete || configuration !== undefined, "a log tail that begins above the snapshot comes with the configurations before it");
  const base = complete || configuration === undefined ? snapshot.index : before;
  const configurations = new Configurations(base, complete || configuration === undefined ? snapshot.configuration : configuration);
  for (const item of options.configurations ?? [])
    if (item.index > base && item.index <= before) configurations.append(item.index, item.configuration);
  for (const entry of entries) {
    if (entry.kind === EntryKind.configuration && entry.index > base) configurations.append(entry.index, decodeConfiguration(entry.data));
  }
  return configurations;
}
