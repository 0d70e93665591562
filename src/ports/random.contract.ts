import { describe, expect, it } from "vitest";
import type { Random } from "./random.ts";

/** What every source of entropy promises; see `random.ts`. */
export function randomContract(name: string, make: () => Random): void {
  describe(`${name} keeps the promises of a source of entropy`, () => {
    it("gives as many bytes as were asked for, the caller's own", () => {
      const random = make();
      for (const length of [0, 1, 8, 33, 70_000]) expect(random.bytes(length).length).toBe(length);
      const first = random.bytes(16);
      const copy = first.slice();
      random.bytes(16).fill(0);
      expect(first).toEqual(copy);
    });

    it("does not repeat itself and uses every value of a byte", () => {
      const random = make();
      const seen = new Set<string>();
      for (let i = 0; i < 1000; i++) seen.add(random.bytes(8).join());
      expect(seen.size).toBe(1000);
      expect(new Set(random.bytes(20_000)).size).toBe(256);
    });
  });
}
