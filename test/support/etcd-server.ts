/** Servers that are started as etcd is started: the same command line for etcd itself and for `unum etcd`. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { etcdPath } from "./etcd.ts";
import { freePort } from "./ports.ts";

const unum = [process.execPath, fileURLToPath(new URL("../../bin/unum.js", import.meta.url)), "etcd"];

/** What stands in front of the flags. */
export const programs: Readonly<Record<"unum" | "etcd", readonly string[] | undefined>> = {
  unum,
  etcd: etcdPath === undefined ? undefined : [etcdPath],
};

/** One process, which lives in a directory of its own and can be started again. */
export class EtcdServer {
  readonly client: string;
  log = "";
  private readonly command: readonly string[];
  private readonly folder: string;
  private child: ChildProcess | undefined;
  private readonly environment: Readonly<Record<string, string>>;

  constructor(command: readonly string[], folder: string, client: string, environment: Readonly<Record<string, string>> = {}) {
    this.command = command;
    this.folder = folder;
    this.client = client;
    this.environment = environment;
  }

  start(): void {
    const [program = "", ...args] = this.command;
    this.log = "";
    const child = spawn(program, args, {
      cwd: this.folder,
      env: { ...process.env, ...this.environment },
      stdio: ["ignore", "ignore", "pipe"],
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.log = (this.log + text).slice(-200_000);
    });
    this.child = child;
  }

  /** Until it has said what every harness waits for. */
  async ready(timeoutMs = 40_000): Promise<void> {
    const end = performance.now() + timeoutMs;
    while (!this.log.includes("ready to serve client requests")) {
      if (this.child?.exitCode !== null || performance.now() > end) throw new Error(`not ready:\n${this.log}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** SIGSTOP and SIGCONT: it lives on. */
  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.child?.kill(name);
  }

  /** The exit code; null when the signal ended it. */
  async stop(signal: NodeJS.Signals): Promise<number | null> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const ended = once(child, "exit");
    child.kill(signal);
    return ((await ended) as [number | null])[0];
  }
}

/** `count` members that form a cluster by --initial-cluster; started, and ready. */
export async function startServers(
  program: readonly string[],
  count: number,
  more: readonly string[] = [],
  peerScheme: "http" | "https" = "http",
): Promise<{
  readonly servers: readonly EtcdServer[];
  readonly endpoints: readonly string[];
  readonly peers: readonly string[];
  close(): Promise<void>;
}> {
  const folder = mkdtempSync(join(tmpdir(), "unum-dropin-"));
  const ports: { readonly client: string; readonly peer: string }[] = [];
  for (let i = 0; i < count; i++) ports.push({ client: `127.0.0.1:${await freePort()}`, peer: `127.0.0.1:${await freePort()}` });
  const cluster = ports.map(({ peer }, at) => `m${at + 1}=${peerScheme}://${peer}`).join(",");
  const servers = ports.map(({ client, peer }, at) => {
    const peers = [`--listen-peer-urls=${peerScheme}://${peer}`, `--initial-advertise-peer-urls=${peerScheme}://${peer}`];
    const clients = ["--listen-client-urls", `http://${client}`, "--advertise-client-urls", `http://${client}`];
    const form = ["--initial-cluster", cluster, "--initial-cluster-state=new", "--initial-cluster-token", "drop-in"];
    return new EtcdServer([...program, "--name", `m${at + 1}`, ...peers, ...clients, ...form, ...more], folder, client);
  });
  const close = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop("SIGKILL")));
    rmSync(folder, { recursive: true, force: true });
  };
  for (const server of servers) server.start();
  try {
    await Promise.all(servers.map((server) => server.ready()));
  } catch (error) {
    await close();
    throw error;
  }
  return { servers, endpoints: ports.map(({ client }) => client), peers: ports.map(({ peer }) => peer), close };
}
