import { Prng, utf8Encode } from "../../base/index.ts";
import type { ChildExit, Timer } from "../../ports/index.ts";
import { benchLine } from "../bench/command.ts";
import { cleanBench, runBench } from "../bench/run.ts";
import type { BenchPlan } from "../bench/run.ts";
import type { Client } from "../client.ts";
import { LocalCluster, describeExit } from "../cluster/local.ts";
import type { LocalNode } from "../cluster/local.ts";
import type { CliContext } from "../context.ts";
import { devFilePath } from "../endpoint.ts";
import type { DevFile } from "../endpoint.ts";
import { failureMessage } from "../failure.ts";
import { colourPaint, formatMs, formatTime, plainPaint } from "../output.ts";
import { until } from "../wait.ts";
import type { KeyAction } from "./keys.ts";
import { NodeMonitor } from "./monitor.ts";
import { PauseProbe } from "./probe.ts";
import { Screen } from "./screen.ts";
import { devLines, eventLine, hintLines, tableLines } from "./table.ts";
import type { DevEvent, DevView } from "./table.ts";

export interface DevOptions {
  readonly nodes: number;
  readonly data: string;
  readonly port: number;
  /** Where node i answers etcd's clients. */
  readonly etcd: readonly (string | undefined)[];
  /** Redraw in place, with colours; else plain lines. */
  readonly lively: boolean;
  /** Keys are read. */
  readonly keys: boolean;
}

const pollMs = 250;
const readyPatienceMs = 60_000;
const benchPlan: BenchPlan = { kind: "put", inflight: 100, valueSize: 256, keys: 10_000, seconds: 2, warmupSeconds: 1 };

/** The cluster of `unum dev`, what is shown of it, and what keys do to it. */
export class Dev {
  private readonly context: CliContext;
  private readonly options: DevOptions;
  private readonly cluster: LocalCluster;
  private readonly monitors: readonly NodeMonitor[];
  private readonly screen: Screen;
  private readonly events: DevEvent[] = [];
  private header: string;
  private client: Client | undefined;
  private timer: Timer | undefined;
  private leader: string | undefined;
  /** One fault or bench at a time. */
  private busy = false;
  private closed = false;
  /** The file of endpoints is rewritten one after the other. */
  private writingFile: Promise<void> = Promise.resolve();

  constructor(context: CliContext, options: DevOptions) {
    this.context = context;
    this.options = options;
    this.cluster = new LocalCluster(context, options, (node, exit) => this.onExit(node, exit));
    this.monitors = this.cluster.nodes.map((node) => new NodeMonitor(context, node));
    this.screen = new Screen(context.stdout);
    this.header = `unum dev   ${options.nodes} node${options.nodes === 1 ? "" : "s"}, data ${options.data}, starting`;
  }

  /** Starts the nodes; fulfils when the cluster has a leader that can commit. */
  async start(): Promise<void> {
    const { clock } = this.context;
    const began = clock.now();
    this.cluster.spawnAll();
    if (this.options.lively) this.poll();
    this.client = await this.cluster.ready(readyPatienceMs);
    this.header = `unum dev   ${this.options.nodes} node${this.options.nodes === 1 ? "" : "s"}, data ${this.options.data}, ready in ${readyTime(clock.now() - began)}`;
    await this.writeFile();
    const etcd = this.options.etcd.filter((address) => address !== undefined);
    if (etcd.length > 0) this.say(`etcd's clients: --endpoints=${etcd.join(",")}`);
    if (this.options.lively) this.draw();
    else await this.printPlain();
    if (!this.options.lively) this.poll();
  }

  resize(): void {
    this.screen.resize();
    this.draw();
  }

  act(action: Exclude<KeyAction, { readonly kind: "quit" }>): void {
    const { client } = this;
    if (client === undefined || this.closed) return;
    const fallen = action.kind === "toggle" ? this.cluster.nodes[action.at] : undefined;
    // Whoever wants a node back gets it at once, also while something waits for a quorum.
    if (fallen?.state === "down") this.run(() => this.restart(fallen));
    else if (this.busy) this.say("busy; one thing at a time");
    else {
      this.busy = true;
      this.run(() =>
        this.perform(action, client).finally(() => {
          this.busy = false;
        }),
      );
    }
  }

