import { test as nodeTest } from "node:test";
import type { Held } from "./api/index.ts";
import { NodeScope, replaceSurroundings } from "./platform/node/index.ts";
import type { Surroundings } from "./ports/index.ts";
import { SimulationStuck } from "./sim/index.ts";
import { simTest as simTestOn, simulate as simulateOn } from "./testing/index.ts";
import type { RegisterTest, SimTestOptions, SimulateOptions, World } from "./testing/index.ts";

export { exactlyOnce, HistoryViolation, linearizable, neverTwo } from "./testing/index.ts";
export type {
  Checker,
  ExactlyOnceOptions,
  External,
  Faults,
  History,
  Methods,
  Model,
  NeverTwoOptions,
  Operation,
  Program,
  SimTestOptions,
  SimulateOptions,
  World,
} from "./testing/index.ts";
export { SimulationStuck };

const host = { scope: new NodeScope<Surroundings>(), claimScope: new NodeScope<Held>(), replaceSurroundings };

/**
 * Runs `body` against a cluster of simulated nodes in this process: virtual time, faults drawn by the
 * seed, the same run for the same seed. Programs given to `world.run` use `unum` as in production;
 * `Date`, timers, `Math.random` and `crypto.randomUUID` within them are the world's. One simulation at a
 * time per process.
 *
 * Rejects as `body` does; with `SimulationStuck` when it does not end within `limit` of the world's
 * time; with INVALID_ARGUMENT.
 */
export function simulate<T>(options: SimulateOptions, body: (world: World) => T | Promise<T>): Promise<T> {
  return simulateOn(host, options, body);
}

/**
 * A test that runs `body` with the seeds 1 to `seeds`, for Vitest (with or without globals), Jest and
 * `node:test`. A failure names its seed: `UNUM_SIM_SEED=n` runs that one only, `UNUM_SIM_SEEDS=n` so many.
 */
export function simTest(name: string, options: SimTestOptions, body: (world: World) => unknown): void {
  const { UNUM_SIM_SEED: seed, UNUM_SIM_SEEDS: seeds } = process.env;
  simTestOn({ simulate, register: registerTest(), seed, seeds }, name, options, body);
}

type Runner = (name: string, work: () => Promise<void>, timeoutMs: number) => unknown;

/** The runner that this file runs in. Vitest without globals keeps its functions where it finds them for in-source tests. */
function registerTest(): RegisterTest {
  const globals = globalThis as { test?: Runner; __vitest_index__?: { test?: Runner } };
  const runner = globals.__vitest_index__?.test ?? globals.test;
  if (runner !== undefined) return (name, work, timeoutMs) => void runner(name, work, timeoutMs);
  return (name, work, timeout) => void nodeTest(name, { timeout }, work);
}
