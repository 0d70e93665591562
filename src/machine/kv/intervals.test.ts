import { describe, expect, it } from "vitest";
import { Prng } from "../../base/index.ts";
import { Intervals } from "./intervals.ts";

describe("the index of watched ranges", () => {
  it("finds exactly the ranges that hold a key, while ranges come and go", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const prng = new Prng(seed);
      const index = new Intervals<number>();
      const open: { readonly from: string; readonly to: string | undefined; readonly item: number }[] = [];
      const key = (): string => prng.below(prng.pick([5, 60])).toString(36);
      for (let step = 0; step < 400; step++) {
        if (open.length > 0 && prng.chance(2, 5)) {
          const [gone] = open.splice(prng.below(open.length), 1);
          if (gone !== undefined) index.remove(gone.from, gone.to, gone.item);
        } else {
          const range = { from: key(), to: prng.chance(1, 4) ? undefined : key(), item: step };
          open.push(range);
          index.add(range.from, range.to, range.item);
        }
        const asked = key();
        const found: number[] = [];
        index.stab(asked, (item) => found.push(item));
        const expected = open.filter(({ from, to }) => from <= asked && (to === undefined || to > asked)).map(({ item }) => item);
        expect(
          found.sort((a, b) => a - b),
          `seed ${seed} step ${step}`,
        ).toEqual(expected.sort((a, b) => a - b));
      }
      for (const { from, to, item } of open) index.remove(from, to, item);
      expect(index.isEmpty).toBe(true);
    }
  });

  it("asks few of ten thousand disjoint ranges, in whatever order they were opened", () => {
    const index = new Intervals<number>();
    for (let i = 0; i < 10_000; i++) index.add(i.toString().padStart(5, "0"), `${i.toString().padStart(5, "0")}~`, i);
    const found: number[] = [];
    for (let i = 0; i < 10_000; i += 7) index.stab(`${i.toString().padStart(5, "0")}x`, (item) => found.push(item));
    expect(found).toEqual(Array.from({ length: Math.ceil(10_000 / 7) }, (_, at) => at * 7));
  });
});
