import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { nemesisNames, profileNames } from "../../src/sim/profile.ts";
import { workloadNames } from "../../src/sim/workloads/index.ts";
import { pathOf } from "../files.ts";
import { mutants } from "./catalogue.ts";
import { StalePatch, mutate } from "./mutant.ts";
import type { Mutant } from "./mutant.ts";
import { checkerOf, describeTable } from "./table.ts";

const sample: Mutant = {
  name: "sample",
  breaks: "Nothing.",
  file: "src/nowhere.ts",
  edits: [{ text: "a + b", replacement: "a - b" }],
  ground: { profile: "calm" },
};

describe("mutants", () => {
  it("are at least thirty, each with a name and a promise of its own", () => {
    expect(mutants.length).toBeGreaterThanOrEqual(30);
    expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
    expect(new Set(mutants.map(({ breaks }) => breaks)).size).toBe(mutants.length);
  });

  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))("%s still fits its source", (_, mutant) => {
    expect(mutate(mutant, readFileSync(pathOf(mutant.file), "utf8"))).not.toBe("");
  });

  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))("%s is hunted where there is something to hunt on", (_, { ground }) => {
    expect(profileNames).toContain(ground.profile);
    for (const workload of ground.workloads ?? []) expect(workloadNames).toContain(workload);
    for (const nemesis of ground.nemeses ?? []) expect(nemesisNames).toContain(nemesis);
  });

  it("fail loudly when their text is gone or stands there twice, or when they change nothing", () => {
    expect(mutate(sample, "x = a + b;")).toBe("x = a - b;");
    expect(() => mutate(sample, "x = a * b;")).toThrow(StalePatch);
    expect(() => mutate(sample, "x = a + b; y = a + b;")).toThrow(/is 2 times in src\/nowhere.ts/);
    expect(() => mutate({ ...sample, edits: [{ text: "x", replacement: "x" }] }, "x")).toThrow(/changes nothing/);
  });

  it("put text as it is, whatever a replacement's signs would mean to a pattern", () => {
    expect(mutate({ ...sample, edits: [{ text: "a + b", replacement: "$& `${a}`" }] }, "x = a + b;")).toBe("x = $& `${a}`;");
  });

  it("have no switch in production code", () => {
    // The simulator's help tells of the option, which is not its own.
    const isCode = (path: string): boolean => path.endsWith(".ts") && !path.endsWith(".test.ts") && path !== join("sim", "arguments.ts");
    const sources = readdirSync(pathOf("src"), { recursive: true, encoding: "utf8" }).filter(isCode);
    const found = sources.filter(
      (path) => statSync(pathOf(`src/${path}`)).isFile() && /mutant/i.test(readFileSync(pathOf(`src/${path}`), "utf8")),
    );
    expect(found).toEqual([]);
  });
});

describe("the table", () => {
  it("names who found a mutant first, and where", () => {
    expect(checkerOf(["12.5 ms: watch: revision 3 came twice", "13.0 ms: durability: lost"])).toBe("watch");
    const text = describeTable(
      [
        {
          mutant: { ...sample, ground: { profile: "network", workloads: ["watch"] } },
          own: { kind: "fallen", seed: 7, violations: ["1.0 ms: watch: x"] },
          mix: { kind: "survived", seeds: 100 },
          mixSeeds: 300,
        },
        { mutant: sample, own: { kind: "died", seed: 2, how: "exit code 1" }, mix: undefined, mixSeeds: 0 },
      ],
      { mixSeeds: 1_000, seconds: 12 },
    );
    expect(text).toContain("| sample | network, watch | 7 | watch | survived 300 | none |");
    expect(text).toContain("| sample | calm | died in 2 | none | – | – |");
    expect(text).toContain("1 of 2 mutants fell to their own profile, 0 to 300 seeds of the default mix; 12 s");
  });
});
