import { describe, expect, it } from "vitest";
import { Prng } from "../../base/index.ts";
import { Records } from "./records.ts";

const none = new Uint8Array(0);

function valueOf(prng: Prng, step: number): Uint8Array {
  const length = prng.pick([0, 1, 7, 300, 4_000, prng.chance(1, 20) ? 400_000 : 50]);
  return new Uint8Array(length).fill(step & 255);
}

describe("values in slabs", () => {
  it("keep every live value while others are freed and compacted, and memory follows what is alive", () => {
    for (let seed = 1; seed <= 10; seed++) {
      const prng = new Prng(seed);
      const records = new Records();
      const alive = new Map<number, Uint8Array>();
      let liveBytes = 0;
      const free = (handle: number): void => {
        liveBytes -= alive.get(handle)?.length ?? 0;
        alive.delete(handle);
        records.free(handle);
      };
      for (let step = 0; step < 20_000; step++) {
        if (alive.size > 2_000 || (alive.size > 0 && prng.chance(2, 5))) {
          free(prng.chance(1, 2) ? (alive.keys().next().value as number) : prng.pick([...alive.keys()].slice(0, 50)));
        } else {
          const value = valueOf(prng, step);
          const handle = records.create(`k${step}`, step, step, 1, 0, 0, value, -1);
          expect(alive.has(handle)).toBe(false);
          alive.set(handle, value);
          liveBytes += value.length;
        }
        if (prng.chance(1, 50)) records.work(prng.pick([1_000, 100_000]));
      }
      for (const [handle, value] of alive) {
        const stored = records.value(handle);
        if (stored.length !== value.length || stored.some((byte, at) => byte !== value[at]))
          expect(stored, `seed ${seed} handle ${handle}`).toEqual(value);
      }
      expect(records.count).toBe(alive.size);
      expect(records.memoryBytes).toBeLessThan(liveBytes * 2 + 24 * 1024 * 1024);
      while (records.work(1_000_000));
      for (const handle of [...alive.keys()]) free(handle);
      while (records.work(1_000_000));
      expect(records.memoryBytes).toBeLessThan(4 * 1024 * 1024);
    }
  }, 60_000);

  it("are bounded by twice what is alive although nobody asks for compaction", () => {
    const records = new Records();
    const handles: number[] = [];
    const value = new Uint8Array(1_000);
    for (let i = 0; i < 40_000; i++) handles.push(records.create("k", 1, 1, 1, 0, 0, value, -1));
    const prng = new Prng(5);
    for (let i = 0; i < 200_000; i++) {
      const at = prng.below(handles.length);
      records.free(handles[at] as number);
      handles[at] = records.create("k", 1, 1, 1, 0, 0, value, -1);
    }
    expect(records.memoryBytes).toBeLessThan(40_000 * 1_100 * 2 + 16 * 1024 * 1024);
  });

  it("stay readable while frozen, though freed, and go when thawed", () => {
    const records = new Records();
    const first = records.create("a", 1, 1, 1, 0, 0, Uint8Array.of(1, 2, 3), -1);
    records.freeze();
    records.free(first);
    for (let i = 0; i < 100; i++) expect(records.create("b", 1, 1, 1, 0, 0, none, -1)).not.toBe(first);
    expect(records.value(first)).toEqual(Uint8Array.of(1, 2, 3));
    expect(records.key(first)).toBe("a");
    records.thaw();
    while (records.work(1_000));
    expect(records.count).toBe(100);
  });
});
