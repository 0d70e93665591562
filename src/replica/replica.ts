import { UnumError, limits, noReplica } from "../base/index.ts";
import type { GroupId, ReplicaId } from "../base/index.ts";
import { readEntry } from "../machine/index.ts";
import type { LeaderTime, Machine, WatchableMachine } from "../machine/index.ts";
import { EntryKind, decodeConfiguration } from "../raft/index.ts";
import type { Configuration, ConfigurationChange, Entry, Message, ProposeResult, Raft, Ready, Role, SnapshotMeta } from "../raft/index.ts";
import type { GroupLog, SnapshotFile } from "../storage/index.ts";
import type { StateMessage } from "../wire/index.ts";
import { Applier } from "./applier.ts";
import { Fetches } from "./fetches.ts";
import { Installation } from "./installation.ts";
import { Proposals } from "./proposals.ts";
import { Reads } from "./reads.ts";
import { lostLeadership, notLeader } from "./refusals.ts";
import { olderConfigurations, recoveredRaft, type OlderConfiguration } from "./recovered.ts";
import { Snapshots, releasable } from "./snapshots.ts";
import { Standing } from "./standing.ts";
import { StateCheck } from "./state-check.ts";
import { mostAdvanced, statusOf } from "./status.ts";
import type { ReadWaiter, ReplicaHost, ReplicaOptions, ReplicaStatus, Waiter } from "./types.ts";

/**
 * One group on one node: raft, its log on disk and its machine. It decides when something is
 * persisted, sent, applied and answered.
 *
 * All methods are synchronous and mutate raft at once; their effects leave when the node calls
 * `drain()` and `apply()` at the end of its turn, so that whatever a turn brought shares one write and one
 * message per peer.
 */
export class Replica {
  readonly group: GroupId;
  readonly log: GroupLog;
  machine: Machine;
  /** Set once the group is stopped on this node; every call is refused with it. */
  failure: UnumError | undefined;
  /** As of the applied index. */
  configuration: Configuration;
  readonly check: StateCheck;
  private readonly host: ReplicaHost;
  private readonly raft: Raft;
  private readonly proposals = new Proposals();
  private readonly reads = new Reads((said, context) => this.host[said]?.(this, context));
  private readonly applier: Applier;
  private readonly snapshots: Snapshots;
  private readonly standing = new Standing();
  private readonly fetches: Fetches;
  private readonly installation: Installation;
  /** Fulfils when the newest snapshot is loaded, at once when there is none; also when the replica has failed instead. */
  readonly loaded: Promise<void>;

  private constructor(options: ReplicaOptions, older: readonly OlderConfiguration[]) {
    const { recovered, snapshot } = options.log;
    this.group = options.group;
    this.log = options.log;
    this.host = options.host;
    this.machine = options.factory.create();
    this.configuration = recovered.snapshot.configuration;
    this.raft = recoveredRaft(options, older);
    for (const entry of recovered.entries) this.observe(entry);
    this.applier = new Applier(recovered.snapshot.index, options.host.raftLimits?.logCacheBytesMax);
    this.snapshots = new Snapshots(this, options.snapshotLogBytes ?? limits.snapshotLogBytes, this.host);
    const { applier, host, log, raft } = this;
    this.fetches = new Fetches({ applier, log, raft, logger: host.logger, supplied: () => host.dirty(this) });
    this.installation = new Installation(this, options.factory, host);
    this.check = new StateCheck(this, this.host, options.checkpointMs ?? limits.checkpointMs);
    this.loaded = this.installation.load(snapshot);
  }

  /** Takes up the log where it ended, and votes and follows from then on, while the newest snapshot is being loaded. */
  static async open(options: ReplicaOptions): Promise<Replica> {
    return new Replica(options, await olderConfigurations(options.log));
  }

  get id(): ReplicaId {
    return this.log.recovered.replica;
  }

  get role(): Role {
    return this.raft.role;
  }

  get term(): number {
    return this.raft.term;
  }

  get leader(): ReplicaId {
    return this.raft.leader;
  }

  get isLeader(): boolean {
    return this.role === "leader";
  }

  /** Whether commands and reads are for it. */
  private get takesRequests(): boolean {
    return this.isLeader && !this.check.isDiscarded;
  }

  get applied(): number {
    return this.applier.applied;
  }

  get appliedTerm(): number {
    return this.applier.appliedTerm;
  }

