import { describe, expect, it } from "vitest";
import { describeResult, describeTotals, replayLine } from "./report.ts";
import { runSeed } from "./seed.ts";

describe("the seed loop", () => {
  for (const profile of ["calm", "crashes", "network", "disk", "clocks", "members", "swarm"]) {
    it(`${profile}: nothing acknowledged is lost, nothing is seen out of order, and everything comes back`, async () => {
      for (let seed = 1; seed <= 3; seed++) {
        const result = await runSeed(seed, { profile });
        expect(result.violations, `seed ${seed}`).toEqual([]);
        expect(result.ok).toBeGreaterThan(0);
      }
    });
  }

  it("the same seed twice does the same to the last event, and another one something else", async () => {
    const hashes: string[] = [];
    for (const seed of [7, 7, 8]) hashes.push((await runSeed(seed)).hash);
    expect(hashes[1]).toBe(hashes[0]);
    expect(hashes[2]).not.toBe(hashes[0]);
  });

  it("says what failed and how to see it again", async () => {
    const result = { ...(await runSeed(3, { profile: "calm" })), violations: ["1.0 ms: lost: something\nmore"] };
    expect(describeResult(result)).toMatch(/^seed 3 FAILED: [0-9a-f]{16}, .*\n(?: {2}[a-z].*\n)+ {2}1\.0 ms: lost: something\n {2}more$/);
    expect(replayLine(result, "abc123")).toBe("git checkout abc123 && npm run sim -- --seed 3 --profile calm --trace");
    expect(describeTotals([result], 1000)).toMatch(/^1 seeds, 1 failed \(3\): /);
  });
});
