import { describe, expect, it } from "vitest";
import { ModelRun } from "./model.golden.ts";

const first = Number(process.env["UNUM_SEED"] ?? 1);
const count = Number(process.env["UNUM_SEEDS"] ?? 300);

describe("storage against a model", () => {
  it(
    `P1, P8: random writes and crashes lose nothing acknowledged and serve nothing torn (${count} seeds)`,
    async () => {
      for (let seed = first; seed < first + count; seed++) {
        const run = new ModelRun(seed);
        try {
          await run.run(60);
        } catch (error) {
          throw new Error(`seed ${seed} (UNUM_SEED=${seed} UNUM_SEEDS=1 vitest run src/storage/property.test.ts): ${String(error)}`, {
            cause: error,
          });
        }
      }
      expect(count).toBeGreaterThan(0);
    },
    60_000 + count * 200,
  );
});
