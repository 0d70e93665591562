import { readArguments } from "./arguments.ts";
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

/** Runs the seed again; when it goes another way, once more twice, to show the first line that differs. */
async function compare(seed: number, options: SeedOptions, before: SeedResult): Promise<void> {
  const again = await runSeed(seed, options);
  if (again.hash === before.hash) return;
  differences++;
  const [one, two] = [await recorded(seed, options), await recorded(seed, options)];
  const at = one.findIndex((line, index) => line !== two[index]);
  process.stdout.write(`seed ${seed} is not deterministic: ${before.hash}, then ${again.hash}\n`);
  if (at < 0) process.stdout.write(`  not seen again in two more runs of ${one.length} and ${two.length} events\n`);
  else for (const line of [...one.slice(Math.max(0, at - 3), at), `- ${one[at]}`, `+ ${two[at]}`]) process.stdout.write(`  ${line}\n`);
}

async function recorded(seed: number, options: SeedOptions): Promise<string[]> {
  const lines: string[] = [];
  await runSeed(seed, { ...options, record: (line) => void lines.push(line) });
  return lines;
}

process.exitCode = await main();
