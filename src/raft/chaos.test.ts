import { describe, expect, it } from "vitest";
import { Chaos } from "./chaos.golden.ts";

const first = Number(process.env["UNUM_SEED"] ?? 1);
const seeds = Number(process.env["UNUM_SEEDS"] ?? (process.env["UNUM_SEED"] === undefined ? 300 : 1));

describe("raft under loss, repetition, reordering, crashes and damage", () => {
  it(`keeps every promise over ${seeds} seeds, and makes progress once all is well`, () => {
    const total: Record<string, number> = {};
    for (let seed = first; seed < first + seeds; seed++) {
      const chaos = new Chaos(seed);
      try {
        chaos.run(500);
      } catch (error) {
        throw new Error(`seed ${seed} fails; replay: UNUM_SEED=${seed} npx vitest run src/raft/chaos.test.ts`, { cause: error });
      }
      for (const [name, count] of Object.entries(chaos.counts)) total[name] = (total[name] ?? 0) + count;
    }
    if (process.env["UNUM_SEED"] !== undefined || process.env["UNUM_SEEDS"] !== undefined)
      process.stdout.write(`${JSON.stringify(total)}\n`);
    // What never happened was not tested.
    if (seeds >= 100) for (const [name, count] of Object.entries(total)) expect(count, name).toBeGreaterThan(0);
  });
});
