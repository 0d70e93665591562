import { describe, expect, it } from "vitest";
import { History } from "../history.ts";
import type { Call, Operation, Result, SeenChange } from "../history.ts";
import { Agreement, Chronicle, checkDurability, checkRegisters, checkRevisions, checkWatches } from "./index.ts";

const put = (key: string, value: string, ifRevision?: number): Operation => ({ kind: "put", key, value, ifRevision });
const wrote = (revision: number, existed = true): Result => ({ kind: "written", revision, existed });
const change = (revision: number, key: string, value: string | undefined): SeenChange => ({ revision, events: [{ key, value }] });

class Story {
  readonly history = new History();
  did(client: string, operation: Operation, result: Result): Call {
    const call = this.history.call(client, operation, 0);
    this.history.ok(call, result, 0);
    return call;
  }
  unknown(client: string, operation: Operation): Call {
    const call = this.history.call(client, operation, 0);
    this.history.failed(call, "unknown", "TIMEOUT", 0);
    return call;
  }
  refused(client: string, operation: Operation): Call {
    const call = this.history.call(client, operation, 0);
    this.history.failed(call, "not-applied", "OVERLOADED", 0);
    return call;
  }
}

const get = (key: string, stale = false): Operation => ({ kind: "get", key, stale });
const entry = (key: string, value: string, revision: number): Result => ({ kind: "entry", entry: { key, value, revision } });

describe("the register check", () => {
  it("names the key and the operations where no order goes on", () => {
    const story = new Story();
    story.did("c1", put("r1", "a"), wrote(2));
    story.did("c1", put("r1", "b"), wrote(3));
    story.did("c2", get("r1"), entry("r1", "a", 2));
    const report = checkRegisters(story.history);
    expect(report.violations).toHaveLength(1);
    expect(report.violations[0]).toContain("key r1 is not linearizable");
    expect(report.violations[0]).toContain("#2 c2 get r1 → a @2");
  });

  it("takes a revision for the value that it names", () => {
    const story = new Story();
    story.did("c1", put("r1", "a", 0), wrote(2));
    story.did("c2", put("r1", "b", 2), wrote(3));
    story.did("c1", put("r1", "c", 2), { kind: "conflict" });
    expect(checkRegisters(story.history).violations).toEqual([]);
    story.did("c1", put("r1", "d", 2), wrote(4));
    expect(checkRegisters(story.history).violations).toHaveLength(1);
  });

  it("sees a transaction's part of each key, and no conflict where another key may be the cause", () => {
    const story = new Story();
    story.did("c1", put("r1", "a"), wrote(2));
    const txn = (revision: number, value: string): Operation => ({
      kind: "txn",
      compare: [{ key: "r1", revision }],
      writes: [{ key: "r2", value }],
      reads: [],
      elseReads: [],
    });
    story.did("c1", txn(2, "x"), wrote(3));
    story.did("c1", txn(7, "y"), { kind: "conflict" });
    story.did("c1", get("r2"), entry("r2", "x", 3));
    expect(checkRegisters(story.history).violations).toEqual([]);
    story.did("c1", txn(2, "z"), { kind: "conflict" });
    expect(checkRegisters(story.history).violations).toHaveLength(1);
  });

  it("knows a revision that only a range read told", () => {
    const story = new Story();
    story.unknown("c1", put("r1", "a"));
    story.did(
      "c2",
      { kind: "range", prefix: "", stale: false },
      { kind: "page", revision: 2, entries: [{ key: "r1", value: "a", revision: 2 }] },
    );
    story.did("c2", put("r1", "b", 2), wrote(3));
    expect(checkRegisters(story.history).violations).toEqual([]);
  });

  it("refuses two values at one revision", () => {
    const story = new Story();
    story.did("c1", get("r1", true), entry("r1", "a", 2));
    story.did("c1", get("r1", true), entry("r1", "b", 2));
    expect(checkRegisters(story.history).violations[0]).toContain("two values at revision 2");
  });
});

