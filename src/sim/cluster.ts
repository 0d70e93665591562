import { defaultGroup, isUnumError, limits, systemGroup } from "../base/index.ts";
import type { GroupId, Prng, Probe, ReplicaId } from "../base/index.ts";
import type { Logger, Platform } from "../ports/index.ts";
import type { Configuration } from "../raft/index.ts";
import type { Replica } from "../replica/index.ts";
import { UnumNode, featureLevel } from "../runtime/index.ts";
import type { NodeOptions } from "../runtime/index.ts";
import type { StorageSettings } from "../storage/index.ts";
import type { Agreement, Judges, Standing } from "./check/index.ts";
import { describeError } from "./describe-error.ts";
import { SimDisk } from "./disk.ts";
import type { CrashFate } from "./disk.ts";
import type { Target } from "./fault.ts";
import type { Plan } from "./nemesis.ts";
import { observerOf } from "./observer.ts";
import type { Witness } from "./witness.ts";
import type { SimMachine, SimWorld } from "./world.ts";

const port = 7400;
const clusterName = "cluster";
const dnsSeed = `dns:${clusterName}:${port}`;
/** A node that stopped by itself is started again after this, as a supervisor would. */
const superviseUs = 500_000;
/** Machines that are switched on one after the other are all on by then. */
const startUsMax = 1_500_000;

/** Programs of two levels run side by side: this build, and one that supports a level more. */
const oldestBuild = featureLevel;
export const newestBuild: number = featureLevel + 1;

/** A machine with a disk, and the node that lives on it now and then. */
export interface Member {
  readonly name: string;
  readonly address: string;
  readonly machine: SimMachine;
  readonly disk: SimDisk;
  /** Whom its node asks for a cluster when its disk is empty. */
  readonly seeds: readonly string[];
  /** Its disk was replaced: whoever did that named the members of that day, too, for the first ones may all be gone. */
  replaced: boolean;
  /** The node of the present life, once it has started. */
  node: UnumNode | undefined;
  /** The feature level that its program supports. */
  build: number;
  /** It was told that it is removed: it never starts again. */
  removed: boolean;
  /** Its removal was asked for: it goes once every group can do without it. */
  leaving: boolean;
  /** Somebody damaged or replaced its disk: it may say so and stop. */
  damaged: boolean;
  /** Its last start ended with CORRUPT. */
  corrupt: boolean;
  /** Every replica that it ever opened, as "group/id": who owns an id outlives the process. */
  readonly owned: Set<string>;
}

export interface ClusterOptions {
  readonly plan: Plan;
  readonly agreement: Agreement;
  readonly witness: Witness;
  readonly judges?: Judges;
  /** Something happened that must never happen. */
  readonly violation: (text: string) => void;
  readonly probe?: Probe | undefined;
  /** A node has started: its process goes on with what else it does. */
  readonly started?: (member: Member, node: UnumNode) => void;
  /** A node whose disk was damaged says that it cannot go on with it: an operator's matter. */
  readonly corrupt?: (member: Member) => void;
  /** A replica found its state wrong: a violation, unless somebody made it so and says so with this. */
  readonly discarded?: (member: Member, replica: Replica) => void;
  /** What a member's node is started with beside or in place of the usual. */
  readonly special?: (member: Member) => Partial<NodeOptions>;
}

/** Nodes on simulated machines: started, broken and looked at from outside. */
export class Cluster {
  readonly world: SimWorld;
  readonly members = new Map<string, Member>();
  private readonly options: ClusterOptions;
  private readonly prng: Prng;
  private readonly tickMs: number;
  private readonly electionTicks: number;
  private readonly storage: Partial<StorageSettings>;
  private readonly checkpointMs: number;
  private readonly expect: number;
  /** Seeds are one name rather than a list. */
  private readonly byName: boolean;

