import { describe, expect, it } from "vitest";
import { exactlyOnce, linearizable, neverTwo } from "./checkers.ts";
import { History, HistoryViolation } from "./history.ts";
import { simTest as simTestOn } from "./sim-test.ts";
import { simTest } from "../testing.ts";

/** A history whose calls are opened and closed by hand. */
class Script {
  nowMs = 0;
  who = "n1";
  readonly history = new History({
    nowMs: () => this.nowMs,
    process: () => this.who,
    isAlive: () => () => true,
    isCertain: (error) => error === "certain",
  });

  async open(name: string, input: unknown): Promise<(end: "ok" | "certain" | "lost", output?: unknown) => Promise<void>> {
    let end: (how: "ok" | "certain" | "lost", output: unknown) => void = () => undefined;
    this.nowMs++;
    const done = this.history
      .call(
        name,
        input,
        () =>
          new Promise<unknown>((resolve, reject) => {
            end = (how, output) => (how === "ok" ? resolve(output) : reject(how));
          }),
      )
      .catch(() => undefined);
    return async (how, output) => {
      this.nowMs++;
      end(how, output);
      await done;
    };
  }

  async one(name: string, input: unknown, output: unknown): Promise<void> {
    await (await this.open(name, input))("ok", output);
  }
}

const counter = linearizable({
  name: "add",
  initial: 0,
  apply: (state: number, input: { by: number }) => ({ state: state + input.by, output: state + input.by }),
});

describe("linearizable", () => {
  it("accepts answers that some order in real time explains, and names the calls when there is none", async () => {
    const good = new Script();
    const first = await good.open("add", { by: 1 });
    const second = await good.open("add", { by: 2 });
    await second("ok", 2);
    await first("ok", 3);
    expect(() => counter(good.history)).not.toThrow();

    const bad = new Script();
    await bad.one("add", { by: 1 }, 1);
    await bad.one("add", { by: 2 }, 2);
    expect(() => counter(bad.history)).toThrow(HistoryViolation);
    expect(() => counter(bad.history)).toThrow(/no order explains.*n1 {2}add \{"by":2\} → 2/s);
  });

  it("a call without an answer may have happened or not; one that failed for certain did not", async () => {
    for (const [seen, ok] of [
      [1, true],
      [3, true],
      [6, false],
    ] as const) {
      const script = new Script();
      await (await script.open("add", { by: 2 }))("lost");
      await (await script.open("add", { by: 3 }))("certain");
      await script.one("add", { by: 1 }, seen);
      if (ok) expect(() => counter(script.history)).not.toThrow();
      else expect(() => counter(script.history)).toThrow(HistoryViolation);
    }
  });

  it("keeps objects apart by their key", async () => {
    const script = new Script();
    const perKey = linearizable({
      name: "put",
      initial: null as number | null,
      apply: (_state: number | null, input: { k: string; v: number }) => ({ state: input.v, output: _state }),
      key: ({ k }) => k,
    });
    await script.one("put", { k: "a", v: 1 }, null);
    await script.one("put", { k: "b", v: 2 }, null);
    expect(() => perKey(script.history)).not.toThrow();
    await script.one("put", { k: "b", v: 3 }, 1);
    expect(() => perKey(script.history)).toThrow(/put of b/);
  });
});

describe("exactlyOnce", () => {
  const once = exactlyOnce({ name: "psp.charge", key: (values) => values[0] as string, expected: ["a"] });

  it("objects to a second effect and to a missing one", () => {
    const { history } = new Script();
    expect(() => once(history)).toThrow("never happened for a");
    history.effect("psp.charge", "n1", ["a"], undefined);
    expect(() => once(history)).not.toThrow();
    history.effect("psp.charge", "n2", ["a"], undefined);
    expect(() => once(history)).toThrow(/happened 2 times for a/);
  });
});

describe("neverTwo", () => {
  const single = neverTwo({ name: "lead" });

  it("objects to two at a time, also when a third began before both", async () => {
    const script = new Script();
    await script.one("lead", 1, undefined);
    const long = await script.open("lead", 2);
    expect(() => single(script.history)).not.toThrow();
    script.who = "n2";
    await script.one("lead", 3, undefined);
    await long("ok");
    expect(() => single(script.history)).toThrow(/two at a time in lead/);
  });

  it("takes a crash for the end of what the process did", async () => {
    const script = new Script();
    await script.open("lead", 1);
    script.nowMs++;
    script.history.cut("n1");
    script.who = "n2";
    await script.one("lead", 2, undefined);
    expect(() => single(script.history)).not.toThrow();
  });
});

describe("simTest", () => {
  const seeds: number[] = [];
  simTest("registers with the runner it runs in, and runs each seed", { seeds: 3 }, (world) => {
    seeds.push(world.seed);
  });

  it("has run the seeds in order, as far as they were not narrowed from outside", () => {
    if (process.env["UNUM_SIM_SEED"] === undefined && process.env["UNUM_SIM_SEEDS"] === undefined) expect(seeds).toEqual([1, 2, 3]);
  });

  const failing = async (environment: {
    seed?: string;
    seeds?: string;
  }): Promise<{ tried: number[]; error: unknown; allowedMs: number }> => {
    const tried: number[] = [];
    let allowedMs = 0;
    let work: () => Promise<void> = () => Promise.resolve();
    simTestOn(
      {
        simulate: ({ seed }) => {
          tried.push(seed);
          return seed === 4 ? Promise.reject(new Error("charged twice")) : Promise.resolve();
        },
        register: (_name, given, timeoutMs) => {
          work = given;
          allowedMs = timeoutMs;
        },
        seed: environment.seed,
        seeds: environment.seeds,
      },
      "a charge",
      { seeds: 9 },
      () => undefined,
    );
    return { error: await work().catch((error: unknown) => error), tried, allowedMs };
  };

  it("stops at the first seed that fails and says how to replay it", async () => {
    const { error, tried } = await failing({});
    expect(tried).toEqual([1, 2, 3, 4]);
    expect((error as Error).message).toBe('charged twice\n\nseed 4 of 9 failed. Replay it: UNUM_SIM_SEED=4 with the test "a charge"');
  });

  it("runs one seed, or more of them, when the environment says so, and refuses nonsense there", async () => {
    expect((await failing({ seed: "7" })).tried).toEqual([7]);
    expect((await failing({ seeds: "2" })).tried).toEqual([1, 2]);
    expect((await failing({ seeds: "900" })).allowedMs).toBe(100 * (await failing({})).allowedMs);
    await expect(failing({ seed: "x" })).rejects.toThrow("UNUM_SIM_SEED");
  });
});
