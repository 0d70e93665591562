/** What it costs that the engine runs in a thread of its own: one node embedded in this process, both ways, interleaved. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start } from "unum";
import type { Unum } from "unum";
import { median } from "./processes.ts";

const value = "x".repeat(256);

interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
}

async function measure(work: (at: number) => Promise<unknown>, inflight: number, seconds: number): Promise<Sample> {
  const latencies: number[] = [];
  const end = performance.now() + seconds * 1_000;
  let at = 0;
  const worker = async (): Promise<void> => {
    for (let sent = performance.now(); sent < end; sent = performance.now()) {
      await work(at++);
      latencies.push(performance.now() - sent);
    }
  };
  await Promise.all(Array.from({ length: inflight }, worker));
  return { perSecond: latencies.length / seconds, p50Ms: median(latencies) };
}

export async function isolation(rounds: number, seconds: number): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "unum-bench-"));
  const ways: { readonly name: string; readonly unum: Unum }[] = [];
  try {
    for (const isolate of [true, false]) {
      const unum = await start({ data: join(directory, String(isolate)), listen: "127.0.0.1:0", isolate });
      ways.push({ name: isolate ? "own thread" : "same thread", unum });
      await unum.ready;
      await unum.kv.put("key", value);
    }
    for (const what of ["put", "get"] as const) {
      for (const inflight of [1, 100, 1_000]) {
        const samples = ways.map((): Sample[] => []);
        for (let round = 0; round <= rounds; round++) {
          for (const [index, { unum }] of ways.entries()) {
            const work = (at: number): Promise<unknown> => (what === "put" ? unum.kv.put(`key${at % 1_000}`, value) : unum.kv.get("key"));
            const sample = await measure(work, inflight, seconds);
            // The first round warms up.
            if (round > 0) samples[index]?.push(sample);
          }
        }
        const lines = ways.map(({ name }, index) => {
          const own = samples[index] ?? [];
          return `${name} ${Math.round(median(own.map((sample) => sample.perSecond)))}/s, p50 ${median(own.map((sample) => sample.p50Ms)).toFixed(3)} ms`;
        });
        console.log(`${what} ${String(inflight).padStart(5)} in flight   ${lines.join("   ")}`);
      }
    }
  } finally {
    for (const { unum } of ways) await unum.close();
    await rm(directory, { recursive: true, force: true });
  }
}
