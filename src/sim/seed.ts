import { Prng, UnumError, defaultGroup, isUnumError, systemGroup } from "../base/index.ts";
import { openHandle, text } from "../api/index.ts";
import type { UnumHandle } from "../api/index.ts";
import { StreamCarrier } from "../wire/index.ts";
import { parseAddress, silentLogger } from "../ports/index.ts";
import { Agreement, checkDurability, checkRegisters, checkRevisions, checkWatches } from "./check/index.ts";
import type { Chronicle, FinalRead } from "./check/index.ts";
import { Cluster, describeError } from "./cluster.ts";
import { installGuards } from "./guards.ts";
import { History, describeCall } from "./history.ts";
import { Injector } from "./inject.ts";
import { drawPlan } from "./nemesis.ts";
import type { Narrowing, Plan } from "./nemesis.ts";
import { SimulationStuck } from "./scheduler.ts";
import { whoWaits } from "./waiting.ts";
import { Witness } from "./witness.ts";
import { Client, drawWorkload, unpad } from "./workload.ts";
import type { ClientHost } from "./workload.ts";
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
  /** Keys whose linearizability check ran out of budget. */
  readonly undecided: number;
  /** Nothing here: the run passed. */
  readonly violations: readonly string[];
}

const groups = [systemGroup, defaultGroup];

/** After the faults, everything must work again within this. */
const healMsMax = 30_000;
/** More events than this within a millisecond of virtual time are an endless loop. */
const eventsPerMsMax = 50_000;
/** What is pending when the work ends must end, too. */
const settleMsMax = 20_000;

