import { Prng, UnumError, isUnumError, systemGroup } from "../base/index.ts";
import type { ProbeName } from "../base/index.ts";
import { openRawHandle } from "../api/index.ts";
import type { RawHandle, UnumHandle } from "../api/index.ts";
import { StreamCarrier } from "../wire/index.ts";
import { parseAddress, silentLogger } from "../ports/index.ts";
import { Agreement, Judges } from "./check/index.ts";
import type { IllegalKey } from "./check/index.ts";
import { Cluster } from "./cluster.ts";
import { describeError } from "./describe-error.ts";
import type { Member } from "./cluster.ts";
import { installGuards } from "./guards.ts";
import { describeCall } from "./history.ts";
import { Injector } from "./inject.ts";
import { Judge } from "./judge.ts";
import { drawPlan } from "./nemesis.ts";
import type { Narrowing, Plan } from "./nemesis.ts";
import { SimulationStuck } from "./scheduler.ts";
import { departing, whoWaits } from "./waiting.ts";
import { Witness } from "./witness.ts";
import { listen } from "./wiretap.ts";
import { Load, drawLoad } from "./workloads/index.ts";
import type { ClientHost, LoadPlan, Mix } from "./workloads/index.ts";
import { SimWorld } from "./world.ts";
import type { SimMachine } from "./world.ts";

export interface SeedOptions extends Narrowing {
  /** Default "swarm". */
  readonly profile?: string | undefined;
  /** In place of the plan that the seed would draw: a scenario, or one with some of its faults taken away. */
  readonly plan?: Plan | undefined;
  /** Each event as a line. */
  readonly record?: ((line: string) => void) | undefined;
  /** What clients asked and were told, a line for each call, when all is over. */
  readonly historian?: ((lines: readonly string[]) => void) | undefined;
}

export interface SeedResult {
  readonly seed: number;
  readonly plan: Plan;
  /** How the drawing of the plan was narrowed. */
  readonly narrowing: Narrowing;
  /** Of all events: the same seed gives the same hash. */
  readonly hash: string;
  readonly events: number;
  readonly virtualMs: number;
  readonly ok: number;
  readonly notApplied: number;
  readonly unknown: number;
  readonly elections: number;
  /** Entries compared between replicas. */
  readonly entries: number;
  readonly revisions: number;
  readonly faults: ReadonlyMap<string, number>;
  /** How often each rare state was reached. */
  readonly probes: ReadonlyMap<ProbeName, number>;
  /** Keys whose linearizability check ran out of budget. */
  readonly undecided: number;
  /** What the clients really did. */
  readonly mix: readonly Mix[];
  /** Every step of every client, by name, in the order in which they began. */
  readonly steps: readonly string[];
  /** Keys that are not linearizable, for a picture. */
  readonly illegal: readonly IllegalKey[];
  /** Nothing here: the run passed. */
  readonly violations: readonly string[];
}

/** After the faults, everything must work again within this. */
const healMsMax = 30_000;
/** More events than this within a millisecond of virtual time are an endless loop. */
const eventsPerMsMax = 50_000;
/** What is pending when the work ends must end, too. */
const settleMsMax = 20_000;
/** How often the nodes' memory is looked at. */
const sampleUs = 250_000;

/** One seed, from an empty disk to a verdict. Never rejects: what goes wrong is a violation. */
export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedResult> {
  const run = new Run(seed, options);
  const removeGuards = installGuards((what) => run.violation("guards", `${what} was called within the simulation`));
  const ignored = (error: unknown): void => run.violation("guards", `nobody handles a rejection: ${describeError(error)}`);
  process?.on("unhandledRejection", ignored);
  try {
    return await run.run();
  } finally {
    process?.off("unhandledRejection", ignored);
    removeGuards();
  }
}

interface RejectionSource {
  on(event: "unhandledRejection", listener: (error: unknown) => void): void;
  off(event: "unhandledRejection", listener: (error: unknown) => void): void;
}

