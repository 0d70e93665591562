import { assert, unreachable } from "../base/index.ts";
import type { ReplicaId } from "../base/index.ts";
import { Core } from "./core.ts";
import { describeRaft } from "./describe.ts";
import {
  campaign,
  handlePreVote,
  handleTimeoutNow,
  handleVote,
  handleVoteResponse,
  isIgnoredVote,
  leaderBack,
  leaderLost,
  refuseStaleVote,
  tick,
} from "./election.ts";
import { becomeTrusted, handleAppend, handleCommit, handleHeartbeat, handleSnapshot, refuseStaleLeader } from "./follower.ts";
import { changeConfiguration } from "./membership.ts";
import { propose } from "./proposals.ts";
import { readIndex } from "./reads.ts";
import { committedEnd, failOwnFetch, hasReady, skipCommitted, supplyOwn, takeReady } from "./ready.ts";
import { commitWhatAQuorumHas, handleAppendResponse, handleHeartbeatResponse } from "./replication.ts";
import { becomeFollower, countOwnVote, stepDown } from "./roles.ts";
import { failFetch, snapshotFailed, snapshotSent, supplyFollower } from "./sending.ts";
import { raftStatus } from "./status.ts";
import { continueTransfer, transfer, transferOrStepDown } from "./transfer.ts";
import type {
  ConfigurationChange,
  Configuration,
  Entry,
  HardState,
  Message,
  ProposeResult,
  RaftOptions,
  RaftStatus,
  Ready,
  Role,
  SnapshotMeta,
} from "./types.ts";

/**
 * One replica's part in agreeing on a log (Ongaro and Ousterhout 2014; Ongaro's thesis). Synchronous and
 * pure: every method changes the state at once, and what follows from it waits in `takeReady()`.
 * Call as many methods as a turn brings, then drain. The README is the caller's contract.
 */
export class Raft {
  private readonly core: Core;

  constructor(options: RaftOptions) {
    this.core = new Core(options);
  }

  get replica(): ReplicaId {
    return this.core.replica;
  }

  get role(): Role {
    return this.core.role;
  }

  get term(): number {
    return this.core.term;
  }

  /** 0: unknown. */
  get leader(): ReplicaId {
    return this.core.leader;
  }

  get commit(): number {
    return this.core.commit;
  }

  get lastIndex(): number {
    return this.core.log.lastIndex;
  }

  /** Bytes of the log's entries that are kept in memory. */
  get memoryBytes(): number {
    return this.core.log.memoryBytes;
  }

  /** Keeps at most so much of the durable and applied log in memory, from now on. */
  limitMemory(bytesMax: number): void {
    const { log, limits, applied } = this.core;
    log.limitMemory(Math.min(bytesMax, limits.logCacheBytesMax));
    log.evict(applied);
  }

  get firstIndex(): number {
    return this.core.log.firstIndex;
  }

  /** The newest in the log, committed or not: it is in force. */
  get configuration(): Configuration {
    return this.core.configuration;
  }

  /** As of now, whether or not it is durable yet. */
  get hardState(): HardState {
    const { term, vote, commit } = this.core;
    return { term, vote, commit };
  }

  get isSuspect(): boolean {
    return this.core.isSuspect;
  }

  /**
   * For a replica that should not lead while another can: it waits three times as long before it campaigns, and `campaign` does
   * nothing. It votes as ever, and takes over when it is told to.
   */
  set isReluctant(isReluctant: boolean) {
    this.core.isReluctant = isReluctant;
  }

  /** Time passes. A caller with many groups gives the number of its own tick, so that leaders of all of them beat on the same ones. */
  tick(number: number = this.core.ticks + 1): void {
    tick(this.core, number);
  }

  /** A message arrived. Lost, repeated, late and reordered ones are all right. Throws `MalformedBytes` when an entry's configuration is none. */
  step(message: Message): void {
    const { core } = this;
    // For an earlier replica on this node: not ours to answer.
    if (message.to !== core.replica) return;
    if (message.term > core.term && !this.raisesTerm(message)) return;
    if (message.term < core.term) this.refuseStale(message);
    else this.handle(message);
  }

  /** Follows a later term. False: the message is handled already, or not to be handled. */
  private raisesTerm(message: Message): boolean {
    const { core } = this;
    switch (message.type) {
      case "pre-vote":
        handlePreVote(core, message);
        return false;
      case "pre-vote-response":
        if (message.granted) {
          handleVoteResponse(core, message);
          return false;
        }
        break;
      case "vote":
        if (isIgnoredVote(core, message)) {
          core.probe?.("vote-refused-for-leader");
          return false;
        }
        break;
      default:
        break;
    }
    const fromLeader = isLeaders(message) || message.type === "timeout-now";
    becomeFollower(core, message.term, fromLeader ? message.from : (0 as ReplicaId));
    return true;
  }

  private refuseStale(message: Message): void {
    if (message.type === "pre-vote" || message.type === "vote") refuseStaleVote(this.core, message);
    else if (isLeaders(message)) refuseStaleLeader(this.core, message.from);
    else if (message.type === "snapshot") {
      this.core.probe?.("snapshot-of-earlier-term");
      handleSnapshot(this.core, message);
    }
  }

