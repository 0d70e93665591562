import { describe, expect, it } from "vitest";
import { NotDeterministic, SimWorld, installGuards } from "./index.ts";

describe("virtual time", () => {
  it("passes only by events, and run(ms) ends exactly so much later", async () => {
    const { scheduler } = new SimWorld(1);
    const seen: number[] = [];
    scheduler.schedule(1500, "a", () => seen.push(scheduler.nowMs));
    scheduler.schedule(700, "b", () => seen.push(scheduler.nowMs));
    scheduler.schedule(5000, "late", () => seen.push(scheduler.nowMs));
    await scheduler.run(2);
    expect(seen).toEqual([0.7, 1.5]);
    expect(scheduler.nowMs).toBe(2);
  });

  it("events at one instant run in the order in which they were put in, promises between them", async () => {
    const { scheduler } = new SimWorld(1);
    const seen: string[] = [];
    scheduler.schedule(0, "a", () => {
      seen.push("a");
      void (async () => {
        for (let i = 0; i < 50; i++) await Promise.resolve();
        seen.push("after 50 awaits");
      })();
      scheduler.schedule(0, "c", () => seen.push("c"));
    });
    scheduler.schedule(0, "b", () => seen.push("b"));
    await scheduler.run(1);
    expect(seen).toEqual(["a", "after 50 awaits", "b", "c"]);
  });

  it("a wait that cannot end says what is pending", async () => {
    const { scheduler } = new SimWorld(1);
    scheduler.schedule(90_000_000, "far away", () => undefined);
    await expect(scheduler.until(() => false, 1000)).rejects.toThrow(/SimulationStuck|far away/);
    await expect(scheduler.settle(new Promise(() => undefined), 10)).rejects.toThrow("far away");
  });
});

describe("a host", () => {
  it("stopped: its events wait, its clock goes on", async () => {
    const world = new SimWorld(1);
    const { host, clock } = world.machine("n1", { originMs: 0 });
    const fired: number[] = [];
    clock.after(5, () => fired.push(clock.now()));
    clock.after(30, () => fired.push(clock.now()));
    host.pause("stopped");
    await world.scheduler.run(20);
    expect(fired).toEqual([]);
    expect(clock.now()).toBe(20);
    host.resume();
    await world.scheduler.run(20);
    expect(fired).toEqual([20, 30]);
  });

  it("asleep: its monotonic clock stands still, its wall clock goes on", async () => {
    const world = new SimWorld(1);
    const { host, clock } = world.machine("n1", { originMs: 0, wallMs: 1_000_000 });
    const fired: number[] = [];
    clock.after(5, () => fired.push(clock.now()));
    await world.scheduler.run(2);
    host.pause("asleep");
    await world.scheduler.run(1000);
    expect(clock.now()).toBe(2);
    expect(clock.wall()).toBe(1_001_002);
    host.resume();
    await world.scheduler.run(10);
    expect(fired).toEqual([5]);
    expect(clock.now()).toBe(12);
  });

  it("dead: what it had planned never happens, in a later life neither", async () => {
    const world = new SimWorld(1);
    const { host, clock } = world.machine("n1");
    const fired: string[] = [];
    clock.after(5, () => fired.push("old"));
    clock.defer(() => fired.push("old"));
    host.crash();
    clock.after(5, () => fired.push("made while dead"));
    host.start();
    clock.after(5, () => fired.push("new"));
    await world.scheduler.run(100);
    expect(fired).toEqual(["new"]);
  });

  it("its clock drifts and its wall clock jumps", async () => {
    const world = new SimWorld(1);
    const { clock } = world.machine("n1", { originMs: 0, wallMs: 5000, driftPpm: 10_000 });
    await world.scheduler.run(1000);
    expect(clock.now()).toBe(1010);
    clock.setDrift(-10_000);
    clock.jumpWall(-3000);
    await world.scheduler.run(1000);
    expect(clock.now()).toBe(2000);
    expect(clock.wall()).toBe(4000);
  });
});

describe("determinism", () => {
  async function run(seed: number, lines?: string[]): Promise<string> {
    const world = new SimWorld(seed, {
      network: { lossPpm: 50_000, reorderPpm: 50_000, duplicatePpm: 50_000 },
      ...(lines === undefined ? {} : { record: (line: string) => lines.push(line) }),
    });
    const a = world.machine("a");
    const b = world.machine("b");
    await world.scheduler.settle(
      b.streams.listen({ host: "b", port: 1 }, (stream) => {
        stream.handle({ onData: (bytes) => stream.write(bytes.slice()), onDrain: () => undefined, onClose: () => undefined });
      }),
    );
    const stream = await world.scheduler.settle(a.streams.dial({ host: "b", port: 1 }, { timeoutMs: 100, purpose: "control" }));
    stream.handle({ onData: () => undefined, onDrain: () => undefined, onClose: () => undefined });
    for (let i = 0; i < 50; i++) {
      stream.write(a.random.bytes(10));
      await world.scheduler.run(1);
    }
    return world.scheduler.trace.hash;
  }

  it("the same seed gives the same hash and the same events, another seed another hash", async () => {
    const first: string[] = [];
    const second: string[] = [];
    const hash = await run(1, first);
    expect(await run(1, second)).toBe(hash);
    expect(second).toEqual(first);
    expect(first.length).toBeGreaterThan(100);
    expect(await run(2)).not.toBe(hash);
  });

  it("two runs at once do not disturb each other", async () => {
    const alone = await run(3);
    expect(await Promise.all([run(3), run(4), run(3)])).toEqual([alone, await run(4), alone]);
  });

  it("guards make real time and entropy throw, and go away again", async () => {
    const world = new SimWorld(1);
    const tries: (() => unknown)[] = [
      () => Date.now(),
      () => new Date(),
      () => Math.random(),
      () => setTimeout(() => undefined, 1),
      () => setInterval(() => undefined, 1),
      () => setImmediate(() => undefined),
      () => performance.now(),
      () => crypto.getRandomValues(new Uint8Array(1)),
    ];
    const caught: unknown[] = [];
    const restore = installGuards();
    try {
      world.scheduler.schedule(5, "cheat", () => {
        for (const attempt of tries) {
          try {
            attempt();
          } catch (error) {
            caught.push(error);
          }
        }
      });
      await world.scheduler.run(1);
      expect(new Date(86_400_000).toISOString()).toBe("1970-01-02T00:00:00.000Z");
    } finally {
      restore();
    }
    expect(caught.length).toBe(tries.length);
    for (const error of caught) expect(error).toBeInstanceOf(NotDeterministic);
    expect(Date.now()).toBeGreaterThan(0);
    expect(new Date() instanceof Date).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 1));
  });
});
