import { describe, expect, it } from "vitest";
import { History } from "../history.ts";
import type { Call, Leasing, Operation, Result, Seen, SeenChange } from "../history.ts";
import {
  Chronicle,
  LeaseGuard,
  checkBank,
  checkCopies,
  checkExactlyOnce,
  checkExpired,
  checkFencedWrites,
  checkGuardedWrites,
  checkHoldings,
  checkSet,
} from "./index.ts";
import type { GuardedWrite, Holding } from "./index.ts";

class Story {
  readonly history = new History();
  begin(operation: Operation): Call {
    return this.history.call("c1", operation, 0);
  }
  did(operation: Operation, result: Result): Call {
    const call = this.begin(operation);
    this.history.ok(call, result, 0);
    return call;
  }
  failed(operation: Operation, outcome: "unknown" | "not-applied"): void {
    this.history.failed(this.begin(operation), outcome, "TIMEOUT", 0);
  }
}

const put = (key: string, value: string): Operation => ({ kind: "put", key, value, ifRevision: undefined });
const wrote = (revision: number): Result => ({ kind: "written", revision, existed: true });
const range = (prefix: string, stale = false): Operation => ({ kind: "range", prefix, stale });
const seen = (key: string, value: string, revision = 2): Seen => ({ key, value, revision });
const page = (...entries: readonly Seen[]): Result => ({ kind: "page", revision: 9, entries });
const change = (revision: number, ...events: readonly [string, string | undefined][]): SeenChange => ({
  revision,
  events: events.map(([key, value]) => ({ key, value })),
});

describe("the bank check", () => {
  const bank = { prefix: "b", accounts: 2, total: 40 };
  const opened = change(2, ["b1", "20#1"], ["b2", "20#2"]);
  const check = (story: Story, ...changes: readonly SeenChange[]): string[] => checkBank(story.history, new Chronicle(changes), bank);

  it("accepts transfers, looks before the bank was there, and looks at some accounts", () => {
    const story = new Story();
    story.did(range("b"), page());
    story.did(range("b"), page(seen("b1", "15#3"), seen("b2", "25#4")));
    story.did(
      { kind: "txn", compare: [], writes: [], reads: ["b1"], elseReads: [] },
      { kind: "reads", revision: 2, reads: [{ key: "b1", entry: seen("b1", "20#1") }] },
    );
    expect(check(story, opened, change(3, ["b1", "15#3"], ["b2", "25#4"]))).toEqual([]);
  });

  it("finds money that is lost or made, in a read and at a revision, and an account below nothing", () => {
    const story = new Story();
    story.did(range("b", true), page(seen("b1", "15#3"), seen("b2", "20#2")));
    expect(check(story, opened)[0]).toContain("the bank has 35, and not 40");
    expect(check(new Story(), opened, change(3, ["b1", "15#3"]))[0]).toBe("the bank has 35, and not 40 at revision 3");
    expect(check(new Story(), opened, change(3, ["b1", "-5#3"], ["b2", "45#4"]))[0]).toContain("below nothing");
    expect(check(new Story(), opened, change(3, ["b1", undefined]))[0]).toContain("the bank has 20");
  });
});

describe("the set check", () => {
  it("accepts elements that are being added, or whose adding is unknown, there or not", () => {
    const story = new Story();
    story.did(put("s/a", "1"), wrote(2));
    const pending = story.begin(put("s/b", "2"));
    story.failed(put("s/c", "3"), "unknown");
    story.did(range("s/"), page(seen("s/a", "1")));
    story.did(range("s/"), page(seen("s/a", "1"), seen("s/b", "2"), seen("s/c", "3")));
    story.history.ok(pending, wrote(3), 0);
    expect(checkSet(story.history, "s/")).toEqual([]);
  });

  it("finds an acknowledged element that is missing, except in a stale read", () => {
    const story = new Story();
    story.did(put("s/a", "1"), wrote(2));
    story.did(range("s/", true), page());
    expect(checkSet(story.history, "s/")).toEqual([]);
    story.did(range("s/"), page());
    expect(checkSet(story.history, "s/")[0]).toContain("s/a is missing");
  });

  it("finds what was refused, what nobody added, and what was added later", () => {
    const story = new Story();
    story.failed(put("s/a", "1"), "not-applied");
    story.did(range("s/"), page(seen("s/a", "1"), seen("s/b", "2"), seen("s/x", "3")));
    story.did(put("s/b", "2"), wrote(2));
    expect(checkSet(story.history, "s/").map((text) => text.split(":")[0])).toEqual([
      "s/a cannot be there",
      "s/b cannot be there",
      "s/x was never added",
    ]);
  });
});

