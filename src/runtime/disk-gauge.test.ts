import { expect, it } from "vitest";
import type { Disk } from "../ports/index.ts";
import { SimWorld } from "../sim/index.ts";
import { DiskGauge } from "./disk-gauge.ts";

it("a disk that hangs does not hold up who asks, and is asked once", async () => {
  const world = new SimWorld(1);
  const { clock } = world.machine("n1");
  let asked = 0;
  let answer: (bytes: number) => void = () => undefined;
  const disk = {
    freeBytes: () => {
      asked++;
      return new Promise<number>((resolve) => {
        answer = resolve;
      });
    },
  } as Disk;
  const gauge = new DiskGauge(disk, clock);
  const { scheduler } = world;
  expect(await scheduler.settle(gauge.freeBytes())).toBeNull();
  expect(scheduler.nowMs).toBeGreaterThanOrEqual(50);
  answer(7);
  await scheduler.run(1);
  const next = gauge.freeBytes();
  answer(8);
  expect(await scheduler.settle(next)).toBe(8);
  const hung = gauge.freeBytes();
  const meanwhile = gauge.freeBytes();
  expect(await scheduler.settle(Promise.all([hung, meanwhile]))).toEqual([8, 8]);
  expect(asked).toBe(3);
});

it("a disk that fails to answer is unknown, and is asked again", async () => {
  const world = new SimWorld(1);
  const results = [Promise.reject(new Error("broken")), Promise.resolve(5)];
  results[0]?.catch(() => undefined);
  const gauge = new DiskGauge({ freeBytes: () => results.shift() } as unknown as Disk, world.machine("n1").clock);
  expect(await world.scheduler.settle(gauge.freeBytes())).toBeNull();
  expect(await world.scheduler.settle(gauge.freeBytes())).toBe(5);
});
