import { describe, expect, it } from "vitest";
import { emptyBytes } from "../../base/index.ts";
import type { GroupId, ReplicaId } from "../../base/index.ts";
import { EntryKind } from "../../raft/index.ts";
import type { Configuration, Entry, Message } from "../../raft/index.ts";
import { Mandates } from "./index.ts";
import type { Standing } from "./index.ts";

const group = 1 as GroupId;
const id = (number: number): ReplicaId => number as ReplicaId;
const three: Configuration = { voters: [id(1), id(2), id(3)], outgoing: [], learners: [id(4), id(5)], learnersNext: [], autoLeave: false };
const joint: Configuration = { ...three, voters: [id(1), id(4), id(5)], outgoing: three.voters, learners: [] };

const standing = (term: number, more: Partial<Standing> = {}): Standing => ({
  replica: id(1),
  term,
  commit: 0,
  persistedIndex: 0,
  lastIndex: 0,
  configuration: three,
  suspect: false,
  transferee: id(0),
  ...more,
});
const vote = (from: number, term: number, to = 1): Message => ({ type: "vote-response", from: id(from), to: id(to), term, granted: true });
const ack = (from: number, term: number, index: number): Message => ({
  type: "append-response",
  from: id(from),
  to: id(1),
  term,
  index,
  rejected: false,
  hintIndex: 0,
  hintTerm: 0,
});
const heartbeat = (term: number, commit: number): Message => ({ type: "heartbeat", from: id(1), to: id(2), term, commit, context: 0 });
const entry = (index: number, term: number, kind: Entry["kind"] = EntryKind.normal): Entry => ({
  index,
  term,
  kind,
  data: new Uint8Array(1),
});
const append = (term: number, entries: readonly Entry[], commit = 0): Message => ({
  type: "append",
  from: id(1),
  to: id(2),
  term,
  prevIndex: 0,
  prevTerm: 0,
  entries,
  commit,
});

/** What the judge says once replica 1, elected by 2 in term 5, has sent its messages. */
function judge(messages: readonly (readonly [Message, Standing?])[]): string[] {
  const mandates = new Mandates();
  mandates.sent(group, vote(2, 5), undefined);
  mandates.sent(group, heartbeat(5, 0), standing(5));
  for (const [message, by] of messages) mandates.sent(group, message, by);
  return [...mandates.violations];
}

describe("the mandate of a leader", () => {
  it("comes from a quorum of voters, in the term in which it leads", () => {
    expect(judge([])).toEqual([]);
    expect(judge([[heartbeat(6, 0), standing(6)]])).toEqual(["replica 1 of group 1 leads in term 6, and nobody voted, which is no quorum"]);
    expect(judge([[vote(2, 7, 3)], [heartbeat(7, 0), standing(7)]])).toHaveLength(1);
  });

  it("does not come from learners, from one half of a joint configuration, or from a suspect replica", () => {
    expect(judge([[vote(4, 6)], [vote(5, 6)], [heartbeat(6, 0), standing(6)]])).toHaveLength(1);
    expect(judge([[vote(4, 6)], [heartbeat(6, 0), standing(6, { configuration: joint })]])).toHaveLength(1);
    expect(judge([[vote(4, 6)], [vote(2, 6)], [heartbeat(6, 0), standing(6, { configuration: joint })]])).toEqual([]);
    expect(judge([[vote(3, 6), standing(6, { replica: id(3), suspect: true })]])[0]).toContain("although it is suspect");
  });

  it("commits what a quorum has on its disks, itself counted by its own", () => {
    expect(judge([[ack(2, 5, 8)], [heartbeat(5, 8), standing(5, { persistedIndex: 8 })]])).toEqual([]);
    expect(judge([[ack(2, 5, 8)], [heartbeat(5, 8), standing(5, { persistedIndex: 7 })]])).toEqual([
      "replica 1 of group 1 commits 8 in term 5, which no quorum has: itself up to 7, 2 up to 8",
    ]);
    expect(judge([[ack(2, 5, 8)], [ack(3, 5, 9)], [heartbeat(5, 8), standing(5)]])).toEqual([]);
    expect(judge([[ack(4, 5, 8)], [ack(5, 5, 8)], [heartbeat(5, 8), standing(5, { persistedIndex: 8 })]])).toHaveLength(1);
    const half = standing(5, { persistedIndex: 8, configuration: joint });
    expect(judge([[vote(4, 5)], [ack(4, 5, 8)], [heartbeat(5, 8), half]])).toHaveLength(1);
  });

  it("may tell what the reign before committed and had no time to tell", () => {
    const mandates = new Mandates();
    mandates.sent(group, vote(3, 4, 2), undefined);
    mandates.sent(group, { ...heartbeat(4, 0), from: id(2) }, standing(4, { replica: id(2), persistedIndex: 8 }));
    mandates.sent(group, { ...ack(3, 4, 8), to: id(2) }, undefined);
    mandates.sent(group, vote(3, 5), undefined);
    mandates.sent(group, heartbeat(5, 8), standing(5, { commit: 8, persistedIndex: 8 }));
    expect(mandates.violations).toEqual([]);
  });

  it("commits nothing older by counting, unless an entry of its own term goes with it", () => {
    const apply = (entryTerm: number, commit: number): string[] => {
      const mandates = new Mandates();
      mandates.sent(group, vote(2, 5), undefined);
      mandates.sent(group, heartbeat(5, 6), standing(5, { commit: 6, persistedIndex: 6 }));
      mandates.sent(group, ack(2, 5, 9), undefined);
      mandates.applied(group, standing(5, { commit, persistedIndex: 9 }), { index: 8, term: entryTerm });
      return mandates.violations.filter((text) => text.includes("by counting"));
    };
    expect(apply(4, 9)).toEqual([]);
    expect(apply(5, 8)).toEqual([]);
    expect(apply(4, 8)).toEqual(["replica 1 of group 1 commits 8, of term 4, by counting in term 5"]);
  });

  it("takes no proposals while it is handed over, and finishes those that it had", () => {
    const handing = standing(5, { transferee: id(2), lastIndex: 9 });
    expect(judge([[append(5, [entry(9, 5)]), handing]])).toEqual([]);
    expect(
      judge([
        [heartbeat(5, 0), handing],
        [append(5, [entry(10, 5)]), handing],
      ]),
    ).toEqual(["replica 1 of group 1 proposes entry 10 while it hands over to 2"]);
    const over = standing(5, { lastIndex: 9 });
    expect(
      judge([
        [heartbeat(5, 0), handing],
        [heartbeat(5, 0), over],
        [append(5, [entry(10, 5)]), over],
      ]),
    ).toEqual([]);
    // The end of a joint configuration is no client's proposal, and a leader's first entry has no content.
    const own = [entry(10, 5, EntryKind.configuration), { ...entry(11, 5), data: emptyBytes }];
    expect(
      judge([
        [heartbeat(5, 0), handing],
        [append(5, own), handing],
      ]),
    ).toEqual([]);
  });

  it("changes one configuration at a time", () => {
    const change = (index: number, commit: number): readonly [Message, Standing] => [
      append(5, [entry(index, 5, EntryKind.configuration)], commit),
      standing(5, { commit: 10, persistedIndex: 20 }),
    ];
    const acknowledged: readonly [Message] = [ack(2, 5, 20)];
    expect(judge([acknowledged, change(10, 9), change(11, 10), change(10, 10)])).toEqual([]);
    expect(judge([acknowledged, change(10, 9), change(11, 9)])).toEqual([
      "replica 1 of group 1 changes the configuration at 11 before the change at 10 is committed",
    ]);
  });
});
