import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseScenario, scenarioDirectory } from "./scenario.ts";
import { runSeed } from "./seed.ts";

/** Runs that failed once, made as small as they get: what they found stays mended. */
describe("scenarios", () => {
  const names = readdirSync(scenarioDirectory).filter((name) => name.endsWith(".json"));

  it("are there", () => expect(names.length).toBeGreaterThan(0));

  for (const name of names) {
    it(name.slice(0, -".json".length), async () => {
      const { plan, seed } = parseScenario(readFileSync(`${scenarioDirectory}/${name}`, "utf8"));
      const { ok, violations } = await runSeed(seed, { plan });
      expect(violations).toEqual([]);
      expect(ok).toBeGreaterThan(0);
    });
  }
});

it("a file that is no scenario is refused, and one of an older version is completed from its seed", () => {
  expect(() => parseScenario("{}")).toThrow("not a scenario");
  const { plan } = parseScenario(JSON.stringify({ seed: 3, plan: { profile: "calm", faults: [], clients: 1 } }));
  expect(plan).toMatchObject({ clients: 1, faults: [], budget: "kept" });
  expect(plan.workloads.length).toBeGreaterThan(0);
});
