import { isUnumError } from "../../base/index.ts";
import type { Prng } from "../../base/index.ts";
import type { Clock } from "../../ports/index.ts";
import type { Client } from "../client.ts";
import { Failure, failureMessage } from "../failure.ts";
import { Histogram } from "../histogram.ts";
import { sleep } from "../wait.ts";

export type BenchKind = "put" | "get" | "mixed" | "watch";

export interface BenchPlan {
  readonly kind: BenchKind;
  /** Requests in flight, over all clients together. */
  readonly inflight: number;
  readonly valueSize: number;
  readonly keys: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
}

export interface BenchResult {
  /** Requests per second; for "watch", events delivered per second. */
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly errors: number;
}

export const benchPrefix = "bench/";

/** 16 bytes. */
export function benchKey(number: number): string {
  return benchPrefix + number.toString().padStart(10, "0");
}

export interface BenchEnvironment {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly clients: readonly Client[];
  progress(text: string): void;
}

/** What one stretch of load has seen. Made anew when the warm-up ends. */
class Tally {
  readonly latency = new Histogram();
  errors = 0;
  firstError = "";
}

/** Loads the keys that reads need, warms up, measures. Leaves the keys behind. */
export async function runBench(environment: BenchEnvironment, plan: BenchPlan): Promise<BenchResult> {
  if (plan.kind === "get" || plan.kind === "mixed") await loadKeys(environment, plan);
  return plan.kind === "watch" ? runWatch(environment, plan) : runRequests(environment, plan);
}

/** Deletes what a bench left behind. */
export async function cleanBench(client: Client): Promise<void> {
  await client.kv.delete({ prefix: benchPrefix }, { timeout: 60_000 });
}

async function loadKeys(environment: BenchEnvironment, plan: BenchPlan): Promise<void> {
  const value = environment.prng.bytes(plan.valueSize);
  let next = 0;
  const load = async (client: Client): Promise<void> => {
    while (next < plan.keys) {
      const number = next++;
      if (number % 10_000 === 0) environment.progress(`loading keys, ${number} of ${plan.keys}`);
      await client.kv.put(benchKey(number), value, { timeout: 60_000 });
    }
  };
  await Promise.all(spread(environment.clients, Math.min(500, plan.keys)).map(load));
}

/** `count` slots dealt out over the clients in turn. */
function spread(clients: readonly Client[], count: number): Client[] {
  const slots: Client[] = [];
  for (let slot = 0; slot < count; slot++) {
    const client = clients[slot % clients.length];
    if (client !== undefined) slots.push(client);
  }
  return slots;
}

async function runRequests(environment: BenchEnvironment, plan: BenchPlan): Promise<BenchResult> {
  const { clock, prng } = environment;
  const value = prng.bytes(plan.valueSize);
  let tally = new Tally();
  let stopping = false;
  const request = (client: Client, turn: number): Promise<unknown> => {
    const key = benchKey(prng.below(plan.keys));
    return plan.kind === "put" || (plan.kind === "mixed" && turn % 2 === 0) ? client.kv.put(key, value) : client.kv.get(key);
  };
  const slot = async (client: Client, first: number): Promise<void> => {
    for (let turn = first; !stopping; turn++) {
      const began = clock.now();
      const current = tally;
      try {
        await request(client, turn);
        current.latency.record(clock.now() - began);
      } catch (error) {
        noteError(current, error);
        await sleep(clock, 5);
      }
    }
  };
  const slots = spread(environment.clients, plan.inflight).map(slot);
  const result = await measure(environment, plan, () => {
    const finished = tally;
    tally = new Tally();
    return finished;
  });
  stopping = true;
  await Promise.all(slots);
  return result;
}

function noteError(tally: Tally, error: unknown): void {
  if (!isUnumError(error)) throw error;
  tally.errors++;
  if (tally.firstError === "") tally.firstError = failureMessage(error);
}

/** `swap` begins a new tally and hands out the old one: what warmed up is thrown away. */
async function measure(environment: BenchEnvironment, plan: BenchPlan, swap: () => Tally): Promise<BenchResult> {
  const { clock } = environment;
  environment.progress("warming up");
  await sleep(clock, plan.warmupSeconds * 1000);
  swap();
  const began = clock.now();
  environment.progress(`measuring for ${plan.seconds} s`);
  await sleep(clock, plan.seconds * 1000);
  const tally = swap();
  const seconds = (clock.now() - began) / 1000;
  if (tally.latency.count === 0)
    throw new Failure(
      "NO_PROGRESS",
      tally.firstError === "" ? "nothing was answered" : `nothing succeeded; the first error: ${tally.firstError}`,
    );
  return {
    opsPerSecond: Math.round(tally.latency.count / seconds),
    p50Ms: round(tally.latency.quantileMs(0.5)),
    p99Ms: round(tally.latency.quantileMs(0.99)),
    maxMs: round(tally.latency.maxMs),
    errors: tally.errors,
  };
}

const round = (ms: number): number => Math.round(ms * 1000) / 1000;

/** Every client watches all keys, the first one also writes; a value carries the moment of its write. */
async function runWatch(environment: BenchEnvironment, plan: BenchPlan): Promise<BenchResult> {
  const { clock, prng, clients } = environment;
  let tally = new Tally();
  let stopping = false;
  const watches = clients.map((client) => client.kv.watch({ prefix: benchPrefix }));
  await Promise.all(watches.map((watch) => watch.started));
  const readers = watches.map(async (watch) => {
    try {
      for await (const change of watch) {
        const now = clock.now();
        for (const event of change.events) if (event.kind === "put") tally.latency.record(Math.max(0, now - sentAt(event.entry.value)));
      }
    } catch (error) {
      if (!stopping) noteError(tally, error);
    }
  });
  const writer = clients[0];
  const write = async (): Promise<void> => {
    while (!stopping && writer !== undefined) {
      try {
        await writer.kv.put(benchKey(prng.below(plan.keys)), stampedValue(clock.now(), plan.valueSize));
      } catch (error) {
        noteError(tally, error);
        await sleep(clock, 5);
      }
    }
  };
  const slots = Array.from({ length: plan.inflight }, write);
  const result = await measure(environment, plan, () => {
    const finished = tally;
    tally = new Tally();
    return finished;
  });
  stopping = true;
  await Promise.all(slots);
  await Promise.all(watches.map((watch) => watch.close()));
  await Promise.all(readers);
  return result;
}

function stampedValue(nowMs: number, size: number): Uint8Array {
  const value = new Uint8Array(Math.max(8, size));
  new DataView(value.buffer).setFloat64(0, nowMs, true);
  return value;
}

function sentAt(value: Uint8Array): number {
  return new DataView(value.buffer, value.byteOffset, value.byteLength).getFloat64(0, true);
}
