import { describe, expect, it } from "vitest";
import { Prng } from "#dist/base/index.js";
import { readChaosArguments } from "./arguments.ts";
import { drawChaos, faultKinds } from "./plan.ts";
import type { ChaosPlan, Drawing } from "./plan.ts";

const draw = (seed: number, more: Partial<Drawing> = {}): ChaosPlan =>
  drawChaos(new Prng(`test ${seed}`), { seed, round: 1, faultMs: 25_000, ...more });

describe("the plan of a chaos round", () => {
  it("is the seed's: the same twice, another for another", () => {
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1).faults).not.toEqual(draw(2).faults);
  });

  it("has, over some seeds, every kind of fault, on both kinds of wires, on three and on five nodes", () => {
    const plans = Array.from({ length: 60 }, (_, seed) => draw(seed));
    expect(new Set(plans.flatMap(({ faults }) => faults.map(({ fault }) => fault.kind)))).toEqual(new Set(faultKinds));
    expect(new Set(plans.map(({ wires }) => wires))).toEqual(new Set(["proxies", "namespaces"]));
    expect(new Set(plans.map(({ nodes }) => nodes))).toEqual(new Set([3, 5]));
  });

  it("asks nothing of the wires that they cannot do", () => {
    for (let seed = 0; seed < 60; seed++) {
      const { faults, wires } = draw(seed, { wires: "namespaces" });
      expect(wires).toBe("namespaces");
      expect(faults.filter(({ fault }) => fault.kind === "delay" || fault.kind === "reset")).toEqual([]);
    }
  });

  it("is narrowed to the kinds that are named", () => {
    const { faults } = draw(1, { kinds: ["power", "pause"] });
    expect(new Set(faults.map(({ fault }) => fault.kind))).toEqual(new Set(["power", "pause"]));
  });
});

describe("the arguments of npm run chaos", () => {
  it("are read, and mistakes are named", () => {
    expect(readChaosArguments(["--minutes", "0.33", "--seed", "7", "--json", "--faults", "kill,power"])).toMatchObject({
      minutes: 0.33,
      seed: 7,
      json: true,
      kinds: ["kill", "power"],
    });
    for (const [args, word] of [
      [["--minutes", "none"], "--minutes"],
      [["--seed", "x"], "--seed"],
      [["--faults", "flood"], "flood"],
      [["--workload", "nothing"], "nothing"],
      [["--wires", "string"], "proxies"],
      [["--unheard"], "--unheard"],
    ] as const)
      expect(readChaosArguments([...args])).toEqual({ mistake: expect.stringContaining(word) });
  });
});
