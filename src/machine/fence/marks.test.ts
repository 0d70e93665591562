import { describe, expect, it } from "vitest";
import { Prng, Reader, Writer } from "../../base/index.ts";
import { FenceMarks } from "./marks.ts";
import { FenceSource, restoreFences } from "./snapshot.ts";

function copyOf(marks: FenceMarks, countMax: number): FenceMarks {
  const source = new FenceSource(marks);
  const copy = new FenceMarks(countMax);
  for (;;) {
    const writer = new Writer();
    if (!source.fill(writer, 200)) return copy;
    restoreFences(copy, new Reader(writer.take()));
  }
}

describe("the marks of other keyspaces' claims", () => {
  it("never let a superseded claim through, however many names there are, and stay within their bound", () => {
    const prng = new Prng("marks");
    const countMax = 64;
    const marks = new FenceMarks(countMax);
    const highest = new Map<string, number>();
    let refusedInVain = 0;
    for (let fence = 1; fence <= 5_000; fence++) {
      const source = prng.pick(["a", "b"]);
      const name = `lock ${prng.below(200)}/`;
      const key = `${source} ${name}`;
      const known = highest.get(key) ?? 0;
      // A claim of long ago, or a new one.
      const acting = prng.chance(1, 3) ? Math.max(1, known - prng.between(0, 2)) : fence;
      const refused = marks.raise({ source, name, fence: acting });
      if (acting < known) expect(refused?.code).toBe("FENCED");
      else if (refused !== undefined) refusedInVain++;
      else highest.set(key, acting);
      expect(marks.marks.size).toBeLessThanOrEqual(countMax);
    }
    // Only those whose marks were dropped: the price of the bound.
    expect(refusedInVain).toBeGreaterThan(0);
    expect(marks.memoryBytes).toBeLessThan(countMax * 1_000);
  });

  it("drop the same on every replica, also on one that began with a snapshot", () => {
    const prng = new Prng("replicas");
    const first = new FenceMarks(32);
    let second = new FenceMarks(32);
    for (let fence = 1; fence <= 500; fence++) {
      const mark = { source: `s${prng.below(3)}`, name: `n${prng.below(60)}/`, fence: prng.chance(1, 5) ? prng.between(1, fence) : fence };
      expect(first.raise(mark)?.code).toBe(second.raise(mark)?.code);
      expect(second.hash.text()).toBe(first.hash.text());
      expect(second.memoryBytes).toBe(first.memoryBytes);
      if (fence % 100 === 0) second = copyOf(first, 32);
    }
  });

  it("refuse at one floor when there are too many keyspaces for one each", () => {
    const marks = new FenceMarks(4);
    for (let i = 1; i <= 2_000; i++) marks.raise({ source: `s${i}`, name: "n/", fence: i });
    expect(marks.floors.size).toBeLessThan(260);
    expect(marks.raise({ source: "s1", name: "n/", fence: 1 })?.code).toBe("FENCED");
    expect(marks.raise({ source: "new", name: "n/", fence: 3_000 })).toBeUndefined();
  });

  it("after a restore refuse what they knew, and take the claims of the keyspaces that went on", () => {
    const before = new FenceMarks();
    before.raise({ source: "a", name: "n/", fence: 70 });
    before.raise({ source: "a", name: "m/", fence: 50 });
    const after = new FenceMarks();
    after.supersedeAll(before, 1_000);
    expect(after.raise({ source: "a", name: "n/", fence: 70 })?.code).toBe("FENCED");
    expect(after.raise({ source: "a", name: "other/", fence: 71 })?.code).toBe("FENCED");
    expect(after.raise({ source: "a", name: "n/", fence: 1_071 })).toBeUndefined();
    expect(after.raise({ source: "b", name: "n/", fence: 1 })).toBeUndefined();
  });
});
