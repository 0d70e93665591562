import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { isUnumError, start } from "../index.ts";
import { SimulationStuck, simulate } from "../testing.ts";
import type { World } from "../testing.ts";

const caught = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe("a simulated world", () => {
  it("gives programs on all nodes one state, in the world's time", async () => {
    const began = Date.now();
    const seen = await simulate({ seed: 1 }, async (world) => {
      await world.run(0, async (unum) => {
        await unum.kv.put("greeting", "hello");
      });
      await world.advance("5m");
      return world.run(2, async (unum) => (await unum.kv.get("greeting"))?.value);
    });
    expect(seen).toBe("hello");
    expect(Date.now() - began).toBeLessThan(60_000);
  });

  it("is the same for the same seed, to the last value, and another for another", async () => {
    const story = (seed: number): Promise<string[]> =>
      simulate({ seed, faults: "swarm" }, async (world) => {
        const lines: string[] = [];
        const programs = Array.from({ length: world.nodes }, (_, node) =>
          world.run(node, async (unum) => {
            for (let i = 0; i < 5; i++) {
              await sleep(Math.floor(Math.random() * 300));
              const { revision } = await unum.kv.put(`k${node}`, randomUUID(), { timeout: "1m" }).catch(() => ({ revision: -1 }));
              lines.push(`${Date.now()} ${performance.now()} ${node} ${revision} ${randomUUID()}`);
            }
          }),
        );
        await Promise.all(programs);
        return lines;
      });
    const [first, again, other] = [await story(11), await story(11), await story(12)];
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  it("runs a program again after a crash; of the earlier life no timer fires and no call settles", async () => {
    await simulate({ seed: 3 }, async (world) => {
      const lines: string[] = [];
      let lives = 0;
      const done = world.run(0, async (unum) => {
        const life = ++lives;
        lines.push(`life ${life}`);
        setTimeout(() => lines.push(`timer of life ${life}`), 500);
        if (life === 1) {
          setInterval(() => lines.push("interval of life 1"), 400);
          await sleep(300);
          world.crash(0);
          // The code goes on to the next await, as it may in the instant of a crash; nothing comes of it.
          void unum.kv.put("late", 1).then(
            () => lines.push("settled"),
            () => lines.push("settled"),
          );
          await sleep(1);
          lines.push("went on");
        }
        await sleep(1_000);
        return `done in life ${life}`;
      });
      await world.advance("2s");
      world.restart(0);
      expect(await done).toBe("done in life 2");
      expect(lines).toEqual(["life 1", "life 2", "timer of life 2"]);
      expect(await world.run(1, (unum) => unum.kv.get("late"))).toBeUndefined();
    });
  });

  it("start() within a program gives the handle of its node; elsewhere it says what to change", async () => {
    await simulate({ seed: 4 }, async (world) => {
      expect(await world.run(1, async (unum) => (await start()) === unum)).toBe(true);
      const error = await caught(start());
      expect(isUnumError(error, "INVALID_ARGUMENT") && error.message).toMatch(/top level of a module.*world\.run/s);
    });
  });

  it("refuses what is not simulated, naming the remedy, and gives everything back", async () => {
    const { setTimeout: realTimeout } = globalThis;
    await simulate({ seed: 5 }, async (world) => {
      for (const reach of [(): Promise<unknown> => fetch("http://127.0.0.1:1"), (): Promise<unknown> => readFile("package.json")]) {
        const error = await caught(world.run(0, () => reach()));
        expect(isUnumError(error, "NOT_SIMULATED") && error.message).toMatch(/world\.external/);
      }
    });
    expect(globalThis.setTimeout).toBe(realTimeout);
    expect(await readFile("package.json", "utf8")).toContain("unum");
  });

  it("cuts nodes off, pauses and heals: a minority does not serve, and does again", async () => {
    await simulate({ seed: 6 }, async (world) => {
      await world.run(0, (unum) => unum.kv.put("a", 1));
      world.partition([0], [1, 2]);
      const error = await caught(world.run(0, (unum) => unum.kv.put("a", 2, { timeout: "3s" })));
      expect(isUnumError(error)).toBe(true);
      expect((await world.run(1, (unum) => unum.kv.put("b", 1))).revision).toBeGreaterThan(0);
      world.pause(1, "5s");
      const before = world.nowMs;
      await world.run(1, () => undefined);
      expect(world.nowMs - before).toBeGreaterThanOrEqual(5_000);
      world.heal();
      expect((await world.run(0, (unum) => unum.kv.put("c", 1))).revision).toBeGreaterThan(0);
    });
  });

  it("a stand-in survives crashes; with faults some calls are refused and some happen without an answer", async () => {
    const outcomes = await simulate({ seed: 7, faults: "network" }, async (world) => {
      let charges = 0;
      const psp = world.external("psp", { charge: (cents: number) => ({ receipt: ++charges, cents }) });
      const counts = { ok: 0, refused: 0, lost: 0 };
      await world.run(0, async () => {
        for (let i = 0; i < 200; i++) {
          try {
            expect((await psp.charge(i)).cents).toBe(i);
            counts.ok++;
          } catch (error) {
            counts[isUnumError(error, "EXTERNAL_LOST") ? "lost" : "refused"]++;
          }
        }
      });
      expect(world.history.effects).toHaveLength(charges);
      return { ...counts, charges };
    });
    // The faults end after some seconds of the world's time: what comes then is answered.
    expect(outcomes.refused).toBeGreaterThan(0);
    expect(outcomes.lost).toBeGreaterThan(0);
    expect(outcomes.ok + outcomes.lost).toBe(outcomes.charges);
  });

  it("says who waits when it does not end, and goes on to the next simulation", async () => {
    const error = await caught(simulate({ seed: 8, limit: "5s" }, (world: World) => world.run(1, () => new Promise(() => undefined))));
    expect(error).toBeInstanceOf(SimulationStuck);
    expect((error as Error).message).toMatch(/n2: up, 1 programs that have not ended/);
    expect(await simulate({ seed: 8 }, () => "next")).toBe("next");
  });

  it("is one at a time, and refuses options that are none", async () => {
    const inner = await simulate({ seed: 9 }, () => caught(simulate({ seed: 10 }, () => undefined)));
    expect(isUnumError(inner, "INVALID_ARGUMENT")).toBe(true);
    for (const options of [{ seed: -1 }, { seed: 1.5 }, { seed: 1, nodes: 0 }, { seed: 1, faults: "all" as "swarm" }]) {
      expect(isUnumError(await caught(simulate(options, () => undefined)), "INVALID_ARGUMENT")).toBe(true);
    }
    const noNode = await caught(simulate({ seed: 1 }, (world) => world.run(3, () => undefined)));
    expect(isUnumError(noNode, "INVALID_ARGUMENT") && noNode.message).toContain("nodes 0 to 2");
  });
});