/** Where the simulator runs; a rejection that nobody handles would end a real process. */
const { process } = globalThis as { readonly process?: RejectionSource };

/** What must come back after the faults did not. */
class NoProgress extends Error {}

class Run {
  private readonly seed: number;
  private readonly plan: Plan;
  private readonly narrowing: Narrowing;
  private readonly historian: SeedOptions["historian"];
  private readonly world: SimWorld;
  private readonly cluster: Cluster;
  private readonly agreement = new Agreement();
  private readonly witness: Witness;
  private readonly judges = new Judges();
  private readonly load: Load;
  private readonly judge: Judge;
  private readonly violations: string[] = [];
  private readonly probes = new Map<ProbeName, number>();
  private readonly injector: Injector;
  private healedMs = 0;
  /** The cluster said that its disks lost too much to go on. */
  private stopped = false;

  constructor(seed: number, options: SeedOptions) {
    this.seed = seed;
    this.historian = options.historian;
    this.narrowing = { nemeses: options.nemeses, workloads: options.workloads };
    const prng = new Prng(seed);
    this.plan = options.plan ?? drawPlan(prng.fork("plan"), options.profile, options);
    this.world = new SimWorld(seed, {
      network: { latencyUsMax: this.plan.latencyUsMax, bytesPerUs: this.plan.bytesPerUs },
      ...(options.record === undefined ? {} : { record: options.record }),
    });
    const by =
      (checker: string) =>
      (found: string): void =>
        this.violation(checker, found);
    this.load = new Load({
      plan: drawLoad(prng.fork("workload"), this.plan.workloads),
      prng: prng.fork("load"),
      without: new Set(this.plan.leftOut),
      violation: by("client"),
    });
    this.witness = new Witness({
      nowMs: () => this.world.scheduler.nowMs,
      onChange: (_, change) => {
        for (const { guard } of this.load.spaces.values()) guard.changed(change);
      },
      violation: by("witness"),
    });
    const { agreement, judges, load, plan, witness, world } = this;
    world.network.tap = (bytes) =>
      listen(bytes, (group, message) => {
        judges.sent(group, message, this.cluster.standing(group, message.from));
      });
    const corrupt = (member: Member): void => this.injector.attend(member);
    const probe = (name: ProbeName): void => this.reached(name);
    this.cluster = new Cluster(world, { plan, agreement, witness, judges, violation: by("node"), corrupt, probe });
    const { cluster } = this;
    const open = (name: string, address: string): UnumHandle => this.open(world.machine(name), [address], false);
    this.judge = new Judge({
      world,
      cluster,
      load,
      witness,
      agreement,
      mayStop: plan.budget === "beyond",
      open,
      violation: (checker, found) => this.violation(checker, found),
    });
    this.injector = new Injector(cluster, this.open(world.machine("admin"), cluster.addresses), plan);
  }

  private reached(name: ProbeName): void {
    this.probes.set(name, (this.probes.get(name) ?? 0) + 1);
    this.world.scheduler.trace.event(this.world.scheduler.nowUs, `probe: ${name}`);
  }

  /** `checker`: who noticed, in a word. */
  violation(checker: string, found: string): void {
    if (this.violations.length < 20) this.violations.push(`${this.world.scheduler.nowMs.toFixed(1)} ms: ${checker}: ${found}`);
  }