describe("the exactly-once check", () => {
  const get: Operation = { kind: "get", key: "n0", stale: false };
  const counted = (version: number): Result => ({ kind: "entry", entry: { ...seen("n0", "x"), version } });
  const story = (): Story => {
    const made = new Story();
    made.did(put("n0", "a"), wrote(2));
    made.failed(put("n0", "b"), "unknown");
    made.failed(put("n0", "c"), "not-applied");
    return made;
  };
  const check = (made: Story, ...values: readonly string[]): string[] =>
    checkExactlyOnce(made.history, new Chronicle(values.map((value, i) => change(i + 2, ["n0", value]))), "n");

  it("accepts an unknown write that counted, and one that did not", () => {
    for (const version of [1, 2]) {
      const made = story();
      made.did(get, counted(version));
      expect(check(made, ..."ab".slice(0, version))).toEqual([]);
    }
  });

  it("finds a write that counted twice, and one that did not count", () => {
    const twice = story();
    twice.did(get, counted(3));
    expect(check(twice, "a", "b")[0]).toContain("counted 3, and no more than 2");
    const lost = story();
    lost.did(get, { kind: "entry", entry: undefined });
    expect(check(lost, "a")[0]).toContain("counted 0, and 1 were acknowledged");
    expect(check(story(), "a", "b", "a")[0]).toContain("n0 counts 3 at the end");
    expect(check(story())[0]).toContain("n0 counts 0 at the end");
  });
});

describe("the lease check", () => {
  const leasing = (held: boolean | undefined, more: Partial<Leasing> = {}): Leasing => ({
    client: "c1",
    id: "7",
    ttlMs: 2_000,
    keys: new Set(),
    isHeld: () => held,
    releasedMs: 1_000,
    revoked: false,
    ...more,
  });
  const ended = (of: Leasing): LeaseGuard => {
    const guard = new LeaseGuard();
    guard.attach("k", "v", of);
    guard.changed(change(2, ["k", "v"], ["other", "w"]));
    guard.changed(change(3, ["k", undefined], ["other", undefined]));
    return guard;
  };

  it("finds an entry that goes while its owner believes in the lease", () => {
    expect(ended(leasing(true)).violations[0]).toContain("k went at revision 3");
  });

  it("accepts an end that the owner knows of, asked for, or cannot know of because its machine stands still", () => {
    for (const of of [leasing(false), leasing(true, { revoked: true }), leasing(undefined)]) {
      expect(ended(of).violations).toEqual([]);
      expect(ended(of).ended).toBe(1);
    }
  });

  it("accepts the deletion of a value that another write, without the lease, had put in its place", () => {
    const guard = new LeaseGuard();
    guard.attach("k", "v", leasing(true));
    guard.changed(change(2, ["k", "v"]));
    guard.changed(change(3, ["k", "w"]));
    guard.changed(change(4, ["k", undefined]));
    expect(guard.violations).toEqual([]);
  });

  it("finds an entry that outlives its lease, after the bound and not before, counted from the last change of leader", () => {
    const history = new History();
    history.leases.push(leasing(false, { keys: new Set(["k"]) }));
    const at = (nowMs: number, restartedMs: number, isThere = true): string[] =>
      checkExpired(history, () => isThere, nowMs, { restartedMs, driftRatio: 0.02, slackMs: 500 });
    expect(at(3_540, 0)).toEqual([]);
    expect(at(3_541, 0)[0]).toContain("k is still there");
    expect(at(3_541, 1_500)).toEqual([]);
    expect(at(9_000, 0, false)).toEqual([]);
  });
});

