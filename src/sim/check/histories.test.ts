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
  const check = (changes: readonly SeenChange[], ended: "open" | "closed" = "open"): string[] => {
    const history = new History();
    const watching = history.watch("c1", "r", 2);
    history.started(watching, 2);
    watching.changes.push(...changes);
    watching.ended = ended;
    return checkWatches(history, chronicle);
  };

  it("accepts exactly what happened, and a closed one that stopped early", () => {
    expect(check(whole)).toEqual([]);
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
});
