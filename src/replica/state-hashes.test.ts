import { describe, expect, it } from "vitest";
import type { ReplicaId } from "../base/index.ts";
import type { Configuration } from "../raft/index.ts";
import { StateHashes, disputeMs } from "./state-hashes.ts";

const ids = (...numbers: number[]): ReplicaId[] => numbers as ReplicaId[];

function configuration(voters: ReplicaId[], more: Partial<Configuration> = {}): Configuration {
  return { voters, outgoing: [], learners: [], learnersNext: [], autoLeave: false, ...more };
}

/** What replica `self` hears: "1=a 2=b" at an index. */
function heard(self: number, ...lines: readonly (readonly [number, string])[]): StateHashes {
  const hashes = new StateHashes(self as ReplicaId);
  for (const [index, line] of lines) {
    for (const word of line.split(" ")) {
      const [replica, hash] = word.split("=") as [string, string];
      hashes.note(index, Number(replica) as ReplicaId, hash);
    }
  }
  return hashes;
}

const three = configuration(ids(1, 2, 3));

describe("of states at one index", () => {
  it("a majority's is right, and who differs learns who has it", () => {
    expect(heard(1, [10, "1=a 2=a"]).judge(three, 0)).toEqual({ kind: "agreed", index: 10 });
    expect(heard(3, [10, "1=a 2=a 3=b"]).judge(three, 0)).toEqual({ kind: "minority", index: 10, sound: ids(1, 2) });
    expect(heard(1, [10, "1=a 2=a 3=b"]).judge(three, 0)).toEqual({ kind: "agreed", index: 10 });
  });

  it("nothing follows before a majority has spoken, nor without the own word", () => {
    expect(heard(1, [10, "1=a"]).judge(three, 1e9)).toEqual({ kind: "open" });
    expect(heard(3, [10, "1=a 2=a"]).judge(three, 0)).toEqual({ kind: "open" });
  });

  it("when all have spoken and no two agree, none is right, at once", () => {
    expect(heard(1, [10, "1=a 2=b 3=c"]).judge(three, 0)).toEqual({ kind: "split", index: 10 });
    const five = configuration(ids(1, 2, 3, 4, 5));
    expect(heard(1, [10, "1=a 2=a 3=b 4=b 5=c"]).judge(five, 0)).toEqual({ kind: "split", index: 10 });
  });

  it("two that differ wait a while for the third, which decides", () => {
    const hashes = heard(1, [10, "1=a 2=b"]);
    expect(hashes.isDisputed()).toBe(false);
    expect(hashes.judge(three, 1_000)).toEqual({ kind: "open" });
    expect(hashes.isDisputed()).toBe(true);
    expect(hashes.judge(three, 1_000 + disputeMs - 1)).toEqual({ kind: "open" });
    expect(hashes.judge(three, 1_000 + disputeMs)).toEqual({ kind: "split", index: 10 });
    hashes.note(10, 3 as ReplicaId, "b");
    expect(hashes.judge(three, 1_000 + disputeMs)).toEqual({ kind: "minority", index: 10, sound: ids(2, 3) });
  });

  it("two of five that differ leave the decision to the three that are silent", () => {
    const five = configuration(ids(1, 2, 3, 4, 5));
    expect(heard(1, [10, "1=a 2=b"]).judge(five, 0)).toEqual({ kind: "open" });
  });

  it("learners do not count, and may be wrong", () => {
    const learning = configuration(ids(1, 2, 3), { learners: ids(4, 5, 6) });
    expect(heard(1, [10, "1=a 4=a 5=b 6=b"]).judge(learning, 1e9)).toEqual({ kind: "open" });
    expect(heard(4, [10, "1=a 2=a 4=b"]).judge(learning, 0)).toEqual({ kind: "minority", index: 10, sound: ids(1, 2) });
  });

  it("while joint a majority of each side is needed", () => {
    const joint = configuration(ids(1, 2, 3), { outgoing: ids(1, 4, 5) });
    expect(heard(1, [10, "1=a 2=a"]).judge(joint, 0)).toEqual({ kind: "open" });
    expect(heard(1, [10, "1=a 2=a 4=a"]).judge(joint, 0)).toEqual({ kind: "agreed", index: 10 });
  });

  it("one voter is right by itself", () => {
    expect(heard(1, [10, "1=a 2=b"]).judge(configuration(ids(1), { learners: ids(2) }), 0)).toEqual({ kind: "agreed", index: 10 });
  });
});

describe("of several checkpoints", () => {
  it("the newest that allows a verdict decides: an agreement ends an older dispute, an unfinished one does not", () => {
    expect(heard(1, [10, "1=a 2=b 3=c"], [20, "1=d 2=d"]).judge(three, 0)).toEqual({ kind: "agreed", index: 20 });
    expect(heard(1, [10, "1=a 2=b 3=c"], [20, "1=d"]).judge(three, 0)).toEqual({ kind: "split", index: 10 });
  });

  it("the oldest are forgotten, and all that was said of a state that was replaced", () => {
    const hashes = heard(1, ...Array.from({ length: 12 }, (_, i): [number, string] => [i + 1, "1=a"]));
    expect(hashes.hashOf(4, 1 as ReplicaId)).toBeUndefined();
    expect(hashes.hashOf(5, 1 as ReplicaId)).toBe("a");
    hashes.forgetTo(11);
    expect(hashes.hashOf(11, 1 as ReplicaId)).toBeUndefined();
    expect(hashes.hashOf(12, 1 as ReplicaId)).toBe("a");
  });
});
