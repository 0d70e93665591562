import { describe, expect, it } from "vitest";
import type { RawKeyspace, RawWatchOwner } from "../../../api/index.ts";
import { Sources } from "./sources.ts";

/** A keyspace whose watches begin when the test says so. */
function keyspace(): { readonly kv: RawKeyspace; readonly owners: RawWatchOwner[]; readonly asked: number[]; readonly closed: number[] } {
  const owners: RawWatchOwner[] = [];
  const asked: number[] = [];
  const closed: number[] = [];
  const watch = (_request: unknown, owner: RawWatchOwner) => {
    const at = owners.push(owner) - 1;
    return { consumed: () => undefined, askProgress: () => void asked.push(at), close: () => void closed.push(at) };
  };
  return { kv: { watch } as Partial<RawKeyspace> as RawKeyspace, owners, asked, closed };
}

const request = { key: "a", end: "", from: 0, previous: false };
const owner: RawWatchOwner = {
  began: () => undefined,
  changed: () => undefined,
  progressed: () => undefined,
  live: () => undefined,
  ended: () => undefined,
};

describe("thousands of watches at once", () => {
  it("begin a thousand at a time, so that other calls find their place", () => {
    const { kv, owners, asked } = keyspace();
    const sources = new Sources(kv, 5_000);
    const watches = Array.from({ length: 1_500 }, () => sources.watch(request, owner));
    expect(owners).toHaveLength(1_000);
    // Asked before its turn, it asks when that comes.
    watches[1_100]?.askProgress();
    owners[0]?.began(1);
    owners[1]?.ended(undefined);
    watches[2]?.close();
    expect(owners).toHaveLength(1_003);
    // One that waits and is closed never begins.
    watches[1_003]?.close();
    for (const one of owners.slice(3, 150)) one.began(1);
    expect(owners).toHaveLength(1_150);
    expect(asked).toEqual([1_099]);
  });

  it("leave room when they end, are closed, or never began", () => {
    const { kv, owners } = keyspace();
    const sources = new Sources(kv, 3);
    const [one, two] = [sources.watch(request, owner), sources.watch(request, owner), sources.watch(request, owner)];
    expect(sources.isFull).toBe(true);
    one?.close();
    one?.close();
    expect(sources.isFull).toBe(false);
    sources.watch(request, owner);
    expect(sources.isFull).toBe(true);
    owners[1]?.began(1);
    owners[1]?.ended(undefined);
    two?.close();
    expect(sources.isFull).toBe(false);
  });
});