describe("the register check of what transactions and conflicts tell", () => {
  const txn = (more: Partial<Extract<Operation, { kind: "txn" }>>): Operation => ({
    kind: "txn",
    compare: [],
    writes: [],
    reads: [],
    elseReads: [],
    ...more,
  });
  const begun = (): Story => {
    const story = new Story();
    story.did("c1", put("r1", "a"), wrote(2));
    story.did("c1", put("r1", "b"), wrote(3));
    return story;
  };

  it("refuses an old value read within a transaction, and in the branch of a conflict", () => {
    const old = { key: "r1", entry: { key: "r1", value: "a", revision: 2 } };
    const fresh = { key: "r1", entry: { key: "r1", value: "b", revision: 3 } };
    for (const [read, count] of [
      [fresh, 0],
      [old, 1],
    ] as const) {
      const looked = begun();
      looked.did("c2", txn({ reads: ["r1"] }), { kind: "reads", revision: 3, reads: [read] });
      expect(checkRegisters(looked.history).violations).toHaveLength(count);
      const lost = begun();
      const operation = txn({ compare: [{ key: "r9", revision: 7 }], writes: [{ key: "r1", value: "z" }], elseReads: ["r1"] });
      lost.did("c2", operation, { kind: "conflict", revision: 3, reads: [read] });
      expect(checkRegisters(lost.history).violations).toHaveLength(count);
    }
  });

  it("refuses a conflict that names a revision which had gone, and believes one that nobody else was told of", () => {
    for (const [found, count] of [
      [3, 0],
      [2, 1],
      [0, 1],
      [99, 0],
    ] as const) {
      const story = begun();
      story.did("c2", put("r1", "z", 7), { kind: "conflict", found });
      expect(checkRegisters(story.history).violations, `found ${found}`).toHaveLength(count);
    }
  });

  it("lets an entry on a lease go by itself, once, and no other", () => {
    const gone: Result = { kind: "entry", entry: undefined };
    const story = new Story();
    story.did("c1", { kind: "put", key: "e1", value: "a", ifRevision: undefined, lease: "7" }, wrote(2));
    story.did("c2", get("e1"), gone);
    expect(checkRegisters(story.history).violations).toEqual([]);
    story.did("c1", { kind: "put", key: "e1", value: "b", ifRevision: undefined, lease: "7" }, wrote(4));
    story.did("c2", get("e1"), gone);
    expect(checkRegisters(story.history).violations).toHaveLength(1);
    const other = begun();
    other.did("c2", get("r1"), gone);
    expect(checkRegisters(other.history).violations).toHaveLength(1);
  });
});

describe("the durability check", () => {
  const story = (): Story => {
    const made = new Story();
    made.did("c1", put("r1", "a"), wrote(2));
    made.unknown("c1", put("r1", "b"));
    made.refused("c1", put("r1", "c"));
    made.did("c1", { kind: "append", key: "l1", item: "i" }, entry("l1", "i;", 3));
    return made;
  };
  const check = (changes: readonly SeenChange[]): string[] => checkDurability(story().history, new Chronicle(changes), []);

  it("accepts an unknown write that is there, or is not", () => {
    expect(check([change(2, "r1", "a"), change(3, "l1", "i;")])).toEqual([]);
    expect(check([change(2, "r1", "a"), change(3, "l1", "i;"), change(4, "r1", "b")])).toEqual([]);
  });

  it("finds what was acknowledged and is lost, or is at another revision", () => {
    expect(check([change(3, "l1", "i;")])).toHaveLength(1);
    expect(check([change(2, "l1", "i;"), change(3, "r1", "a")])).toHaveLength(2);
  });

  it("finds what was refused, what nobody wrote or deleted, and what is there twice", () => {
    const whole = [change(2, "r1", "a"), change(3, "l1", "i;")];
    expect(check([...whole, change(4, "r1", "c")])[0]).toContain("refused, but there");
    expect(check([...whole, change(4, "r1", "z")])[0]).toContain("nobody wrote");
    expect(check([...whole, change(4, "r1", undefined)])[0]).toContain("nobody deleted");
    expect(check([...whole, change(4, "r1", "b"), change(5, "r1", "b")])[0]).toContain("applied again");
    expect(check([...whole, change(4, "l1", "i;i;")])[0]).toContain("applied again");
  });

  it("finds a node that reads something else", () => {
    const chronicle = new Chronicle([change(2, "r1", "a"), change(3, "l1", "i;")]);
    const final = { node: "n1", revision: 3, entries: [{ key: "l1", value: "i;", revision: 3 }] };
    expect(checkDurability(story().history, chronicle, [final])[0]).toContain("n1 at revision 3");
  });
});