  private handle(message: Message): void {
    const { core } = this;
    switch (message.type) {
      case "pre-vote":
        return handlePreVote(core, message);
      case "vote":
        return handleVote(core, message);
      case "pre-vote-response":
      case "vote-response":
        return handleVoteResponse(core, message);
      case "append":
        return handleAppend(core, message);
      case "append-response":
        return handleAppendResponse(core, message);
      case "heartbeat":
        return handleHeartbeat(core, message);
      case "heartbeat-response":
        return handleHeartbeatResponse(core, message);
      case "commit":
        return handleCommit(core, message);
      case "snapshot":
        return handleSnapshot(core, message);
      case "timeout-now":
        return handleTimeoutNow(core);
      default:
        unreachable(message);
    }
  }

  /** Appends an entry, on the leader only. The caller keeps the bytes unchanged for ever. Accepted is not committed. */
  propose(data: Uint8Array): ProposeResult {
    return propose(this.core, data);
  }

  /**
   * Changes the membership. When more than one voter comes or goes, through a joint configuration that
   * the leader leaves by itself. In force from the moment it is appended; one at a time.
   */
  changeConfiguration(changes: readonly ConfigurationChange[]): ProposeResult {
    return changeConfiguration(this.core, changes);
  }

  /**
   * Asks for an index from which a linearizable read may be served. The answer comes as a `readStates`
   * or `readsDropped` item with this context, which must never have been used before. Before the first
   * commit of the term the request waits for it. False: this replica does not lead.
   */
  readIndex(context: number): boolean {
    return readIndex(this.core, context);
  }

  /** Begins to hand leadership over; false when this replica does not lead or the target cannot. It failed when an election timeout later this replica still leads. */
  transfer(target: ReplicaId): boolean {
    return transfer(this.core, target);
  }

  /** For a leader whose disk or event loop hangs: hands over to the best follower that answers, or steps down when none does. */
  transferOrStepDown(): void {
    transferOrStepDown(this.core);
  }

  /** Starts a pre-vote at once, unless this replica leads or is no voter. */
  campaign(): void {
    campaign(this.core);
  }

  /** Stops leading, within the term. */
  stepDown(): void {
    stepDown(this.core);
  }

  /**
   * This node's own control connection to the leader is lost: stickiness to it is dropped, until
   * `leaderBack`, a heartbeat of it, or another leader. The shell calls `campaign()` after its random delay.
   */
  leaderLost(leader: ReplicaId): void {
    leaderLost(this.core, leader);
  }

  leaderBack(leader: ReplicaId): void {
    leaderBack(this.core, leader);
  }

  /** All writes up to this number are durable. */
  persisted(number: number): void {
    const { core } = this;
    assert(number <= core.number, "only a write that was given out becomes durable");
    core.log.persistedThrough(number);
    countOwnVote(core, number);
    commitWhatAQuorumHas(core);
    continueTransfer(core);
  }

  /** The machine has applied everything up to this index. */
  applied(index: number): void {
    const { core } = this;
    assert(index <= core.handedOut, "only what was handed out is applied");
    if (index <= core.applied) return;
    core.applied = index;
    core.log.evict(index);
  }

  /** Everything up to here is committed, and durable on this replica: it may be handed out. */
  get durableCommit(): number {
    return committedEnd(this.core);
  }

  /**
   * While true no more committed entries are handed out, since those that wait to be applied take memory enough. The durable ones leave
   * the memory here beyond its limit, too, and are fetched once they are wanted.
   */
  set holdsCommitted(holdsCommitted: boolean) {
    this.core.holdsCommitted = holdsCommitted;
  }

  /** The machine was replaced by one that covers everything up to `index`, at most `durableCommit`: what was not handed out of that need not be. */
  skipped(index: number): void {
    skipCommitted(this.core, index);
  }

  /** The answer to a fetch, for a follower or for this replica itself. The entries may be fewer than wanted. */
  supply(to: ReplicaId, entries: readonly Entry[]): void {
    if (to === this.core.replica) supplyOwn(this.core, entries);
    else supplyFollower(this.core, to, entries);
  }

  /** The fetch cannot be answered: a follower gets a snapshot, this replica asks again with the next tick. */
  fetchFailed(to: ReplicaId): void {
    if (to === this.core.replica) failOwnFetch(this.core);
    else failFetch(this.core, to);
  }

  /** The receiver has the whole snapshot and has been told (message "snapshot"). */
  snapshotSent(to: ReplicaId, index: number): void {
    snapshotSent(this.core, to, index);
  }

  snapshotFailed(to: ReplicaId): void {
    snapshotFailed(this.core, to);
  }

  /** A snapshot of this replica's own state is durable. */
  compacted(meta: SnapshotMeta): void {
    assert(meta.index <= this.core.applied, "a snapshot holds what was applied");
    this.core.log.compacted(meta);
  }

  /** The log on disk up to `index` may go; nothing above the newest durable snapshot does. */
  release(index: number): void {
    this.core.log.release(index);
  }

  /** An operator's decision that this replica may vote again; the ordinary way back is `Ready.trusted`. */
  trust(): void {
    becomeTrusted(this.core);
  }

  get hasReady(): boolean {
    return hasReady(this.core);
  }

  /** What everything since the last call asks of the shell; undefined: nothing. Call until it is. */
  takeReady(): Ready | undefined {
    return takeReady(this.core);
  }

  status(): RaftStatus {
    return raftStatus(this.core);
  }

  /** One line. */
  describe(): string {
    return describeRaft(this.core);
  }
}

function isLeaders({ type }: Message): boolean {
  return type === "append" || type === "heartbeat" || type === "commit";
}
