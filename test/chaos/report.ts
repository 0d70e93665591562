import { describeMix } from "#dist/sim/index.js";
import type { ChaosArguments } from "./arguments.ts";
import type { RoundResult } from "./round.ts";

export interface ChaosReport {
  readonly seed: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly operations: { readonly acknowledged: number; readonly refused: number; readonly unknown: number };
  readonly faults: Readonly<Record<string, number>>;
  readonly leftOut: Readonly<Record<string, string>>;
  /** Sectors and names that power losses took. */
  readonly lost: number;
  /** Of the time under faults, the part in which something was acknowledged. */
  readonly availability: number;
  readonly longestPauseMs: number;
  readonly undecided: number;
  readonly violations: readonly string[];
}

export function reportOf(seed: number, results: readonly RoundResult[], realMs: number): ChaosReport {
  const sum = (value: (result: RoundResult) => number): number => results.reduce((total, result) => total + value(result), 0);
  const faults: Record<string, number> = {};
  for (const result of results) for (const [kind, count] of Object.entries(result.faults)) faults[kind] = (faults[kind] ?? 0) + count;
  const underFaultsMs = sum(({ plan }) => plan.faultMs);
  return {
    seed,
    rounds: results.length,
    seconds: Math.round(realMs / 1000),
    operations: { acknowledged: sum((r) => r.acknowledged), refused: sum((r) => r.refused), unknown: sum((r) => r.unknown) },
    faults,
    leftOut: Object.assign({}, ...results.map(({ leftOut }) => leftOut)) as Record<string, string>,
    lost: sum(({ lost }) => lost),
    availability: Number((sum(({ availability, plan }) => availability * plan.faultMs) / Math.max(1, underFaultsMs)).toFixed(4)),
    longestPauseMs: Math.max(0, ...results.map(({ longestPauseMs }) => longestPauseMs)),
    undecided: sum(({ undecided }) => undecided),
    violations: results.flatMap(({ plan, violations }) => violations.map((text) => `round ${plan.round}: ${text}`)),
  };
}

const listed = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([kind, count]) => `${kind} ${count}`)
    .join(", ") || "no faults";

/** One round in a line, what it did, and what was wrong. */
export function describeRound(result: RoundResult): string {
  const { acknowledged, availability, faults, lost, longestPauseMs, mix, plan, refused, revisions, undecided, unknown, violations } =
    result;
  const line =
    `round ${plan.round} ${violations.length === 0 ? "passed" : "FAILED"}: ${plan.nodes} nodes, ${plan.wires}, ` +
    `${acknowledged} acknowledged, ${refused} refused, ${unknown} unknown, ${revisions} revisions; ${listed(faults)}; ` +
    `${lost} sectors and names lost with the power; available ${percent(availability)}, longest pause ${longestPauseMs} ms` +
    `${undecided === 0 ? "" : `; ${undecided} keys undecided`}`;
  return [
    line,
    ...mix.map((row) => `  ${describeMix(row)}`),
    ...violations.map((text) => `  violation: ${text.replaceAll("\n", "\n  ")}`),
  ].join("\n");
}

const percent = (ratio: number): string => `${(ratio * 100).toFixed(1)} %`;

export function describeTotals(args: ChaosArguments, results: readonly RoundResult[], realMs: number): string {
  const report = reportOf(args.seed, results, realMs);
  const { acknowledged, refused, unknown } = report.operations;
  const count = Object.values(report.faults).reduce((a, b) => a + b, 0);
  const lines = [
    `seed          ${args.seed}`,
    `operations    ${acknowledged} acknowledged, ${refused} refused, ${unknown} unknown, in ${report.seconds} s`,
    `faults        ${count}: ${listed(report.faults)}`,
    ...Object.entries(report.leftOut).map(([kind, why]) => `left out      ${kind}: ${why}`),
    `violations    ${report.violations.length}`,
    `availability  ${percent(report.availability)}, longest pause ${report.longestPauseMs} ms`,
  ];
  if (report.violations.length > 0)
    lines.push(`again: npm run chaos -- --minutes ${args.minutes} --seed ${args.seed}${narrowed(args)} --verbose`);
  return lines.join("\n");
}

function narrowed({ kinds, wires, workloads }: ChaosArguments): string {
  const option = (name: string, value: string | undefined): string => (value === undefined ? "" : ` --${name} ${value}`);
  return option("faults", kinds?.join(",")) + option("workload", workloads?.join(",")) + option("wires", wires);
}
