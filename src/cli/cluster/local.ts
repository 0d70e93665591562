import { utf8Encode } from "../../base/index.ts";
import type { Child, ChildExit } from "../../ports/index.ts";
import type { Client } from "../client.ts";
import { stopWithParentFlag } from "../commands/start.ts";
import type { CliContext } from "../context.ts";
import { Failure, failureMessage } from "../failure.ts";
import { sleep, within } from "../wait.ts";
import { localHost } from "./ports.ts";

export interface LocalOptions {
  readonly nodes: number;
  /** Each node has a directory of its own in it. */
  readonly data: string;
  /** Node i listens on port + i. */
  readonly port: number;
  readonly log?: string | undefined;
  /** Where node i answers etcd's clients; it does not where there is none. */
  readonly etcd?: readonly (string | undefined)[] | undefined;
}

const linesKept = 2000;

export type LocalState = "up" | "down" | "paused";

/** A node process of ours on this machine. */
export class LocalNode {
  readonly name: string;
  readonly zone: string;
  readonly address: string;
  readonly data: string;
  readonly etcd: string | undefined;
  state: LocalState = "down";
  /** When the state began, in the clock's milliseconds. */
  sinceMs = 0;
  /** What it last wrote to its standard error: the reason, when it ends by itself. */
  lastLine = "";
  /** The newest lines of its standard error, of all its lives. */
  readonly lines: string[] = [];
  private child: Child | undefined;
  /** Counted up with each start, so that the exit of an earlier process changes nothing. */
  private life = 0;

  constructor(at: number, options: LocalOptions) {
    this.name = `n${at + 1}`;
    this.zone = String.fromCharCode(97 + (at % 26));
    this.address = `${localHost}:${options.port + at}`;
    this.data = `${options.data}/${this.name}`;
    this.etcd = options.etcd?.[at];
  }

  get pid(): number | undefined {
    return this.state === "down" ? undefined : this.child?.pid;
  }

  get exited(): Promise<ChildExit> {
    return this.child?.exited ?? Promise.resolve({ code: null, signal: null });
  }

  spawn(context: CliContext, seeds: string, expect: number, log: string, onExit: (exit: ChildExit) => void): void {
    const life = ++this.life;
    this.state = "up";
    this.sinceMs = context.clock.now();
    this.lastLine = "";
    const flags = {
      name: this.name,
      data: this.data,
      listen: this.address,
      advertise: this.address,
      seeds,
      expect: String(expect),
      zone: this.zone,
      log,
      ...(this.etcd === undefined ? {} : { etcd: this.etcd }),
    };
    const child = context.processes.spawn({
      args: ["start", ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]), stopWithParentFlag],
      // The developer's own settings are about other nodes than these.
      environment: { UNUM_EPHEMERAL: "", UNUM_INSECURE: "", UNUM_ETCD: "" },
      onErrorLine: (line) => {
        this.lastLine = line;
        this.lines.push(line);
        if (this.lines.length > linesKept) this.lines.splice(0, linesKept / 2);
      },
    });
    this.child = child;
    void child.exited.then((exit) => {
      if (life !== this.life) return;
      const expected = this.state === "down";
      this.state = "down";
      if (!expected) this.sinceMs = context.clock.now();
      if (!expected) onExit(exit);
    });
  }

  /** SIGKILL: no goodbye, no last write. */
  kill(context: CliContext): void {
    if (this.state === "down") return;
    this.state = "down";
    this.sinceMs = context.clock.now();
    this.child?.kill("SIGKILL");
  }

  pause(context: CliContext): void {
    if (this.state !== "up") return;
    this.state = "paused";
    this.sinceMs = context.clock.now();
    this.child?.kill("SIGSTOP");
  }

  resume(context: CliContext): void {
    if (this.state !== "paused") return;
    this.state = "up";
    this.sinceMs = context.clock.now();
    this.child?.kill("SIGCONT");
  }

  /** In order, and by force when that takes too long. Fulfils when the process is gone. */
  async stop(context: CliContext, patienceMs: number): Promise<void> {
    const child = this.child;
    if (child === undefined) return;
    this.resume(context);
    this.state = "down";
    child.kill("SIGTERM");
    const gone = await within(context.clock, patienceMs, child.exited);
    if (gone === undefined) child.kill("SIGKILL");
    await child.exited;
  }
}

