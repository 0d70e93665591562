import { describe, expect, it } from "vitest";
import { Prng } from "../../../base/index.ts";
import { intervalOf, Ranges } from "./ranges.ts";

const rangesOf = (...pairs: readonly (readonly [string, string])[]): Ranges => new Ranges(pairs.map(([key, end]) => intervalOf(key, end)));

describe("the ranges that permissions cover", () => {
  it("cover a range that several of them cover together, and none with a gap", () => {
    const ranges = rangesOf(["a", "c"], ["c", "e"], ["g", "h"]);
    expect(ranges.covers(intervalOf("a", "e"))).toBe(true);
    expect(ranges.covers(intervalOf("b", "d"))).toBe(true);
    expect(ranges.covers(intervalOf("d", "h"))).toBe(false);
    expect(ranges.covers(intervalOf("a", "e\0"))).toBe(false);
    expect(ranges.covers(intervalOf("e", ""))).toBe(false);
  });

  it("take a key for the one key, not for what begins with it", () => {
    const ranges = rangesOf(["key", ""]);
    expect(ranges.covers(intervalOf("key", ""))).toBe(true);
    expect(ranges.covers(intervalOf("key\0", ""))).toBe(false);
    expect(ranges.covers(intervalOf("key", "kez"))).toBe(false);
    // A key and the next one after it touch.
    expect(rangesOf(["key", ""], ["key\0", ""]).covers(intervalOf("key", "key\0\0"))).toBe(true);
  });

  it("know of ends that are open: only an open range covers one", () => {
    expect(rangesOf(["b", "\0"]).covers(intervalOf("c", "\0"))).toBe(true);
    expect(rangesOf(["b", "\0"]).covers(intervalOf("\xff\xff", ""))).toBe(true);
    expect(rangesOf(["b", "\0"]).covers(intervalOf("a", "\0"))).toBe(false);
    expect(rangesOf(["\0", "\xff\xff\xff"]).covers(intervalOf("a", "\0"))).toBe(false);
    expect(rangesOf(["\0", "m"], ["k", "\0"]).covers(intervalOf("\0", "\0"))).toBe(true);
  });

  it("hold nothing where they end before they begin", () => {
    expect(rangesOf(["c", "a"]).covers(intervalOf("b", ""))).toBe(false);
    expect(rangesOf().covers(intervalOf("a", ""))).toBe(false);
  });

  it("cover exactly the ranges all of whose keys one of them has", () => {
    const prng = new Prng("ranges");
    const letters = "abcdefgh";
    const pick = (): readonly [string, string] => {
      const begin = prng.below(letters.length);
      const kind = prng.below(4);
      const end = kind === 0 ? "" : kind === 1 ? "\0" : (letters[prng.between(begin, letters.length - 1)] ?? "h");
      return [letters[begin] ?? "a", end];
    };
    // Keys between and behind those that ranges begin and end at.
    const keys = [...letters].flatMap((letter) => [letter, `${letter}\0`, `${letter}5`]);
    const has = ([key, end]: readonly [string, string], at: string): boolean =>
      end === "" ? at === key : at >= key && (end === "\0" || at < end);
    let covered = 0;
    for (let round = 0; round < 3_000; round++) {
      const given = Array.from({ length: prng.between(1, 5) }, pick);
      const asked = pick();
      if (asked[0] === asked[1]) continue;
      const expected = keys.every((key) => !has(asked, key) || given.some((one) => has(one, key)));
      expect([given, asked, rangesOf(...given).covers(intervalOf(...asked))]).toEqual([given, asked, expected]);
      if (expected) covered++;
    }
    expect(covered).toBeGreaterThan(300);
  });
});
