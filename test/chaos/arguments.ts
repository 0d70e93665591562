import { parseArgs } from "node:util";
import { workloadNames } from "#dist/sim/index.js";
import { faultKinds } from "./plan.ts";
import type { ChaosFaultKind } from "./plan.ts";
import type { WiresKind } from "./wires.ts";

export interface ChaosArguments {
  readonly minutes: number;
  readonly seed: number;
  readonly json: boolean;
  /** Every fault as it happens. */
  readonly verbose: boolean;
  /** Only the plan, and nothing is started. */
  readonly plan: boolean;
  /** Undefined: what the seed draws. */
  readonly kinds: readonly ChaosFaultKind[] | undefined;
  readonly workloads: readonly string[] | undefined;
  readonly wires: WiresKind | undefined;
}

export const usage = `npm run chaos -- [--minutes N] [--seed S] [--faults KIND,…] [--workload NAME,…] [--wires proxies|namespaces] [--plan] [--verbose] [--json]
  faults: ${faultKinds.join(", ")}
  workloads: ${workloadNames.join(", ")}`;

/** What the command line asks for, or the mistake in it as one sentence. */
export function readChaosArguments(args: readonly string[]): ChaosArguments | { readonly mistake: string } {
  let values: ReturnType<typeof parse>["values"];
  try {
    values = parse(args).values;
  } catch (error) {
    return { mistake: error instanceof Error ? error.message : String(error) };
  }
  const minutes = Number(values.minutes);
  // One that nobody named is new each time, and printed.
  const seed = values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : Number(values.seed);
  if (!(minutes > 0)) return { mistake: `--minutes takes a number above 0, not "${values.minutes}".` };
  if (values.seed === "" || !Number.isSafeInteger(seed) || seed < 0)
    return { mistake: `--seed takes a whole number, not "${values.seed}".` };
  const { wires } = values;
  if (wires !== undefined && wires !== "proxies" && wires !== "namespaces")
    return { mistake: `--wires is proxies or namespaces, not "${wires}".` };
  const kinds = values.faults?.split(",");
  const wrongKind = kinds?.find((kind) => !(faultKinds as readonly string[]).includes(kind));
  if (wrongKind !== undefined) return { mistake: `There is no fault "${wrongKind}"; there are ${faultKinds.join(", ")}.` };
  const workloads = values.workload?.split(",");
  const wrongWorkload = workloads?.find((name) => !workloadNames.includes(name));
  if (wrongWorkload !== undefined) return { mistake: `There is no workload "${wrongWorkload}"; there are ${workloadNames.join(", ")}.` };
  const { json = false, plan = false, verbose = false } = values;
  return { minutes, seed, json, verbose, plan, kinds: kinds as readonly ChaosFaultKind[] | undefined, workloads, wires };
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      minutes: { type: "string", default: "2" },
      seed: { type: "string" },
      faults: { type: "string" },
      workload: { type: "string" },
      wires: { type: "string" },
      json: { type: "boolean" },
      plan: { type: "boolean" },
      verbose: { type: "boolean" },
    },
  });
}
