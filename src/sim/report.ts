import type { SeedResult } from "./seed.ts";
import { describeMix } from "./workloads/index.ts";

/** One run in a line, and what was wrong with it below. */
export function describeResult(result: SeedResult): string {
  const { elections, entries, events, faults, hash, notApplied, ok, revisions, seed, undecided, unknown, violations, virtualMs } = result;
  const hits = [...faults].map(([kind, count]) => `${kind} ${count}`).join(", ");
  const line =
    `seed ${seed} ${violations.length === 0 ? "passed" : "FAILED"}: ${hash}, ${(virtualMs / 1000).toFixed(1)} s in ${events} events, ` +
    `${ok} ok, ${notApplied} refused, ${unknown} unknown, ${revisions} revisions, ${entries} entries, ${elections} elections` +
    `${undecided === 0 ? "" : `, ${undecided} keys undecided`}; ${hits === "" ? "no faults" : hits}`;
  return [
    line,
    ...result.mix.map((mix) => `  ${describeMix(mix)}`),
    ...violations.map((text) => `  ${text.replaceAll("\n", "\n  ")}`),
  ].join("\n");
}

/** The command that runs the seed again. `commit`: at which source; "" when it is not known. */
export function replayLine(result: Pick<SeedResult, "seed" | "plan" | "narrowing">, commit: string): string {
  const { narrowing, plan, seed } = result;
  const option = (name: string, value: string | undefined): string => (value === undefined ? "" : ` --${name} ${value}`);
  const drawn =
    option("profile", plan.profile === "swarm" ? undefined : plan.profile) +
    option("nemesis", narrowing.nemeses?.join(",")) +
    option("workload", narrowing.workloads?.join(","));
  return `${commit === "" ? "" : `git checkout ${commit} && `}npm run sim -- --seed ${seed}${drawn} --trace`;
}

export function describeTotals(results: readonly SeedResult[], realMs: number): string {
  const sum = (value: (result: SeedResult) => number): number => results.reduce((total, result) => total + value(result), 0);
  const failed = results.filter(({ violations }) => violations.length > 0).map(({ seed }) => seed);
  return (
    `${results.length} seeds, ${failed.length === 0 ? "all passed" : `${failed.length} failed (${failed.join(", ")})`}: ` +
    `${(sum(({ virtualMs }) => virtualMs) / 1000).toFixed(0)} s of virtual time in ${(realMs / 1000).toFixed(1)} s, ${sum(({ events }) => events)} events, ` +
    `${sum(({ ok }) => ok)} operations ok, ${sum(({ notApplied }) => notApplied)} refused, ${sum(({ unknown }) => unknown)} unknown, ` +
    `${sum(({ elections }) => elections)} elections, ${sum(({ undecided }) => undecided)} keys undecided`
  );
}