  private run(work: () => Promise<void>): void {
    work().catch((error: unknown) => this.say(`failed: ${failureMessage(error)}`));
  }

  /** Ends every process and gives the terminal back. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.timer?.cancel();
    this.screen.close();
    await this.client?.close();
    await Promise.all(this.monitors.map((monitor) => monitor.close()));
    await this.cluster.stop();
    await this.writingFile;
    await this.context.files.remove(devFilePath);
  }

  private async perform(action: Exclude<KeyAction, { readonly kind: "quit" }>, client: Client): Promise<void> {
    switch (action.kind) {
      case "kill-leader": {
        const leader = this.monitors.find((monitor) => monitor.role === "leader")?.node;
        if (leader === undefined) this.say("nobody leads now");
        else await this.kill(leader, client);
        return;
      }
      case "toggle": {
        const node = this.cluster.nodes[action.at];
        if (node !== undefined) await this.kill(node, client);
        return;
      }
      case "pause":
        return this.pause(client);
      case "bench":
        return this.bench(client);
    }
  }

  private async kill(node: LocalNode, client: Client): Promise<void> {
    const pause = await this.disturb(client, () => node.kill(this.context));
    await this.writeFile();
    this.say(`${node.name} killed; ${await this.whoLeads()}, ${pause}`);
  }

  private async restart(node: LocalNode): Promise<void> {
    const began = this.context.clock.now();
    this.cluster.spawn(node);
    await this.writeFile();
    this.say(`${node.name} restarted`);
    const monitor = this.monitors.find((item) => item.node === node);
    const back = await until(this.context.clock, 30_000, 50, async () => {
      await monitor?.poll();
      const role = monitor?.role;
      if (node.state === "down") return "ended";
      return role === "follower" || role === "leader" || role === "learner" ? role : undefined;
    });
    if (back === undefined) this.say(`${node.name} has not come back after 30 s`);
    else if (back !== "ended") this.say(`${node.name} is back as ${back} after ${formatMs(Math.round(this.context.clock.now() - began))}`);
  }

  /** SIGSTOP for the leader; a second time continues whoever is paused. */
  private async pause(client: Client): Promise<void> {
    const paused = this.cluster.nodes.filter((node) => node.state === "paused");
    if (paused.length > 0) {
      for (const node of paused) node.resume(this.context);
      this.say(`${paused.map((node) => node.name).join(", ")} continued`);
      return;
    }
    const leader = this.monitors.find((monitor) => monitor.role === "leader")?.node;
    if (leader === undefined) {
      this.say("nobody leads now");
      return;
    }
    const pause = await this.disturb(client, () => leader.pause(this.context));
    this.say(`${leader.name} paused; ${await this.whoLeads()}, ${pause}`);
  }

  /** How long writes paused around a fault, as text. */
  private async disturb(client: Client, fault: () => void): Promise<string> {
    const { clock } = this.context;
    const probe = new PauseProbe(clock, client);
    await until(clock, 1000, 2, async () => (probe.count > 0 ? true : undefined));
    const before = probe.count;
    probe.mark();
    fault();
    this.draw();
    const began = clock.now();
    const up = (): number => this.cluster.nodes.filter((node) => node.state === "up").length;
    // Without a majority there is nothing to wait for.
    const patienceMs = up() > this.options.nodes / 2 ? 10_000 : 500;
    const again = await until(clock, patienceMs, 5, async () =>
      clock.now() - began > 400 && probe.count > before + 20 ? true : undefined,
    );
    const pauseMs = probe.stop();
    if (again === undefined && probe.count <= before + 20) return `writes are paused: ${up()} of ${this.options.nodes} nodes are up`;
    return `writes paused ${formatMs(Math.round(pauseMs))}`;
  }

