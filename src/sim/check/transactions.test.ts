import { describe, expect, it } from "vitest";
import { Prng } from "../../base/index.ts";
import { checkTransactions } from "./index.ts";
import type { Transaction } from "./index.ts";

type Short = Partial<Pick<Transaction, "called" | "returned" | "outcome">> & {
  readonly r?: Readonly<Record<string, string>>;
  readonly a?: Readonly<Record<string, string>>;
};

const list = (text: string): string[] => (text === "" ? [] : text.split(" "));

/** `r`: what was read; `a`: what was appended. Unless told, all happen at the same time. */
function txn({ a = {}, called = 0, outcome = "ok", r = {}, returned }: Short): Transaction {
  return {
    name: `r ${JSON.stringify(r)} a ${JSON.stringify(a)}`,
    outcome,
    called,
    returned: outcome === "ok" ? (returned ?? 1_000) : Number.POSITIVE_INFINITY,
    reads: Object.entries(r).map(([key, text]) => ({ key, list: list(text) })),
    appends: Object.entries(a).flatMap(([key, text]) => list(text).map((element) => ({ key, element }))),
  };
}

const check = (...shorts: readonly Short[]): string[] => checkTransactions(shorts.map(txn));
const name = (...shorts: readonly Short[]): string | undefined => check(...shorts)[0]?.split(":")[0];

describe("the transaction check accepts", () => {
  it("nothing, what happened one after the other, and what happened at once", () => {
    expect(check()).toEqual([]);
    expect(
      check(
        { r: { x: "" }, a: { x: "1" }, called: 0, returned: 1 },
        { r: { x: "1" }, a: { x: "2", y: "1" }, called: 2, returned: 3 },
        { r: { x: "1 2", y: "1" }, called: 4, returned: 5 },
      ),
    ).toEqual([]);
    expect(check({ a: { x: "1" } }, { a: { x: "2" } }, { r: { x: "2 1" } }, { r: { x: "2" } })).toEqual([]);
  });

  it("an unknown transaction that happened late, or never", () => {
    const unknown: Short = { a: { x: "1", y: "1" }, outcome: "unknown", called: 0 };
    expect(check(unknown, { r: { x: "" }, called: 1, returned: 2 }, { r: { x: "1", y: "1" }, called: 3, returned: 4 })).toEqual([]);
    expect(check(unknown, { r: { x: "", y: "" }, called: 1, returned: 2 })).toEqual([]);
  });

  it("every history that one copy of the lists gave, in any order that agrees with real time", () => {
    for (let seed = 1; seed <= 60; seed++) expect(checkTransactions(serial(seed)), `seed ${seed}`).toEqual([]);
  });
});

