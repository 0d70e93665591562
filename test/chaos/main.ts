/**
 * Real node processes under faults, with the simulator's workloads and checkers:
 *
 *     npm run chaos -- --minutes 2 --seed 1
 *
 * Exit code 1 when something was seen that must not be, 2 for a wrong argument. The same seed gives the same plan of
 * faults and work; when exactly each operation meets which fault is the machine's to decide.
 */
import { tmpdir } from "node:os";
import { Prng } from "#dist/base/index.js";
import { readChaosArguments, usage } from "./arguments.ts";
import type { ChaosArguments } from "./arguments.ts";
import { whyNoSmallDisks } from "./disks.ts";
import { whyNoNamespaces } from "./namespaces.ts";
import { drawChaos } from "./plan.ts";
import type { ChaosPlan } from "./plan.ts";
import { describeRound, describeTotals, reportOf } from "./report.ts";
import { runRound } from "./round.ts";
import type { RoundResult } from "./round.ts";

/** Faults last this long at most before a cluster is healed and judged, and the next one is formed. */
const faultMsMax = 25_000;
/** Forming, healing and judging take about this. */
const besidesMs = 9_000;

function plansOf(args: ChaosArguments): ChaosPlan[] {
  const wholeMs = args.minutes * 60_000;
  const rounds = Math.max(1, Math.round(wholeMs / (faultMsMax + besidesMs)));
  const faultMs = Math.round(Math.max(3_000, Math.min(faultMsMax, wholeMs / rounds - besidesMs)));
  return Array.from({ length: rounds }, (_, i) =>
    drawChaos(new Prng(`chaos/${args.seed}/${i + 1}`).fork("plan"), {
      seed: args.seed,
      round: i + 1,
      faultMs,
      kinds: args.kinds,
      wires: args.wires,
    }),
  );
}

async function main(): Promise<number> {
  const args = readChaosArguments(process.argv.slice(2));
  if ("mistake" in args) {
    process.stderr.write(`${args.mistake}\n${usage}\n`);
    return 2;
  }
  const plans = plansOf(args);
  const out = (line: string): void => void process.stdout.write(`${line}\n`);
  const progress = (line: string): void => void process.stderr.write(`${line}\n`);
  if (args.plan) {
    out(JSON.stringify(plans, undefined, 2));
    return 0;
  }
  const noSmallDisks = whyNoSmallDisks(tmpdir());
  const noNamespaces = whyNoNamespaces();
  if (noSmallDisks !== undefined) progress(`left out: ${noSmallDisks}`);
  if (noNamespaces !== undefined) progress(`proxies everywhere: ${noNamespaces}`);
  const results: RoundResult[] = [];
  const startedMs = performance.now();
  for (const plan of plans) {
    const possible: ChaosPlan = noNamespaces === undefined ? plan : { ...plan, wires: "proxies" };
    const result = await runRound(possible, {
      workloads: args.workloads,
      say: args.verbose ? progress : () => undefined,
      smallDisks: noSmallDisks === undefined,
    });
    results.push(result);
    if (!args.json) out(describeRound(result));
  }
  if (args.json) out(JSON.stringify(reportOf(args.seed, results, performance.now() - startedMs), undefined, 2));
  else out(describeTotals(args, results, performance.now() - startedMs));
  return results.some(({ violations }) => violations.length > 0) ? 1 : 0;
}

const code = await main();
// Clients of a round that failed may go on trying for ever; what was said before is written by then.
process.stdout.write("", () => process.exit(code));
