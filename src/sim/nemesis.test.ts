import { describe, expect, it } from "vitest";
import { Prng } from "../base/index.ts";
import { helpText, readArguments } from "./arguments.ts";
import { describeFault } from "./fault.ts";
import { drawPlan } from "./nemesis.ts";
import { isProfile, nemesisNames, profileNames, profiles } from "./profile.ts";
import { replayLine } from "./report.ts";
import { workloadNames } from "./workloads/index.ts";

const plans = Array.from({ length: 300 }, (_, seed) => drawPlan(new Prng(seed)));

describe("a plan", () => {
  it("is the seed's: the same one twice", () => {
    expect(drawPlan(new Prng(5))).toEqual(drawPlan(new Prng(5)));
    expect(drawPlan(new Prng(5))).not.toEqual(drawPlan(new Prng(6)));
  });

  it("leaves whole kinds of faults out, and no kind out of all plans", () => {
    const kinds = plans.map(({ faults }) => new Set(faults.map(({ fault }) => fault.kind)));
    const all = new Set(kinds.flatMap((set) => [...set]));
    expect([...all].sort()).toEqual([...(profiles["swarm"]?.nemeses ?? [])].sort());
    expect(kinds.filter((set) => set.size < all.size / 2).length).toBeGreaterThan(100);
    for (const kind of all) expect(kinds.filter((set) => set.has(kind)).length).toBeGreaterThan(10);
  });

  it("has its faults in order, within its time, each with words of its own", () => {
    for (const { faultMs, faults } of plans) {
      let last = 0;
      for (const { atMs, fault } of faults) {
        expect(atMs).toBeGreaterThanOrEqual(last);
        expect(atMs).toBeLessThan(faultMs);
        if (fault.kind === "pause") expect(atMs + fault.forMs).toBeLessThan(faultMs);
        expect(describeFault(fault)).toContain(fault.kind);
        last = atMs;
      }
    }
  });

  it("of a profile has its faults only", () => {
    expect(drawPlan(new Prng(1), "calm").faults).toEqual([]);
    for (let seed = 0; seed < 50; seed++)
      for (const { fault } of drawPlan(new Prng(seed), "clocks").faults)
        expect(["wall-jump", "drift", "pause", "pause-client"]).toContain(fault.kind);
    expect(profileNames.every(isProfile)).toBe(true);
    expect(isProfile("toString")).toBe(false);
  });
});

describe("a narrowed plan", () => {
  it("has the named faults and workloads, each in every seed's draw", () => {
    for (let seed = 0; seed < 50; seed++) {
      const plan = drawPlan(new Prng(seed), "calm", { nemeses: ["reset"], workloads: ["bank"] });
      expect(new Set(plan.faults.map(({ fault }) => fault.kind))).toEqual(new Set(["reset"]));
      expect(plan.workloads).toEqual(["bank"]);
    }
  });

  it("always has a workload, and each is drawn by some seed", () => {
    expect(plans.every(({ workloads }) => workloads.length > 0)).toBe(true);
    expect(new Set(plans.flatMap(({ workloads }) => workloads))).toEqual(new Set(workloadNames));
  });

  it("is replayed by a line that narrows it again", () => {
    const plan = drawPlan(new Prng(1), "network");
    expect(replayLine({ seed: 1, plan, narrowing: {} }, "")).toBe("npm run sim -- --seed 1 --profile network --trace");
    expect(replayLine({ seed: 1, plan, narrowing: { nemeses: ["clog", "reset"], workloads: ["bank"] } }, "abc")).toBe(
      "git checkout abc && npm run sim -- --seed 1 --profile network --nemesis clog,reset --workload bank --trace",
    );
  });
});

describe("the command line", () => {
  it("takes one seed or many", () => {
    const defaults = {
      first: 1,
      count: 1,
      profile: "swarm",
      nemeses: undefined,
      workloads: undefined,
      trace: false,
      checkDeterminism: false,
      mode: "seeds",
      jobs: 0,
      shrink: false,
      scenario: "",
      name: "",
      restart: [],
      reason: "",
      background: false,
    };
    expect(readArguments([])).toEqual(defaults);
    expect(readArguments(["--seed", "7", "--trace"])).toEqual({ ...defaults, first: 7, trace: true });
    expect(readArguments(["--seeds", "200", "--from", "1000", "--profile", "network", "--check-determinism"])).toEqual({
      ...defaults,
      first: 1000,
      count: 200,
      profile: "network",
      checkDeterminism: true,
    });
    expect(readArguments(["--nemesis", "reset,clog", "--workload", "bank"])).toEqual({
      ...defaults,
      nemeses: ["clog", "reset"],
      workloads: ["bank"],
    });
  });

  it("says what is to be done with seeds", () => {
    expect(readArguments(["--smoke"])).toMatchObject({ mode: "smoke" });
    expect(readArguments(["--scenario", "a/scenario.json"])).toMatchObject({ mode: "scenario", scenario: "a/scenario.json" });
    expect(readArguments(["--promote", "lost-vote", "--scenario", "a.json"])).toMatchObject({
      mode: "promote",
      name: "lost-vote",
      scenario: "a.json",
    });
    expect(readArguments(["--scenario", "a.json", "--promote", "lost-vote"])).toMatchObject({ mode: "promote" });
    expect(readArguments(["--campaign", "--seeds", "10000", "--jobs", "1"])).toMatchObject({ mode: "campaign", count: 10_000, jobs: 1 });
    expect(readArguments(["--campaign-restart", "disk,members", "--reason", "a fix"])).toMatchObject({
      mode: "campaign-restart",
      restart: ["disk", "members"],
      reason: "a fix",
    });
    expect(readArguments(["--promote", "../x"])).toHaveProperty("mistake");
  });

  it("says what there is, each on a line of its own", () => {
    expect(readArguments(["--help"])).toMatchObject({ mode: "help" });
    const lines = helpText().split("\n");
    for (const name of ["--seed N", "--profile NAME", "--campaign-report", "--mutants"])
      expect(lines.filter((line) => line.startsWith(`  ${name} `))).toHaveLength(1);
  });

  it("says in one sentence what is wrong", () => {
    expect(readArguments(["--seed", "x"])).toEqual({ mistake: "--seed takes a whole number." });
    for (const wrong of [
      ["--seed"],
      ["--profile", "none"],
      ["--profile", "toString"],
      ["--nemesis", "clog,rain"],
      ["--workload"],
      ["--sed", "1"],
    ])
      expect(readArguments(wrong)).toHaveProperty("mistake");
    expect(nemesisNames).toContain("clog");
  });
});
