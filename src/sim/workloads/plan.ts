import type { Prng } from "../../base/index.ts";
import { workloadNames } from "./catalogue.ts";
import type { Manners } from "./client.ts";

/** One workload, and the keyspace that it works in. */
export interface PartPlan {
  readonly workload: string;
  /** "default", or a keyspace of its own name. */
  readonly space: string;
}

/** What the clients of a run do, decided before it begins. Plain data. */
export interface LoadPlan extends Manners {
  readonly parts: readonly PartPlan[];
  /** How many things each client does at a time in each part. */
  readonly lanes: number;
  readonly thinkMsMax: number;
  /** Each client talks to one node only, whatever it leads. */
  readonly pinned: boolean;
}

/** Swarm-style, as the faults are: one to three workloads, unless `names` says which. */
export function drawLoad(prng: Prng, names: readonly string[] = []): LoadPlan {
  const chosen =
    names.length > 0
      ? names
      : prng
          .fork("names")
          .shuffle(workloadNames)
          .slice(0, prng.pick([1, 2, 2, 3]));
  const another = prng.chance(1, 4);
  // Each by itself: taking one workload away changes nothing about the others.
  // Of etcd's clients nobody sees another one than the default keyspace.
  const isElsewhere = (workload: string): boolean => another && workload !== "etcd" && prng.fork(`space of ${workload}`).chance(1, 2);
  return {
    parts: chosen.map((workload) => ({ workload, space: isElsewhere(workload) ? "second" : "default" })),
    lanes: prng.pick([1, 1, 1, 2]),
    // A run of ten seconds has some hundreds of operations: more cost time and find little.
    thinkMsMax: prng.pick([200, 500, 1_500]),
    timeoutMs: prng.pick([1_000, 3_000, 10_000]),
    stalePercent: prng.pick([0, 10, 50]),
    pinned: prng.chance(1, 3),
    valueBytesMax: prng.pick([0, 0, 1_000, 30_000]),
  };
}