  constructor(world: SimWorld, options: ClusterOptions) {
    this.world = world;
    this.options = options;
    this.prng = world.prng.fork("cluster");
    this.tickMs = this.prng.pick([50, 100]);
    this.electionTicks = this.prng.pick([5, 10]);
    this.checkpointMs = this.prng.fork("checkpoints").pick([500, 2_000, 60_000]);
    const segmentBytes = this.prng.pick([64, 256, 1024]) * 1024;
    this.storage = {
      segmentBytes,
      firstSegmentBytes: segmentBytes,
      walBytesMax: 4 * segmentBytes,
      reserveBytes: 16 * 1024,
      stepBytes: 16 * 1024,
      groupFileBytes: segmentBytes,
      batchBytesMax: segmentBytes / 2,
    };
    const names = Array.from({ length: options.plan.nodes }, (_, i) => `n${i + 1}`);
    this.expect = names.length;
    this.byName = this.prng.fork("seeds").chance(1, 4);
    for (const name of names) this.build(name, this.byName ? [dnsSeed] : names.map(addressOf));
    this.publish();
  }

  /** What the name of the cluster resolves to: every machine that is or shall be a member. */
  private publish(): void {
    this.world.names.set(
      clusterName,
      [...this.members.values()].filter((member) => !member.removed).map((member) => member.name),
    );
  }

  private build(name: string, seeds: readonly string[], build = oldestBuild): Member {
    const { driftPpmMax } = this.options.plan;
    const machine = this.world.machine(name, { driftPpm: driftPpmMax === 0 ? 0 : this.prng.between(-driftPpmMax, driftPpmMax) });
    const disk = new SimDisk({ clock: machine.clock, prng: this.prng.fork(`disk ${name}`) });
    const member: Member = {
      name,
      address: addressOf(name),
      machine,
      disk,
      seeds,
      replaced: false,
      node: undefined,
      removed: false,
      build,
      leaving: false,
      damaged: false,
      corrupt: false,
      owned: new Set(),
    };
    this.members.set(name, member);
    return member;
  }

  get addresses(): string[] {
    return [...this.members.values()].filter((member) => !member.removed).map((member) => member.address);
  }

  /** Those that are members and whose process exists. */
  live(): Member[] {
    return [...this.members.values()].filter((member) => !member.removed && member.machine.host.alive);
  }

  /** Now and then one machine after the other, so that the first look for those that are still off. */
  start(): void {
    const prng = this.prng.fork("starts");
    const oneByOne = prng.chance(1, 4);
    for (const member of this.members.values()) {
      if (!oneByOne) this.boot(member);
      else {
        this.crash(member, "power");
        this.world.scheduler.schedule(prng.below(startUsMax), `start ${member.name}`, () => this.revive(member));
      }
    }
  }

  /** A new machine joins. Undefined while there is no cluster to join. */
  addMember(): Member | undefined {
    if (this.leader() === undefined) return undefined;
    // Whoever joins later runs what was installed last: what is active by then may be unknown to an older program.
    const build = Math.max(...this.live().map((member) => member.build));
    const member = this.build(`n${this.members.size + 1}`, this.byName ? [dnsSeed] : this.addresses, build);
    this.publish();
    this.boot(member);
    return member;
  }

  private boot(member: Member): void {
    const { host } = member.machine;
    const { life } = host;
    host.schedule(0, "boot", () => {
      UnumNode.start(this.platform(member), this.nodeOptions(member)).then(
        (node) => {
          if (host.life !== life) return;
          member.node = node;
          this.options.started?.(member, node);
          member.corrupt = false;
          node.closed.catch((error: unknown) => this.exited(member, life, error));
        },
        (error: unknown) => this.exited(member, life, error),
      );
    });
  }

  /** The node ended by itself: its process exits, and is started again unless that is pointless. */
  private exited(member: Member, life: number, error: unknown): void {
    const { host } = member.machine;
    if (host.life !== life) return;
    this.crash(member, "process");
    if (isUnumError(error, "REMOVED")) {
      member.removed = true;
      return;
    }
    if (member.damaged && isUnumError(error, "CORRUPT")) {
      this.world.scheduler.trace.event(this.world.scheduler.nowUs, `${member.name} stopped: ${describeError(error)}`);
      member.corrupt = true;
      this.options.corrupt?.(member);
      return;
    }
    if ((member.damaged || member.owned.size === 0) && isUnumError(error, "UPGRADE_REQUIRED")) {
      // It lost its place in the cluster or has none yet, and the cluster uses more by now than an older program knows.
      member.build = newestBuild;
      this.world.scheduler.schedule(superviseUs, `supervise ${member.name}`, () => this.revive(member));
      return;
    }
    // An empty directory under a name that the others still believe alive is refused until they know better.
    const expected = isUnumError(error, "DISK_FAILED", "OUT_OF_SPACE") || (member.damaged && isUnumError(error, "NAME_IN_USE"));
    if (!expected) this.options.violation(`${member.name} stopped: ${describeError(error)}`);
    this.world.scheduler.schedule(superviseUs, `supervise ${member.name}`, () => this.revive(member));
  }

