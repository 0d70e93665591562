/** Child processes for measurements: each is ended by its own id, its folder goes afterwards. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect } from "unum";

export const program: string = fileURLToPath(new URL("../../bin/unum.js", import.meta.url));

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

export function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "unum-bench-"));
}

export async function end(child: ChildProcess, signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

/** What a command prints, once it has ended well. */
export async function run(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}:\n${output}`);
  return output;
}

export interface UnumNodeProcess {
  readonly name: string;
  readonly address: string;
  readonly data: string;
  child: ChildProcess;
  restart(): void;
}

export interface UnumCluster {
  readonly nodes: readonly UnumNodeProcess[];
  readonly endpoints: string[];
  /** Where each node answers etcd's clients, if they do. */
  readonly etcdPorts: readonly number[];
  close(): Promise<void>;
}

/** Three nodes as three processes, ready when a write was acknowledged. */
export async function startUnum(count = 3, { etcd = false }: { readonly etcd?: boolean } = {}): Promise<UnumCluster> {
  const folder = await temporaryFolder();
  const ports: number[] = [];
  const etcdPorts: number[] = [];
  for (let i = 0; i < count; i++) {
    ports.push(await freePort());
    if (etcd) etcdPorts.push(await freePort());
  }
  const seeds = ports.map((port) => `127.0.0.1:${port}`).join(",");
  const nodes = ports.map((port, index): UnumNodeProcess => {
    const name = `n${index + 1}`;
    const data = join(folder, name);
    const address = `127.0.0.1:${port}`;
    const args = ["start", "--name", name, "--data", data, "--listen", address, "--seeds", seeds, "--log", "warn"];
    if (etcd) args.push("--etcd", `127.0.0.1:${etcdPorts[index]}`);
    const launch = (): ChildProcess => spawn(process.execPath, [program, ...args], { stdio: ["ignore", "ignore", "inherit"] });
    const node: UnumNodeProcess = {
      name,
      data,
      address,
      child: launch(),
      restart: () => {
        node.child = launch();
      },
    };
    return node;
  });
  const endpoints = nodes.map((node) => `unum://${node.address}`);
  const handle = await connect(endpoints);
  await handle.kv.put("bench/started", true, { timeout: 20_000 });
  await handle.close();
  return {
    nodes,
    endpoints,
    etcdPorts,
    close: async () => {
      for (const node of nodes) await end(node.child);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Resident bytes of a process (Linux). */
export function residentBytes(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(match?.[1] ?? 0) * 1024;
}

/** Processor time of a process so far, in milliseconds (Linux, 100 ticks a second). */
export function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
