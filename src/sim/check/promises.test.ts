import { describe, expect, it } from "vitest";
import type { GroupId, ReplicaId } from "../../base/index.ts";
import type { Message } from "../../raft/index.ts";
import { WirePromises } from "./index.ts";

const group = 1 as GroupId;
const id = (number: number): ReplicaId => number as ReplicaId;

const heartbeat = (from: number, term: number): Message => ({ type: "heartbeat", from: id(from), to: id(9), term, commit: 0, context: 0 });
const vote = (from: number, to: number, term: number, granted = true): Message => ({
  type: "vote-response",
  from: id(from),
  to: id(to),
  term,
  granted,
});
const campaign = (from: number, term: number): Message => ({
  type: "vote",
  from: id(from),
  to: id(9),
  term,
  lastIndex: 0,
  lastTerm: 0,
  transfer: false,
});
const ack = (from: number, term: number, index: number, rejected = false): Message => ({
  type: "append-response",
  from: id(from),
  to: id(9),
  term,
  index,
  rejected,
  hintIndex: 0,
  hintTerm: 0,
});

function tell(messages: readonly Message[]): WirePromises {
  const promises = new WirePromises();
  for (const message of messages) promises.sent(group, message);
  return promises;
}

describe("what replicas promise on the wire", () => {
  it("holds while each term has one leader and each voter one vote", () => {
    const promises = tell([campaign(1, 2), vote(2, 1, 2), vote(3, 1, 2), heartbeat(1, 2), vote(2, 1, 2), vote(2, 3, 3), heartbeat(3, 3)]);
    promises.sent(2 as GroupId, heartbeat(2, 2));
    expect(promises.violations).toEqual([]);
  });

  it("is broken by two leaders in a term", () => {
    expect(tell([heartbeat(1, 2), heartbeat(2, 2)]).violations).toEqual(["replicas 1 and 2 of group 1 both lead in term 2"]);
  });

  it("is broken by two votes in a term, a candidate's own included, and not by refusals", () => {
    expect(tell([vote(3, 1, 2), vote(3, 2, 2)]).violations).toEqual(["replica 3 of group 1 voted for 1 and for 2 in term 2"]);
    expect(tell([campaign(3, 2), vote(3, 2, 2)]).violations).toHaveLength(1);
    expect(tell([vote(3, 1, 2), vote(3, 2, 2, false)]).violations).toEqual([]);
  });

  const back = (
    messages: readonly Message[],
    term: number,
    lastIndex: number,
    options: { suspect?: boolean; damaged?: boolean; vote?: number; applied?: number } = {},
  ): string[] => {
    const { applied = 0, damaged = false, suspect = false, vote: voted = 0 } = options;
    const promises = tell(messages);
    promises.applied(group, id(3), applied);
    promises.restarted("n3 2", group, id(3), { term, vote: id(voted), lastIndex, suspect }, damaged);
    return [...promises.violations];
  };

  it("is broken by a replica that comes back without the term of its vote, or without what it acknowledged", () => {
    expect(back([vote(3, 1, 5)], 5, 0, { vote: 1 })).toEqual([]);
    expect(back([vote(3, 1, 5)], 5, 0)).toEqual(["replica 3 of group 1 voted for 1 in term 5 and is back with a vote for 0"]);
    expect(back([vote(3, 1, 5)], 4, 0)).toEqual(["replica 3 of group 1 spoke in term 5 and is back in term 4"]);
    expect(back([ack(3, 5, 10)], 5, 10)).toEqual([]);
    expect(back([ack(3, 5, 10)], 5, 9)[0]).toContain("acknowledged its log up to 10 in term 5 and is back with 9");
  });

  it("is kept by a log that a later leader cut, by refusals, and by answers that bind nobody", () => {
    expect(back([ack(3, 5, 10)], 6, 7)).toEqual([]);
    expect(back([ack(3, 5, 10), ack(3, 6, 7)], 6, 7)).toEqual([]);
    expect(back([ack(3, 5, 10, true)], 4, 0)).toEqual([]);
    expect(back([{ type: "heartbeat-response", from: id(3), to: id(1), term: 7, context: 0 }], 4, 0)).toEqual([]);
  });

  it("is broken by a replica that comes back without what it applied", () => {
    expect(back([], 5, 10, { applied: 10 })).toEqual([]);
    expect(back([], 6, 9, { applied: 10 })).toEqual(["replica 3 of group 1 applied entry 10 and is back with 9"]);
  });

  it("is not asked of a replica that says that it is damaged, which none may be whose disk nobody damaged", () => {
    expect(back([ack(3, 5, 10)], 4, 0, { suspect: true, damaged: true, applied: 5 })).toEqual([]);
    expect(back([ack(3, 5, 10)], 4, 0, { damaged: true })).toHaveLength(1);
    expect(back([], 4, 0, { suspect: true })).toEqual(["replica 3 of group 1 finds its disk damaged, which nobody did"]);
  });

  it("is not asked a second time in a life", () => {
    const promises = tell([ack(3, 5, 10)]);
    promises.restarted("n3 2", group, id(3), { term: 5, vote: id(0), lastIndex: 10, suspect: false }, false);
    promises.restarted("n3 2", group, id(3), { term: 5, vote: id(0), lastIndex: 8, suspect: false }, false);
    expect(promises.violations).toEqual([]);
  });
});
