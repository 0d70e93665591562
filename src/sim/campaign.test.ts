import { describe, expect, it } from "vitest";
import { countOf, describeCampaign, nextBatch, parseCampaign, probesOf } from "./campaign.ts";
import type { CampaignBatch, CampaignLine } from "./campaign.ts";

const batch = (profile: string, from: number, count: number, failed: readonly number[] = []): CampaignBatch => ({
  profile,
  from,
  count,
  commit: "0123456789abcdef",
  failed,
  realMs: 1,
  probes: { rare: 1 },
});

describe("a campaign", () => {
  it("goes on where it was: no seed twice, the profile that has least first", () => {
    const lines: CampaignLine[] = [];
    const seen: string[] = [];
    for (let next = nextBatch(lines, ["a", "b"], 100, 20); next !== undefined; next = nextBatch(lines, ["a", "b"], 100, 20)) {
      seen.push(`${next.profile}${next.from}+${next.count}`);
      lines.push(batch(next.profile, next.from, next.count));
    }
    expect(seen).toEqual(["a1+20", "b1+20", "a21+20", "b21+20", "a41+10", "b41+10"]);
    expect(nextBatch(lines, ["a", "b"], 110, 20)).toEqual({ profile: "a", from: 51, count: 5 });
  });

  it("counts anew what a fix touched, with new seeds, and nothing else", () => {
    const lines: CampaignLine[] = [batch("a", 1, 50, [7]), batch("b", 1, 50), { restart: ["a"], commit: "f", reason: "a vote was lost" }];
    expect(countOf(lines, "a")).toEqual({ seeds: 0, failed: [], next: 51, commits: [] });
    expect(countOf(lines, "b").seeds).toBe(50);
    expect(nextBatch(lines, ["a", "b"], 100, 100)).toEqual({ profile: "a", from: 51, count: 50 });
  });

  it("survives a file that ends in the middle of a line", () => {
    const text = `${JSON.stringify(batch("a", 1, 5))}\n${JSON.stringify(batch("a", 6, 5)).slice(0, 20)}`;
    expect(parseCampaign(text)).toEqual([batch("a", 1, 5)]);
    expect(parseCampaign("")).toEqual([]);
  });

  it("tells what it has, what failed and which rare states it reached", () => {
    const lines = [batch("a", 1, 50, [7, 9]), batch("b", 1, 25)];
    expect(describeCampaign(lines, ["a", "b"])).toBe(
      [
        "a               50 seeds, 2 FAILED: 7, 9 (01234567)",
        "b               25 seeds, all passed (01234567)",
        "together        75 seeds since the last restart of each",
      ].join("\n"),
    );
    expect(probesOf(lines)).toEqual(new Map([["rare", 2]]));
  });
});