describe("the revision check", () => {
  const whole = [change(2, "r1", "a"), change(3, "r2", "b"), change(4, "r1", "c")];

  it("finds a gap", () => {
    expect(checkRevisions(new History(), new Chronicle([change(2, "r1", "a"), change(4, "r1", "b")]))).toHaveLength(1);
  });

  it("finds a range read that mixes two states", () => {
    const story = new Story();
    const seen = (...entries: readonly (readonly [string, string, number])[]): Result => ({
      kind: "page",
      revision: 3,
      entries: entries.map(([key, value, revision]) => ({ key, value, revision })),
    });
    const range: Operation = { kind: "range", prefix: "r", stale: false };
    story.did("c1", range, seen(["r1", "a", 2], ["r2", "b", 3]));
    expect(checkRevisions(story.history, new Chronicle(whole))).toEqual([]);
    story.did("c1", range, seen(["r1", "c", 4], ["r2", "b", 3]));
    expect(checkRevisions(story.history, new Chronicle(whole))).toHaveLength(1);
  });

  it("finds a page that is not the state at its revision, that says there is more where there is not, or counts wrong", () => {
    const list = (from: string, revision: number): Operation => ({ kind: "list", prefix: "r", from, limit: 1, revision });
    const [a, b] = [
      { key: "r1", value: "a", revision: 2 },
      { key: "r2", value: "b", revision: 3 },
    ];
    const found = (operation: Operation, answer: Omit<Extract<Result, { kind: "page" }>, "kind">): string[] => {
      const story = new Story();
      story.did("c1", operation, { kind: "page", ...answer });
      return checkRevisions(story.history, new Chronicle(whole));
    };
    expect(found(list("r", 3), { revision: 4, entries: [a], more: true, count: 2 })).toEqual([]);
    expect(found(list("r1\0", 3), { revision: 4, entries: [b], more: false, count: 1 })).toEqual([]);
    expect(found(list("r", 4), { revision: 4, entries: [a], more: true, count: 2 })).toHaveLength(1);
    expect(found(list("r", 3), { revision: 4, entries: [a], more: false, count: 2 })[0]).toContain("more: true");
    expect(found(list("r", 3), { revision: 4, entries: [a], more: true, count: 3 })[0]).toContain("2 in all");
    expect(found(list("r1\0", 3), { revision: 4, entries: [a], more: true, count: 2 })).toHaveLength(1);
  });

  it("finds reads of one transaction that are not of one revision", () => {
    const found = (...values: readonly (readonly [string, string, number])[]): string[] => {
      const story = new Story();
      const reads = values.map(([key, value, revision]) => ({ key, entry: { key, value, revision } }));
      const operation: Operation = { kind: "txn", compare: [], writes: [], reads: ["r1", "r2"], elseReads: [] };
      story.did("c1", operation, { kind: "reads", revision: 4, reads });
      return checkRevisions(story.history, new Chronicle(whole));
    };
    expect(found(["r1", "c", 4], ["r2", "b", 3])).toEqual([]);
    expect(found(["r1", "a", 2], ["r2", "b", 3])[0]).toContain("r1 is c@4");
  });

  it("finds a wrong revision of creation and a wrong version, through deletion too", () => {
    const chronicle = new Chronicle([change(2, "r1", "a"), change(3, "r1", "b"), change(4, "r1", undefined), change(5, "r1", "c")]);
    const found = (value: string, revision: number, createRevision: number, version: number): string[] => {
      const story = new Story();
      story.did("c1", get("r1", true), { kind: "entry", entry: { key: "r1", value, revision, createRevision, version } });
      return checkRevisions(story.history, chronicle);
    };
    expect(found("b", 3, 2, 2)).toEqual([]);
    expect(found("c", 5, 5, 1)).toEqual([]);
    expect(found("c", 5, 2, 1)).toHaveLength(1);
    expect(found("c", 5, 5, 3)).toHaveLength(1);
  });

  it("finds revisions that contradict real time across keys", () => {
    const story = new Story();
    story.did("c1", put("r2", "b"), wrote(3));
    story.did("c2", put("r1", "a"), wrote(2));
    expect(checkRevisions(story.history, new Chronicle(whole))[0]).toContain("went back in time");
  });

  it("finds a stale read from before what its client had seen, and lets others be old", () => {
    const story = new Story();
    story.did("c1", get("r1"), entry("r1", "c", 4));
    story.did("c2", get("r1", true), entry("r1", "a", 2));
    expect(checkRevisions(story.history, new Chronicle(whole))).toEqual([]);
    story.did("c1", get("r1", true), entry("r1", "a", 2));
    expect(checkRevisions(story.history, new Chronicle(whole))).toHaveLength(1);
    story.did("c1", get("r1", true), { kind: "entry", entry: undefined });
    expect(checkRevisions(story.history, new Chronicle(whole))).toHaveLength(2);
  });
});

