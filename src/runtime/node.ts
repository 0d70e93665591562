import { Prng, UnumError, hexEncode, systemGroup } from "../base/index.ts";
import type { ClusterId, GroupId, NodeId, ReplicaId } from "../base/index.ts";
import { DiskError, formatAddress } from "../ports/index.ts";
import type { Platform, Timer } from "../ports/index.ts";
import type { Replica } from "../replica/index.ts";
import type { Storage } from "../storage/index.ts";
import type { Carrier } from "../wire/index.ts";
import { Admin } from "./admin.ts";
import { Announcements } from "./announcements.ts";
import { Backups } from "./backups.ts";
import type { Call } from "./connection.ts";
import { Controller } from "./controller.ts";
import { openDirectory } from "./data-directory.ts";
import type { DataDirectory } from "./data-directory.ts";
import { Directory } from "./directory.ts";
import { Entrance } from "./entrance.ts";
import { asUnumError } from "./failure.ts";
import { Gate } from "./gate.ts";
import { Groups } from "./groups.ts";
import { Hints } from "./hints.ts";
import { removedError } from "./identity.ts";
import type { Bootstrap, IdentityStore } from "./identity.ts";
import { Introduction } from "./introduction.ts";
import { Joins } from "./joins.ts";
import { Keyspaces } from "./keyspaces.ts";
import { Kickoff } from "./kickoff.ts";
import { Leaders } from "./leaders.ts";
import { Links } from "./links.ts";
import { Membership } from "./membership.ts";
import { Memory } from "./memory.ts";
import { checkOptions } from "./options.ts";
import type { NodeOptions } from "./options.ts";
import { Neighbours } from "./neighbours.ts";
import { Router } from "./router.ts";
import { Transfers } from "./transfers.ts";
import { Vigil } from "./vigil.ts";
import { Watches } from "./watches.ts";
import { WallClocks } from "./wall-clocks.ts";
import { gateHostOf, linksOptionsOf, machineFactoryOf, memoryOptionsOf, replicaHostOf } from "./wiring.ts";

/** After a disk was full: how soon it is tried again. */
const enterAgainMs = 1_000;

/**
 * One node: its storage, its groups, its connections, and the turn that drives them. `start` opens
 * the disk and the door; membership, elections and recovery of state go on behind it.
 */
export class UnumNode {
  readonly platform: Platform;
  readonly options: NodeOptions;
  readonly prng: Prng;
  readonly identity: IdentityStore;
  readonly storage: Storage;
  readonly discarded: DataDirectory["discarded"];
  readonly groups: Groups;
  readonly leaders: Leaders;
  readonly links: Links;
  readonly gate: Gate;
  readonly watches: Watches;
  readonly router: Router;
  readonly transfers: Transfers;
  readonly memory: Memory;
  readonly hints: Hints;
  readonly neighbours: Neighbours;
  readonly wallClocks: WallClocks;
  readonly startedMs: number;
  /** Settles when the node has stopped; rejects with the reason when it was not asked to. */
  readonly closed: Promise<void>;
  directory: Directory | undefined;
  address = "";
  private readonly entrance: Entrance;
  private readonly admin: Admin;
  private readonly backups: Backups;
  readonly controller: Controller;
  readonly introduction: Introduction;
  readonly announcements: Announcements;
  private readonly keyspaces: Keyspaces;
  private readonly vigil: Vigil;
  private readonly kickoff: Kickoff;
  private readonly joins: Joins;
  private readonly lock: { release(): Promise<void> };
  private membership: Membership | undefined;
  private ticker: Timer | undefined;
  private turnQueued = false;
  private stopping: Promise<void> | undefined;
  private settleClosed: (error?: UnumError) => void = () => undefined;

