import { describe, expect, it } from "vitest";
import { Prng } from "../base/index.ts";
import { readArguments } from "./arguments.ts";
import { describeFault, drawPlan, isProfile, profileNames } from "./nemesis.ts";

const plans = Array.from({ length: 300 }, (_, seed) => drawPlan(new Prng(seed)));

describe("a plan", () => {
  it("is the seed's: the same one twice", () => {
    expect(drawPlan(new Prng(5))).toEqual(drawPlan(new Prng(5)));
    expect(drawPlan(new Prng(5))).not.toEqual(drawPlan(new Prng(6)));
  });

  it("leaves whole kinds of faults out, and no kind out of all plans", () => {
    const kinds = plans.map(({ faults }) => new Set(faults.map(({ fault }) => fault.kind)));
    const all = new Set(kinds.flatMap((set) => [...set]));
    expect(all.size).toBe(19);
    expect(kinds.filter((set) => set.size < all.size / 2).length).toBeGreaterThan(100);
    for (const kind of all) expect(kinds.filter((set) => set.has(kind)).length).toBeGreaterThan(10);
  });

  it("has its faults in order, within its time, each with words of its own", () => {
    for (const { faultMs, faults } of plans) {
      let last = 0;
      for (const { atMs, fault } of faults) {
        expect(atMs).toBeGreaterThanOrEqual(last);
        expect(atMs).toBeLessThan(faultMs);
        expect(describeFault(fault)).toContain(fault.kind);
        last = atMs;
      }
    }
  });

  it("of a profile has its faults only", () => {
    expect(drawPlan(new Prng(1), "calm").faults).toEqual([]);
    for (let seed = 0; seed < 50; seed++)
      for (const { fault } of drawPlan(new Prng(seed), "clocks").faults) expect(["wall-jump", "drift", "pause"]).toContain(fault.kind);
    expect(profileNames.every(isProfile)).toBe(true);
    expect(isProfile("toString")).toBe(false);
  });
});

describe("the command line", () => {
  it("takes one seed or many", () => {
    expect(readArguments([])).toEqual({ first: 1, count: 1, profile: "swarm", trace: false, checkDeterminism: false });
    expect(readArguments(["--seed", "7", "--trace"])).toMatchObject({ first: 7, count: 1, trace: true });
    expect(readArguments(["--seeds", "200", "--from", "1000", "--profile", "network", "--check-determinism"])).toEqual({
      first: 1000,
      count: 200,
      profile: "network",
      trace: false,
      checkDeterminism: true,
    });
  });

  it("says in one sentence what is wrong", () => {
    expect(readArguments(["--seed", "x"])).toEqual({ mistake: "--seed takes a whole number." });
    expect(readArguments(["--seed"])).toHaveProperty("mistake");
    expect(readArguments(["--profile", "none"])).toHaveProperty("mistake");
    expect(readArguments(["--sed", "1"])).toHaveProperty("mistake");
  });
});
