import { describe, expect, it } from "vitest";
import { describeDifference, findDifference, firstDifference } from "./determinism.ts";
import { Scheduler } from "./scheduler.ts";

/** A run of three events, the second of which depends on something that outlives it. */
function leaky(): (record?: (line: string) => void) => Promise<{ readonly hash: string }> {
  let runs = 0;
  return async (record) => {
    const scheduler = new Scheduler(record === undefined ? {} : { record });
    const number = ++runs;
    scheduler.schedule(1_000, "first", () => undefined);
    scheduler.schedule(2_000, `second of run ${number}`, () => undefined);
    scheduler.schedule(3_000, "third", () => undefined);
    await scheduler.run(10);
    return { hash: scheduler.trace.hash };
  };
}

describe("the determinism gate", () => {
  it("names the first event that differs, and what came before it", async () => {
    const run = leaky();
    const difference = await findDifference((await run()).hash, run);
    expect(difference?.seen).toEqual({ event: 1, common: ["1.000 first"], one: "2.000 second of run 3", two: "2.000 second of run 4" });
    if (difference === undefined) return;
    expect(describeDifference(difference)).toMatch(
      /^[0-9a-f]{16}, then [0-9a-f]{16}; the first event that differs is number 2\n {4}1\.000 first\n {2}- 2\.000 second of run 3\n {2}\+ 2\.000 second of run 4$/,
    );
  });

  it("has nothing to say of two equal runs", async () => {
    const run = async (): Promise<{ readonly hash: string }> => ({ hash: "a" });
    expect(await findDifference("a", run)).toBeUndefined();
  });

  it("says so when the difference does not come back", async () => {
    let runs = 0;
    const run = async (record?: (line: string) => void): Promise<{ readonly hash: string }> => {
      record?.("1.000 same");
      return { hash: ++runs === 1 ? "b" : "a" };
    };
    const difference = await findDifference("a", run);
    expect(difference).toEqual({ hashes: ["a", "b"], seen: undefined });
    expect(describeDifference({ hashes: ["a", "b"], seen: undefined })).toBe("a, then b; two more runs, recorded, were the same");
  });

  it("takes a run that ends early for one that differs there", () => {
    expect(firstDifference(["a", "b"], ["a"])).toEqual({ event: 1, common: ["a"], one: "b", two: "(the end)" });
    expect(firstDifference([], [])).toBeUndefined();
  });
});
