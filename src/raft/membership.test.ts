import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MalformedBytes } from "../base/index.ts";
import type { ReplicaId } from "../base/index.ts";
import { Configurations, decodeConfiguration, emptyConfiguration, encodeConfiguration } from "./configuration.ts";
import { changedConfiguration, leftConfiguration } from "./membership.ts";
import type { Configuration, ConfigurationChange } from "./types.ts";

const ids = [1, 2, 3, 4, 5, 6] as ReplicaId[];
const stable: fc.Arbitrary<Configuration> = fc
  .tuple(fc.subarray(ids, { minLength: 1 }), fc.subarray(ids))
  .map(([voters, others]) => ({ ...emptyConfiguration, voters, learners: others.filter((replica) => !voters.includes(replica)) }));
const changes: fc.Arbitrary<ConfigurationChange[]> = fc.array(
  fc.record({ kind: fc.constantFrom("add-voter" as const, "add-learner" as const, "remove" as const), replica: fc.constantFrom(...ids) }),
  { minLength: 1, maxLength: 4 },
);

function quorums({ voters, outgoing }: Configuration): Set<ReplicaId>[] {
  const all: Set<ReplicaId>[] = [];
  for (let mask = 0; mask < 1 << ids.length; mask++) {
    const members = new Set(ids.filter((_, at) => (mask >> at) & 1));
    if ([voters, outgoing].every((side) => side.length === 0 || side.filter((replica) => members.has(replica)).length * 2 > side.length))
      all.push(members);
  }
  return all;
}

function meet(a: Configuration, b: Configuration): boolean {
  const others = quorums(b);
  return quorums(a).every((one) => others.every((other) => [...one].some((replica) => other.has(replica))));
}

describe("membership changes", () => {
  it("any quorum of a configuration meets any of the next, so that no two leaders are elected in a term", () => {
    fc.assert(
      fc.property(stable, changes, (before, list) => {
        const next = changedConfiguration(before, list);
        if (next === undefined) return;
        expect(meet(before, next)).toBe(true);
        if (next.outgoing.length === 0) return;
        const after = leftConfiguration(next);
        expect(meet(next, after)).toBe(true);
        expect(after.outgoing).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it("does what was asked: in the end each named replica is what the change says", () => {
    fc.assert(
      fc.property(stable, changes, (before, list) => {
        const next = changedConfiguration(before, list);
        if (next === undefined) return;
        const after = next.outgoing.length > 0 ? leftConfiguration(next) : next;
        expect(next.autoLeave).toBe(next.outgoing.length > 0);
        for (const { kind, replica } of list) {
          expect(after.voters.includes(replica)).toBe(kind === "add-voter");
          expect(after.learners.includes(replica)).toBe(kind === "add-learner");
        }
        for (const replica of ids.filter((id) => !list.some((change) => change.replica === id))) {
          expect(after.voters.includes(replica)).toBe(before.voters.includes(replica));
          expect(after.learners.includes(replica)).toBe(before.learners.includes(replica));
        }
        expect([...after.voters].sort((a, b) => a - b)).toEqual(after.voters);
        expect(next.learners.some((replica) => next.voters.includes(replica) || next.outgoing.includes(replica))).toBe(false);
      }),
      { numRuns: 1000 },
    );
  });

  it("what is encoded reads back the same, and anything else is refused", () => {
    fc.assert(
      fc.property(stable, changes, (before, list) => {
        const configuration = changedConfiguration(before, list) ?? before;
        const bytes = encodeConfiguration(configuration);
        expect(decodeConfiguration(bytes)).toEqual(configuration);
        expect(() => decodeConfiguration(bytes.subarray(0, bytes.length - 1))).toThrow(MalformedBytes);
      }),
    );
    expect(() => decodeConfiguration(new Uint8Array([1, 255, 255, 0, 0]))).toThrow(MalformedBytes);
    expect(() => decodeConfiguration(new Uint8Array([9]))).toThrow(MalformedBytes);
  });

  it("truncating the log brings the previous configuration back, but never one before the newest committed", () => {
    const make = (voter: number): Configuration => ({ ...emptyConfiguration, voters: [voter as ReplicaId] });
    const history = new Configurations(0, make(1));
    history.append(5, make(2));
    history.append(9, make(3));
    expect(history.current).toEqual(make(3));
    history.truncate(9);
    expect(history.current).toEqual(make(2));
    history.commit(5);
    history.append(12, make(4));
    history.truncate(1);
    expect(history.current).toEqual(make(2));
    expect(history.index).toBe(5);
  });
});