  /** Of its state, its history, the log's tail, which `limitTail` bounds, and what waits to be applied. */
  get memoryBytes(): number {
    return this.machine.memoryBytes + this.raft.memoryBytes + this.applier.waitingBytes;
  }

  /** How much of the log's tail is kept in memory, for followers that lag a little. */
  limitTail(bytesMax: number): void {
    this.raft.limitMemory(bytesMax);
  }

  get commit(): number {
    return this.raft.commit;
  }

  /** Whether it leads and has applied the first entry of its term: its derived state is complete. */
  get isServing(): boolean {
    return this.isLeader && this.appliedTerm === this.raft.term && !this.check.isDiscarded;
  }

  /** Whether its state may be read. */
  get isReadable(): boolean {
    return this.failure === undefined && this.installation.hasState && !this.check.isDiscarded;
  }

  private get mayApply(): boolean {
    return !this.installation.isActive && !this.check.isDiscarded;
  }

  /** Whether work waits for the end of a turn. */
  get hasWork(): boolean {
    return this.failure === undefined && (this.raft.hasReady || this.proposals.gathered || (this.applier.waiting && this.mayApply));
  }

  /** One whose state is still being loaded leaves it to those that have theirs; where nobody has led yet, nobody may have. */
  private get isReluctant(): boolean {
    return this.check.isDiscarded || (!this.installation.hasState && this.standing.hadLeader) || this.host.declinesLeadership();
  }

  tick(number: number): void {
    if (this.failure !== undefined) return;
    this.raft.isReluctant = this.isReluctant;
    this.raft.tick(number);
    this.snapshots.tick();
    const checkpoint = this.check.tick();
    if (checkpoint !== undefined) this.proposals.add(checkpoint, undefined, this.host.clock.wall());
    if (this.isServing && this.check.corrupt === undefined)
      for (const command of this.machine.due(this.leaderTime())) this.proposals.add(command, undefined, this.host.clock.wall());
    if (this.hasWork || this.standing.differs(this.raft)) this.host.dirty(this);
  }

  step(message: Message): void {
    if (this.failure !== undefined) return;
    this.raft.step(message);
    this.host.dirty(this);
  }

  /** Queues a command for this turn's entry. `waiter` hears of its outcome exactly once. */
  propose(command: Uint8Array, waiter: Waiter | undefined): void {
    const error = this.failure ?? (this.takesRequests ? this.check.corrupt : this.notLeader());
    if (error !== undefined) waiter?.fail(error);
    else {
      this.proposals.add(command, waiter, this.host.clock.wall());
      this.host.dirty(this);
    }
  }

  /** Runs the waiter once the applied state is proven to reflect all that was acknowledged before this call. */
  read(waiter: ReadWaiter): void {
    if (this.failure !== undefined) waiter.fail(this.failure);
    else if (!this.takesRequests) waiter.fail(this.notLeader());
    else {
      this.reads.add(waiter);
      this.host.dirty(this);
    }
  }

  changeConfiguration(changes: readonly ConfigurationChange[]): ProposeResult {
    const result = this.raft.changeConfiguration(changes);
    this.host.dirty(this);
    return result;
  }

  transfer(target: ReplicaId): boolean {
    const begun = this.raft.transfer(target);
    this.host.dirty(this);
    return begun;
  }

  campaign(): void {
    this.raft.campaign();
    this.host.dirty(this);
  }

  /** For a leader that should not lead: another one takes over, if possible of those named. */
  handOver(to: readonly ReplicaId[] = []): void {
    if (!this.yieldTo(to)) this.raft.transferOrStepDown();
    this.host.dirty(this);
  }

  /** As `handOver`, but to nobody else; false: none of them answers. */
  yieldTo(candidates: readonly ReplicaId[]): boolean {
    const status = this.raft.status();
    const best = mostAdvanced(status, candidates);
    if (best === noReplica) return false;
    this.host.dirty(this);
    return status.transferee !== noReplica || this.raft.transfer(best);
  }

  /** Another replica says something of its state. */
  stateHeard(message: StateMessage): void {
    if (this.failure !== undefined || message.to !== this.id) return;
    if (message.type === "state-hash") this.check.heard(message.from, message.index, message.hash);
    else if (this.check.maySend(message.index, message.minIndex)) this.snapshots.send(message.from, message.minIndex);
  }