  private async whoLeads(): Promise<string> {
    const leader = await until(this.context.clock, 1000, 20, async () => {
      await Promise.all(this.monitors.map((monitor) => monitor.poll()));
      const leading = this.monitors.filter((monitor) => monitor.node.state === "up" && monitor.role === "leader");
      return leading.sort((a, b) => b.term - a.term)[0]?.node.name;
    });
    if (leader === undefined) return "nobody leads";
    this.leader = leader;
    return `${leader} leads`;
  }

  private async bench(client: Client): Promise<void> {
    this.say(`bench: ${benchPlan.inflight} writes in flight for ${benchPlan.seconds} s`);
    const environment = { clock: this.context.clock, prng: new Prng(1), clients: [client], progress: () => undefined };
    const result = await runBench(environment, benchPlan);
    this.say(benchLine("put", result, benchPlan));
    await cleanBench(client);
  }

  private onExit(node: LocalNode, exit: ChildExit): void {
    if (this.closed) return;
    const why = node.lastLine === "" ? "" : `: ${node.lastLine}`;
    this.say(`${node.name} ended by itself (${describeExit(exit)})${why}`);
    void this.writeFile();
    void this.cluster.writeLog(node).then((path) => this.say(`what ${node.name} said is in ${path}`));
  }

  private say(text: string): void {
    if (this.closed) return;
    const event = { time: formatTime(this.context.clock.wall()), text };
    this.events.push(event);
    if (this.events.length > 100) this.events.shift();
    if (this.options.lively) this.draw();
    else this.context.stdout.write(`${eventLine(event)}\n`);
  }

  private poll(): void {
    this.timer = this.context.clock.after(pollMs, () => {
      if (this.closed) return;
      for (const monitor of this.monitors) {
        monitor.poll().catch((error: unknown) => this.say(`failed: ${failureMessage(error)}`));
      }
      this.noteLeader();
      this.draw();
      this.poll();
    });
  }

  /** A change of leader that no key caused is an event of its own. */
  private noteLeader(): void {
    const leading = this.monitors
      .filter((monitor) => monitor.node.state === "up" && monitor.role === "leader")
      .sort((a, b) => b.term - a.term)[0];
    if (leading === undefined || leading.node.name === this.leader) return;
    if (this.leader !== undefined && !this.busy) this.say(`${leading.node.name} leads in term ${leading.term}`);
    this.leader = leading.node.name;
  }

  private draw(): void {
    if (!this.options.lively || this.closed) return;
    const { stdout } = this.context;
    this.screen.draw(devLines(this.view(), stdout.columns, stdout.rows, colourPaint));
  }

  private async printPlain(): Promise<void> {
    await until(this.context.clock, 2000, 50, async () => {
      await Promise.all(this.monitors.map((monitor) => monitor.poll()));
      const roles = this.monitors.map((monitor) => monitor.role);
      return roles.every((role) => role !== undefined) && roles.includes("leader") ? true : undefined;
    });
    const view = this.view();
    for (const line of [view.header, ...tableLines(view.nodes, plainPaint), ...hintLines(view)]) this.context.stdout.write(`${line}\n`);
  }

  private view(): DevView {
    const now = this.context.clock.now();
    return {
      header: this.header,
      nodes: this.monitors.map((monitor) => monitor.view(now)),
      events: this.events,
      keys: this.options.keys,
      paused: this.cluster.nodes.some((node) => node.state === "paused"),
    };
  }

  private writeFile(): Promise<void> {
    this.writingFile = this.writingFile.then(async () => {
      if (this.closed) return;
      const file: DevFile = {
        pid: this.context.processes.pid,
        data: this.options.data,
        endpoints: this.cluster.endpoints,
        nodes: this.cluster.nodes.map((node) => ({ name: node.name, address: node.address, pid: node.pid ?? null })),
      };
      await this.context.files.write(devFilePath, utf8Encode(`${JSON.stringify(file, null, 2)}\n`));
    });
    return this.writingFile;
  }
}

/** Tenths of a second, as people time a start. */
function readyTime(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
