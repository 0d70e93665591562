import { utf8Encode } from "../base/index.ts";
import type { Files } from "../ports/index.ts";
import type { Evidence, Job, JobResult, Laborer } from "./labor.ts";
import { describeResult, replayLine } from "./report.ts";
import { writeScenario } from "./scenario.ts";
import type { SeedResult } from "./seed.ts";
import { drawIllegal } from "./check/index.ts";
import { faultsOf, shrink, stepsOf, symptomOf } from "./shrink.ts";
import type { Reduction, Shrunk } from "./shrink.ts";

/** What a failure leaves behind, so that somebody can begin at once. */
export interface GiftOptions {
  readonly files: Files;
  /** Of the source; "" when it is not known. */
  readonly commit: string;
  /** Where directories of failures are made. */
  readonly root: string;
  /** Whether to look for a smaller run that fails in the same way. */
  readonly shrink: boolean;
  readonly reductions?: readonly Reduction<unknown>[];
  readonly say: (line: string) => void;
}

/**
 * Runs a failed job again, writing down all that happens, into a directory of its own: `scenario.json` (seed and plan, for
 * `--scenario`), `result.txt`, `history.txt`, `trace.txt`, a picture of each key that is not linearizable; and `smaller/` with the same of the smallest plan that still fails.
 */
export async function unwrap(job: Job, failed: SeedResult, laborer: Laborer, options: GiftOptions): Promise<void> {
  const { commit, files, root, say } = options;
  const directory = `${root}/${failed.seed}-${failed.plan.profile}${commit === "" ? "" : `-${commit.slice(0, 8)}`}`;
  say(`replay: ${replayLine(failed, commit)}`);
  // One that came to no end would come to none again.
  if (failed.hash === "") return;
  await writeRun(files, directory, await laborer.run({ ...job, evidence: true }), commit);
  say(`written to ${directory}`);
  if (!options.shrink) return;
  const { plan, trials } = await shrinkFailure(failed, laborer, options.reductions);
  await writeRun(files, `${directory}/smaller`, await laborer.run({ seed: job.seed, options: { plan }, evidence: true }), commit);
  say(
    `smaller: ${plan.faults.length} of ${failed.plan.faults.length} faults, ${failed.steps.length - plan.leftOut.length} of ${failed.steps.length} steps after ${trials} runs: npm run sim -- --scenario ${directory}/smaller/scenario.json --trace`,
  );
}

/** The smallest plan that fails with the same words first. */
export function shrinkFailure(
  failed: SeedResult,
  laborer: Laborer,
  reductions: readonly Reduction<unknown>[] = [faultsOf, stepsOf(failed.steps)],
): Promise<Shrunk> {
  const symptom = symptomOf(failed.violations[0] ?? "");
  const fails = async (plan: SeedResult["plan"]): Promise<boolean> => {
    const { result } = await laborer.run({ seed: failed.seed, options: { plan }, evidence: false });
    return result.violations.some((violation) => symptomOf(violation) === symptom);
  };
  return shrink(failed.plan, fails, reductions);
}

async function writeRun(files: Files, directory: string, { evidence, result }: JobResult, commit: string): Promise<void> {
  const { plan, seed, violations } = result;
  await writeScenario(files, `${directory}/scenario.json`, { seed, plan, commit, violations });
  await files.write(`${directory}/result.txt`, utf8Encode(`${describeResult(result)}\n`));
  for (const [at, found] of result.illegal.entries()) await files.write(`${directory}/illegal-${at}.html`, utf8Encode(drawIllegal(found)));
  if (evidence === undefined) return;
  for (const name of ["history", "trace"] as const satisfies readonly (keyof Evidence)[])
    await files.write(`${directory}/${name}.txt`, utf8Encode(`${evidence[name].join("\n")}\n`));
}