describe("the transaction check refuses", () => {
  it("G0: two transactions of which each wrote behind the other", () => {
    expect(name({ a: { x: "1", y: "1" } }, { a: { x: "2", y: "2" } }, { r: { x: "1 2", y: "2 1" } })).toBe("G0");
  });

  it("G1a: what was refused and is read", () => {
    expect(check({ a: { x: "1" }, outcome: "not-applied" }, { r: { x: "1" } })[0]).toMatch(/^G1a: x holds 1, which was refused/);
  });

  it("G1b: a state between the writes of one transaction", () => {
    expect(check({ a: { x: "1 2" } }, { r: { x: "1" } })[0]).toMatch(/^G1b: x was read between/);
  });

  it("G1c: two transactions of which each read what the other wrote", () => {
    expect(name({ a: { x: "1" }, r: { y: "1" } }, { a: { y: "1" }, r: { x: "1" } })).toBe("G1c");
  });

  it("G-single: a read of the old state of one list and of the new one of another", () => {
    expect(name({ a: { x: "1", y: "1" } }, { r: { x: "1", y: "" } })).toBe("G-single");
    expect(name({ a: { x: "1", y: "1" }, outcome: "unknown" }, { r: { x: "1", y: "" } }, { r: { y: "1" } })).toBe("G-single");
  });

  it("a lost update: two that read the same and both wrote", () => {
    expect(name({ r: { x: "" }, a: { x: "1" } }, { r: { x: "" }, a: { x: "2" } }, { r: { x: "1 2" } })).toBe("G-single");
  });

  it("G2: two transactions of which neither saw the other's write", () => {
    expect(name({ r: { x: "" }, a: { y: "1" } }, { r: { y: "" }, a: { x: "1" } }, { r: { x: "1", y: "1" } })).toBe("G2");
  });

  it("an order that contradicts real time, each kind by its name", () => {
    expect(name({ a: { x: "1" }, called: 0, returned: 1 }, { a: { x: "2" }, called: 2, returned: 3 }, { r: { x: "2 1" }, called: 4 })).toBe(
      "G0-realtime",
    );
    expect(name({ r: { x: "1" }, called: 0, returned: 1 }, { a: { x: "1" }, called: 2, returned: 3 })).toBe("G1c-realtime");
    expect(name({ a: { x: "1" }, called: 0, returned: 1 }, { r: { x: "" }, called: 2, returned: 3 }, { r: { x: "1" }, called: 4 })).toBe(
      "G-single-realtime",
    );
  });

  it("an acknowledged append that nobody ever sees, once somebody has looked", () => {
    expect(name({ a: { x: "1" }, called: 0, returned: 1 }, { r: { x: "" }, called: 2, returned: 3 })).toBe("G-single-realtime");
  });

  it("an element twice, one from nowhere, and two orders of one list", () => {
    expect(check({ a: { x: "1" } }, { r: { x: "1 1" } })[0]).toContain("x holds 1 twice");
    expect(check({ r: { x: "9" } })[0]).toContain("which nobody appended");
    expect(check({ a: { x: "1" } }, { a: { x: "2" } }, { r: { x: "1 2" } }, { r: { x: "2 1" } })[0]).toContain("was read as");
  });

  it("any history in which one read is made stale across two lists", () => {
    let refused = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const history = serial(seed);
      const at = history.findLastIndex(({ reads }) => reads.length > 1 && reads.every((read) => read.list.length > 0));
      const victim = history[at];
      if (victim === undefined) continue;
      const reads = victim.reads.map((read, i) => (i === 0 ? { ...read, list: [] } : read));
      if (checkTransactions(history.map((each, i) => (i === at ? { ...victim, reads } : each))).length > 0) refused++;
    }
    expect(refused).toBeGreaterThan(40);
  });

  it("says the circle, step by step", () => {
    expect(check({ a: { x: "1", y: "1" } }, { r: { x: "1", y: "" } })[0]).toBe(
      [
        "G-single:",
        '    r {"x":"1","y":""} a {}',
        "      read y without 1",
        '    r {} a {"x":"1","y":"1"}',
        "      appended 1 to x, which was read",
        "    which closes the circle",
      ].join("\n"),
    );
  });
});

/** Transactions on one copy, one after the other, with intervals around the moments at which they took effect; the last one reads all. */
function serial(seed: number): Transaction[] {
  const prng = new Prng(seed);
  const lists = new Map<string, string[]>(["x", "y", "z"].map((key) => [key, []]));
  const made: Transaction[] = [];
  for (let i = 0; i < 40; i++) {
    const keys = i === 39 ? [...lists.keys()] : prng.shuffle([...lists.keys()]).slice(0, prng.between(1, 3));
    const r = Object.fromEntries(keys.map((key) => [key, (lists.get(key) ?? []).join(" ")]));
    const written = i === 39 ? [] : keys.filter(() => prng.chance(1, 2));
    const a = Object.fromEntries(written.map((key) => [key, `${i}`]));
    const outcome = prng.chance(1, 6) && written.length > 0 ? "unknown" : "ok";
    made.push(txn({ r: outcome === "ok" ? r : {}, a, outcome, called: i * 10 - prng.below(25), returned: i * 10 + 1 + prng.below(25) }));
    if (outcome === "ok" || prng.chance(1, 2)) for (const key of written) lists.get(key)?.push(`${i}`);
  }
  return made;
}