  private constructor(platform: Platform, options: NodeOptions, { discarded, identity, lock, storage }: DataDirectory) {
    this.platform = platform;
    this.options = { ...options, name: options.name === "" ? `node-${identity.value.node.slice(0, 6)}` : options.name };
    this.lock = lock;
    this.storage = storage;
    this.discarded = discarded;
    this.identity = identity;
    this.startedMs = platform.clock.now();
    this.prng = new Prng(hexEncode(platform.random.bytes(16)));
    this.closed = new Promise((resolve, reject) => {
      this.settleClosed = (error) => (error === undefined ? resolve() : reject(error));
    });
    this.closed.catch(() => undefined);
    this.introduction = new Introduction(this);
    this.wallClocks = new WallClocks(this);
    this.kickoff = new Kickoff(platform.clock, this.prng.fork("kickoff"));
    this.leaders = new Leaders((group, leader) => this.leaderLearned(group, leader.term, leader.node));
    this.groups = new Groups({
      ...this.context(),
      storage,
      identity,
      electionTicks: options.electionTicks,
      snapshotLogBytes: options.snapshotLogBytes,
      checkpointMs: options.checkpointMs,
      host: replicaHostOf(this),
      watchLog: options.observer?.log,
      factory: (group) => machineFactoryOf(group, options, platform.probe),
      opened: (replica) => this.opened(replica),
    });
    this.hints = new Hints({
      clock: platform.clock,
      probe: platform.probe,
      prng: this.prng.fork("hints"),
      isConnected: (node) => this.links.isConnected(node),
      followersOf: (node) => this.followersOf(node),
    });
    this.links = new Links({ ...this.context(), ...linksOptionsOf(this), onRemoved: () => this.removed() });
    this.transfers = new Transfers({
      ...this.context(),
      replica: (group) => this.groups.get(group),
      sendBulk: (to, frame) => this.links.sendBulk(to, frame),
    });
    this.announcements = new Announcements(() => this.directory, this.leaders);
    this.vigil = new Vigil({
      ...this.context(),
      storage,
      replicas: () => this.groups.all(),
      electionTimeoutMs: options.electionTicks * options.tickMs,
    });
    this.memory = new Memory(memoryOptionsOf(this));
    this.neighbours = new Neighbours(this);
    this.watches = new Watches();
    this.router = new Router(this);
    this.admin = new Admin(this);
    this.backups = new Backups(this);
    this.controller = new Controller(this);
    this.keyspaces = new Keyspaces(this);
    this.joins = new Joins(this);
    this.gate = new Gate({
      ...gateHostOf(this),
      keyspace: (call) => this.keyspaces.open(call),
      admin: (call) => this.admin.handle(call),
      backup: (call) => this.backups.handle(call),
      membership: (call) => this.joins.handle(call, this.membership),
    });
    this.entrance = new Entrance({
      ...this.context(),
      streams: platform.streams,
      hello: (purpose) => this.introduction.hello(purpose),
      refuse: (hello) => this.introduction.refuse(hello),
      onClient: (carrier, principal) => this.gate.accept(carrier, principal),
      onNode: (node, address, purpose, carrier) => {
        this.neighbours.met(node, address);
        this.links.accept(node, purpose, carrier);
      },
    });
  }

  private context(): Pick<Platform, "clock" | "logger" | "probe"> & { prng: Prng } {
    const { clock, logger, probe } = this.platform;
    return { clock, logger, probe, prng: this.prng.fork("node") };
  }

  /**
   * Locks and recovers the data directory and begins to listen. Rejects with DATA_DIR_LOCKED,
   * DATA_DIR_FORMAT, CORRUPT, PORT_IN_USE, INVALID_ARGUMENT, INSECURE, REMOVED, UPGRADE_REQUIRED or DISK_FAILED.
   */
  static async start(platform: Platform, options: NodeOptions): Promise<UnumNode> {
    checkOptions(options);
    const directory = await openDirectory(platform, options);
    try {
      const node = new UnumNode(platform, options, directory);
      await node.open();
      return node;
    } catch (error) {
      await directory.storage.close();
      await directory.lock.release();
      throw error;
    }
  }

  private async open(): Promise<void> {
    const bound = await this.entrance.listen(this.options.listen);
    this.address = this.options.advertise ?? formatAddress(bound);
    void this.storage.failed.then((error) =>
      this.fatal(new UnumError("DISK_FAILED", `The disk failed; the node has stopped: ${error.message}`, { cause: error })),
    );
    try {
      const { bootstrap, cluster } = this.identity.value;
      if (cluster !== undefined && bootstrap !== undefined) {
        this.directory = new Directory(bootstrap, () => this.groups.get(systemGroup), this.neighbours.acquaintances);
        await this.groups.recover();
        await this.enter(bootstrap);
      } else this.beginMembership();
    } catch (error) {
      await this.entrance.close();
      throw error;
    }
    this.schedule();
    this.ticker = this.platform.clock.after(this.options.tickMs, () => this.tick());
  }

