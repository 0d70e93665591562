/** Memory, restart and idle cost of three nodes. */
import { connect } from "unum";
import { bytes } from "unum";
import { end, median, processorMs, residentBytes, sleep, startUnum } from "./processes.ts";

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
    await overwrite(put, keys, 20_000, 20, memory);
    await restart(cluster, handle);
  } finally {
    await handle.close();
    await cluster.close();
  }
}

async function overwrite(
  put: (index: number) => Promise<unknown>,
  keys: number,
  perSecond: number,
  seconds: number,
  memory: () => string,
): Promise<void> {
  const latencies: number[] = [];
  let failed = 0;
  const until = performance.now() + seconds * 1_000;
  while (performance.now() < until) {
    const begun = performance.now();
    for (let i = 0; i < perSecond / 100; i++) {
      const sent = performance.now();
      put(Math.floor(Math.random() * keys)).then(
        () => latencies.push(performance.now() - sent),
        () => {
          failed++;
        },
      );
    }
    await sleep(Math.max(0, 10 - (performance.now() - begun)));
  }
  latencies.sort((a, b) => a - b);
  console.log(
    `overwriting at ${Math.round(latencies.length / seconds)} puts/s for ${seconds} s: p50 ${median(latencies).toFixed(1)} ms, slowest ${(latencies.at(-1) ?? 0).toFixed(0)} ms, ${failed} failed; resident ${memory()}`,
  );
}

async function restart(cluster: Awaited<ReturnType<typeof startUnum>>, handle: Awaited<ReturnType<typeof connect>>): Promise<void> {
  for (const node of cluster.nodes) await end(node.child);
  const began = performance.now();
  for (const node of cluster.nodes) node.restart();
  const key = "0".repeat(16);
  await handle.kv.with(bytes).get(key, { timeout: 60_000 });
  console.log(`all nodes restarted: the first read is served after ${((performance.now() - began) / 1000).toFixed(1)} s`);
}
