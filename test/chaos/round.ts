import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Prng } from "#dist/base/index.js";
import type { UnumHandle } from "#dist/api/index.js";
import { NodeClock } from "#dist/platform/node/index.js";
import { Load, describeCall, drawLoad } from "#dist/sim/index.js";
import type { ClientHost, Mix } from "#dist/sim/index.js";
import { Availability } from "./availability.ts";
import { ChaosCluster } from "./cluster.ts";
import { Injector } from "./injector.ts";
import { Judge } from "./judge.ts";
import type { ChaosPlan } from "./plan.ts";

const clock = new NodeClock({ ref: false });

export interface RoundResult {
  readonly plan: ChaosPlan;
  readonly acknowledged: number;
  readonly refused: number;
  readonly unknown: number;
  readonly revisions: number;
  readonly undecided: number;
  /** What was really done, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  readonly leftOut: Readonly<Record<string, string>>;
  /** Sectors and names that power losses took. */
  readonly lost: number;
  /** Of the time under faults, the part in which something was acknowledged. */
  readonly availability: number;
  readonly longestPauseMs: number;
  readonly mix: readonly Mix[];
  readonly violations: readonly string[];
}

export interface RoundOptions {
  readonly workloads: readonly string[] | undefined;
  readonly say: (line: string) => void;
  /** Nodes get a disk of their own that can be filled. */
  readonly smallDisks: boolean;
}

const startMsMax = 60_000;
/** After the faults, everything must work again within this, on a machine that others use too. */
const healMsMax = 60_000;
const settleMsMax = 60_000;
/** Room for a first segment of the log, one that is made ahead, and one more, not for many. */
const smallMebibytes = 160;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/** One cluster from its forming to the verdict. */
export async function runRound(plan: ChaosPlan, options: RoundOptions): Promise<RoundResult> {
  const directory = mkdtempSync(join(tmpdir(), "unum-chaos-"));
  const round = new Round(plan, options, directory);
  const clear = async (): Promise<void> => {
    await round.close();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  // Nodes that stand still, mounts and namespaces would stay behind.
  const interrupted = (): void => void clear().finally(() => process.exit(130));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, interrupted);
  try {
    return await round.run();
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, interrupted);
    await clear();
  }
}

class Round {
  private readonly plan: ChaosPlan;
  private readonly options: RoundOptions;
  private readonly directory: string;
  private readonly prng: Prng;
  private readonly load: Load;
  private readonly availability: Availability;
  private readonly violations: string[] = [];
  private readonly startedMs = performance.now();
  private cluster: ChaosCluster | undefined;

  constructor(plan: ChaosPlan, options: RoundOptions, directory: string) {
    this.plan = plan;
    this.options = options;
    this.directory = directory;
    this.prng = new Prng(`chaos/${plan.seed}/${plan.round}`);
    // The pace of real processes: the simulator's pauses between operations would leave them idle.
    const drawn = drawLoad(this.prng.fork("workload"), options.workloads);
    const loadPlan = { ...drawn, thinkMsMax: this.prng.fork("pace").pick([20, 60, 200]) };
    this.load = new Load({ plan: loadPlan, prng: this.prng.fork("load"), violation: (text) => this.violation(text) });
    this.availability = new Availability(this.load);
  }

  violation(text: string): void {
    if (this.violations.length < 20) this.violations.push(`${((performance.now() - this.startedMs) / 1000).toFixed(2)} s: ${text}`);
  }

  async run(): Promise<RoundResult> {
    const { directory, load, plan } = this;
    const ignored = (error: unknown): void =>
      this.violation(`nobody handles a rejection: ${error instanceof Error ? error.stack : String(error)}`);
    process.on("unhandledRejection", ignored);
    try {
      const cluster = await ChaosCluster.open({
        directory,
        nodes: plan.nodes,
        wires: plan.wires,
        smallMebibytes: this.options.smallDisks && plan.faults.some(({ fault }) => fault.kind === "full") ? smallMebibytes : undefined,
        syncMs: plan.syncMs,
        prng: this.prng.fork("losses"),
        violation: (text) => this.violation(text),
      });
      this.cluster = cluster;
      const injector = new Injector(cluster, (line) => this.say(line));
      const judge = new Judge(cluster, load, (text) => this.violation(text));
      try {
        await this.breakThings(cluster, injector, judge);
        await this.recover(cluster, injector);
        await judge.judge();
      } catch (error) {
        this.violation(error instanceof Error ? (error.stack ?? error.message) : String(error));
      }
      return this.result(cluster, injector, judge);
    } finally {
      process.off("unhandledRejection", ignored);
    }
  }

