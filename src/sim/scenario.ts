import { Prng, utf8Decode, utf8Encode } from "../base/index.ts";
import type { Files } from "../ports/index.ts";
import { drawPlan } from "./nemesis.ts";
import type { Plan } from "./nemesis.ts";

/** A run that was worth keeping: everything that decides it, as plain data. */
export interface Scenario {
  readonly seed: number;
  readonly plan: Plan;
  /** At which source it failed. */
  readonly commit: string;
  /** What it failed with, a sentence each. */
  readonly violations: readonly string[];
}

/** Where scenarios that were promoted live: each is a test from then on (`scenarios.test.ts`). */
export const scenarioDirectory = "src/sim/scenarios";

export function scenarioPath(name: string): string {
  return `${scenarioDirectory}/${name}.json`;
}

/** Throws when the text is no scenario. What later versions of a plan have more is drawn from the seed. */
export function parseScenario(text: string): Scenario {
  const { commit = "", plan, seed, violations = [] } = JSON.parse(text) as Partial<Scenario>;
  if (!Number.isSafeInteger(seed) || seed === undefined || !Array.isArray(plan?.faults))
    throw new Error("not a scenario: a seed and a plan are needed");
  return { seed, commit, violations, plan: { ...drawPlan(new Prng(seed).fork("plan"), plan.profile), ...plan } };
}

export async function readScenario(files: Files, path: string): Promise<Scenario> {
  const bytes = await files.read(path);
  if (bytes === undefined) throw new Error(`there is no ${path}`);
  return parseScenario(utf8Decode(bytes));
}

/** Of each violation the first line: stacks name paths of one machine. */
export function writeScenario(files: Files, path: string, scenario: Scenario): Promise<void> {
  const violations = scenario.violations.map((text) => text.split("\n", 1)[0]);
  return files.write(path, utf8Encode(`${JSON.stringify({ ...scenario, violations }, undefined, 2)}\n`));
}
