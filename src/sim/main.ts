import { readArguments } from "./arguments.ts";
import { describeDifference, findDifference } from "./determinism.ts";
import { runSeed } from "./seed.ts";
import type { SeedOptions, SeedResult } from "./seed.ts";
import { describeResult, describeTotals, replayLine } from "./report.ts";

/**
 * The root of the simulator's command line:
 *
 *     node dist/sim/main.js --seed N [--profile NAME] [--trace] [--check-determinism]
 *     node dist/sim/main.js --seeds 200 [--from N]
 *
 * Exit code 1 when a seed failed, 2 for a wrong argument. Each failure ends with one line that replays it;
 * `UNUM_COMMIT` names the commit in it.
 */
async function main(): Promise<number> {
  const parsed = readArguments(process.argv.slice(2));
  if ("mistake" in parsed) {
    process.stderr.write(`${parsed.mistake}\n`);
    return 2;
  }
  const { checkDeterminism, count, first, nemeses, profile, trace, workloads } = parsed;
  const narrowed: SeedOptions = { profile, nemeses, workloads };
  const commit = process.env["UNUM_COMMIT"] ?? "";
  const startedMs = performance.now();
  const results: SeedResult[] = [];
  for (let seed = first; seed < first + count; seed++) {
    const result = await runSeed(seed, {
      ...narrowed,
      ...(trace ? { record: (line: string) => void process.stdout.write(`${line}\n`) } : {}),
    });
    results.push(result);
    const failed = result.violations.length > 0;
    if (failed || count === 1) process.stdout.write(`${describeResult(result)}\n`);
    if (failed) process.stdout.write(`replay: ${replayLine(result, commit)}\n`);
    if (checkDeterminism) await compare(seed, narrowed, result);
  }
  process.stdout.write(`${describeTotals(results, performance.now() - startedMs)}\n`);
  return results.some((result) => result.violations.length > 0) || differences > 0 ? 1 : 0;
}

let differences = 0;

/** Runs the seed again; when it goes another way, shows where. */
async function compare(seed: number, options: SeedOptions, before: SeedResult): Promise<void> {
  const difference = await findDifference(before.hash, (record) => runSeed(seed, { ...options, record }));
  if (difference === undefined) return;
  differences++;
  process.stdout.write(`seed ${seed} is not deterministic: ${describeDifference(difference)}\n`);
}

process.exitCode = await main();
