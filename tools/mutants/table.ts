import type { Catch } from "./hunt.ts";
import type { Mutant } from "./mutant.ts";

export interface Row {
  readonly mutant: Mutant;
  readonly own: Catch | undefined;
  readonly mix: Catch | undefined;
  /** How many seeds of the default mix it was given. */
  readonly mixSeeds: number;
}

/** Which checker spoke first: a violation begins with the time and its name. */
export function checkerOf(violations: readonly string[]): string {
  return /^[\d.]+ ms: ([^:]+): /.exec(violations[0] ?? "")?.[1] ?? "nobody";
}

function describeCatch(found: Catch | undefined, seeds: number): string {
  switch (found?.kind) {
    case "fallen":
      return `${found.seed} | ${checkerOf(found.violations)}`;
    case "died":
      return `died in ${found.seed} | none`;
    case "survived":
      return `survived ${seeds} | none`;
    default:
      return "– | –";
  }
}

/** As the README shows it. */
export function describeTable(
  rows: readonly Row[],
  { mixSeeds, seconds }: { readonly mixSeeds: number; readonly seconds: number },
): string {
  const lines = ["| mutant | its profile and workload | seed | checker | default mix: seed | checker |", "|---|---|---|---|---|---|"];
  for (const { mix, mixSeeds: given, mutant, own } of rows) {
    const { nemeses, profile, workloads } = mutant.ground;
    const where = [profile, ...(nemeses ?? []), ...(workloads ?? [])].join(", ");
    const tried = own?.kind === "survived" ? own.seeds : 0;
    lines.push(`| ${mutant.name} | ${where} | ${describeCatch(own, tried)} | ${describeCatch(mix, given)} |`);
  }
  const fallen = rows.filter(({ own }) => own?.kind === "fallen").length;
  const byMix = rows.filter(({ mix }) => mix?.kind === "fallen").length;
  const most = Math.max(0, ...rows.map(({ mixSeeds: given }) => given));
  lines.push(
    "",
    `${fallen} of ${rows.length} mutants fell to their own profile${mixSeeds === 0 ? "" : `, ${byMix} to ${most} seeds of the default mix`}; ${seconds.toFixed(0)} s`,
  );
  return lines.join("\n");
}
