/** Memory, restart and idle cost of three nodes. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "unum";
import { bytes } from "unum";
import { end, median, processorMs, residentBytes, sleep, startUnum } from "./processes.ts";
import type { UnumCluster } from "./processes.ts";

const MiB = 1024 * 1024;
const inflight = 1_000;

export async function idle(seconds: number): Promise<void> {
  const cluster = await startUnum();
  try {
    await sleep(3_000);
    const before = cluster.nodes.map((node) => processorMs(node.child.pid ?? 0));
    await sleep(seconds * 1_000);
    const shares = cluster.nodes.map((node, index) => (processorMs(node.child.pid ?? 0) - (before[index] ?? 0)) / (seconds * 10));
    const memory = cluster.nodes.map((node) => residentBytes(node.child.pid ?? 0) / MiB);
    console.log(
      `idle, three nodes: ${shares.map((share) => `${share.toFixed(2)} %`).join(", ")} of a core, ${memory.map((size) => `${size.toFixed(0)} MB`).join(", ")}`,
    );
  } finally {
    await cluster.close();
  }
}

/** `keys` keys of 16 bytes with 256-byte values: resident memory at rest, under overwriting, and the time until a restarted node serves. */
export async function million(keys: number): Promise<void> {
  const cluster = await startUnum();
  const handle = await connect(cluster.endpoints);
  const kv = handle.kv.with(bytes);
  const value = new Uint8Array(256).fill(120);
  const put = (index: number): Promise<unknown> => kv.put(String(index).padStart(16, "0"), value);
  const memory = (): string => cluster.nodes.map((node) => `${(residentBytes(node.child.pid ?? 0) / MiB).toFixed(0)} MB`).join(", ");
  try {
    const started = performance.now();
    let next = 0;
    await Promise.all(
      Array.from({ length: inflight }, async () => {
        while (next < keys) await put(next++);
      }),
    );
    console.log(
      `${keys} keys loaded in ${((performance.now() - started) / 1000).toFixed(1)} s (${Math.round(keys / ((performance.now() - started) / 1000))} puts/s); resident ${memory()}`,
    );
    await sleep(15_000);
    console.log(`at rest: ${memory()}`);
    await restart(cluster, handle, "after a rest");
    await snapshotPause(put, keys, cluster);
    await report(put, keys, 20_000, 20, memory);
    await restart(cluster, handle, "at once");
  } finally {
    await handle.close();
    await cluster.close();
  }
}

interface Load {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
  readonly failed: number;
}

type Put = (index: number) => Promise<unknown>;

/** Overwrites keys at random, as many a second as said, whatever the answers take. */
async function overwrite(put: Put, keys: number, perSecond: number, seconds: number): Promise<Load> {
  const latencies: number[] = [];
  let failed = 0;
  const begun = performance.now();
  let sent = 0;
  for (;;) {
    const passed = performance.now() - begun;
    if (passed >= seconds * 1_000) break;
    for (const due = Math.floor((passed / 1_000) * perSecond); sent < due; sent++) {
      const at = performance.now();
      put(Math.floor(Math.random() * keys)).then(
        () => latencies.push(performance.now() - at),
        () => {
          failed++;
        },
      );
    }
    await sleep(5);
  }
  latencies.sort((a, b) => a - b);
  return {
    perSecond: Math.round(latencies.length / seconds),
    p50Ms: median(latencies),
    p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN,
    slowestMs: latencies.at(-1) ?? Number.NaN,
    failed,
  };
}

async function report(put: Put, keys: number, perSecond: number, seconds: number, memory: () => string): Promise<void> {
  const load = await overwrite(put, keys, perSecond, seconds);
  console.log(
    `overwriting at ${load.perSecond} puts/s for ${seconds} s: p50 ${load.p50Ms.toFixed(1)} ms, p99 ${load.p99Ms.toFixed(0)} ms, slowest ${load.slowestMs.toFixed(0)} ms, ${load.failed} failed; resident ${memory()}`,
  );
}

/**
 * 10,000 puts/s for 5 s at a time. A snapshot falls into a slice when some node's newest snapshot is another one at its end, or one is half written;
 * slices with and without are compared, as one run that both share.
 */
async function snapshotPause(put: Put, keys: number, cluster: UnumCluster): Promise<void> {
  const quiet: Load[] = [];
  const busy: Load[] = [];
  const rounds = 24;
  for (let round = 0; round < rounds; round++) {
    const before = await snapshots(cluster);
    const load = await overwrite(put, keys, 10_000, 5);
    const after = await snapshots(cluster);
    (before === after && !after.includes(".part") ? quiet : busy).push(load);
  }
  const line = (name: string, loads: readonly Load[]): string =>
    loads.length === 0
      ? `${name}: none`
      : `${name} (${loads.length} × 5 s): slowest ${median(loads.map((load) => load.slowestMs)).toFixed(0)} ms (median; at most ${Math.max(...loads.map((load) => load.slowestMs)).toFixed(0)} ms), p99 ${median(loads.map((load) => load.p99Ms)).toFixed(1)} ms`;
  console.log(`10,000 puts/s, ${line("without a snapshot", quiet)}; ${line("with one", busy)}`);
}

/** The names of all snapshots, finished and not: they hold the index. */
async function snapshots(cluster: UnumCluster): Promise<string> {
  const lists = await Promise.all(cluster.nodes.map((node) => readdir(join(node.data, "groups"))));
  return lists
    .flat()
    .filter((name) => name.includes("snapshot"))
    .sort((a, b) => (a < b ? -1 : 1))
    .join(" ");
}

async function restart(cluster: UnumCluster, handle: Awaited<ReturnType<typeof connect>>, when: string): Promise<void> {
  for (const node of cluster.nodes) await end(node.child);
  const began = performance.now();
  for (const node of cluster.nodes) node.restart();
  const key = "0".repeat(16);
  await handle.kv.with(bytes).get(key, { timeout: 60_000 });
  const served = performance.now() - began;
  const cost = cluster.nodes.map((node) => `${(processorMs(node.child.pid ?? 0) / 1_000).toFixed(1)} s`).join(", ");
  console.log(
    `all nodes killed ${when} and started again: the first read is served after ${(served / 1_000).toFixed(1)} s (processor time ${cost})`,
  );
}
