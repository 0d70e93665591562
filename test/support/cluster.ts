/** Real processes on free loopback ports, each ended by its own id, in a folder that goes afterwards. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect } from "../../dist/index.js";
import type { Unum } from "../../dist/index.js";
import { freePort } from "./ports.ts";
import { Proxy } from "./proxy.ts";

const program = fileURLToPath(new URL("../../bin/unum.js", import.meta.url));

export interface ClusterOptions {
  readonly nodes: number;
  /** Every node is reached through a proxy of its own, so that it can be cut off. */
  readonly proxied?: boolean;
  readonly arguments?: readonly string[];
}

export class ProcessNode {
  readonly name: string;
  readonly data: string;
  /** What others and clients reach it at. */
  readonly address: string;
  readonly proxy: Proxy | undefined;
  readonly log: string[] = [];
  private readonly listen: string;
  private readonly args: readonly string[];
  private child: ChildProcess | undefined;

  constructor(name: string, data: string, listen: string, proxy: Proxy | undefined, args: readonly string[]) {
    this.name = name;
    this.data = data;
    this.listen = listen;
    this.proxy = proxy;
    this.address = proxy?.address ?? listen;
    this.args = args;
  }

  get pid(): number {
    if (this.child?.pid === undefined) throw new Error(`${this.name} does not run`);
    return this.child.pid;
  }

  get isRunning(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  start(): void {
    if (this.isRunning) throw new Error(`${this.name} runs already`);
    const args = [
      program,
      "start",
      "--name",
      this.name,
      "--data",
      this.data,
      "--listen",
      this.listen,
      "--advertise",
      this.address,
      ...this.args,
    ];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.log.push(...text.split("\n").filter((line) => line !== ""));
      if (this.log.length > 2_000) this.log.splice(0, 1_000);
    });
    this.child = child;
  }

  /** Sends the signal to this very process and waits until it has ended. */
  async kill(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<number | null> {
    const { child } = this;
    if (child === undefined || !this.isRunning) return null;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
    return child.exitCode;
  }

  /** The exit code once it ends by itself. */
  async exited(): Promise<number | null> {
    if (this.child !== undefined && this.isRunning) await once(this.child, "exit");
    return this.child?.exitCode ?? null;
  }

  pause(): void {
    this.child?.kill("SIGSTOP");
  }

  resume(): void {
    this.child?.kill("SIGCONT");
  }
}

export class ProcessCluster {
  readonly nodes: ProcessNode[];
  readonly directory: string;
  private readonly handles: Unum[] = [];

  private constructor(directory: string, nodes: ProcessNode[]) {
    this.directory = directory;
    this.nodes = nodes;
  }

  static async make(options: ClusterOptions): Promise<ProcessCluster> {
    if (!existsSync(fileURLToPath(new URL("../../dist/index.js", import.meta.url)))) throw new Error("run `npm run build` first");
    const directory = await mkdtemp(join(tmpdir(), "unum-test-"));
    const plans: { name: string; listen: string; proxy: Proxy | undefined }[] = [];
    for (let i = 1; i <= options.nodes; i++) {
      const listen = `127.0.0.1:${await freePort()}`;
      plans.push({ name: `n${i}`, listen, proxy: options.proxied === true ? await Proxy.open(listen) : undefined });
    }
    const seeds = plans.map((plan) => plan.proxy?.address ?? plan.listen).join(",");
    const args = ["--seeds", seeds, "--expect", String(options.nodes), ...(options.arguments ?? [])];
    return new ProcessCluster(
      directory,
      plans.map((plan) => new ProcessNode(plan.name, join(directory, plan.name), plan.listen, plan.proxy, args)),
    );
  }

  /** Starts all nodes and waits until a write is acknowledged. */
  static async start(options: ClusterOptions): Promise<ProcessCluster> {
    const cluster = await ProcessCluster.make(options);
    for (const node of cluster.nodes) node.start();
    try {
      await cluster.connect().then((unum) => unum.kv.put("test/started", true, { timeout: 20_000 }));
    } catch (error) {
      const logs = cluster.nodes.map((node) => `${node.name}:\n${node.log.slice(-20).join("\n")}`).join("\n");
      await cluster.close();
      throw new Error(`the cluster did not start: ${String(error)}\n${logs}`);
    }
    return cluster;
  }

  /** A further node that joins through the ones that run. */
  async add(name: string, args: readonly string[] = []): Promise<ProcessNode> {
    const listen = `127.0.0.1:${await freePort()}`;
    const seeds = this.nodes.map((node) => node.address).join(",");
    const node = new ProcessNode(name, join(this.directory, name), listen, undefined, ["--seeds", seeds, ...args]);
    this.nodes.push(node);
    node.start();
    return node;
  }

  /** A handle to some nodes, all by default; closed with the cluster. */
  async connect(
    nodes: readonly ProcessNode[] = this.nodes,
    options: { readonly pinned?: boolean; readonly timeout?: number } = {},
  ): Promise<Unum> {
    const handle = await connect(
      nodes.map((node) => `unum://${node.address}`),
      options,
    );
    this.handles.push(handle);
    return handle;
  }

  /** The node that leads the default keyspace now. */
  async leader(deadlineMs = 15_000): Promise<ProcessNode> {
    const end = performance.now() + deadlineMs;
    const handle = await connect(
      this.nodes.map((node) => `unum://${node.address}`),
      { timeout: 2_000 },
    );
    try {
      for (;;) {
        try {
          const status = await handle.status();
          const group = status.groups.find((candidate) => candidate.name === "default");
          const member = status.members.find((candidate) => candidate.node === group?.leader);
          const node = this.nodes.find((candidate) => candidate.address === member?.address);
          if (node?.isRunning === true) return node;
        } catch (error) {
          if (performance.now() > end) throw error;
        }
        if (performance.now() > end) throw new Error("no leader in time");
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    } finally {
      await handle.close();
    }
  }

  follower(leader: ProcessNode): ProcessNode {
    const node = this.nodes.find((candidate) => candidate !== leader && candidate.isRunning);
    if (node === undefined) throw new Error("no follower runs");
    return node;
  }

  async close(): Promise<void> {
    for (const handle of this.handles.splice(0)) await handle.close();
    for (const node of this.nodes) {
      node.resume();
      await node.kill();
      await node.proxy?.close();
    }
    await rm(this.directory, { recursive: true, force: true });
  }
}