describe("the watch check", () => {
  const chronicle = new Chronicle([
    change(2, "r1", "a"),
    change(3, "l1", "x"),
    {
      revision: 4,
      events: [
        { key: "r1", value: "b" },
        { key: "r2", value: "b" },
      ],
    },
    change(5, "r1", undefined),
  ]);
  const whole = [
    change(2, "r1", "a"),
    {
      revision: 4,
      events: [
        { key: "r1", value: "b" },
        { key: "r2", value: "b" },
      ],
    },
    change(5, "r1", undefined),
  ];
  const check = (changes: readonly SeenChange[], ended: "open" | "closed" = "open", dueRevision?: number): string[] => {
    const history = new History();
    const watching = history.watch("c1", "r", 2);
    history.started(watching, 2);
    watching.changes.push(...changes);
    watching.ended = ended;
    return checkWatches(history, chronicle, dueRevision);
  };

  it("accepts exactly what happened, and a closed one that stopped early", () => {
    expect(check(whole)).toEqual([]);
    // What happened after that need not be told yet, and may be.
    expect([check(whole, "open", 4), check(whole.slice(0, -1), "open", 4)]).toEqual([[], []]);
    expect(check(whole.slice(0, -1), "open", 5)).toHaveLength(1);
    expect(check(whole.slice(0, 2), "closed")).toEqual([]);
  });

  it("finds loss, at the end too, repetition, disorder, a split revision and foreign keys", () => {
    expect(check(whole.slice(0, 2))[0]).toContain("is none");
    expect(check([whole[0] as SeenChange, whole[2] as SeenChange])[0]).toContain("should be @4");
    expect(check([whole[0] as SeenChange, ...whole])[0]).toContain("came twice");
    expect(check([whole[1] as SeenChange, whole[0] as SeenChange, whole[2] as SeenChange])[0]).toContain("came after 4");
    expect(check([whole[0] as SeenChange, change(4, "r1", "b"), change(4, "r2", "b"), whole[2] as SeenChange])[0]).toContain("split");
    expect(check([whole[0] as SeenChange, change(3, "l1", "x"), ...whole.slice(1)])[0]).toContain("should be @4");
  });

  it("finds an entry before that is not what the event replaced, that is missing, or that there was not", () => {
    const found = (...before: readonly (string | undefined)[]): string[] => {
      const history = new History();
      const watching = history.watch("c1", "r1", 2, { exact: true, previous: true });
      history.started(watching, 2);
      const previous = (value: string | undefined, revision: number): object =>
        value === undefined ? {} : { previous: { key: "r1", value, revision } };
      watching.changes.push(
        { revision: 2, events: [{ key: "r1", value: "a", ...previous(before[0], 1) }] },
        { revision: 4, events: [{ key: "r1", value: "b", ...previous(before[1], 2) }] },
        { revision: 5, events: [{ key: "r1", value: undefined, ...previous(before[2], 4) }] },
      );
      return checkWatches(history, chronicle);
    };
    expect(found(undefined, "a", "b")).toEqual([]);
    expect(found(undefined, "a", "a")[0]).toContain("before r1@5 there was b, and it says a");
    expect(found(undefined, undefined, "b")[0]).toContain("it says nothing");
    expect(found("x", "a", "b")[0]).toContain("there was nothing");
  });

  it("finds a watch of the future that begins elsewhere, and lets it miss what was written before", () => {
    const found = (started: number, ...changes: readonly SeenChange[]): string[] => {
      const story = new Story();
      const watching = story.history.watch("c1", "r", 5);
      story.history.started(watching, started);
      story.did("c2", { kind: "put", key: "r1", value: "b", ifRevision: undefined }, wrote(4));
      watching.changes.push(...changes);
      return checkWatches(story.history, chronicle);
    };
    expect(found(5, change(5, "r1", undefined))).toEqual([]);
    expect(found(4, change(5, "r1", undefined))[0]).toContain("it was to start at 5");
    expect(found(5, whole[1] as SeenChange, change(5, "r1", undefined))[0]).toContain("should be @5");
  });

  it("finds a watch that starts behind a write made after its start", () => {
    const story = new Story();
    const watching = story.history.watch("c1", "r", 0);
    story.history.started(watching, 5);
    story.did("c2", { kind: "put", key: "r1", value: "b", ifRevision: undefined }, wrote(4));
    watching.changes.push(change(5, "r1", undefined));
    expect(checkWatches(story.history, chronicle)[0]).toContain("made after that, wrote 4");
  });
});

