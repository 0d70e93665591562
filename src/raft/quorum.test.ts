import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ReplicaId } from "../base/index.ts";
import { emptyConfiguration } from "./configuration.ts";
import { describeQuorum, majorityIndex, quorumIndex, quorumVote } from "./quorum.ts";
import type { Configuration } from "./types.ts";

const ids = [1, 2, 3, 4, 5, 6, 7] as ReplicaId[];
const voters = fc.subarray(ids, { minLength: 1 });
const configurations: fc.Arbitrary<Configuration> = fc
  .tuple(voters, fc.subarray(ids))
  .map(([incoming, outgoing]) => ({ ...emptyConfiguration, voters: incoming, outgoing }));
const indexes = fc.array(fc.nat(5), { minLength: ids.length, maxLength: ids.length });

/** The definition: more than half of each side that is not empty. */
function isQuorum({ voters: incoming, outgoing }: Configuration, members: ReadonlySet<ReplicaId>): boolean {
  return [incoming, outgoing].every((side) => side.length === 0 || side.filter((replica) => members.has(replica)).length * 2 > side.length);
}

describe("quorum arithmetic agrees with its definition", () => {
  it("the committed index is the largest that a quorum has reached", () => {
    fc.assert(
      fc.property(configurations, indexes, (configuration, reached) => {
        const indexOf = (replica: ReplicaId): number => reached[replica - 1] ?? 0;
        let expected = 0;
        for (let index = 0; index <= 5; index++)
          if (isQuorum(configuration, new Set(ids.filter((replica) => indexOf(replica) >= index)))) expected = index;
        expect(quorumIndex(configuration, indexOf)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it("a vote is won or lost once no missing answer can change it", () => {
    const votes = fc.array(fc.option(fc.boolean(), { nil: undefined }), { minLength: ids.length, maxLength: ids.length });
    fc.assert(
      fc.property(configurations, votes, (configuration, given) => {
        const granted = ids.filter((_, at) => given[at] === true);
        const open = ids.filter((_, at) => given[at] === undefined);
        const surely = isQuorum(configuration, new Set(granted));
        const possibly = isQuorum(configuration, new Set([...granted, ...open]));
        expect(quorumVote(configuration, (replica) => given[replica - 1])).toBe(surely ? "won" : possibly ? "pending" : "lost");
      }),
      { numRuns: 2000 },
    );
  });

  it("two quorums of one configuration always meet", () => {
    const members = fc.subarray(ids).map((list) => new Set(list));
    fc.assert(
      fc.property(configurations, members, members, (configuration, a, b) => {
        if (isQuorum(configuration, a) && isQuorum(configuration, b)) expect([...a].some((replica) => b.has(replica))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it("prints who is how far", () => {
    const reached = new Map([
      [1, 7],
      [2, 3],
      [3, 5],
    ]);
    expect(describeQuorum(ids.slice(0, 3), (replica) => reached.get(replica) ?? 0)).toBe(
      ["==> 7 (replica 1)", ">   3 (replica 2)", "=>  5 (replica 3)", "quorum: 5"].join("\n"),
    );
  });

  it("nobody decides nothing: without voters every index counts", () => {
    expect(majorityIndex([], () => 0)).toBe(Number.POSITIVE_INFINITY);
  });
});
