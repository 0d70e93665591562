import { describe, expect, it } from "vitest";
import { Prng, replicaId } from "../base/index.ts";
import type { ReplicaId } from "../base/index.ts";
import { planChanges, votersOf } from "./plan.ts";

const ids = (...numbers: number[]): ReplicaId[] => numbers.map(replicaId);
const all = (): boolean => true;

function text(changes: ReturnType<typeof planChanges>): string {
  return changes.map((change) => `${change.kind} ${change.replica}`).join(", ");
}

describe("the plan towards a wanted configuration", () => {
  it("keeps the number of voters odd: the second node stays a learner", () => {
    expect(text(planChanges({ voters: ids(1), learners: [] }, ids(1, 2), 3, all, replicaId(1)))).toBe("add-learner 2");
    expect(text(planChanges({ voters: ids(1), learners: ids(2) }, ids(1, 2), 3, all, replicaId(1)))).toBe("");
  });

  it("promotes the second and the third node in one change", () => {
    expect(text(planChanges({ voters: ids(1), learners: ids(2, 3) }, ids(1, 2, 3), 3, all, replicaId(1)))).toBe("add-voter 2, add-voter 3");
  });

  it("does not count on a copy that is still being made", () => {
    const ready = (id: ReplicaId): boolean => id !== 3;
    expect(text(planChanges({ voters: ids(1), learners: ids(2, 3) }, ids(1, 2, 3), 3, ready, replicaId(1)))).toBe("");
  });

  it("swaps a removed voter for its replacement in one change, once that has caught up", () => {
    const behind = (id: ReplicaId): boolean => id !== 4 && id !== 3;
    expect(text(planChanges({ voters: ids(1, 2, 3), learners: ids(4) }, ids(1, 2, 4), 3, behind, replicaId(1)))).toBe("");
    const ready = (id: ReplicaId): boolean => id !== 3;
    expect(text(planChanges({ voters: ids(1, 2, 3), learners: ids(4) }, ids(1, 2, 4), 3, ready, replicaId(1)))).toBe(
      "add-voter 4, remove 3",
    );
  });

  it("falls back to one voter when two members are left for good", () => {
    expect(text(planChanges({ voters: ids(1, 2, 3), learners: [] }, ids(1, 2), 3, all, replicaId(1)))).toBe("add-learner 2, remove 3");
  });

  it("keeps the leader before a voter that answered a while ago: if that one has just died, the group would count on it alone", () => {
    expect(text(planChanges({ voters: ids(1, 2, 3), learners: [] }, ids(1, 2), 3, all, replicaId(2)))).toBe("add-learner 1, remove 3");
  });

  it("reaches an odd number of voters and nothing unwanted from anywhere, when all answer", () => {
    for (let seed = 1; seed <= 500; seed++) {
      const prng = new Prng(seed);
      const pool = ids(1, 2, 3, 4, 5, 6, 7);
      let voters = prng.shuffle(pool).slice(0, prng.between(1, 5));
      let learners = pool.filter((id) => !voters.includes(id) && prng.chance(1, 2));
      const wanted = prng.shuffle(pool).slice(0, prng.between(1, 7));
      for (let step = 0; step < 6; step++) {
        for (const change of planChanges({ voters, learners }, wanted, 3, all, replicaId(1))) {
          voters = voters.filter((id) => id !== change.replica);
          learners = learners.filter((id) => id !== change.replica);
          if (change.kind === "add-voter") voters = [...voters, change.replica];
          if (change.kind === "add-learner") learners = [...learners, change.replica];
        }
        expect(voters.length, `seed ${seed}`).toBeGreaterThan(0);
      }
      expect(voters.length, `seed ${seed}`).toBe(votersOf(wanted.length, 3));
      expect(
        [...voters, ...learners].sort((a, b) => a - b),
        `seed ${seed}`,
      ).toEqual([...wanted].sort((a, b) => a - b));
    }
  });
});