describe("the agreement check", () => {
  const applied = (index: number, term = 1, checksum = 7, stateHash = "s"): Parameters<Agreement["applied"]>[2] => ({
    index,
    term,
    checksum,
    stateHash,
  });

  it("accepts equal replicas, and one that begins again from a snapshot", () => {
    const agreement = new Agreement();
    for (const node of ["n1", "n2"]) {
      agreement.began(node, 1, 0);
      agreement.applied(node, 1, applied(1));
      agreement.applied(node, 1, applied(2));
    }
    agreement.began("n1", 1, 1);
    agreement.applied("n1", 1, applied(2));
    agreement.leads("n1", 1, 3);
    agreement.leads("n1", 1, 3);
    agreement.leads("n2", 2, 3);
    expect(agreement.violations).toEqual([]);
    expect(agreement.elections).toBe(2);
  });

  it("finds a different entry, a different state, a gap and a second leader", () => {
    const agreement = new Agreement();
    agreement.applied("n1", 1, applied(1));
    agreement.applied("n2", 1, applied(1, 2));
    agreement.applied("n3", 1, applied(1, 1, 8));
    agreement.applied("n4", 1, applied(1, 1, 7, "t"));
    agreement.applied("n1", 1, applied(3));
    agreement.leads("n1", 1, 3);
    agreement.leads("n2", 1, 3);
    expect(agreement.violations).toHaveLength(5);
  });

  it("finds a replica whose entries before the ones compared were others", () => {
    const agreement = new Agreement();
    agreement.began("n1", 1, 0);
    agreement.began("n2", 1, 0);
    // The states after them are the same by chance.
    agreement.applied("n1", 1, applied(1, 1, 7));
    agreement.applied("n2", 1, applied(1, 1, 8));
    agreement.applied("n1", 1, applied(2, 1, 9));
    agreement.applied("n2", 1, applied(2, 1, 9));
    expect(agreement.violations).toHaveLength(2);
    expect(agreement.violations[1]).toBe("what n2 and n1 applied of group 1 before entry 2 is not the same");
  });

  it("takes the chain of whoever was there first for a replica that begins from a snapshot", () => {
    const agreement = new Agreement();
    agreement.began("n1", 1, 0);
    for (const index of [1, 2, 3]) agreement.applied("n1", 1, applied(index));
    agreement.began("n2", 1, 2);
    agreement.applied("n2", 1, applied(3));
    agreement.began("n3", 1, 9);
    agreement.applied("n3", 1, applied(10));
    expect(agreement.violations).toEqual([]);
  });
});