/** Several node processes that form one cluster on this machine. */
export class LocalCluster {
  readonly nodes: readonly LocalNode[];
  private readonly context: CliContext;
  private readonly log: string;
  private readonly onExit: (node: LocalNode, exit: ChildExit) => void;
  private closed = false;
  private startupFailure: ((failure: Failure) => void) | undefined;

  constructor(context: CliContext, options: LocalOptions, onExit: (node: LocalNode, exit: ChildExit) => void = () => undefined) {
    this.context = context;
    this.log = options.log ?? "warn";
    this.onExit = onExit;
    this.nodes = Array.from({ length: options.nodes }, (_, at) => new LocalNode(at, options));
  }

  get endpoints(): readonly string[] {
    return this.nodes.map((node) => node.address);
  }

  node(name: string): LocalNode | undefined {
    return this.nodes.find((node) => node.name === name);
  }

  /** Starts those that are down. */
  spawnAll(): void {
    for (const node of this.nodes) this.spawn(node);
  }

  spawn(node: LocalNode): void {
    if (node.state !== "down" || this.closed) return;
    node.spawn(this.context, this.endpoints.join(","), this.nodes.length, this.log, (exit) => {
      const why = node.lastLine === "" ? describeExit(exit) : node.lastLine;
      this.startupFailure?.(new Failure("NODE_FAILED", `${node.name} ended: ${why}`));
      this.onExit(node, exit);
    });
  }

  killAll(): void {
    for (const node of this.nodes) node.kill(this.context);
  }

  /** At once and for good: nothing is started after it, whoever still tries. */
  abandon(): void {
    this.closed = true;
    this.killAll();
  }

  /** Puts what a node has said beside its data, and says where. */
  async writeLog(node: LocalNode): Promise<string> {
    const path = `${node.data}.log`;
    await this.context.files.write(path, utf8Encode(`${node.lines.join("\n")}\n`));
    return path;
  }

  /** Every process is gone when it fulfils. */
  async stop(patienceMs = 3000): Promise<void> {
    this.closed = true;
    await Promise.all(this.nodes.map((node) => node.stop(this.context, patienceMs)));
  }

  /**
   * A client of the whole cluster, once it has a leader that can commit: nothing is written. Rejects
   * when a node process ends meanwhile, or when `patienceMs` are over.
   */
  async ready(patienceMs: number): Promise<Client> {
    const { clock } = this.context;
    const deadline = clock.now() + patienceMs;
    const failed = new Promise<never>((_resolve, reject) => {
      this.startupFailure = reject;
    });
    try {
      for (;;) {
        let client: Client | undefined;
        try {
          client = await Promise.race([this.context.connect(this.endpoints, { timeout: 10_000 }), failed]);
          // A linearizable read: its leader has committed an entry of its term. It leaves the revision where it is.
          await Promise.race([client.kv.get(readyKey, { timeout: 2000 }), failed]);
          return client;
        } catch (error) {
          await client?.close();
          if (error instanceof Failure) throw error;
          if (clock.now() > deadline)
            throw new Failure("NOT_READY", `no read was answered in ${Math.round(patienceMs / 1000)} s: ${failureMessage(error)}`);
        }
        await sleep(clock, 25);
      }
    } finally {
      this.startupFailure = undefined;
    }
  }
}

/** Read once, to see that the cluster answers. */
export const readyKey = "_unum/local/ready";

export function describeExit(exit: ChildExit): string {
  return exit.signal === null ? `exit code ${exit.code ?? "unknown"}` : `signal ${exit.signal}`;
}
