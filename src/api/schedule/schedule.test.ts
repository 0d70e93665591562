import { describe, expect, it } from "vitest";
import { isUnumError } from "../../index.ts";
import type { Tick, Unum } from "../../index.ts";
import { simTest, simulate } from "../../testing.ts";
import { nextTick, whenText } from "./when.ts";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const at = (text: string): number => Date.parse(text);

describe("when", () => {
  it("counts periods from 1970, so that all nodes agree", () => {
    const text = whenText({ every: "5m" }, undefined);
    expect(nextTick(text, at("2026-01-01T00:03:00Z"))).toBe(at("2026-01-01T00:05:00Z"));
    expect(nextTick(text, at("2026-01-01T00:05:00Z"))).toBe(at("2026-01-01T00:10:00Z"));
  });

  it("reads patterns in UTC, or in the zone that is named, over changes of the clock", () => {
    expect(nextTick(whenText("0 3 * * *", undefined), at("2026-07-01T00:00:00Z"))).toBe(at("2026-07-01T03:00:00Z"));
    const berlin = whenText("30 2 * * *", "Europe/Berlin");
    expect(nextTick(berlin, at("2026-07-01T12:00:00Z"))).toBe(at("2026-07-02T00:30:00Z"));
    // The night in which 02:30 comes twice has one tick of a daily job.
    const first = nextTick(berlin, at("2026-10-24T12:00:00Z")) as number;
    expect(nextTick(berlin, first)).toBeGreaterThan(first + 20 * 3_600_000);
  });

  it("refuses what is no schedule", () => {
    for (const [when, zone] of [
      ["nonsense", undefined],
      ["61 * * * *", undefined],
      ["0 0 30 2 *", undefined],
      ["* * * * *", "Mars/Olympus"],
      [{ every: 10 }, undefined],
      [{ every: "1m" }, "Europe/Berlin"],
      [7, undefined],
    ] as const) {
      let error: unknown;
      try {
        whenText(when as string, zone);
      } catch (thrown) {
        error = thrown;
      }
      expect(isUnumError(error, "INVALID_ARGUMENT"), JSON.stringify(when)).toBe(true);
    }
  });
});

/** A job that notes its ticks, on every node. */
function job(unum: Unum, ticks: Tick[], workMs: number, options?: Parameters<Unum["schedule"]>[3]): void {
  unum.schedule(
    "job",
    { every: "10s" },
    async (tick) => {
      ticks.push(tick);
      await sleep(workMs);
    },
    { ttl: "3s", ...options },
  );
}
const stay = (): Promise<never> => new Promise(() => undefined);

