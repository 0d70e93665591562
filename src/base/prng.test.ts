import { describe, expect, it } from "vitest";
import { AssertionFailure } from "./assert.ts";
import { Prng } from "./prng.ts";

const draws = (random: Prng, count: number): number[] => Array.from({ length: count }, () => random.u32());

describe("Prng", () => {
  it("is xoshiro128**: the published first outputs from the state 1, 2, 3, 4", () => {
    const random = new Prng(0);
    Object.assign(random, { a: 1, b: 2, c: 3, d: 4 });
    expect(draws(random, 10)).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ]);
  });

  it("gives the same stream for the same seed, on every machine and in every version", () => {
    expect(draws(new Prng(1), 4)).toEqual(draws(new Prng(1), 4));
    expect({
      number: draws(new Prng(1), 3),
      text: draws(new Prng("seed"), 3),
      fork: draws(new Prng(1).fork("disk"), 3),
    }).toMatchInlineSnapshot(`
      {
        "fork": [
          31464016,
          3243210984,
          3389886520,
        ],
        "number": [
          2442144158,
          3238099751,
          3819917871,
        ],
        "text": [
          3111921788,
          3605989405,
          550732020,
        ],
      }
    `);
  });

  it("gives different streams for different seeds, beyond 32 bits too", () => {
    const seeds = [0, 1, 2, 2 ** 32, 2 ** 32 + 1, 2 ** 40, "0", "1", ""];
    expect(new Set(seeds.map((seed) => draws(new Prng(seed), 2).join())).size).toBe(seeds.length);
  });

  it("forks streams that depend on the label and the state, and draw nothing from their parent", () => {
    const parent = new Prng(7);
    const before = draws(parent.fork("a"), 3);
    expect(draws(parent.fork("a"), 3)).toEqual(before);
    expect(draws(parent.fork("b"), 3)).not.toEqual(before);
    expect(draws(parent, 3)).toEqual(draws(new Prng(7), 3));
    expect(draws(parent.fork("a"), 3)).not.toEqual(before);
  });

  it("draws below a bound without bias, and every value", () => {
    const random = new Prng("below");
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < 60_000; i++) {
      const value = random.below(6);
      counts[value] = (counts[value] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
    expect(random.below(1)).toBe(0);
    expect(random.below(2 ** 32)).toBeLessThan(2 ** 32);
  });

  it("includes both ends of a range", () => {
    const random = new Prng("between");
    const seen = new Set(Array.from({ length: 200 }, () => random.between(-1, 2)));
    expect([...seen].sort((a, b) => a - b)).toEqual([-1, 0, 1, 2]);
  });

  it("is true as often as the ratio says", () => {
    const random = new Prng("chance");
    let hits = 0;
    for (let i = 0; i < 30_000; i++) if (random.chance(1, 3)) hits++;
    expect(Math.abs(hits - 10_000)).toBeLessThan(400);
    expect([random.chance(0, 5), random.chance(5, 5)]).toEqual([false, true]);
  });

  it("shuffles a copy, keeps every item and reaches every order", () => {
    const random = new Prng("shuffle");
    const items = [1, 2, 3];
    const orders = new Set(Array.from({ length: 200 }, () => random.shuffle(items).join()));
    expect([items, orders.size]).toEqual([[1, 2, 3], 6]);
  });

  it("refuses what has no answer", () => {
    const random = new Prng(1);
    for (const bad of [() => random.below(0), () => random.below(2 ** 32 + 1), () => random.pick([]), () => random.between(2, 1)]) {
      expect(bad).toThrow(AssertionFailure);
    }
  });
});