  private say(line: string): void {
    this.options.say(`${((performance.now() - this.startedMs) / 1000).toFixed(2).padStart(7)} s  ${line}`);
  }

  private result(cluster: ChaosCluster, injector: Injector, judge: Judge): RoundResult {
    const { availability, load, plan, violations } = this;
    if (violations.length > 0) for (const { node } of cluster.members) this.say(`${node.name}:\n  ${node.log.slice(-30).join("\n  ")}`);
    return {
      plan,
      acknowledged: load.count("ok"),
      refused: load.count("not-applied"),
      unknown: load.count("unknown"),
      revisions: judge.revisions,
      undecided: judge.undecided,
      faults: Object.fromEntries(injector.hits),
      leftOut: Object.fromEntries(injector.leftOut),
      lost: cluster.lost,
      availability: availability.ratio,
      longestPauseMs: availability.longestPauseMs,
      mix: load.mix(),
      violations,
    };
  }

  private async breakThings(cluster: ChaosCluster, injector: Injector, judge: Judge): Promise<void> {
    for (const { node } of cluster.members) node.start();
    const first = await cluster.connect("first");
    // In a keyspace that nobody judges.
    await first.keyspace("ready").put("formed", true, { timeout: startMsMax });
    await judge.begin();
    for (let i = 1; i <= this.plan.clients; i++) {
      const only = this.load.plan.pinned ? [cluster.addresses[(i - 1) % cluster.addresses.length] ?? ""] : undefined;
      this.load.start(this.host(`c${i}`), await cluster.connect(`c${i}`, only, only !== undefined));
    }
    this.say(`${this.plan.nodes} nodes, ${cluster.wires.kind}, ${this.load.plan.parts.map(({ workload }) => workload).join(", ")}`);
    this.availability.begin();
    const beganMs = performance.now();
    for (const { atMs, fault } of this.plan.faults) {
      await sleep(Math.max(0, beganMs + atMs - performance.now()));
      injector.inject(fault);
    }
    await sleep(Math.max(0, beganMs + this.plan.faultMs - performance.now()));
    this.availability.end();
  }

  private async recover(cluster: ChaosCluster, injector: Injector): Promise<void> {
    await injector.stop();
    this.say("healed");
    await Promise.all(cluster.members.map(({ node, number }) => this.probe(cluster, node.name, cluster.wires.address(number))));
    this.load.stop();
    const end = performance.now() + settleMsMax;
    while (!this.load.isIdle) {
      if (performance.now() > end) {
        const pending = this.load
          .pending()
          .slice(0, 10)
          .map((call) => `  ${describeCall(call)}`);
        throw new Error(`not within ${settleMsMax} ms: all calls have ended; pending:\n${pending.join("\n")}`);
      }
      await sleep(20);
    }
  }

  /** One client for each node, which knows no other: all must serve, whoever leads. */
  private async probe(cluster: ChaosCluster, name: string, address: string): Promise<void> {
    const handle: UnumHandle = await cluster.connect(`probe-${name}`, [address], true);
    const client = this.load.client(this.host(`probe-${name}`), handle);
    const key = `probe-${name}`;
    for (const end = performance.now() + healMsMax; performance.now() < end; ) {
      const wrote = await client.run({ kind: "put", key, value: client.fresh(), ifRevision: undefined });
      if (wrote.outcome === "ok" && (await client.run({ kind: "get", key, stale: false })).outcome === "ok") return;
      // A refusal may come at once.
      await sleep(50);
    }
    const last = this.load.space("default").history.calls.findLast((call) => call.client === `probe-${name}` && call.error !== "");
    this.violation(`${name} does not serve a write and a read within ${healMsMax} ms after the faults; last: ${last?.error}`);
  }

  private host(name: string): ClientHost {
    return { name, prng: this.prng.fork(`client ${name}`), clock, nowMs: () => performance.now(), sleep, isUp: () => true };
  }

  async close(): Promise<void> {
    await this.cluster?.close();
  }
}
