import { describe, expect, it } from "vitest";
import { MalformedBytes, Prng } from "../../base/index.ts";
import type { KeyValue } from "../../machine/commands/index.ts";
import { Copy, everything, settle } from "./copy.ts";
import { decodeEntry, decodeRecord, encodeEntry, encodeRecord, entryAfter, escapeKey, revisionOf, unescapeKey, Layout } from "./layout.ts";
import type { Change, HistoryRecord } from "./layout.ts";

const id = "000102030405060708090a0b0c0d0e0f";
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("names of nodes", () => {
  it("every byte of a key comes back, and no name is one that ZooKeeper refuses", () => {
    const all = Array.from({ length: 256 }, (_, at) => String.fromCharCode(at)).join("");
    for (const key of [all, "a", ".", "..", "...", "/", "a/b", "%2F", "\0", "é", "a.b"]) {
      const name = escapeKey(key);
      expect(name).toMatch(/^[A-Za-z0-9_:@=+,%-][A-Za-z0-9_:@=+,%.-]*$/);
      expect(unescapeKey(name)).toBe(key);
    }
  });

  it("what is no key's name is none", () => {
    for (const name of ["", "%2f", "%61", "a b", "%", "%G0", ".a"]) expect(unescapeKey(name)).toBeUndefined();
    const layout = new Layout("/unum");
    expect(layout.leaseOf(layout.lease(0xffff_ffff_ffff_ffffn))).toBe(0xffff_ffff_ffff_ffffn);
    for (const path of ["/unum/leases", "/unum/leases/1", "/other/leases/0000000000000001"]) expect(layout.leaseOf(path)).toBeUndefined();
  });

  it("a transaction's number is a revision as long as it is exact", () => {
    expect(revisionOf((0x1f_ffffn << 32n) | 0xffff_ffffn)).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => revisionOf(1n << 53n)).toThrowError(expect.objectContaining({ code: "MALFORMED" }));
  });
});

/** A history by chance, each change consistent with the state before it, and the states. */
function history(prng: Prng, count: number): { readonly records: HistoryRecord[]; readonly states: ReadonlyMap<string, KeyValue>[] } {
  const records: HistoryRecord[] = [];
  const states: ReadonlyMap<string, KeyValue>[] = [new Map()];
  let revision = 100;
  for (let number = 1; number <= count; number++) {
    revision += prng.between(1, 9);
    const state = new Map(states.at(-1));
    const changes: Change[] = [];
    for (const key of new Set([0, 1, 2].map(() => `k${prng.below(12)}`))) {
      const previous = state.get(key);
      const written = { value: bytes(`${number}`), lease: BigInt(prng.below(3)) };
      if (previous === undefined || prng.chance(2, 3)) changes.push({ key, entry: entryAfter(key, written, previous, revision), previous });
      else changes.push({ key, entry: undefined, previous });
    }
    for (const { entry, key } of changes) {
      if (entry === undefined) state.delete(key);
      else state.set(key, entry);
    }
    records.push({ number, revision, id, changes, bytes: 10 });
    states.push(state);
  }
  return { records, states };
}

const sorted = (entries: Iterable<KeyValue>): KeyValue[] => [...entries].sort((a, b) => (a.key < b.key ? -1 : 1));

describe("what is stored", () => {
  it("an entry and a record come back as they were; other bytes are malformed", () => {
    expect(decodeEntry(encodeEntry(bytes("v"), 7n))).toEqual({ value: bytes("v"), lease: 7n });
    for (const record of history(new Prng(1), 50).records) {
      const data = encodeRecord(record.id, record.changes);
      expect(decodeRecord(data, record.number, record.revision)).toEqual({ ...record, bytes: data.length });
    }
    expect(() => decodeEntry(new Uint8Array([9, 0]))).toThrow(MalformedBytes);
    expect(() => decodeRecord(encodeRecord(id, []).slice(0, 9), 1, 1)).toThrow(MalformedBytes);
  });
});

describe("the copy", () => {
  it("shows each state of the past that is kept, and those of each lease", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { records, states } = history(new Prng(seed), 60);
      const copy = new Copy();
      for (const record of records) expect(copy.apply(record)).toBe(true);
      expect(copy.apply(records[3] as HistoryRecord)).toBe(false);
      copy.trim({ oldest: 21, compactRevision: (records[19] as HistoryRecord).revision });
      expect([copy.oldest, copy.number, copy.compactRevision]).toEqual([21, 60, records[19]?.revision]);
      for (let number = 20; number <= 60; number++) {
        const { revision } = records[number - 1] as HistoryRecord;
        expect(copy.listAt(everything, revision)).toEqual(sorted((states[number] as ReadonlyMap<string, KeyValue>).values()));
        if (number > 20) expect(copy.numberFrom(revision)).toBe(number);
        expect(copy.numberFrom(revision + 1)).toBe(Math.max(21, number + 1));
      }
      const live = sorted((states[60] as ReadonlyMap<string, KeyValue>).values());
      for (const lease of [1n, 2n]) expect(copy.keysOf(lease)).toEqual(live.filter((entry) => entry.lease === lease).map(({ key }) => key));
    }
  });

  it("entries that were read at different moments become one state", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const prng = new Prng(seed);
      const { records, states } = history(prng, 40);
      // The list of names is of one moment, each entry of a later one.
      const listed = [...(states[prng.between(10, 20)] as ReadonlyMap<string, KeyValue>).keys()];
      const read = listed.flatMap((key) => states[prng.between(20, 40)]?.get(key) ?? []);
      const settled = settle(read, records.slice(10));
      expect(sorted(settled)).toEqual(sorted((states[40] as ReadonlyMap<string, KeyValue>).values()));
    }
  });
});
