import { LocalCluster, describeExit } from "../cluster/local.ts";
import type { LocalNode } from "../cluster/local.ts";
import { leaderName, replicaOf } from "../cluster/view.ts";
import type { Client } from "../client.ts";
import type { CliContext } from "../context.ts";
import { Failure, failureMessage } from "../failure.ts";
import { isUnumError } from "../../base/index.ts";
import { formatCount } from "../output.ts";
import type { Progress } from "../output.ts";
import { sleep, until } from "../wait.ts";
import { Ledger } from "./ledger.ts";
import { Meter } from "./meter.ts";
import { Reader } from "./reader.ts";
import { acknowledgedMin, caughtUpLine, faultLine, writingLine } from "./report.ts";
import type { DemoFault, DemoReport } from "./report.ts";
import { verifyThrough } from "./verify.ts";
import { Writers } from "./writers.ts";

export interface DemoOptions {
  readonly data: string;
  readonly port: number;
  /** Times of the undisturbed stretches. */
  readonly writeMs: number;
  readonly afterMs: number;
  /** Everything is over by then, or the demo has failed. */
  readonly limitMs: number;
}

export const demoNodes = 3;
export const demoWriters = 8;

/** One run: start, write, kill the leader, kill all, read everything back. */
export class Demo {
  private readonly context: CliContext;
  private readonly options: DemoOptions;
  private readonly cluster: LocalCluster;
  private readonly ledger = new Ledger(demoWriters);
  private readonly meter: Meter;
  private readonly clients: Client[] = [];
  private readonly say: (line: string) => void;
  private readonly progress: Progress;
  private readonly startedMs: number;
  private readonly faults: DemoFault[] = [];
  private readonly nodeEnded: Promise<never>;

  constructor(context: CliContext, options: DemoOptions, say: (line: string) => void, progress: Progress) {
    this.context = context;
    this.options = options;
    this.say = say;
    this.progress = progress;
    this.startedMs = context.clock.now();
    this.meter = new Meter(this.startedMs);
    let fail = (_failure: Failure): void => undefined;
    this.nodeEnded = new Promise((_resolve, reject) => {
      fail = reject;
    });
    this.cluster = new LocalCluster(context, { nodes: demoNodes, data: options.data, port: options.port, log: "info" }, (node, exit) =>
      fail(new Failure("NODE_FAILED", `${node.name} ended by itself: ${node.lastLine === "" ? describeExit(exit) : node.lastLine}`)),
    );
  }

  /** Rejects as soon as a node ends that was not killed: the demo has nothing to wait for then. */
  run(): Promise<DemoReport> {
    return Promise.race([this.perform(), this.nodeEnded]);
  }

  private async perform(): Promise<DemoReport> {
    const { context, cluster, ledger, meter } = this;
    this.progress.update("starting three nodes");
    cluster.spawnAll();
    const observer = await cluster.ready(20_000);
    this.clients.push(observer);
    const writerClients = await Promise.all(Array.from({ length: demoWriters }, () => this.connect(cluster.endpoints)));
    const writers = new Writers(context.clock, writerClients, ledger, meter);
    const reader = new Reader(context.clock, await this.connect(cluster.endpoints), meter);
    writers.start();
    reader.start();
    const perSecond = await this.measure();
    this.say(writingLine(perSecond, demoWriters, majority, demoNodes));
    this.faults.push(await this.killLeader(observer));
    this.faults.push(await this.killAll());
    await this.writeEnough();
    this.progress.update("waiting for the last writes");
    await Promise.all([writers.stop(), reader.stop()]);
    await this.verify();
    return {
      acknowledged: ledger.acknowledged,
      unknown: ledger.unknown,
      lost: ledger.lost,
      wrong: ledger.wrong,
      readsBack: reader.readsBack,
      reads: reader.reads,
      nodes: demoNodes,
      fsync: majority,
      writers: demoWriters,
      acknowledgedPerSecond: Math.round(perSecond),
      seconds: Math.round((context.clock.now() - this.startedMs) / 100) / 10,
      version: context.version,
      faults: this.faults,
    };
  }