  async run(): Promise<SeedResult> {
    try {
      await this.breakThings();
      await this.recover();
      await this.judge.judge(this.stopped);
    } catch (error) {
      if (error instanceof NoProgress) this.violation("progress", error.message);
      else this.violation("simulator", error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    for (const found of this.agreement.violations) this.violation("agreement", found);
    for (const [judge, found] of this.judges.violations()) this.violation(judge, found);
    this.historian?.(this.load.calls().map(describeCall));
    return this.result();
  }

  private result(): SeedResult {
    const { agreement, judge, load, plan, seed, violations, world } = this;
    const { scheduler } = world;
    return {
      seed,
      plan,
      narrowing: this.narrowing,
      hash: scheduler.trace.hash,
      events: scheduler.executed,
      virtualMs: scheduler.nowMs,
      ok: load.count("ok"),
      notApplied: load.count("not-applied"),
      unknown: load.count("unknown"),
      elections: agreement.elections,
      entries: agreement.compared,
      revisions: judge.revisions,
      faults: this.injector.hits,
      probes: this.probes,
      undecided: judge.undecided,
      mix: load.mix(),
      steps: load.steps,
      illegal: judge.illegal,
      violations,
    };
  }

  /** Phase one: work goes on while things break. What fails is allowed to; what is wrong is not. */
  private async breakThings(): Promise<void> {
    const { plan, world } = this;
    this.cluster.start();
    this.startClients(this.load.plan);
    for (const { atMs, fault } of plan.faults) world.scheduler.schedule(atMs * 1000, "nemesis", () => this.injector.inject(fault));
    this.lookAround();
    await this.pass(plan.faultMs);
  }

  private lookAround(): void {
    this.judge.sample();
    this.world.scheduler.schedule(sampleUs, "look around", () => this.lookAround());
  }

  private startClients({ pinned }: LoadPlan): void {
    const { addresses } = this.cluster;
    // Some clients know one node and no other: they go on asking a leader that was cut off and does not know it yet.
    // Not where that node may be removed: nobody would ever answer them again.
    const lasting = this.plan.faults.every(({ fault }) => fault.kind !== "remove-member");
    for (let i = 1; i <= this.plan.clients; i++) {
      const machine = this.world.machine(`c${i}`);
      const only = pinned && lasting ? addresses[(i - 1) % addresses.length] : undefined;
      this.load.start(this.clientHost(machine), only === undefined ? this.open(machine, addresses) : this.open(machine, [only], false));
    }
  }

  /** Lets time go by, and notices when it does not: an endless exchange at one instant is a failure like any other. */
  private async pass(ms: number): Promise<void> {
    const { scheduler } = this.world;
    let over = false;
    scheduler.schedule(ms * 1000, "time to look", () => {
      over = true;
    });
    await scheduler.until(() => over || this.standsStill(), ms + 1);
  }

  private atMs = 0;
  private executedThen = 0;

  private standsStill(): false {
    const { executed, nowMs } = this.world.scheduler;
    if (Math.floor(nowMs) !== this.atMs) {
      this.atMs = Math.floor(nowMs);
      this.executedThen = executed;
    } else if (executed - this.executedThen > eventsPerMsMax)
      throw new SimulationStuck(`time stands still at ${nowMs} ms\n${this.world.scheduler.describe()}`);
    return false;
  }

  /** Phase two: nothing is broken any more, so everything must come back within bounded time. */
  private async recover(): Promise<void> {
    const { cluster, load } = this;
    this.injector.stop();
    cluster.heal();
    this.healedMs = this.world.scheduler.nowMs;
    this.judge.healed();
    const probed = this.probeAll();
    await this.demand("each node serves a write and a read", () => probed.done || this.hasStopped(), healMsMax);
    await this.pass(500);
    load.stop();
    await this.demand("all calls have ended", () => load.isIdle, settleMsMax);
    if (this.stopped) load.abandonWatches();
    await this.demand("all replicas are equal, and who was to leave has left", () => this.converged(), healMsMax);
  }

  /** Beyond the budget of damage groups may stop, for good, if they say so. They get the same time to come back first. */
  private hasStopped(): boolean {
    const { cluster, healedMs, plan, world } = this;
    if (plan.budget === "kept" || world.scheduler.nowMs < healedMs + healMsMax - 1_000) return false;
    const silent = cluster.groups().filter((group) => cluster.configuration(group) === undefined);
    this.stopped = silent.length > 0 && silent.every((group) => cluster.hasStoppedLoudly(group));
    return this.stopped;
  }

  private async demand(what: string, done: () => boolean, limitMs: number): Promise<void> {
    try {
      await this.world.scheduler.until(() => done() || this.standsStill(), limitMs);
    } catch (error) {
      if (!(error instanceof SimulationStuck)) throw error;
      const calls = this.load
        .pending()
        .slice(0, 10)
        .map((call) => `  ${describeCall(call)}`);
      const waiting = whoWaits(this.cluster).map((line) => `  ${line}`);
      const lines = [
        `not within ${limitMs} ms after the faults: ${what}`,
        ...waiting,
        this.cluster.describe(),
        this.world.network.describe(),
      ];
      // Not thrown as it is: where in the simulator it was noticed says nothing.
      throw new NoProgress([...lines, ...(calls.length === 0 ? [] : ["calls that wait:", ...calls])].join("\n"));
    }
  }

  /** One client for each node, which knows no other: all must serve, whoever leads. */
  private probeAll(): { readonly done: boolean } {
    const waiting = new Set<string>();
    for (const member of this.cluster.live()) {
      waiting.add(member.name);
      const machine = this.world.machine(`probe-${member.name}`);
      const client = this.load.client(this.clientHost(machine), this.open(machine, [member.address], false));
      const key = `probe-${member.name}`;
      void (async () => {
        while (!(member.removed || this.stopped || (member.corrupt && this.plan.budget === "beyond"))) {
          const wrote = await client.run({ kind: "put", key, value: client.fresh(), ifRevision: undefined });
          if (wrote.outcome === "ok" && (await client.run({ kind: "get", key: "probe-n1", stale: false })).outcome === "ok") break;
        }
        waiting.delete(member.name);
      })();
    }
    return {
      get done() {
        return waiting.size === 0;
      },
    };
  }

  private converged(): boolean {
    if (this.plan.budget === "beyond" && this.cluster.hasStoppedLoudly(systemGroup)) return true;
    for (const group of this.cluster.groups()) {
      if (this.plan.budget === "beyond" && this.cluster.hasStoppedLoudly(group)) continue;
      // A replica that says that it cannot trust its disk is loud; within the budget somebody repairs it.
      const all = this.cluster.replicas(group);
      const replicas = this.plan.budget === "kept" ? all : all.filter(({ replica }) => !replica.status().suspect);
      if (replicas.length === 0 || !replicas.some(({ replica }) => replica.isLeader)) return false;
      const last = Math.max(...replicas.map(({ replica }) => replica.status().lastIndex));
      if (replicas.some(({ member, replica }) => !member.removed && replica.applied !== last)) return false;
    }
    return this.plan.budget !== "kept" || departing(this.cluster).length === 0;
  }

  private clientHost(machine: SimMachine): ClientHost {
    const { clock, host } = machine;
    return {
      name: host.name,
      prng: this.world.prng.fork(`client ${host.name}`),
      clock,
      nowMs: () => this.world.scheduler.nowMs,
      sleep: (ms) => new Promise((resolve) => void clock.after(ms, resolve)),
      isUp: () => host.state === "up",
    };
  }

  private open(machine: SimMachine, endpoints: readonly string[], direct = true): RawHandle {
    const { clock, streams } = machine;
    return openRawHandle(
      {
        clock,
        prng: this.world.prng.fork(`handle ${machine.host.name}`),
        logger: silentLogger,
        probe: (name) => this.reached(name),
        dial: async (endpoint, timeoutMs) => {
          const address = parseAddress(endpoint);
          if (address === undefined) throw new UnumError("INVALID_ARGUMENT", `${endpoint} is no address`);
          try {
            const stream = await streams.dial(address, { timeoutMs, purpose: "client" });
            return new StreamCarrier(stream, (callback) => clock.deferLast(callback));
          } catch (cause) {
            if (isUnumError(cause)) throw cause;
            throw new UnumError("UNAVAILABLE", `${endpoint} does not answer`, { cause });
          }
        },
      },
      { endpoints, direct, name: machine.host.name },
    );
  }
}
