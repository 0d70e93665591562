/** Puts and gets side by side with etcd, interleaved: A B A B … in one run on one machine. */
import { rm } from "node:fs/promises";
import { etcdIsInstalled, leaderPort, startEtcd } from "./etcd.ts";
import { fixedRequests, h2loadIsInstalled } from "./h2load.ts";
import type { Rate } from "./h2load.ts";
import { median, program, run, startUnum, temporaryFolder } from "./processes.ts";

interface BenchOutput {
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly errors: number;
}

const valueBytes = 256;

async function unumBench(endpoints: readonly string[], kind: "put" | "get", inflight: number, seconds: number): Promise<BenchOutput> {
  const endpoint = endpoints.map((url) => url.replace("unum://", "")).join(",");
  const args = [
    program,
    "bench",
    kind,
    "--endpoint",
    endpoint,
    "--inflight",
    String(inflight),
    "--value-size",
    String(valueBytes),
    "--seconds",
    String(seconds),
    "--json",
  ];
  return JSON.parse(await run(process.execPath, args)) as BenchOutput;
}

export async function throughput(rounds: number, seconds: number): Promise<void> {
  const unum = await startUnum();
  const etcd = etcdIsInstalled() && h2loadIsInstalled() ? await startEtcd() : undefined;
  const folder = await temporaryFolder();
  const fixed = await fixedRequests(folder, valueBytes);
  if (etcd === undefined) console.log("etcd or h2load is not installed (Debian: etcd-server, nghttp2-client): only Unum is measured");
  else console.log(`etcd ${etcd.version} beside Unum`);
  try {
    for (const kind of ["put", "get"] as const) {
      for (const inflight of [1, 100, 1000]) {
        const ours: BenchOutput[] = [];
        const theirs: Rate[] = [];
        for (let round = 0; round < rounds; round++) {
          ours.push(await unumBench(unum.endpoints, kind, inflight, seconds));
          if (etcd !== undefined) {
            const [connections, streams] = inflight === 1 ? [1, 1] : inflight === 100 ? [10, 10] : [50, 20];
            const expected = inflight === 1 ? 1_000 : 12_000;
            const load = { connections, streams, requests: expected * seconds };
            theirs.push(await fixed[kind](await leaderPort(etcd.ports), load));
          }
        }
        report(kind, inflight, ours, theirs);
      }
    }
  } finally {
    await unum.close();
    await etcd?.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function report(kind: string, inflight: number, ours: readonly BenchOutput[], theirs: readonly Rate[]): void {
  const mine = median(ours.map((output) => output.opsPerSecond));
  const p50 = median(ours.map((output) => output.p50Ms));
  const p99 = median(ours.map((output) => output.p99Ms));
  let line = `${kind} ${String(inflight).padStart(5)} in flight   unum ${Math.round(mine)}/s, p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, ${ours.reduce((sum, output) => sum + output.errors, 0)} errors`;
  if (theirs.length > 0) {
    const other = median(theirs.map((output) => output.perSecond));
    line += `   etcd ${Math.round(other)}/s, mean ${median(theirs.map((output) => output.meanMs)).toFixed(2)} ms   ratio ${(mine / other).toFixed(2)}`;
  }
  console.log(line);
}