  /** The state is no longer to be served: whoever waits for it asks elsewhere. */
  withdraw(): void {
    this.proposals.refuse(() => this.notLeader());
    this.proposals.abandon(() => lostLeadership(this.group), this.host.probe);
    this.reads.failAll(() => this.notLeader());
  }

  leaderLost(leader: ReplicaId): void {
    this.raft.leaderLost(leader);
    this.host.dirty(this);
  }

  leaderBack(leader: ReplicaId): void {
    this.raft.leaderBack(leader);
    this.host.dirty(this);
  }

  snapshotSent(to: ReplicaId, index: number): void {
    this.snapshots.transferEnded(to);
    this.raft.snapshotSent(to, index);
    this.host.dirty(this);
  }

  snapshotFailed(to: ReplicaId): void {
    this.snapshots.transferEnded(to);
    this.raft.snapshotFailed(to);
    this.host.dirty(this);
  }

  /** All chunks of a snapshot from the leader are on this disk: raft decides whether it is still wanted. */
  snapshotReceived(file: SnapshotFile, from: ReplicaId, term: number): void {
    this.installation.offer(file);
    this.check.received(file);
    this.step({ type: "snapshot", from, to: this.id, term, meta: file.meta });
  }

  status(): ReplicaStatus {
    return statusOf(this, this.raft.status());
  }

  raftStatus(): ReturnType<Raft["status"]> {
    return this.raft.status();
  }

  /**
   * Drains raft: queues writes and hands messages to the node, which calls `storage.flush()` and then
   * `apply`, so that the disk works while this thread applies.
   */
  drain(): void {
    if (this.failure !== undefined) return;
    this.proposals.flush(this.raft, this.group, this.host.clock.wall());
    this.reads.ask(
      (context) => this.raft.readIndex(context),
      () => this.notLeader(),
    );
    for (let ready = this.raft.takeReady(); ready !== undefined; ready = this.raft.takeReady()) this.handle(ready);
    const file = this.check.usable(this.raft.durableCommit);
    if (file !== undefined && !this.installation.isActive) this.installation.replaceState(file, this.raft.hardState);
    this.noticeChanges();
  }

  /** Applies what is committed, for at most `budgetMs`. What is left keeps the replica dirty. */
  apply(budgetMs: number): void {
    if (this.failure !== undefined) return;
    if (this.mayApply) this.applyCommitted(budgetMs);
    this.raft.holdsCommitted = this.applier.isFull;
    if (this.hasWork) this.host.dirty(this);
  }

  private handle(ready: Ready): void {
    for (const message of ready.messages) this.host.send(this.group, message);
    if (ready.snapshot !== undefined) this.install(ready);
    else if (ready.hardState !== undefined || ready.entries.length > 0) {
      for (const entry of ready.entries) this.observe(entry);
      this.log.append({ hardState: ready.hardState, entries: ready.entries }, () => this.persisted(ready));
    } else if (ready.messagesAfterPersist.length > 0 || ready.number > 0)
      this.log.append({ hardState: undefined, entries: [] }, () => this.persisted(ready));
    if (ready.trusted) this.log.trust();
    if (ready.committed.length > 0) {
      this.applier.add(ready.committed);
      this.raft.holdsCommitted = this.applier.isFull;
      this.log.committed(ready.committed[ready.committed.length - 1]?.index ?? 0);
    }
    for (const state of ready.readStates) this.reads.confirm(state.context, state.index, this.applied);
    for (const context of ready.readsDropped) this.reads.drop(context, () => this.notLeader());
    for (const fetch of ready.fetches) this.fetches.ask(fetch);
    for (const request of ready.snapshots) this.snapshots.send(request.to, request.minIndex);
  }

  /** Everything up to this write is durable: only now may its answers leave and its entries count. */
  private persisted(ready: Ready): void {
    if (this.failure !== undefined) return;
    for (const message of ready.messagesAfterPersist) this.host.send(this.group, message);
    if (ready.number > 0) this.raft.persisted(ready.number);
    this.host.dirty(this);
  }

  private observe(entry: Entry): void {
    if (entry.kind === EntryKind.normal && entry.data.length > 0) this.proposals.observeTimestamp(readEntry(entry.data).timestamp);
  }

  private noticeChanges(): void {
    if (!this.standing.differs(this.raft)) return;
    if (this.standing.update(this.raft)) {
      this.machine.follow();
      this.withdraw();
    }
    this.host.changed(this);
  }

