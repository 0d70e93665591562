import { describe, expect, it } from "vitest";
import { Prng } from "../base/index.ts";
import { drawPlan } from "./nemesis.ts";
import type { Plan } from "./nemesis.ts";
import { faultsOf, shrink, stepsOf, symptomOf, trialsMax } from "./shrink.ts";

const drawn = [...Array(50).keys()].map((seed) => drawPlan(new Prng(seed), "network")).find(({ faults }) => faults.length > 12) as Plan;

describe("the shrinker", () => {
  it("finds the two faults that a failure needs, and leaves out all others", async () => {
    const [a, b] = [drawn.faults[3], drawn.faults[11]];
    if (a === undefined || b === undefined) return expect.unreachable("the plan has a dozen faults");
    const { plan, trials } = await shrink(drawn, async ({ faults }) => faults.includes(a) && faults.includes(b));
    expect(plan.faults).toEqual([a, b]);
    expect(plan.clients).toBe(1);
    expect(plan.faultMs).toBeLessThanOrEqual(drawn.faultMs);
    expect(trials).toBeLessThan(100);
  });

  it("finds the steps that a failure needs among hundreds, and the faults beside them", async () => {
    const made = Array.from({ length: 400 }, (_, i) => `c${i % 3}/bank/0/${i}`);
    const needed = [made[17], made[203], made[204]] as string[];
    const fault = drawn.faults[5] as Plan["faults"][number];
    const fails = async ({ faults, leftOut }: Plan): Promise<boolean> =>
      faults.includes(fault) && !needed.some((step) => leftOut.includes(step));
    const { plan, trials } = await shrink(drawn, fails, [faultsOf, stepsOf(made)]);
    expect(plan.faults).toEqual([fault]);
    expect(made.filter((step) => !plan.leftOut.includes(step))).toEqual(needed);
    expect(trials).toBeLessThan(trialsMax);
  });

  it("leaves steps out that are left out already", () => {
    const made = ["a", "b", "c", "d"];
    const steps = stepsOf(made);
    const plan = steps.keep(drawn, ["a", "c"]);
    expect(plan.leftOut).toEqual(["b", "d"]);
    expect(steps.parts(plan)).toEqual(["a", "c"]);
    expect(steps.keep(plan, ["c"]).leftOut).toEqual(["a", "b", "d"]);
  });

  it("gives the plan back when nothing can go", async () => {
    const { plan } = await shrink(drawn, async () => false);
    expect(plan).toEqual(drawn);
  });

  it("ends when a failure comes and goes", async () => {
    const prng = new Prng(1);
    const { trials } = await shrink(drawn, async () => prng.chance(1, 2));
    expect(trials).toBeLessThanOrEqual(trialsMax);
  });

  it("knows a failure by its words, not by when and where", () => {
    expect(symptomOf("123.4 ms: n2 stopped: DiskError: IDENTITY.0\n  because")).toBe(
      symptomOf("9.1 ms: n3 stopped: DiskError: IDENTITY.1"),
    );
    expect(symptomOf("1.0 ms: lost: #5 c1 put")).not.toBe(symptomOf("1.0 ms: applied again"));
  });
});
