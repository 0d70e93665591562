import { isUnumError } from "../../base/index.ts";
import type { Client, NodeStatus } from "../client.ts";
import { replicaOf } from "../cluster/view.ts";
import type { LocalNode } from "../cluster/local.ts";
import type { CliContext } from "../context.ts";
import type { NodeView } from "./table.ts";

/** Asks one node how it is, through a connection to that node alone, and keeps the last answer. */
export class NodeMonitor {
  readonly node: LocalNode;
  private readonly context: CliContext;
  private client: Client | undefined;
  private status: NodeStatus | undefined;
  private answeredMs = 0;
  private operations: number | undefined;
  private opsPerSecond: number | undefined;
  private asking = false;

  constructor(context: CliContext, node: LocalNode) {
    this.context = context;
    this.node = node;
  }

  /** The node's id, once it has said it. */
  get id(): string | undefined {
    return this.status?.node;
  }

  get role(): string | undefined {
    return this.node.state === "down" ? undefined : replicaOf(this.status ?? null)?.role;
  }

  get term(): number {
    return replicaOf(this.status ?? null)?.term ?? 0;
  }

  /** One question at a time; never rejects for what the node does. */
  async poll(): Promise<void> {
    if (this.node.state === "down") await this.forget();
    if (this.asking || this.node.state !== "up") return;
    this.asking = true;
    const asked = this.node.sinceMs;
    const starting = this.status === undefined;
    try {
      this.client ??= await this.context.connect([this.node.address], { timeout: 2000, pinned: true });
      const status = await this.client.nodeStatus({ timeout: starting ? startingTimeoutMs : 2000 });
      // An answer of the process before this one says nothing about this one.
      if (asked === this.node.sinceMs) this.note(status);
    } catch (error) {
      if (!isUnumError(error)) throw error;
      // A handle that has failed waits longer each time; a node that starts is asked through a new one.
      if (starting) await this.close();
    } finally {
      this.asking = false;
    }
  }

  view(nowMs: number): NodeView {
    const { node } = this;
    const base = { name: node.name, address: node.address, zone: node.zone };
    const none = { term: undefined, commit: undefined, applied: undefined, opsPerSecond: undefined, memoryBytes: undefined };
    if (node.state !== "up") {
      return { ...base, ...none, role: node.state, colour: node.state === "down" ? "red" : "yellow", forMs: nowMs - node.sinceMs };
    }
    if (this.status === undefined) return { ...base, ...none, role: "starting", colour: "yellow", forMs: undefined };
    const replica = replicaOf(this.status);
    const silent = nowMs - this.answeredMs > silentMs;
    const role = silent ? "silent" : (replica?.role ?? "joining");
    return {
      ...base,
      role,
      colour: role === "leader" ? "green" : role === "follower" || role === "learner" ? undefined : "yellow",
      forMs: silent ? nowMs - this.answeredMs : undefined,
      term: replica?.term,
      commit: replica?.commit,
      applied: replica?.applied,
      opsPerSecond: this.opsPerSecond ?? 0,
      memoryBytes: this.status.memoryBytes,
    };
  }

  async close(): Promise<void> {
    const { client } = this;
    this.client = undefined;
    await client?.close();
  }

  private note(status: NodeStatus): void {
    const now = this.context.clock.now();
    const operations = status.operations.commands + status.operations.queries;
    const seconds = (now - this.answeredMs) / 1000;
    if (this.operations !== undefined && seconds > 0 && operations >= this.operations) {
      const rate = (operations - this.operations) / seconds;
      // Smoothed over about a second, so that the figure can be read.
      this.opsPerSecond = this.opsPerSecond === undefined ? rate : this.opsPerSecond + (rate - this.opsPerSecond) * Math.min(1, seconds);
      if (this.opsPerSecond < 0.5) this.opsPerSecond = 0;
    }
    this.operations = operations;
    this.status = status;
    this.answeredMs = now;
  }

  private async forget(): Promise<void> {
    this.status = undefined;
    this.operations = undefined;
    this.opsPerSecond = undefined;
    await this.close();
  }
}

const startingTimeoutMs = 300;
const silentMs = 2500;
