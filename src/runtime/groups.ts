import { UnumError, assert, systemGroup } from "../base/index.ts";
import type { GroupId, NodeId, Prng, ReplicaId } from "../base/index.ts";
import { UpgradeRequired } from "../machine/index.ts";
import type { MachineFactory } from "../machine/index.ts";
import type { Clock, Logger } from "../ports/index.ts";
import type { Configuration } from "../raft/index.ts";
import { Replica } from "../replica/index.ts";
import type { ReplicaHost } from "../replica/index.ts";
import type { GroupLog, Storage } from "../storage/index.ts";
import type { IdentityStore } from "./identity.ts";

export interface GroupsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly prng: Prng;
  readonly storage: Storage;
  readonly identity: IdentityStore;
  readonly electionTicks: number;
  readonly snapshotLogBytes: number | undefined;
  readonly checkpointMs: number | undefined;
  readonly host: ReplicaHost;
  factory(group: GroupId): MachineFactory;
  /** Only where somebody counts what is written (the simulator). */
  readonly watchLog?: ((log: GroupLog) => GroupLog) | undefined;
  /** A replica was opened and takes part. */
  opened(replica: Replica): void;
}

/** How long one replica may apply within a turn before the others, and the sockets, get theirs. */
const applyBudgetMs = 8;

/** For what a machine puts off (compacting slabs), per tick. */
const workBudgetMs = 5;

/** The replicas on this node, and the turn in which they work. */
export class Groups {
  private readonly options: GroupsOptions;
  private readonly replicas = new Map<GroupId, Replica>();
  private readonly opening = new Map<GroupId, Promise<Replica | undefined>>();
  private dirty = new Set<Replica>();
  private closed = false;
  /** A replica could not be opened because its snapshot uses what this build does not know. */
  private upgradeRequired: UpgradeRequired | undefined;
  private ticks = 0;

  constructor(options: GroupsOptions) {
    this.options = options;
  }

  get(group: GroupId): Replica | undefined {
    return this.replicas.get(group);
  }

  all(): Iterable<Replica> {
    return this.replicas.values();
  }

  get count(): number {
    return this.replicas.size;
  }

  /** Opens what the disk holds. Rejects when the system group cannot be opened; others are logged and left out. */
  async recover(): Promise<void> {
    const groups = [...this.options.storage.groups.keys()].sort((a, b) => a - b);
    for (const group of groups) {
      const replica = await this.once(group, () => this.open(group));
      if (replica !== undefined || group !== systemGroup) continue;
      const cause = this.upgradeRequired;
      if (cause !== undefined)
        throw new UnumError("UPGRADE_REQUIRED", `The data on this disk is of a newer version: ${cause.message}.`, { cause });
      throw new UnumError("CORRUPT", "The system group's snapshot on this disk is damaged; the node cannot start from it.");
    }
  }

  /**
   * Makes a new replica of a group. `initialVoters` is the configuration at index 0, equal for every
   * replica that the group ever has: later ones learn of themselves from the log. What the disk holds
   * of the group already is opened instead: recovery may not have come to it yet.
   */
  create(group: GroupId, replica: ReplicaId, initialVoters: readonly ReplicaId[]): Promise<Replica | undefined> {
    return this.once(group, async () => {
      const { identity, storage } = this.options;
      let log = storage.groups.get(group);
      if (log === undefined) {
        const incarnation = await identity.nextIncarnation();
        if (this.closed) return undefined;
        const configuration: Configuration = { voters: initialVoters, outgoing: [], learners: [], learnersNext: [], autoLeave: false };
        log = storage.create(group, replica, incarnation, { index: 0, term: 0, configuration });
        if (!(await this.durable(log))) return undefined;
      }
      await identity.hold([[group, log.recovered.replica]]);
      return this.closed ? undefined : this.open(group);
    });
  }

  /** Fulfils once what was queued is on stable storage, false when the log has failed first. */
  private async durable(log: GroupLog): Promise<boolean> {
    const { storage } = this.options;
    const written = new Promise<boolean>((resolve) => log.append({ hardState: undefined, entries: [] }, () => resolve(true)));
    storage.flush();
    const isWritten = await Promise.race([written, storage.failed.then(() => false)]);
    return isWritten && !this.closed;
  }

  /** One opening of a group at a time; whoever comes meanwhile gets its result. */
  private async once(group: GroupId, open: () => Promise<Replica | undefined>): Promise<Replica | undefined> {
    const existing = this.replicas.get(group);
    if (existing !== undefined) return existing;
    let made = this.opening.get(group);
    if (made === undefined) {
      made = open().finally(() => this.opening.delete(group));
      this.opening.set(group, made);
    }
    return made;
  }

  private async open(group: GroupId): Promise<Replica | undefined> {
    const kept = this.options.storage.groups.get(group);
    assert(kept !== undefined, `group ${group} is in storage`);
    const log = this.options.watchLog?.(kept) ?? kept;
    const { checkpointMs, electionTicks, factory, host, logger, prng, snapshotLogBytes } = this.options;
    try {
      const replica = await Replica.open({
        group,
        log,
        factory: factory(group),
        host,
        electionTicks,
        prng: prng.fork(`group ${group} replica ${log.recovered.replica}`),
        ...(snapshotLogBytes === undefined ? {} : { snapshotLogBytes }),
        ...(checkpointMs === undefined ? {} : { checkpointMs }),
      });
      // Everything else the node does follows from the system's state; the other groups vote while theirs is loaded.
      if (group === systemGroup) await replica.loaded;
      if (replica.failure !== undefined) throw replica.failure.cause ?? replica.failure;
      if (this.closed) return undefined;
      this.replicas.set(group, replica);
      this.options.opened(replica);
      host.dirty(replica);
      return replica;
    } catch (error) {
      if (error instanceof UpgradeRequired) this.upgradeRequired = error;
      logger.error("a replica could not be opened", { group, error: String(error) });
      return undefined;
    }
  }

  /** The replica is no member any more: its data goes. */
  destroy(group: GroupId): void {
    const replica = this.replicas.get(group);
    if (replica === undefined) return;
    replica.close(new UnumError("NOT_LEADER", "The group has moved away from this node."));
    this.replicas.delete(group);
    this.dirty.delete(replica);
    this.options.storage.destroy(group);
  }

  markDirty(replica: Replica): void {
    this.dirty.add(replica);
  }

  get hasWork(): boolean {
    return this.dirty.size > 0;
  }

  /** Everything that gathered since the last turn becomes writes, messages, which `send` sends, and answers. */
  process(send: () => void): void {
    const dirty = this.dirty;
    this.dirty = new Set();
    for (const replica of dirty) if (this.replicas.get(replica.group) === replica) replica.drain();
    this.options.storage.flush();
    send();
    for (const replica of dirty) if (this.replicas.get(replica.group) === replica) replica.apply(applyBudgetMs);
  }

  tick(): void {
    this.ticks++;
    for (const replica of this.replicas.values()) {
      replica.tick(this.ticks);
      if (replica.failure === undefined) replica.machine.work(() => this.options.clock.now(), workBudgetMs);
    }
  }

  /** Replicas here that follow a leader on the given node. */
  following(leaderOf: (replica: Replica) => NodeId | undefined, node: NodeId): Replica[] {
    const found: Replica[] = [];
    for (const replica of this.replicas.values()) if (!replica.isLeader && leaderOf(replica) === node) found.push(replica);
    return found;
  }

  close(error: UnumError): void {
    this.closed = true;
    for (const replica of this.replicas.values()) replica.close(error);
    this.dirty.clear();
  }
}