  private platform(member: Member): Platform {
    const { machine, disk, name } = member;
    return {
      clock: machine.clock,
      random: machine.random,
      streams: machine.streams,
      names: machine.names,
      checksum: machine.checksum,
      disk,
      logger: this.logger(name),
      probe: this.options.probe,
    };
  }

  private logger(name: string): Logger {
    const say =
      (level: string) =>
      (message: string, fields?: Readonly<Record<string, unknown>>): void => {
        const line = `${name} ${level} ${message}${fields === undefined ? "" : ` ${JSON.stringify(fields)}`}`;
        this.world.scheduler.trace.event(this.world.scheduler.nowUs, line);
      };
    return { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  }

  private nodeOptions(member: Member): NodeOptions {
    const { plan } = this.options;
    const seeds = member.replaced && !this.byName ? [...new Set([...member.seeds, ...this.addresses])] : member.seeds;
    return {
      name: member.name,
      listen: { host: member.name, port },
      advertise: undefined,
      seeds,
      expect: this.byName ? this.expect : seeds.length,
      zone: "",
      ephemeral: false,
      replicas: 3,
      insecure: true,
      removeDeadAfterMs: 300_000,
      maxBytes: 0,
      version: "0.0.0",
      tickMs: this.tickMs,
      electionTicks: this.electionTicks,
      snapshotLogBytes: plan.snapshotLogBytes,
      memoryBudgetBytes: 1024 * 1024 * 1024,
      residentBytes: () => 0,
      checkpointMs: this.checkpointMs,
      storage: { ...this.storage, recoveredBytesMax: plan.logCacheBytes },
      keyspaces: { historyMs: plan.historyMs, sessionIdleMs: plan.sessionIdleMs },
      raftLimits: { logCacheBytesMax: plan.logCacheBytes, appendBytesMax: plan.appendBytes ?? limits.appendBytesMax },
      observer: observerOf(member, this.options, () => this.world.scheduler.nowMs),
      featureLevel: member.build,
      ...this.options.special?.(member),
    };
  }

  /** The member whose replica leads the default keyspace, in the highest term if several believe so. */
  leader(): Member | undefined {
    let best: { readonly member: Member; readonly term: number } | undefined;
    for (const member of this.live()) {
      const replica = member.node?.groups.get(defaultGroup);
      if (replica?.isLeader === true && replica.term > (best?.term ?? -1)) best = { member, term: replica.term };
    }
    return best?.member;
  }

  /** Whom a fault hits now; undefined when there is nobody. */
  find(target: Target): Member | undefined {
    const live = this.live();
    const leader = this.leader();
    if (target.role === "leader" && leader !== undefined) return leader;
    const candidates = target.role === "follower" ? live.filter((member) => member !== leader) : live;
    return candidates[target.pick % Math.max(1, candidates.length)];
  }

  /** `fate`: what becomes of what was not synced, at a power loss; undefined draws it. */
  crash(member: Member, how: "process" | "power", fate?: CrashFate): void {
    member.node = undefined;
    member.machine.host.crash(how);
    member.disk.crash(how, fate);
  }

  /** Closes the node in order, then starts it again. */
  async restart(member: Member, forMs: number): Promise<void> {
    const { host } = member.machine;
    const { life } = host;
    const { node } = member;
    if (node === undefined) return;
    await node.close();
    if (host.life !== life) return;
    this.crash(member, "process");
    this.world.scheduler.schedule(forMs * 1000, `start ${member.name}`, () => this.revive(member));
  }

  /** Whatever state the machine is in, its node runs again; nothing for one that was removed. */
  revive(member: Member): void {
    const { host } = member.machine;
    if (member.removed) return;
    host.resume();
    if (host.alive) return;
    host.start();
    this.boot(member);
  }

  /** All faults end: everything runs, reaches everything and has room. Clocks stay as wrong as they are. */
  heal(): void {
    const { network } = this.world;
    network.heal();
    network.setLinks({ lossPpm: 0, duplicatePpm: 0, reorderPpm: 0, latencyUsMax: 1_000, bytesPerUs: 0 });
    for (const member of this.members.values()) {
      member.disk.heal();
      this.revive(member);
    }
  }

  /** Every group that some node ever had a replica of; the two that there always are, even when nobody has. */
  groups(): GroupId[] {
    const found = new Set<GroupId>([systemGroup, defaultGroup]);
    for (const { owned } of this.members.values()) for (const name of owned) found.add(Number.parseInt(name, 10) as GroupId);
    return [...found].sort((a, b) => a - b);
  }

  /** Replicas of `group` on members that shall have one, with how far each is. */
  replicas(group: number): { readonly member: Member; readonly replica: Replica }[] {
    const found: { readonly member: Member; readonly replica: Replica }[] = [];
    for (const member of this.live()) {
      for (const replica of member.node?.groups.all() ?? []) if (replica.group === group) found.push({ member, replica });
    }
    return found;
  }

  /** What the leader of a group believes the group to be; undefined while there is none. */
  configuration(group: number): Configuration | undefined {
    let best: Replica | undefined;
    for (const { replica } of this.replicas(group)) if (replica.isLeader && replica.term > (best?.term ?? -1)) best = replica;
    return best?.configuration;
  }

  /** What is known of a replica now; undefined when it is not there. */
  standing(group: GroupId, id: ReplicaId): Standing | undefined {
    const replica = this.owner(group, id)?.node?.groups.get(group);
    return replica?.id === id ? replica.raftStatus() : undefined;
  }

  /** Whose replica this is or was. */
  owner(group: number, id: number): Member | undefined {
    return [...this.members.values()].find((member) => member.owned.has(`${group}/${id}`));
  }

  /**
   * Every member runs and every group has at least three voters, none of them on its way out, and counts only members:
   * earlier changes are done with.
   */
  isSettled(): boolean {
    const live = this.live();
    if ([...this.members.values()].some((member) => !member.removed && !live.includes(member))) return false;
    for (const group of this.groups()) {
      const replicas = this.replicas(group).map(({ replica }) => replica);
      const configuration = this.configuration(group);
      if (configuration === undefined) return false;
      const { learners, outgoing, voters } = configuration;
      if (outgoing.length > 0 || voters.length < 3) return false;
      if (![...voters, ...outgoing, ...learners].every((id) => replicas.some((replica) => replica.id === id))) return false;
    }
    return true;
  }

  /**
   * The group has no leader, and somebody says why: a disk is damaged beyond use, a replica discarded, suspect or stopped. What
   * other groups need to know of each other, the system group knows: when that has stopped, they may, too.
   */
  hasStoppedLoudly(group: number): boolean {
    if (this.configuration(group) !== undefined) return false;
    const replicas = this.replicas(group);
    return (
      [...this.members.values()].some((member) => member.corrupt) ||
      replicas.some(({ replica }) => replica.failure !== undefined || replica.status().suspect) ||
      this.live().some(({ node }) => node?.discarded.has(group as GroupId) === true) ||
      (group !== systemGroup && this.hasStoppedLoudly(systemGroup))
    );
  }

  /** Who waits for what: a line per node and replica. */
  describe(): string {
    const lines: string[] = [];
    for (const member of this.members.values()) {
      const { host } = member.machine;
      lines.push(`${member.name} ${member.removed ? "removed" : host.state}${member.node === undefined ? ", no node" : ""}`);
      for (const replica of member.node?.groups.all() ?? []) {
        const { applied, commit, configuration, lastIndex, leader, role, suspect, term } = replica.status();
        const { learners, outgoing, voters } = configuration;
        lines.push(
          `  group ${replica.group} replica ${replica.id} ${role} term ${term} leader ${leader} commit ${commit} applied ${applied} last ${lastIndex}` +
            ` voters ${voters.join(",")} outgoing ${outgoing.join(",")} learners ${learners.join(",")}${suspect ? " suspect" : ""}`,
        );
      }
    }
    return lines.join("\n");
  }
}

function addressOf(name: string): string {
  return `${name}:${port}`;
}
