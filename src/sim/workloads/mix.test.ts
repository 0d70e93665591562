import { beforeAll, describe, expect, it } from "vitest";
import { Prng } from "../../base/index.ts";
import { drawPlan } from "../nemesis.ts";
import { runSeed } from "../seed.ts";
import { describeMix, operationsOf, workloadNames } from "./index.ts";
import type { Mix } from "./index.ts";

/** Of some seeds together: what one seed leaves out another has. */
interface Total {
  operations: number;
  ok: number;
  conditional: number;
  conditionalWon: number;
  reads: number;
  readsContended: number;
  readsStale: number;
  writes: number;
  writesContended: number;
  keysWrittenAgain: number;
  readonly kinds: Set<string>;
  readonly counts: Map<string, number>;
}

const seeds = [1, 2, 3, 5];

/** What each workload must have done at least, beside what all must. */
const demands: Readonly<
  Record<
    string,
    {
      readonly kinds: readonly string[];
      readonly counts?: readonly string[];
      readonly contended?: "reads" | "writes";
      readonly operations?: number;
    }
  >
> = {
  register: { kinds: ["get", "put", "put if", "txn", "read txn", "range", "delete"], contended: "writes" },
  cas: { kinds: ["get", "put if", "delete if"], contended: "writes" },
  "list-append": { kinds: ["append", "txn", "read txn", "range"], contended: "reads" },
  bank: { kinds: ["txn", "read txn", "range"], contended: "reads" },
  set: { kinds: ["put", "put if", "range"], contended: "reads" },
  counter: { kinds: ["put", "get"], contended: "writes" },
  lease: { kinds: ["put", "put if", "txn"], counts: ["granted", "given back", "claimed", "left to end"] },
  watch: { kinds: ["put", "delete", "txn"], counts: ["present", "past", "future", "first", "slow", "previous", "resumed", "copies"] },
  kubernetes: { kinds: ["get", "txn", "range", "list"], counts: ["informed"], contended: "reads" },
  membership: { kinds: ["put"], counts: ["members", "status", "keyspaces", "make", "transfer"] },
  etcd: {
    kinds: ["get", "txn", "range", "list", "put"],
    counts: ["informed", "present", "leased", "kept alive", "progress", "streams", "slow streams", "compacted by hand"],
  },
  // Whoever holds takes his time, and the others wait.
  claims: { operations: 20, kinds: ["put", "get"], counts: ["held", "shared", "led", "written"] },
};

describe("what the generators produce", () => {
  it("is audited for every workload", () => {
    expect(Object.keys(demands)).toEqual(workloadNames);
  });

  /** All at once, so that one cluster serves them all. */
  const runs = new Map<string, Mix[]>(workloadNames.map((workload) => [workload, []]));
  beforeAll(async () => {
    for (const seed of seeds) {
      const drawn = drawPlan(new Prng(seed), "network", { workloads: workloadNames });
      const plan = { ...drawn, faultMs: 7_000, faults: drawn.faults.filter(({ atMs }) => atMs < 7_000) };
      const { mix, violations } = await runSeed(seed, { plan });
      expect(violations, `seed ${seed}`).toEqual([]);
      for (const each of mix) runs.get(each.workload.split(" in ")[0] ?? "")?.push(each);
    }
  }, 180_000);

  for (const workload of workloadNames) {
    describe(workload, () => {
      let mixes: readonly Mix[];
      let total: Total;
      beforeAll(() => {
        mixes = runs.get(workload) ?? [];
        total = sum(mixes);
      });

      it("is many operations of every kind, most of them answered", () => {
        expect(mixes).toHaveLength(seeds.length);
        expect(total.operations, describeAll(mixes)).toBeGreaterThan(demands[workload]?.operations ?? 40);
        expect(total.ok / total.operations, describeAll(mixes)).toBeGreaterThan(0.5);
        expect([...total.kinds]).toEqual(expect.arrayContaining([...(demands[workload]?.kinds ?? [])]));
        for (const what of demands[workload]?.counts ?? []) expect(total.counts.get(what) ?? 0, what).toBeGreaterThan(0);
      });

      it("is contended: some conditions hold and some do not, and clients meet at the keys", () => {
        if (total.conditional > 0) {
          const share = total.conditionalWon / total.conditional;
          expect(share, describeAll(mixes)).toBeGreaterThan(0.15);
          if (workload !== "set") expect(share, describeAll(mixes)).toBeLessThan(0.99);
        }
        const { contended } = demands[workload] ?? {};
        if (contended === "reads") expect(total.readsContended / total.reads, describeAll(mixes)).toBeGreaterThan(0.01);
        if (contended === "writes") expect(total.writesContended / total.writes, describeAll(mixes)).toBeGreaterThan(0.05);
        if (workload !== "set") expect(total.keysWrittenAgain).toBeGreaterThan(0);
      });
    });
  }
});

function sum(mixes: readonly Mix[]): Total {
  const add = (value: (mix: Mix) => number): number => mixes.reduce((all, mix) => all + value(mix), 0);
  const counts = new Map<string, number>();
  for (const mix of mixes) for (const [name, count] of mix.counts) counts.set(name, (counts.get(name) ?? 0) + count);
  return {
    operations: add(operationsOf),
    ok: add((mix) => [...mix.kinds.values()].reduce((all, { conflict, ok }) => all + ok + conflict, 0)),
    conditional: add((mix) => mix.conditional),
    conditionalWon: add((mix) => mix.conditionalWon),
    reads: add((mix) => mix.reads),
    readsContended: add((mix) => mix.readsContended),
    readsStale: add((mix) => mix.readsStale),
    writes: add((mix) => mix.writes),
    writesContended: add((mix) => mix.writesContended),
    keysWrittenAgain: add((mix) => mix.keysWrittenAgain),
    kinds: new Set(mixes.flatMap((mix) => [...mix.kinds.keys()])),
    counts,
  };
}

function describeAll(mixes: readonly Mix[]): string {
  return mixes.map(describeMix).join("\n");
}