  /** Leaves no process behind. */
  async close(): Promise<void> {
    this.cluster.abandon();
    await Promise.all(this.clients.map((client) => client.close()));
    await Promise.all(this.cluster.nodes.map((node) => node.exited));
  }

  /** What the nodes said, beside their data, for whoever looks into a failure. */
  async writeLogs(): Promise<void> {
    for (const node of this.cluster.nodes) await this.cluster.writeLog(node);
  }

  /** At once, for signals. */
  abort(): void {
    this.cluster.abandon();
  }

  private get remainingMs(): number {
    return Math.max(0, this.options.limitMs - (this.context.clock.now() - this.startedMs));
  }

  private async connect(endpoints: readonly string[], pinned = false): Promise<Client> {
    const client = await until(this.context.clock, Math.min(10_000, this.remainingMs), 20, async () => {
      try {
        return await this.context.connect(endpoints, { timeout: 8000, pinned });
      } catch (error) {
        if (isUnumError(error)) return undefined;
        throw error;
      }
    });
    if (client === undefined) throw new Failure("UNAVAILABLE", `no node answers at ${endpoints.join(", ")}`);
    this.clients.push(client);
    return client;
  }

  /** Writes undisturbed; acknowledgements per second. */
  private async measure(): Promise<number> {
    const { clock } = this.context;
    // The first half second compiles and fills the pipeline.
    await sleep(clock, 500);
    const before = this.meter.acknowledged;
    const began = clock.now();
    while (clock.now() - began < this.options.writeMs) {
      await sleep(clock, 100);
      this.progress.update(`writing, ${formatCount(this.ledger.acknowledged)} acknowledged`);
    }
    return ((this.meter.acknowledged - before) * 1000) / (clock.now() - began);
  }

  private async killLeader(observer: Client): Promise<DemoFault> {
    const { clock } = this.context;
    const name = leaderName(await observer.status());
    const victim = name === undefined ? undefined : this.cluster.node(name);
    if (victim === undefined) throw new Failure("NO_LEADER", "nobody leads, although writes are acknowledged");
    const others = this.cluster.nodes.filter((node) => node !== victim);
    const watchers = await Promise.all(others.map(async (node) => ({ node, client: await this.connect([node.address], true) })));
    this.progress.update(`killing ${victim.name}`);
    const killedMs = clock.now();
    this.meter.reset(killedMs);
    victim.kill(this.context);
    const leader = await this.newLeader(watchers);
    const observedMs = clock.now() - killedMs;
    await this.acknowledgedAgain();
    await sleep(clock, this.options.afterMs);
    const pauseMs = this.meter.longestPauseMs(clock.now());
    // Whoever acknowledged the first write after the silence led by then, although we heard of it later.
    const electionMs = Math.min(observedMs, this.meter.resumedMs - killedMs);
    const fault = { kind: "kill-leader" as const, node: victim.name, leader: leader.name, electionMs, pauseMs };
    this.say(faultLine({ ...fault, caughtUpMs: 0 }));
    const caughtUpMs = await this.restartAndCatchUp(victim, watchers.find((item) => item.node === leader)?.client ?? observer);
    this.say(caughtUpLine(victim.name, caughtUpMs));
    return { ...fault, electionMs: Math.round(electionMs), pauseMs: Math.round(pauseMs), caughtUpMs: Math.round(caughtUpMs) };
  }

  /** Asks the survivors until one of them says that it leads. */
  private async newLeader(watchers: readonly { readonly node: LocalNode; readonly client: Client }[]): Promise<LocalNode> {
    const leader = await until(this.context.clock, Math.min(15_000, this.remainingMs), 4, async () => {
      const roles = await Promise.all(watchers.map(async (item) => ({ item, role: await this.roleThrough(item.client) })));
      return roles.find((found) => found.role === "leader")?.item.node;
    });
    if (leader === undefined) throw new Failure("NO_LEADER", "no new leader after the old one was killed");
    return leader;
  }

