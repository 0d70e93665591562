/**
 * Runs seeds in a process of its own, on the build in the folder that it is given, and tells its parent of each. Stops
 * at the first that fails, when it is told so.
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { isMain } from "../files.ts";
import type { Ground } from "./mutant.ts";

export interface Order {
  /** Where the build is: `dist`, or a copy of it. */
  readonly folder: string;
  readonly ground: Ground;
  readonly from: number;
  readonly count: number;
}

/** Of one seed. No violations: it passed. */
export interface Ran {
  readonly seed: number;
  readonly violations: readonly string[];
}

/** What a build of the simulator offers here; only its address is known at run time. */
interface Simulator {
  runSeed(
    seed: number,
    options: {
      readonly profile: string;
      readonly workloads: readonly string[] | undefined;
      readonly nemeses: readonly string[] | undefined;
    },
  ): Promise<{ readonly violations: readonly string[] }>;
}

async function main(order: Order): Promise<void> {
  const { runSeed } = (await import(pathToFileURL(join(order.folder, "sim", "seed.js")).href)) as Simulator;
  const { nemeses, profile, workloads } = order.ground;
  for (let seed = order.from; seed < order.from + order.count; seed++) {
    const { violations } = await runSeed(seed, { profile, workloads, nemeses });
    process.send?.({ seed, violations } satisfies Ran);
    if (violations.length > 0) break;
  }
  process.disconnect();
}

if (isMain(import.meta.url)) await main(JSON.parse(process.argv[2] ?? "{}") as Order);
