import { describe, expect, it } from "vitest";
import { OrderedMap } from "./ordered-map.ts";
import { Prng } from "./prng.ts";

function entries(map: OrderedMap<number>, from = ""): [string, number][] {
  const found: [string, number][] = [];
  for (const cursor = map.cursor(from); cursor.key !== undefined; cursor.next()) found.push([cursor.key, cursor.value as number]);
  return found;
}

function expected(model: Map<string, number>, from = ""): [string, number][] {
  return [...model].filter(([key]) => key >= from).sort(([a], [b]) => (a < b ? -1 : 1));
}

describe("the ordered map", () => {
  it("agrees with a model in gets, order, ranks and sizes, and clones never change with their origin", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const prng = new Prng(seed);
      const space = prng.pick([20, 400, 4000]);
      const ascending = prng.chance(1, 4);
      const map = new OrderedMap<number>();
      const model = new Map<string, number>();
      const frozen: { map: OrderedMap<number>; model: Map<string, number> }[] = [];
      const deletes = prng.between(10, 60);
      for (let step = 0; step < 3000; step++) {
        const key = String.fromCharCode(prng.below(3) * 100) + (ascending ? step : prng.below(space)).toString(36).padStart(4, "0");
        if (prng.chance(deletes, 100)) {
          expect(map.delete(key)).toBe(model.get(key));
          model.delete(key);
        } else if (prng.chance(1, 2) && map.get(key) !== undefined) {
          map.replaceFound(key, step);
          model.set(key, step);
        } else {
          map.set(key, step);
          model.set(key, step);
        }
        if (prng.chance(1, 500)) frozen.push({ map: map.clone(), model: new Map(model) });
      }
      frozen.push({ map, model });
      for (const pair of frozen) {
        expect(pair.map.size).toBe(pair.model.size);
        expect(entries(pair.map)).toEqual(expected(pair.model));
        const from = `d${prng.below(space).toString(36)}`;
        expect(entries(pair.map, from)).toEqual(expected(pair.model, from));
        expect(pair.map.rank(from)).toBe(pair.model.size - expected(pair.model, from).length);
      }
    }
  });

  it("empties and fills again after everything was deleted", () => {
    const map = new OrderedMap<number>();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 5000; i++) map.set(`k${i}`, i);
      for (let i = 0; i < 5000; i++) expect(map.delete(`k${i}`)).toBe(i);
      expect(map.size).toBe(0);
      expect(map.cursor("").key).toBe(undefined);
    }
  });
});
