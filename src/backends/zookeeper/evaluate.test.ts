import { describe, expect, it } from "vitest";
import { emptyBytes } from "../../base/index.ts";
import type { Compare, DeleteOperation, Operation, PutOperation, RangeOperation, TxnOperation } from "../../machine/commands/index.ts";
import { Copy } from "./copy.ts";
import { evaluate, footprint } from "./evaluate.ts";
import { Refused } from "./failure.ts";
import { entryAfter } from "./layout.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const put = (key: string, value: string, more: Partial<PutOperation> = {}): PutOperation => ({
  kind: "put",
  key,
  value: bytes(value),
  lease: 0n,
  previous: false,
  ignoreValue: false,
  ignoreLease: false,
  ...more,
});
const remove = (key: string, end = "", previous = false): DeleteOperation => ({ kind: "delete", key, end, previous });
const range = (key: string, end = "", more: Partial<RangeOperation> = {}): RangeOperation => ({
  kind: "range",
  key,
  end,
  revision: 0,
  limit: 0,
  sort: undefined,
  keysOnly: false,
  countOnly: false,
  minModRevision: 0,
  maxModRevision: 0,
  minCreateRevision: 0,
  maxCreateRevision: 0,
  ...more,
});
const compare = (key: string, more: Partial<Compare> = {}): Compare => ({
  key,
  end: "",
  target: "version",
  relation: "equal",
  number: 0,
  lease: 0n,
  value: emptyBytes,
  ...more,
});
const txn = (conditions: Compare[], success: Operation[], failure: Operation[] = []): TxnOperation => ({
  kind: "txn",
  compare: conditions,
  success,
  failure,
});

/** a = 1 (revision 10, lease 5), b = 2 (revision 11, then 12). */
function state(): Copy {
  const copy = new Copy();
  const a = entryAfter("a", { value: bytes("1"), lease: 5n }, undefined, 10);
  const first = entryAfter("b", { value: bytes("0"), lease: 0n }, undefined, 11);
  const b = entryAfter("b", { value: bytes("2"), lease: 0n }, first, 12);
  const record = { id: "", bytes: 0 };
  copy.reset([], [], { number: 0, revision: 9, compactRevision: 9 });
  copy.apply({ ...record, number: 1, revision: 10, changes: [{ key: "a", entry: a, previous: undefined }] });
  copy.apply({ ...record, number: 2, revision: 11, changes: [{ key: "b", entry: first, previous: undefined }] });
  copy.apply({ ...record, number: 3, revision: 12, changes: [{ key: "b", entry: b, previous: first }] });
  return copy;
}

