/** A three-member etcd on loopback. */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { end, freePort, run, sleep, temporaryFolder } from "./processes.ts";

export function etcdIsInstalled(): boolean {
  return spawnSync("etcd", ["--version"]).status === 0;
}

export interface EtcdCluster {
  readonly version: string;
  /** Where each member answers clients. */
  readonly ports: readonly number[];
  close(): Promise<void>;
}

interface Member {
  readonly name: string;
  readonly client: string;
  readonly peer: string;
}

export async function startEtcd(): Promise<EtcdCluster> {
  const folder = await temporaryFolder();
  const ports: number[] = [];
  const members: Member[] = [];
  for (let i = 1; i <= 3; i++) {
    const port = await freePort();
    ports.push(port);
    members.push({ name: `e${i}`, client: `http://127.0.0.1:${port}`, peer: `http://127.0.0.1:${await freePort()}` });
  }
  const initial = members.map(({ name, peer }) => `${name}=${peer}`).join(",");
  const children: ChildProcess[] = members.map(({ name, client, peer }) => {
    const own = ["--name", name, "--data-dir", join(folder, name), "--log-level", "error"];
    const urls = ["--listen-client-urls", client, "--advertise-client-urls", client];
    const peerUrls = ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer];
    return spawn("etcd", [...own, ...urls, ...peerUrls, "--initial-cluster", initial], { stdio: "ignore" });
  });
  const version = /etcd Version: (\S+)/.exec(await run("etcd", ["--version"]))?.[1] ?? "unknown";
  const close = async (): Promise<void> => {
    for (const child of children) await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  return { version, ports, close };
}

/** Who leads, as the metrics of Unum's gateway and of etcd say alike. Requests go there directly, as a clever client's would. */
export async function leaderPort(ports: readonly number[]): Promise<number> {
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
  throw new Error("nobody leads");
}