  private applyCommitted(budgetMs: number): void {
    if (!this.applier.waiting) return;
    const { clock } = this.host;
    const deadline = clock.now() + budgetMs;
    const before = this.applied;
    try {
      do this.applyEntry(this.applier.take());
      while (this.applier.waiting && clock.now() < deadline);
    } catch (error) {
      this.fail(error);
      return;
    }
    if (this.applied === before) return;
    this.raft.applied(this.applied);
    this.fetches.applied();
    this.check.compare();
    this.host.applied(this);
    this.reads.applied(this.applied);
    this.snapshots.maybe();
  }

  private applyEntry(entry: Entry): void {
    const waiters = this.proposals.claim(entry.index, entry.term);
    if (entry.kind === EntryKind.configuration) {
      this.configuration = decodeConfiguration(entry.data);
      this.host.changed(this);
    } else if (entry.data.length > 0) {
      const { timestamp, commands } = readEntry(entry.data);
      const meta = { index: entry.index, term: entry.term, position: 0, timestamp };
      for (const command of commands) {
        const reply = this.machine.apply(command, meta);
        waiters?.[meta.position]?.reply(reply);
        this.check.applied(command, entry.index);
        meta.position++;
      }
    }
    this.applier.done(entry);
    (this.machine as Partial<WatchableMachine>).publish?.();
    this.host.entryApplied?.(this, entry);
    if (this.isLeader && entry.term === this.raft.term && entry.kind === EntryKind.normal && entry.data.length === 0)
      this.machine.lead(this.leaderTime());
  }

  leaderTime(): LeaderTime {
    const { clock } = this.host;
    return { nowMs: clock.now(), wallMs: clock.wall(), term: this.raft.term };
  }

  /** Log and state are replaced as one: nothing is applied until the new machine stands. */
  private install(ready: Ready): void {
    const { snapshot: meta, hardState } = ready;
    if (meta === undefined || !this.installation.replaceAll(meta, hardState ?? this.raft.hardState, () => this.persisted(ready))) {
      this.fail(new Error("raft installs a snapshot that was not received"));
      return;
    }
    this.applier.reset(meta.index, meta.term);
    this.proposals.abandon(() => lostLeadership(this.group), this.host.probe);
  }

  /** Called by `Installation`. */
  installed(machine: Machine, meta: SnapshotMeta, logKept: boolean): void {
    if (this.failure !== undefined) return;
    if (logKept) this.raft.skipped(meta.index);
    if (logKept) this.applier.skipTo(meta.index, meta.term);
    this.configuration = meta.configuration;
    this.raft.applied(meta.index);
    if (logKept) this.raft.compacted(meta);
    this.check.replaced();
    this.fetches.applied();
    this.stateLoaded(machine);
  }

  /** Called by `Installation`. */
  stateLoaded(machine: Machine): void {
    if (this.failure !== undefined) return;
    this.machine = machine;
    if (this.isServing) machine.lead(this.leaderTime());
    this.host.replaced(this);
    this.host.changed(this);
    this.host.dirty(this);
  }

  /** Stops the group on this node. The others go on. */
  fail(cause: unknown): void {
    if (this.failure !== undefined) return;
    const upgrade = cause instanceof Error && cause.name === "UpgradeRequired";
    const text = cause instanceof Error ? cause.message : String(cause);
    this.failure = new UnumError(upgrade ? "UPGRADE_REQUIRED" : "MACHINE_FAILED", `group ${this.group} stopped on this node: ${text}`, {
      cause,
    });
    this.withdraw();
    this.host.stopped(this, this.failure);
  }

  /** The node stops, or the replica is removed: nobody is left waiting. */
  close(error: UnumError): void {
    this.failure ??= error;
    this.proposals.refuse(() => error);
    this.proposals.abandon(() => error);
    this.reads.failAll(() => error);
    this.snapshots.close();
  }

  /**
   * Called by `Snapshots` once a snapshot is durable: the log behind it goes, but for a tail that
   * spares followers which lag a little a snapshot of their own.
   */
  compacted(file: SnapshotFile, keepFrom: number): void {
    const release = releasable(this.raft.status(), file.meta.index, keepFrom);
    this.raft.compacted(file.meta);
    this.raft.release(release);
    this.log.release(release);
    this.host.dirty(this);
  }

  private notLeader(): UnumError {
    return notLeader(this.group, this.raft.term);
  }
}
