/** A real etcd and its command line, where they are installed, and a cluster of Unum that answers etcd's clients. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "./ports.ts";

const program = fileURLToPath(new URL("../../bin/unum.js", import.meta.url));

function findProgram(variable: string, name: string): string | undefined {
  const named = process.env[variable];
  const candidates = named === undefined ? (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, name)) : [named];
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Debian's `etcd-client` and `etcd-server`, or what the variables name. */
export const etcdctlPath: string | undefined = findProgram("UNUM_TEST_ETCDCTL", "etcdctl");
export const etcdPath: string | undefined = findProgram("UNUM_TEST_ETCD", "etcd");

for (const [path, name] of [
  [etcdctlPath, "etcdctl"],
  [etcdPath, "etcd"],
] as const) {
  if (path === undefined) console.warn(`skipped: ${name} is not installed`);
}

/** Three processes that answer etcd's clients. */
export interface EtcdCluster {
  readonly endpoints: readonly string[];
  /** Kills one member. */
  kill(at: number): Promise<void>;
  /** One member stands still until `resume`: what is sent to it meanwhile waits. */
  pause(at: number): void;
  resume(at: number): void;
  close(): Promise<void>;
}

interface Member {
  readonly command: string;
  readonly args: readonly string[];
}

class Processes implements EtcdCluster {
  readonly endpoints: readonly string[];
  private readonly children: ChildProcess[];
  private readonly folder: string;
  readonly log: string[] = [];

  constructor(folder: string, endpoints: readonly string[], members: readonly Member[]) {
    this.folder = folder;
    this.endpoints = endpoints;
    this.children = members.map(({ command, args }) => {
      const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        this.log.push(text);
        if (this.log.length > 500) this.log.splice(0, 250);
      });
      return child;
    });
  }

  async ready(): Promise<void> {
    const end = performance.now() + 30_000;
    for (const endpoint of this.endpoints) {
      for (;;) {
        const answer = await fetch(`http://${endpoint}/health`).then(
          (response) => response.text(),
          () => "",
        );
        if (answer.includes('"health":"true"')) break;
        if (performance.now() > end) throw new Error(`${endpoint} is not healthy: ${answer}\n${this.log.join("")}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  pause(at: number): void {
    this.children[at]?.kill("SIGSTOP");
  }

  resume(at: number): void {
    this.children[at]?.kill("SIGCONT");
  }

  async kill(at: number): Promise<void> {
    const child = this.children[at];
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  async close(): Promise<void> {
    for (let at = 0; at < this.children.length; at++) await this.kill(at);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function plan(nodes: number): Promise<{ readonly folder: string; readonly client: string[]; readonly peer: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), "unum-etcd-"));
  const client: string[] = [];
  const peer: string[] = [];
  for (let i = 0; i < nodes; i++) {
    client.push(`127.0.0.1:${await freePort()}`);
    peer.push(`127.0.0.1:${await freePort()}`);
  }
  return { folder, client, peer };
}

export async function startUnum(nodes = 3): Promise<EtcdCluster> {
  const { folder, client, peer } = await plan(nodes);
  const members = client.map((address, at) => ({
    command: process.execPath,
    args: [
      program,
      "start",
      "--name",
      `n${at + 1}`,
      "--data",
      join(folder, `n${at + 1}`),
      "--listen",
      peer[at] ?? "",
      "--etcd",
      address,
    ].concat(nodes > 1 ? ["--seeds", peer.join(","), "--expect", String(nodes)] : []),
  }));
  const cluster = new Processes(folder, client, members);
  await cluster.ready().catch(async (error: unknown) => {
    await cluster.close();
    throw error;
  });
  return cluster;
}

export async function startEtcd(nodes = 3): Promise<EtcdCluster> {
  if (etcdPath === undefined) throw new Error("etcd is not installed");
  const { folder, client, peer } = await plan(nodes);
  const initial = peer.map((address, at) => `n${at + 1}=http://${address}`).join(",");
  const members = client.map((address, at) => ({
    command: etcdPath as string,
    args: [
      "--name",
      `n${at + 1}`,
      "--data-dir",
      join(folder, `n${at + 1}`),
      "--initial-cluster",
      initial,
      "--initial-cluster-state",
      "new",
    ].concat(
      ["--listen-client-urls", `http://${address}`, "--advertise-client-urls", `http://${address}`],
      ["--listen-peer-urls", `http://${peer[at]}`, "--initial-advertise-peer-urls", `http://${peer[at]}`],
    ),
  }));
  const cluster = new Processes(folder, client, members);
  await cluster.ready().catch(async (error: unknown) => {
    await cluster.close();
    throw error;
  });
  return cluster;
}

export interface Spoken {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** One run of etcdctl. It reads `input`, which does not end when it ends with "…". It is ended after `timeoutMs`. */
export async function etcdctl(endpoints: readonly string[], args: readonly string[], input = "", timeoutMs = 20_000): Promise<Spoken> {
  if (etcdctlPath === undefined) throw new Error("etcdctl is not installed");
  const env = { ...process.env, ETCDCTL_API: "3" };
  const child = spawn(etcdctlPath, [`--endpoints=${endpoints.join(",")}`, ...args], { env, stdio: ["pipe", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  child.stdin.on("error", () => undefined);
  if (input.endsWith("…")) child.stdin.write(input.slice(0, -1));
  else child.stdin.end(input);
  const timer = setTimeout(() => child.kill("SIGTERM"), timeoutMs);
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(timer);
  return { code, out, err };
}