  private async roleThrough(client: Client): Promise<string | undefined> {
    try {
      return replicaOf(await client.nodeStatus({ timeout: 2000 }))?.role;
    } catch (error) {
      if (isUnumError(error)) return undefined;
      throw error;
    }
  }

  private async acknowledgedAgain(): Promise<void> {
    const before = this.meter.acknowledged;
    const done = await until(this.context.clock, Math.min(20_000, this.remainingMs), 2, async () =>
      this.meter.acknowledged > before ? true : undefined,
    );
    if (done === undefined) throw new Failure("NO_PROGRESS", "no write is acknowledged any more");
  }

  /** Caught up: it has applied what the leader had committed when it came back. */
  private async restartAndCatchUp(victim: LocalNode, leader: Client): Promise<number> {
    const { clock } = this.context;
    this.progress.update(`restarting ${victim.name}`);
    await victim.exited;
    const began = clock.now();
    this.cluster.spawn(victim);
    const target = replicaOf(await leader.nodeStatus())?.commit ?? 0;
    const done = await until(clock, Math.min(15_000, this.remainingMs), 20, async () => {
      const applied = await this.appliedOf(victim);
      return applied !== undefined && applied >= target && target > 0 ? true : undefined;
    });
    if (done === undefined) throw new Failure("NOT_CAUGHT_UP", `${victim.name} did not catch up: ${victim.lastLine}`);
    return clock.now() - began;
  }

  /** Through a new handle each time: one that has failed before waits longer before it tries again. */
  private async appliedOf(node: LocalNode): Promise<number | undefined> {
    let client: Client | undefined;
    try {
      client = await this.context.connect([node.address], { pinned: true });
      return replicaOf(await client.nodeStatus({ timeout: 300 }))?.applied;
    } catch (error) {
      if (isUnumError(error)) return undefined;
      throw error;
    } finally {
      await client?.close();
    }
  }

  private async killAll(): Promise<DemoFault> {
    const { clock } = this.context;
    await sleep(clock, this.options.afterMs);
    this.progress.update("killing all three");
    const killedMs = clock.now();
    this.meter.reset(killedMs);
    this.cluster.killAll();
    await Promise.all(this.cluster.nodes.map((node) => node.exited));
    // What the dead had sent is still in our sockets; it must not count as an answer of the living.
    await sleep(clock, 20);
    const restartedMs = clock.now();
    this.cluster.spawnAll();
    await this.acknowledgedAgain();
    const restartMs = clock.now() - restartedMs;
    const pauseMs = this.meter.longestPauseMs(clock.now());
    const fault = { kind: "kill-all" as const, restartMs: Math.round(restartMs), pauseMs: Math.round(pauseMs) };
    this.say(faultLine(fault));
    return fault;
  }

  private async writeEnough(): Promise<void> {
    const { clock } = this.context;
    await sleep(clock, this.options.afterMs);
    const patience = Math.min(15_000, Math.max(0, this.remainingMs - 20_000));
    await until(clock, patience, 50, async () => (this.ledger.acknowledged >= acknowledgedMin ? true : undefined));
  }

  private async verify(): Promise<void> {
    const { clock } = this.context;
    const deadline = clock.now() + this.remainingMs;
    let done = 0;
    this.progress.update("reading everything back through every node");
    const results = await Promise.allSettled(
      this.cluster.nodes.map(async (node) => {
        await verifyThrough(clock, await this.connect([node.address], true), this.ledger, deadline);
        this.progress.update(`reading everything back through every node, ${++done} of ${demoNodes} done`);
      }),
    );
    results.forEach((result, at) => {
      if (result.status === "rejected")
        throw new Failure("NOT_VERIFIED", `through ${this.cluster.nodes[at]?.name ?? "a node"}: ${failureMessage(result.reason)}`);
    });
  }
}

const majority = Math.floor(demoNodes / 2) + 1;
