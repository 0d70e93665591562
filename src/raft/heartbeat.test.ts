import { describe, expect, it } from "vitest";
import { Prng, replicaId } from "../base/index.ts";
import { Raft } from "./index.ts";

/** A group of one, which leads at once and has a learner to send to. */
function leader(): Raft {
  const one = replicaId(1);
  const configuration = { voters: [one], outgoing: [], learners: [replicaId(2)], learnersNext: [], autoLeave: false };
  const raft = new Raft({
    replica: one,
    prng: new Prng(1),
    hardState: { term: 0, vote: replicaId(0), commit: 0 },
    snapshot: { index: 0, term: 0, configuration },
    entries: [],
    terms: [],
    firstIndex: 1,
    lastIndex: 0,
    applied: 0,
    electionTicks: 10,
    heartbeatTicks: 3,
    suspect: false,
  });
  raft.campaign();
  drain(raft);
  return raft;
}

/** How many heartbeats were to be sent. */
function drain(raft: Raft): number {
  let beats = 0;
  for (let ready = raft.takeReady(); ready !== undefined; ready = raft.takeReady()) {
    beats += ready.messages.filter((message) => message.type === "heartbeat").length;
    if (ready.number > 0) raft.persisted(ready.number);
  }
  return beats;
}

describe("heartbeats", () => {
  it("leave on the same of a node's ticks, whenever their groups were opened and began to lead", () => {
    const early = leader();
    for (let tick = 1; tick <= 4; tick++) {
      early.tick(tick);
      drain(early);
    }
    const late = leader();
    const beats: [number, number, number][] = [];
    for (let tick = 5; tick <= 12; tick++) {
      early.tick(tick);
      late.tick(tick);
      beats.push([tick, drain(early), drain(late)]);
    }
    expect(beats.filter(([, a, b]) => a > 0 || b > 0)).toEqual([
      [6, 1, 1],
      [9, 1, 1],
      [12, 1, 1],
    ]);
  });
});