describe("a schedule", { timeout: 120_000 }, () => {
  it("runs each tick once, on one of the nodes that registered it, and shows what was and what comes", () =>
    simulate({ seed: 1 }, async (world) => {
      const ticks: Tick[] = [];
      for (const node of [0, 1, 2]) {
        void world.run(node, async (unum) => {
          job(unum, ticks, 500);
          await stay();
        });
      }
      await world.advance("65s");
      const times = ticks.map((tick) => tick.at.getTime());
      expect(times.length).toBeGreaterThanOrEqual(5);
      for (const [i, time] of times.entries()) expect(time - (times[0] ?? 0)).toBe(i * 10_000);
      const [status] = await world.connect().schedules();
      expect(status).toMatchObject({ name: "job", when: "every 10000", participants: 3, disagreement: [] });
      expect(status?.next?.getTime()).toBe((times.at(-1) ?? 0) + 10_000);
      expect(status?.history[0]).toMatchObject({ outcome: "completed", attempt: 1 });
    }));

  it("repeats an attempt that a crash cut off, with a higher fence; or drops it, when that is asked for", () =>
    simulate({ seed: 2 }, async (world) => {
      for (const [name, interrupted] of [
        ["a", "retry"],
        ["b", "skip"],
      ] as const) {
        const runs: { node: number; at: number; attempt: number; fence: number }[] = [];
        for (const node of [0, 1, 2]) {
          void world.run(node, async (unum) => {
            unum.schedule(
              name,
              { every: "1m" },
              async ({ at: due, attempt, claim }) => {
                runs.push({ node, at: due.getTime(), attempt, fence: claim.fence });
                await sleep(5_000);
              },
              { interrupted, ttl: "3s" },
            );
            await stay();
          });
        }
        while (runs.length === 0) await world.advance("1s");
        const [cut] = runs;
        if (cut === undefined) return;
        world.crash(cut.node);
        await world.advance("20s");
        const again = runs.filter((run) => run.at === cut.at && run !== cut);
        if (interrupted === "retry") {
          expect(again).toMatchObject([{ attempt: 2 }]);
          expect(again[0]?.fence).toBeGreaterThan(cut.fence);
        } else expect(again).toEqual([]);
        const status = (await world.connect().schedules()).find((one) => one.name === name);
        expect(status?.history.filter(({ outcome }) => outcome === "interrupted")).toHaveLength(1);
        world.restart(cut.node);
      }
    }));

  it("drops a tick that comes while the one before runs, or runs it right after", () =>
    simulate({ seed: 3 }, async (world) => {
      for (const [node, overlap] of [
        [0, "skip"],
        [1, "wait"],
      ] as const) {
        const ticks: Tick[] = [];
        void world.run(node, async (unum) => {
          unum.schedule(
            overlap,
            { every: "10s" },
            async (tick) => {
              ticks.push(tick);
              if (ticks.length === 1) await sleep(34_000);
            },
            { overlap },
          );
          await stay();
        });
        await world.advance("70s");
        const gaps = ticks.slice(1).map((tick, i) => tick.at.getTime() - (ticks[i]?.at.getTime() ?? 0));
        expect(gaps[0]).toBe(overlap === "skip" ? 30_000 : 10_000);
        const outcomes = (await world.connect().schedules()).find(({ name }) => name === overlap)?.history.map(({ outcome }) => outcome);
        expect(outcomes?.includes("skipped")).toBe(overlap === "skip");
      }
    }));

  it("drops what nobody was there for, or runs the last of it, or all", () =>
    simulate({ seed: 4, limit: "1h" }, async (world) => {
      for (const missed of ["skip", "last", "all"] as const) {
        const ticks: number[] = [];
        const program = async (unum: Unum): Promise<void> => {
          unum.schedule(missed, { every: "1m" }, (tick) => void ticks.push(tick.at.getTime()), { missed, ttl: "3s" });
          await stay();
        };
        void world.run(0, program);
        await world.advance("90s");
        const before = ticks.length;
        expect(before).toBeGreaterThanOrEqual(1);
        world.crash(0);
        await world.advance("150s");
        world.restart(0);
        await world.advance("8s");
        const caught = ticks.length - before;
        if (missed === "all") expect(caught).toBeGreaterThanOrEqual(2);
        else if (missed === "last") expect(caught).toBe(1);
        else expect(caught).toBeLessThanOrEqual(1);
        world.restart(0);
        await world.advance("1s");
      }
    }));

  it("runs at once when somebody asks, reports what fails, and goes on", () =>
    simulate({ seed: 5 }, async (world) => {
      const errors: unknown[] = [];
      let runs = 0;
      const unum = world.connect();
      const schedule = unum.schedule(
        "yearly",
        "0 0 1 1 *",
        () => {
          runs++;
          throw new Error("broken");
        },
        { onError: (error) => errors.push(error) },
      );
      await schedule.ready;
      await schedule.trigger();
      await world.advance("2s");
      expect(runs).toBe(1);
      expect(errors).toHaveLength(1);
      expect((await schedule.history())[0]?.outcome).toBe("failed");
      await world
        .connect()
        .schedule("yearly", "0 0 1 1 *", () => undefined)
        .close();
      await schedule.trigger();
      await world.advance("2s");
      expect(runs).toBe(2);
      await schedule.close();
      expect((await unum.schedules())[0]).toMatchObject({ participants: 0, next: undefined });
    }));

  it("goes by the newest registration, and shows who disagrees", () =>
    simulate({ seed: 6 }, async (world) => {
      const old = world.connect().schedule("job", { every: "10s" }, () => undefined);
      await old.ready;
      const seen: number[] = [];
      const fresh = world.connect().schedule("job", { every: "15s" }, (tick) => void seen.push(tick.at.getTime()));
      await fresh.ready;
      const [status] = await world.connect().schedules();
      expect(status).toMatchObject({ when: "every 15000", disagreement: ["every 10000"], participants: 2 });
      await Promise.all([old.close(), fresh.close()]);
    }));
});

simTest(
  "each tick is completed once, cut attempts are listed, and writes under an old fence are refused",
  { seeds: 6, faults: "swarm", limit: "20m", timeoutMs: 180_000 },
  async (world) => {
    const completed = new Map<number, number>();
    for (const node of Array.from({ length: world.nodes }, (_, i) => i)) {
      void world.run(node, async (unum) => {
        unum.schedule(
          "job",
          { every: "5s" },
          async ({ at: due, claim }) => {
            await sleep(Math.random() * 2_000);
            const key = `done/${due.getTime()}`;
            await unum.kv.update<number>(key, (count) => (count ?? 0) + 1, { fence: claim });
            completed.set(due.getTime(), (completed.get(due.getTime()) ?? 0) + 1);
          },
          { ttl: "3s", missed: "all", overlap: "wait", onError: () => undefined },
        );
        await stay();
      });
    }
    await world.advance("20s");
    world.heal();
    await world.advance("40s");
    const unum = world.connect();
    const { entries } = await unum.kv.range<number>({ prefix: "done/" });
    expect(entries.length).toBeGreaterThan(4);
    // At least once for each tick; more often only for one that was cut off after its write.
    const [status] = await unum.schedules();
    const cut = new Set(status?.history.filter(({ outcome }) => outcome !== "completed").map((past) => past.at.getTime()));
    for (const { key, value } of entries) if (value > 1) expect(cut.has(Number(key.slice(5))), key).toBe(true);
    const times = entries.map(({ key }) => Number(key.slice(5)));
    for (const [i, time] of times.slice(1).entries()) expect(time - (times[i] ?? 0), `after ${times[i]}`).toBe(5_000);
  },
);
