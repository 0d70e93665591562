import { describe, expect, it } from "vitest";
import { IdMap } from "./id-map.ts";
import { Prng } from "./prng.ts";

describe("IdMap", () => {
  it("holds what a Map holds, whatever comes and goes", () => {
    for (const seed of [1, 2, 3, 4]) {
      const prng = new Prng(seed);
      const differences: string[] = [];
      const model = new Map<number, { n: number }>();
      const map = new IdMap<{ n: number }>();
      // Few different ids, some of them far apart: chains form, wrap around and are cut.
      const ids = Array.from({ length: 600 }, (_, at) => (seed % 2 === 0 ? at * 0x0100_0000 + at : 0xffff_ff00 + at) >>> 0);
      for (let step = 0; step < 20_000; step++) {
        const id = prng.pick(ids);
        const growing = Math.floor(step / 2_500) % 2 === 0;
        if (prng.chance(growing ? 3 : 1, 4)) {
          map.set(id, { n: step });
          model.set(id, { n: step });
        } else if (map.delete(id) !== model.delete(id)) differences.push(`delete ${id} at ${step}`);
        const other = prng.pick(ids);
        if (map.get(other)?.n !== model.get(other)?.n || map.has(other) !== model.has(other)) differences.push(`get ${other} at ${step}`);
        if (map.size !== model.size) differences.push(`size at ${step}`);
      }
      expect(differences).toEqual([]);
      expect(map.all()).toEqual([...model].sort(([a], [b]) => a - b).map(([, value]) => value));
    }
  });

  it("keeps everything while it grows and shrinks", () => {
    const map = new IdMap<{ id: number }>();
    for (let id = 0; id < 20_000; id++) map.set(id, { id });
    let found = 0;
    for (let id = 0; id < 19_990; id++) {
      if (map.get(id)?.id === id) found++;
      map.delete(id);
    }
    expect(found).toBe(19_990);
    expect(map.all().map(({ id }) => id)).toEqual(Array.from({ length: 10 }, (_, at) => 19_990 + at));
    map.clear();
    expect(map.size).toBe(0);
    expect(map.get(19_995)).toBe(undefined);
  });
});
