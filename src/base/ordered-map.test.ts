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
        } else if (prng.chance(1, 2)) {
          const isBeyond = map.isBeyond(key);
          if (isBeyond || prng.chance(1, 20)) expect([...model.keys()].every((other) => other < key)).toBe(isBeyond);
          if (!isBeyond) expect(map.get(key)).toBe(model.get(key));
          map.setFound(key, step);
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

  it("built from keys in order is what inserts in any order make, in full leaves", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const prng = new Prng(seed);
      const keys = Array.from({ length: prng.pick([0, 1, 64, 65, 4097, 20_000]) }, (_, i) => (i * 7).toString(36).padStart(6, "0"));
      const built = new OrderedMap<number>();
      for (const [i, key] of keys.entries()) {
        expect(built.isBeyond(key)).toBe(true);
        built.setFound(key, i);
      }
      const inserted = new OrderedMap<number>();
      for (const i of prng.shuffle(keys.map((_, at) => at))) inserted.set(keys[i] as string, i);
      expect(entries(built)).toEqual(entries(inserted));
      const middle = keys[keys.length >>> 1] ?? "";
      expect(built.rank(middle)).toBe(inserted.rank(middle));
      const frozen = built.clone();
      for (const key of [...keys, "between", "000001"]) {
        expect(built.get(key)).toBe(inserted.get(key));
        if (prng.chance(1, 3)) for (const map of [built, inserted]) map.delete(key);
        else for (const map of [built, inserted]) map.set(key, -1);
      }
      expect(entries(built)).toEqual(entries(inserted));
      expect(entries(frozen)).toEqual(keys.map((key, i) => [key, i]));
    }
  });

  it("does not take a key for the one that was looked for", () => {
    const map = new OrderedMap<number>();
    for (let i = 0; i < 10; i++) map.set(`k${i}`, i);
    map.get("k3x");
    expect(() => map.setFound("a", 1)).toThrow();
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
