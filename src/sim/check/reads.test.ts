import { describe, expect, it } from "vitest";
import type { GroupId, ReplicaId } from "../../base/index.ts";
import type { Configuration, Message } from "../../raft/index.ts";
import { ReadRounds } from "./index.ts";
import type { Reader } from "./index.ts";

const group = 1 as GroupId;
const id = (number: number): ReplicaId => number as ReplicaId;
const three: Configuration = { voters: [id(1), id(2), id(3)], outgoing: [], learners: [id(4)], learnersNext: [], autoLeave: false };
const leader = (more: Partial<Reader> = {}): Reader => ({ replica: id(1), term: 5, configuration: three, ...more });
const beat = (context: number, term = 5): Message => ({ type: "heartbeat", from: id(1), to: id(2), term, commit: 0, context });
const answer = (from: number, context: number, term = 5): Message => ({
  type: "heartbeat-response",
  from: id(from),
  to: id(1),
  term,
  context,
});

describe("a linearizable read", () => {
  const judge = (steps: (rounds: ReadRounds) => void): readonly string[] => {
    const rounds = new ReadRounds();
    steps(rounds);
    return rounds.violations;
  };
  const read = (between: readonly Message[], reader = leader()): readonly string[] =>
    judge((rounds) => {
      rounds.asked(group, reader, "read 1");
      for (const message of between) rounds.sent(group, message);
      rounds.confirmed(group, reader, "read 1");
    });

  it("is answered after a quorum followed the leader since it was asked", () => {
    expect(read([beat(7), answer(2, 7)])).toEqual([]);
    expect(read([], leader({ configuration: { ...three, voters: [id(1)] } }))).toEqual([]);
  });

  it("is not answered for want of a quorum, by a learner, or by what belongs to another term", () => {
    const wrong = [expect.stringMatching(/replica 1 of group 1 answers read 1 although of its voters 1, 2, 3 only 1/)];
    expect(read([])).toEqual(wrong);
    expect(read([beat(7)])).toEqual(wrong);
    expect(read([beat(7), answer(4, 7)])).toHaveLength(1);
    expect(read([beat(7, 4), answer(2, 7, 4)])).toEqual(wrong);
  });

  it("is not answered by the answer to a heartbeat that had left before", () => {
    const late = judge((rounds) => {
      rounds.sent(group, beat(7));
      rounds.asked(group, leader(), "read 1");
      rounds.sent(group, answer(2, 7));
      rounds.confirmed(group, leader(), "read 1");
    });
    expect(late).toHaveLength(1);
  });

  it("needs both majorities of a joint configuration", () => {
    const joint = leader({ configuration: { ...three, voters: [id(1), id(4), id(5)], outgoing: three.voters } });
    expect(read([beat(7), answer(2, 7)], joint)).toHaveLength(1);
    expect(read([beat(7), answer(2, 7), answer(4, 7)], joint)).toEqual([]);
  });
});