function refusal(...operations: Operation[]): string {
  try {
    evaluate(state(), operations);
    return "none";
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
}

describe("evaluating operations", () => {
  it("a put has the previous entry, counts versions, and gets its revision when that is known", () => {
    const { changes, leases, results, stamp } = evaluate(state(), [put("b", "3", { previous: true, lease: 8n })]);
    stamp(20);
    expect(changes[0]?.entry).toEqual({ key: "b", value: bytes("3"), lease: 8n, createRevision: 11, modRevision: 20, version: 3 });
    expect(results).toMatchObject([{ kind: "put", previous: { version: 2, modRevision: 12 } }]);
    expect([...leases]).toEqual([8n]);
  });

  it("value or lease of the entry can be kept; where there is none it is NOT_FOUND", () => {
    const kept = evaluate(state(), [put("a", "", { ignoreValue: true }), put("b", "x", { ignoreLease: true })]);
    expect(kept.changes.map(({ entry }) => [entry?.value, entry?.lease])).toEqual([
      [bytes("1"), 0n],
      [bytes("x"), 0n],
    ]);
    expect(kept.leases.size).toBe(0);
    expect(refusal(put("x", "", { ignoreValue: true }))).toBe("NOT_FOUND");
    expect(refusal(put("a", "1", { ignoreValue: true }))).toBe("INVALID_ARGUMENT");
  });

  it("all conditions are asked of the state before; what reads sees the writes in front of it", () => {
    const nested = txn([compare("a", { target: "value", value: bytes("1") })], [range("a", "z")], [put("never", "")]);
    const { results, stamp } = evaluate(state(), [
      txn([compare("c")], [put("a", "9"), put("c", "3"), nested, remove("b"), range("b", "\0")]),
    ]);
    stamp(30);
    expect(results).toMatchObject([
      {
        succeeded: true,
        results: [
          { kind: "put" },
          { kind: "put" },
          { succeeded: true, results: [{ entries: [{ key: "a", modRevision: 30 }, { key: "b" }, { key: "c", createRevision: 30 }] }] },
          { deleted: 1 },
          { count: 1, entries: [{ key: "c" }] },
        ],
      },
    ]);
  });

  it("a comparison holds for every key of its range; where there is none it meets zeros, and no value", () => {
    const succeeds = (condition: Compare): boolean => {
      const [result] = evaluate(state(), [txn([condition], [])]).results;
      return result?.kind === "txn" && result.succeeded;
    };
    expect(succeeds(compare("a", { end: "z", relation: "greater" }))).toBe(true);
    expect(succeeds(compare("a", { end: "z", number: 1 }))).toBe(false);
    expect(succeeds(compare("x", { target: "value", relation: "not-equal", value: bytes("1") }))).toBe(false);
    expect(succeeds(compare("x", { target: "lease" }))).toBe(true);
    expect(succeeds(compare("a", { target: "lease", lease: 4n, relation: "greater" }))).toBe(true);
    expect(succeeds(compare("b", { target: "mod", number: 12 }))).toBe(true);
    expect(succeeds(compare("b", { target: "create", number: 12, relation: "less" }))).toBe(true);
  });

  it("a key written twice on one path is DUPLICATE_KEY; in branches that exclude each other it is not", () => {
    expect(refusal(txn([], [put("a", "1"), put("a", "2")]))).toBe("DUPLICATE_KEY");
    expect(refusal(txn([], [remove("a", "c"), put("b", "2")]))).toBe("DUPLICATE_KEY");
    expect(refusal(txn([], [put("b", "2"), txn([], [], [put("b", "2")])]))).toBe("DUPLICATE_KEY");
    expect(refusal(txn([], [remove("a", "c"), remove("b")]))).toBe("none");
    expect(refusal(txn([], [txn([], [put("b", "1")], [put("b", "2")])]))).toBe("none");
    expect(refusal(txn([compare("")], []))).toBe("INVALID_KEY");
    expect(
      refusal(
        txn(
          [],
          Array.from({ length: 129 }, (_, at) => put(`k${at}`, "")),
        ),
      ),
    ).toBe("INVALID_ARGUMENT");
    expect(
      refusal(
        txn(
          [],
          Array.from({ length: 128 }, (_, at) => put(`k${at}`, "")),
        ),
      ),
    ).toBe("none");
  });

  it("a range is limited, sorted, filtered and of the past; `count` knows neither limit nor filter", () => {
    const entries = (operation: RangeOperation): unknown => {
      const [result] = evaluate(state(), [operation]).results;
      return result?.kind === "range"
        ? [result.entries.map(({ key, value }) => key + new TextDecoder().decode(value)), result.more, result.count]
        : [];
    };
    expect(entries(range("a", "\0"))).toEqual([["a1", "b2"], false, 2]);
    expect(entries(range("a", "\0", { limit: 1, sort: { target: "mod", descending: true } }))).toEqual([["b2"], true, 2]);
    expect(entries(range("a", "\0", { minModRevision: 11, keysOnly: true }))).toEqual([["b"], false, 2]);
    expect(entries(range("a", "\0", { revision: 11 }))).toEqual([["a1", "b0"], false, 2]);
    expect(entries(range("a", "\0", { countOnly: true }))).toEqual([[], false, 2]);
    expect(refusal(range("a", "", { revision: 8 }))).toBe("COMPACTED");
    expect(refusal(range("a", "", { revision: 13 }))).toBe("FUTURE_REVISION");
    expect(refusal(range(""))).toBe("INVALID_KEY");
  });

  it("a footprint names all that is looked at, the branches not taken among it", () => {
    expect(
      footprint([txn([compare("c")], [put("p", "")], [txn([], [range("r", "s")], [remove("d", "e")])])]).map(({ end, key }) => key + end),
    ).toEqual(["c", "p", "rs", "de"]);
  });
});