  private beginMembership(): void {
    const { expect, seeds } = this.options;
    const own = this.address;
    this.membership = new Membership({
      ...this.context(),
      random: this.platform.random,
      streams: this.platform.streams,
      names: this.platform.names,
      identity: this.identity,
      expect,
      seeds: seeds.length === 1 && seeds[0] === own ? [] : seeds,
      card: () => this.introduction.card(),
      hello: () => this.introduction.hello("client"),
      joined: (_cluster: ClusterId, bootstrap: Bootstrap) => {
        // Who came before this node belonged to a cluster was neither asked for its own nor remembered.
        this.links.meetAgain();
        this.takeUp(bootstrap);
      },
      failed: (error) => this.fatal(error),
    });
    this.membership.start();
  }

  private takeUp(bootstrap: Bootstrap): void {
    if (!this.isStopping) this.enter(bootstrap).catch((error: unknown) => this.fatal(asUnumError(error)));
  }

  /** The node is a member: its replica of the system group exists, and tells it everything else. */
  private async enter(bootstrap: Bootstrap): Promise<void> {
    this.membership = undefined;
    this.directory ??= new Directory(bootstrap, () => this.groups.get(systemGroup), this.neighbours.acquaintances);
    this.neighbours.refresh();
    try {
      if (this.groups.get(systemGroup) === undefined) {
        await this.groups.create(systemGroup, bootstrap.replica as ReplicaId, bootstrap.initialVoters as readonly ReplicaId[]);
      }
    } catch (error) {
      if (!(error instanceof DiskError) || error.code !== "full") throw error;
      this.platform.logger.warn("the disk is full: the node takes its place in the cluster when there is room", { error: error.message });
      this.platform.clock.after(enterAgainMs, () => this.takeUp(bootstrap));
      return;
    }
    this.gate.retry();
  }

  get nodeId(): NodeId {
    return this.identity.value.node;
  }

  get isStopping(): boolean {
    return this.stopping !== undefined;
  }

  watch(call: Call): void {
    const replica = this.groups.get(call.request.group);
    if (replica?.isReadable !== true) this.router.forwardStream(call);
    else {
      this.watches.open(call, replica);
      this.schedule();
    }
  }

  private opened(replica: Replica): void {
    this.options.observer?.began(replica);
    this.changed(replica);
    const { lastIndex, replica: id } = replica.log.recovered;
    this.kickoff.opened(replica, lastIndex === 0 && id === replica.configuration.voters[0]);
  }

  /** Role, term, leader or configuration of a replica here. */
  changed(replica: Replica): void {
    this.options.observer?.changed(replica);
    const leader = replica.leader === 0 ? undefined : this.directory?.nodeOf(replica.group, replica.leader);
    this.leaders.learn(replica.group, replica.term, leader);
    if (replica.leader === 0) this.leaders.vacate(replica.group);
    if (leader !== undefined && leader !== this.nodeId && this.hints.isLost(leader)) this.hints.onLost(leader);
    this.controller.wake(replica.group);
  }

  applied(replica: Replica): void {
    if (replica.group === systemGroup) this.systemApplied();
    this.gate.applied(replica.group);
  }

  private systemVersion = -1;

  /** The system group's state moved on here: who the peers are and which replicas this node should have. */
  private systemApplied(): void {
    const state = this.directory?.state;
    if (state === undefined || state.version === this.systemVersion) return;
    this.systemVersion = state.version;
    this.neighbours.refresh();
    if (state.removed.has(this.nodeId)) {
      this.removed();
      return;
    }
    this.controller.systemChanged(state);
    this.gate.push(this.announcements.members());
    this.gate.retry();
  }

  /** The cluster has given this node up: its id never returns. */
  private removed(): void {
    if (!this.isStopping && !this.controller.dropped()) this.depart();
  }

