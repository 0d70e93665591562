import { describe, expect, it } from "vitest";
import { perform, runAll } from "./labor.ts";
import type { Job, Laborer } from "./labor.ts";

const { result: template } = await perform({ seed: 1, options: { profile: "calm" }, evidence: false });

const calm = (seed: number): Job => ({ seed, options: { profile: "calm" }, evidence: false });

describe("many jobs", () => {
  it("are each done once, by as many laborers as there are", async () => {
    const busy: number[] = [];
    let hired = 0;
    const hire = (): Laborer => {
      hired++;
      return {
        run: async (job) => {
          busy.push(job.seed);
          await Promise.resolve();
          return { result: { ...template, seed: job.seed }, evidence: undefined };
        },
        dismiss: () => undefined,
      };
    };
    const done: number[] = [];
    await runAll([1, 2, 3, 4, 5].map(calm), 2, hire, ({ result }) => void done.push(result.seed));
    expect(hired).toBe(2);
    expect([...busy].sort()).toEqual([1, 2, 3, 4, 5]);
    expect([...done].sort()).toEqual([1, 2, 3, 4, 5]);
  });

  it("go on after one that comes to no end, which is a failure with its seed", async () => {
    let dismissed = 0;
    const hire = (): Laborer => ({
      run: async (job) => {
        if (job.seed === 2) throw new Error("no end within 1 s of real time");
        return { result: { ...template, seed: job.seed }, evidence: undefined };
      },
      dismiss: () => void dismissed++,
    });
    const failed: string[] = [];
    const all: number[] = [];
    await runAll([1, 2, 3].map(calm), 1, hire, ({ result }) => {
      all.push(result.seed);
      if (result.violations.length > 0) failed.push(`${result.seed}: ${result.violations.join()}`);
    });
    expect(all).toEqual([1, 2, 3]);
    expect(failed).toEqual(["2: the run did not end: no end within 1 s of real time"]);
    expect(dismissed).toBe(2);
  });
});

it("a run's evidence is every event and every call", async () => {
  const { evidence, result } = await perform({ seed: 1, options: { profile: "calm" }, evidence: true });
  expect(evidence?.trace.length).toBeGreaterThanOrEqual(result.events);
  expect(evidence?.history.filter((line) => line.includes(" → ")).length).toBeGreaterThanOrEqual(result.ok);
  expect(structuredClone(result)).toEqual(result);
});