describe("the claim check", () => {
  const holding = (fence: number, fromMs: number, untilMs: number): Holding => ({
    name: "lock",
    client: `c${fence}`,
    fence,
    shared: false,
    fromMs,
    untilMs,
  });

  it("accepts claims one after the other, in any order of telling, and claims of different names at once", () => {
    expect(checkHoldings([holding(9, 500, Number.POSITIVE_INFINITY), holding(2, 0, 500)])).toEqual([]);
    expect(checkHoldings([holding(2, 0, 500), { ...holding(3, 100, 400), name: "other" }])).toEqual([]);
  });

  it("finds two at a time, a younger claim that came before an older one, and a fence given twice", () => {
    expect(checkHoldings([holding(2, 0, 501), holding(3, 500, 900)])[0]).toContain("two at a time");
    expect(checkHoldings([holding(3, 0, 100), holding(2, 200, 300)])[0]).toContain("two at a time");
    expect(checkHoldings([holding(2, 0, 100), holding(2, 200, 300)])[0]).toContain("the same fence");
  });

  it("lets readers hold together, and never with another", () => {
    const reader = (fence: number, fromMs: number, untilMs: number): Holding => ({ ...holding(fence, fromMs, untilMs), shared: true });
    expect(checkHoldings([reader(2, 0, 500), reader(3, 100, 400)])).toEqual([]);
    expect(checkHoldings([reader(2, 0, 500), reader(3, 100, 200), holding(4, 300, 900)])[0]).toContain("two at a time");
  });

  it("finds a write that stands there although the claim of its fence did not", () => {
    const write = { key: "k", value: "v", place: "lock/1", fence: 2 };
    const found = (...changes: readonly SeenChange[]): string[] => checkFencedWrites([write], new Chronicle(changes));
    expect(found(change(2, ["lock/1", ""]), change(3, ["k", "v"]), change(4, ["lock/1", undefined]))).toEqual([]);
    expect(found(change(2, ["lock/1", ""]), change(3, ["lock/1", undefined]))).toEqual([]);
    expect(found(change(2, ["lock/1", ""]), change(3, ["lock/1", undefined]), change(4, ["k", "v"]))[0]).toContain("was gone");
    const again = [change(2, ["lock/1", ""]), change(3, ["lock/1", undefined]), change(4, ["lock/1", ""]), change(5, ["k", "v"])];
    expect(found(...again)[0]).toContain("was that of 4");
  });

  it("finds a guarded write of a claim that was superseded, by a write there or by being given out", () => {
    const write = (fence: number, revision: number, calledMs = 0): GuardedWrite => ({ name: "lock", fence, revision, calledMs });
    expect(checkGuardedWrites([write(2, 5), write(4, 6), write(4, 7)], [])).toEqual([]);
    expect(checkGuardedWrites([write(2, 7), write(4, 6)], [])[0]).toContain("under fence 2 at revision 7, after 4 at 6");
    expect(checkGuardedWrites([write(2, 7, 100)], [holding(3, 101, 102)])).toEqual([]);
    expect(checkGuardedWrites([write(2, 7, 100)], [holding(3, 99, 102)])[0]).toContain("after c3 holding lock with fence 3");
  });
});

describe("the copy check", () => {
  it("accepts a copy that is the range at its revision, and finds one that is not", () => {
    const chronicle = new Chronicle([change(2, ["a/1", "x"]), change(3, ["b/1", "y"]), change(4, ["a/2", "z"])]);
    const found = (revision: number, state: string): string[] => {
      const history = new History();
      history.copies.push({ client: "c1", prefix: "a/", revision, state });
      return checkCopies(history, chronicle);
    };
    expect(found(3, "a/1=x@2")).toEqual([]);
    expect(found(4, "a/1=x@2 a/2=z@4")).toEqual([]);
    expect(found(4, "a/1=x@2")).toHaveLength(1);
    expect(found(2, "a/1=x@2 a/2=z@4")).toHaveLength(1);
  });
});
