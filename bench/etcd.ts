/** A three-member etcd on loopback, and its load: h2load with one fixed request, so that its client costs little. */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { end, freePort, run, sleep, temporaryFolder } from "./processes.ts";

export function etcdIsInstalled(): boolean {
  return spawnSync("etcd", ["--version"]).status === 0 && spawnSync("h2load", ["--version"]).status === 0;
}

export interface EtcdCluster {
  readonly version: string;
  /** Requests per second and the mean latency of `connections` × `streams` in flight. */
  put(connections: number, streams: number, requests: number): Promise<{ perSecond: number; meanMs: number }>;
  get(connections: number, streams: number, requests: number): Promise<{ perSecond: number; meanMs: number }>;
  close(): Promise<void>;
}

function field(number: number, bytes: Uint8Array): Buffer {
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), bytes]);
}

function grpc(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

export async function startEtcd(valueBytes: number): Promise<EtcdCluster> {
  const folder = await temporaryFolder();
  const members = [];
  for (let i = 1; i <= 3; i++) members.push({ name: `e${i}`, client: await freePort(), peer: await freePort() });
  const initial = members.map((member) => `${member.name}=http://127.0.0.1:${member.peer}`).join(",");
  const children: ChildProcess[] = members.map((member) =>
    spawn(
      "etcd",
      [
        "--name",
        member.name,
        "--data-dir",
        join(folder, member.name),
        "--log-level",
        "error",
        "--listen-client-urls",
        `http://127.0.0.1:${member.client}`,
        "--advertise-client-urls",
        `http://127.0.0.1:${member.client}`,
        "--listen-peer-urls",
        `http://127.0.0.1:${member.peer}`,
        "--initial-advertise-peer-urls",
        `http://127.0.0.1:${member.peer}`,
        "--initial-cluster",
        initial,
        "--initial-cluster-state",
        "new",
      ],
      { stdio: "ignore" },
    ),
  );
  const close = async (): Promise<void> => {
    for (const child of children) await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  const key = Buffer.from("bench-00");
  const putBody = join(folder, "put.bin");
  const getBody = join(folder, "get.bin");
  await writeFile(putBody, grpc(Buffer.concat([field(1, key), field(2, Buffer.alloc(valueBytes, 120))])));
  await writeFile(getBody, grpc(field(1, key)));
  const leaderPort = await findLeader(members.map((member) => member.client));
  const load = async (
    method: string,
    body: string,
    connections: number,
    streams: number,
    requests: number,
  ): Promise<{ perSecond: number; meanMs: number }> => {
    const url = `http://127.0.0.1:${leaderPort}/etcdserverpb.KV/${method}`;
    const output = await run("h2load", [
      "-c",
      String(connections),
      "-m",
      String(streams),
      "-n",
      String(requests),
      "-d",
      body,
      "-H",
      "content-type: application/grpc",
      "-H",
      "te: trailers",
      url,
    ]);
    const perSecond = Number(/finished in [^,]+, ([\d.]+) req\/s/.exec(output)?.[1]);
    const mean = /time for request:\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)/.exec(output);
    const unit = mean?.[2] === "us" ? 0.001 : mean?.[2] === "s" ? 1000 : 1;
    if (!Number.isFinite(perSecond) || !/ 0 failed, 0 errored/.test(output)) throw new Error(`h2load: ${output}`);
    return { perSecond, meanMs: Number(mean?.[1]) * unit };
  };
  const version = /etcd Version: (\S+)/.exec(await run("etcd", ["--version"]))?.[1] ?? "unknown";
  return { version, put: (...args) => load("Put", putBody, ...args), get: (...args) => load("Range", getBody, ...args), close };
}

/** The member that leads, as its metrics say. Requests go to it directly, as a clever client's would. */
async function findLeader(ports: readonly number[]): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    for (const port of ports) {
      try {
        const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
        if (/^etcd_server_is_leader 1$/m.test(metrics)) return port;
      } catch {
        // Not listening yet: asked again below.
      }
    }
    await sleep(100);
  }
  throw new Error("etcd has no leader");
}