  /** Writes down that it is no member any more, and stops. */
  depart(): void {
    const stop = (): void => this.fatal(removedError());
    // What could not be written down will be said again by any member.
    this.identity.update({ removed: true }).then(stop, stop);
  }

  private leaderLearned(group: GroupId, term: number, node: NodeId | undefined): void {
    this.gate.push(this.announcements.leader(group, term, node));
    if (node !== undefined) this.gate.retry();
  }

  private followersOf(node: NodeId): Replica[] {
    return this.groups.following(
      (replica) => (replica.leader === 0 ? undefined : this.directory?.nodeOf(replica.group, replica.leader)),
      node,
    );
  }

  /** A handle in this process. */
  admit(carrier: Carrier): void {
    this.entrance.admit(carrier);
  }

  /** Work is waiting: one turn is run when this loop turn's input is in. */
  schedule(): void {
    if (this.turnQueued) return;
    this.turnQueued = true;
    this.platform.clock.defer(() => this.turn());
  }

  private readonly sendOut = (): void => this.links.flush();

  private turn(): void {
    this.turnQueued = false;
    try {
      this.gate.pump();
      this.groups.process(this.sendOut);
      this.watches.pump();
      this.links.flushLast();
      if (this.groups.hasWork || this.watches.hasWork) this.schedule();
    } catch (error) {
      // A broken invariant: this node's reasoning is no longer to be trusted.
      this.fatal(asUnumError(error));
    }
  }

  private tick(): void {
    if (this.isStopping) return;
    this.ticker = this.platform.clock.after(this.options.tickMs, () => this.tick());
    try {
      this.vigil.look();
      this.memory.measure();
      this.wallClocks.tick();
      this.groups.tick();
      this.links.tick();
      this.neighbours.tick();
      this.transfers.tick();
      this.router.tick();
      this.membership?.tick();
      this.watches.tick(this.platform.clock.now(), this.groups.all(), 3 * this.options.electionTicks);
      this.controller.tick();
      this.gate.tick();
      if (this.groups.hasWork || this.watches.hasWork) this.schedule();
    } catch (error) {
      this.fatal(asUnumError(error));
    }
  }

  /** Something that the node cannot go on after. */
  fatal(error: UnumError): void {
    if (this.isStopping) return;
    this.platform.logger.error("the node stops", { code: error.code, error: error.message });
    void this.stop(error);
  }

  /** Hands leadership over, says goodbye, makes what is queued durable and closes. Membership stays. Idempotent. */
  close(): Promise<void> {
    return this.stop(undefined);
  }

  private stop(reason: UnumError | undefined): Promise<void> {
    this.stopping ??= this.shutdown(reason);
    return this.stopping;
  }

  private async shutdown(reason: UnumError | undefined): Promise<void> {
    this.membership?.close();
    try {
      if (reason === undefined) await this.bow();
    } finally {
      this.ticker?.cancel();
      const error = reason ?? new UnumError("NODE_STOPPED");
      this.watches.close(new UnumError("UNAVAILABLE", "The node is stopping; the watch goes on elsewhere."));
      this.gate.close();
      this.groups.close(new UnumError("NODE_STOPPED", error.message, { outcome: "unknown" }));
      this.hints.close();
      this.kickoff.close();
      this.transfers.close();
      this.router.close();
      this.links.close();
      await this.entrance.close();
      try {
        await this.storage.close();
      } catch (cause) {
        this.platform.logger.error("the storage could not be closed in order", { error: String(cause) });
      }
      await this.lock.release();
      this.settleClosed(reason);
    }
  }

  /** Before a planned end: a node without a lasting disk gives its membership up, every other one only its leaderships. */
  private async bow(): Promise<void> {
    if (this.options.ephemeral && this.identity.value.removed !== true) {
      try {
        await this.leave(5_000);
      } catch (error) {
        this.platform.logger.warn("the node could not leave its cluster; it is removed when it stays away", { error: String(error) });
      }
    }
    await this.controller.handOver();
  }

  /** Gives the membership up for good; close the node afterwards. Rejects when the cluster cannot agree to it in time. */
  async leave(timeoutMs: number): Promise<void> {
    await this.controller.leave(timeoutMs);
    await this.identity.update({ removed: true });
  }
}