/** One seed, from an empty disk to a verdict. Never rejects: what goes wrong is a violation. */
export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedResult> {
  const run = new Run(seed, options);
  const removeGuards = installGuards((what) => run.violation(`${what} was called within the simulation`));
  const ignored = (error: unknown): void => run.violation(`nobody handles a rejection: ${describeError(error)}`);
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
  private readonly history = new History();
  private readonly violations: string[] = [];
  private readonly clients: Client[] = [];
  private readonly injector: Injector;
  private undecided = 0;
  private healedMs = 0;
  /** The cluster said that its disks lost too much to go on. */
  private stopped = false;
  private revisions = 0;

  constructor(seed: number, options: SeedOptions) {
    this.seed = seed;
    this.historian = options.historian;
    this.narrowing = { nemeses: options.nemeses, workloads: options.workloads };
    const prng = new Prng(seed);
    this.plan = options.plan ?? drawPlan(prng.fork("plan"), options.profile, options);
    this.world = new SimWorld(seed, {
      network: { latencyUsMax: this.plan.latencyUsMax },
      ...(options.record === undefined ? {} : { record: options.record }),
    });
    const violation = (found: string): void => this.violation(found);
    this.witness = new Witness(violation);
    this.cluster = new Cluster(this.world, {
      plan: this.plan,
      agreement: this.agreement,
      witness: this.witness,
      violation,
      corrupt: (member) => this.injector.attend(member),
    });
    const workload = drawWorkload(prng.fork("workload"));
    for (let i = 1; i <= this.plan.clients; i++) {
      const machine = this.world.machine(`c${i}`);
      // Some clients know one node and no other: they go on asking a leader that was cut off and does not know it yet.
      // Not where that node may be removed: nobody would ever answer them again.
      const lasting = this.plan.faults.every(({ fault }) => fault.kind !== "remove-member");
      const pinned = workload.pinned && lasting ? this.cluster.addresses[(i - 1) % this.cluster.addresses.length] : undefined;
      const handle = pinned === undefined ? this.open(machine, this.cluster.addresses) : this.open(machine, [pinned], false);
      this.clients.push(new Client(this.clientHost(machine), handle, this.history, workload, violation));
    }
    this.injector = new Injector(this.cluster, this.open(this.world.machine("admin"), this.cluster.addresses), this.plan);
  }

  violation(found: string): void {
    if (this.violations.length < 20) this.violations.push(`${this.world.scheduler.nowMs.toFixed(1)} ms: ${found}`);
  }

  async run(): Promise<SeedResult> {
    try {
      await this.breakThings();
      await this.recover();
      await this.check();
    } catch (error) {
      this.violation(error instanceof NoProgress ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    for (const found of this.agreement.violations) this.violation(found);
    this.historian?.(this.history.calls.map(describeCall));
    return this.result();
  }

  private result(): SeedResult {
    const { agreement, history, plan, seed, undecided, violations, world } = this;
    const { scheduler } = world;
    return {
      seed,
      plan,
      narrowing: this.narrowing,
      hash: scheduler.trace.hash,
      events: scheduler.executed,
      virtualMs: scheduler.nowMs,
      ok: history.count("ok"),
      notApplied: history.count("not-applied"),
      unknown: history.count("unknown"),
      elections: agreement.elections,
      entries: agreement.compared,
      revisions: this.revisions,
      faults: this.injector.hits,
      undecided,
      violations,
    };
  }

  /** Phase one: work goes on while things break. What fails is allowed to; what is wrong is not. */
  private async breakThings(): Promise<void> {
    const { plan, world } = this;
    this.cluster.start();
    for (const client of this.clients) client.start();
    for (const { atMs, fault } of plan.faults) world.scheduler.schedule(atMs * 1000, "nemesis", () => this.injector.inject(fault));
    await this.pass(plan.faultMs);
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
    const { cluster, history } = this;
    this.injector.stop();
    cluster.heal();
    this.healedMs = this.world.scheduler.nowMs;
    const probed = this.probeAll();
    await this.demand("each node serves a write and a read", () => probed.done || this.hasStopped(), healMsMax);
    await this.pass(500);
    for (const client of this.clients) client.stop();
    await this.demand("all calls have ended", () => history.pending().length === 0, settleMsMax);
    if (this.stopped) this.history.abandonWatches();
    await this.demand("all replicas are equal", () => this.converged(), healMsMax);
  }

  /** Beyond the budget of damage groups may stop, for good, if they say so. They get the same time to come back first. */
  private hasStopped(): boolean {
    const { cluster, healedMs, plan, world } = this;
    if (plan.budget === "kept" || world.scheduler.nowMs < healedMs + healMsMax - 1_000) return false;
    const silent = groups.filter((group) => cluster.configuration(group) === undefined);
    this.stopped = silent.length > 0 && silent.every((group) => cluster.hasStoppedLoudly(group));
    return this.stopped;
  }

  private async demand(what: string, done: () => boolean, limitMs: number): Promise<void> {
    try {
      await this.world.scheduler.until(() => done() || this.standsStill(), limitMs);
    } catch (error) {
      if (!(error instanceof SimulationStuck)) throw error;
      const calls = this.history
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
      const client = new Client(
        this.clientHost(machine),
        this.open(machine, [member.address], false),
        this.history,
        probeWorkload,
        (found) => this.violation(found),
      );
      void (async () => {
        for (let attempt = 0; ; attempt++) {
          if (member.removed || this.stopped || (member.corrupt && this.plan.budget === "beyond")) break;
          const wrote = await client.run({
            kind: "put",
            key: `rprobe-${member.name}`,
            value: `${member.name}.${attempt}/0`,
            ifRevision: undefined,
          });
          if (wrote === "ok" && (await client.run({ kind: "get", key: "rprobe-n1", stale: false })) === "ok") break;
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
    for (const group of groups) {
      if (this.plan.budget === "beyond" && this.cluster.hasStoppedLoudly(group)) continue;
      // A replica that says that it cannot trust its disk is loud; within the budget somebody repairs it.
      const all = this.cluster.replicas(group);
      const replicas = this.plan.budget === "kept" ? all : all.filter(({ replica }) => !replica.status().suspect);
      if (replicas.length === 0 || !replicas.some(({ replica }) => replica.isLeader)) return false;
      const last = Math.max(...replicas.map(({ replica }) => replica.status().lastIndex));
      if (replicas.some(({ member, replica }) => !member.removed && replica.applied !== last)) return false;
    }
    return true;
  }

  private async check(): Promise<void> {
    const finals: FinalRead[] = [];
    if (!this.stopped) for (const member of this.cluster.live()) finals.push(await this.readAll(member.name, member.address));
    const chronicle = this.witness.chronicle();
    this.revisions = chronicle.lastRevision;
    if (!this.stopped) await this.demandWatches(chronicle);
    const registers = checkRegisters(this.history);
    this.undecided = registers.undecided.length;
    for (const found of registers.violations) this.violation(found);
    for (const found of checkRevisions(this.history, chronicle)) this.violation(found);
    for (const found of checkDurability(this.history, chronicle, finals)) this.violation(found);
    for (const found of checkWatches(this.history, chronicle)) this.violation(found);
  }

  private async readAll(name: string, address: string): Promise<FinalRead> {
    const handle = this.open(this.world.machine(`final-${name}`), [address], false);
    const page = await this.world.scheduler.settle(handle.kv.with(text).range({ prefix: "" }, { limit: 10_000 }));
    return {
      node: name,
      revision: page.revision,
      entries: page.entries.map(({ key, revision, value }) => ({ key, revision, value: unpad(value) })),
    };
  }

  /** Watches that go on are given time to reach the end. */
  private async demandWatches(chronicle: Chronicle): Promise<void> {
    const behind = (): boolean =>
      this.history.watches.some(({ changes, ended, prefix, started }) => {
        if (ended !== "open") return false;
        const last = chronicle.changes.findLast(({ events }) => events.some(({ key }) => key.startsWith(prefix)));
        return started === undefined || (last !== undefined && last.revision >= started && (changes.at(-1)?.revision ?? 0) < last.revision);
      });
    await this.world.scheduler
      .until(() => !behind(), healMsMax)
      .catch((error: unknown) => {
        if (!(error instanceof SimulationStuck)) throw error;
      });
  }

  private clientHost(machine: SimMachine): ClientHost {
    const { clock, host } = machine;
    return {
      name: host.name,
      prng: this.world.prng.fork(`client ${host.name}`),
      nowMs: () => this.world.scheduler.nowMs,
      sleep: (ms) => new Promise((resolve) => void clock.after(ms, resolve)),
    };
  }

  private open(machine: SimMachine, endpoints: readonly string[], direct = true): UnumHandle {
    const { clock, streams } = machine;
    return openHandle(
      {
        clock,
        prng: this.world.prng.fork(`handle ${machine.host.name}`),
        logger: silentLogger,
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

const probeWorkload = {
  registers: 1,
  lists: 1,
  lanes: 1,
  thinkMsMax: 0,
  timeoutMs: 5_000,
  weights: { get: 1, put: 1, delete: 0, append: 0, range: 0, txn: 0 },
  stalePercent: 0,
  pinned: false,
  watches: 0,
  valueBytesMax: 0,
};
