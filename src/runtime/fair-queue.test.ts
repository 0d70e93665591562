import { describe, expect, it } from "vitest";
import * as fc from "fast-check";
import { FairQueue } from "./fair-queue.ts";

const KiB = 1024;

describe("a fair queue", () => {
  it("an asker with ten thousand items delays another one's first by one turn", () => {
    const queue = new FairQueue<string>();
    for (let i = 0; i < 10_000; i++) queue.add("flood", `flood ${i}`, KiB);
    queue.add("polite", "polite", KiB);
    let before = 0;
    while (queue.take() !== "polite") before++;
    expect(before).toBeLessThanOrEqual(64);
  });

  it("bytes count, not items: two askers with items of different size get the same bytes", () => {
    const queue = new FairQueue<string>();
    for (let i = 0; i < 1_000; i++) queue.add("large", "large", 64 * KiB);
    for (let i = 0; i < 64_000; i++) queue.add("small", "small", KiB);
    let large = 0;
    let small = 0;
    for (let taken = 0; taken < 20_000; taken++) {
      if (queue.take() === "large") large += 64;
      else small += 1;
    }
    expect(Math.abs(large - small) / small).toBeLessThan(0.02);
  });

  it("a parked lane is passed over until it is unparked, and keeps its items", () => {
    const queue = new FairQueue<string>();
    queue.add("a", "a1", 1);
    queue.add("b", "b1", 1);
    queue.add("a", "a2", 1);
    const only = (asker: unknown): boolean => asker !== "a";
    expect([queue.take(only), queue.take(only), queue.hasWork, queue.size]).toEqual(["b1", undefined, false, 2]);
    queue.add("a", "a3", 1);
    queue.unpark("a");
    expect([queue.take(), queue.take(), queue.take(), queue.take()]).toEqual(["a1", "a2", "a3", undefined]);
  });

  it("whatever is added comes out once, each asker's in its order; sizes are right; what expires or is dropped does not come", () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("add" as const), asker: fc.nat(4), cost: fc.nat(200 * KiB) }),
      fc.record({ do: fc.constant("take" as const) }),
      fc.record({ do: fc.constant("expire" as const), below: fc.nat(300) }),
      fc.record({ do: fc.constant("drop" as const), asker: fc.nat(4) }),
    );
    void fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const queue = new FairQueue<{ asker: number; number: number }>();
        const model = new Map<number, number[]>();
        let number = 0;
        const out = (item: { asker: number; number: number }): void => {
          expect(model.get(item.asker)?.shift()).toBe(item.number);
        };
        for (const each of steps) {
          if (each.do === "add") {
            queue.add(each.asker, { asker: each.asker, number }, each.cost);
            model.set(each.asker, [...(model.get(each.asker) ?? []), number++]);
          } else if (each.do === "take") {
            const item = queue.take();
            if (item === undefined) expect([...model.values()].every((items) => items.length === 0)).toBe(true);
            else out(item);
          } else if (each.do === "expire") {
            for (const item of queue.expire((candidate) => candidate.number < each.below)) out(item);
            for (const items of model.values()) expect(items[0] ?? each.below).toBeGreaterThanOrEqual(each.below);
          } else {
            expect(queue.drop(each.asker).map((item) => item.number)).toEqual(model.get(each.asker) ?? []);
            model.delete(each.asker);
          }
          expect(queue.size).toBe([...model.values()].reduce((sum, items) => sum + items.length, 0));
          for (const [asker, items] of model) expect(queue.waiting(asker)).toBe(items.length);
        }
      }),
    );
  });
});
