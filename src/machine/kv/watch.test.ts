import { describe, expect, it } from "vitest";
import { Writer } from "../../base/index.ts";
import { commandBytes, decodeWatchChange, encodeWatchRequest, type WatchRequest } from "../commands/index.ts";
import { keyspaceFactory, type KeyspaceMachine } from "../keyspace.ts";

function request(key: string, end = "", previous = false): Uint8Array {
  const wanted: WatchRequest = { key, end, from: 0, previous, noPut: false, noDelete: false };
  const writer = new Writer();
  encodeWatchRequest(writer, wanted);
  return writer.take();
}

let index = 0;
function put(machine: KeyspaceMachine, key: string, value = "v"): void {
  const bytes = Uint8Array.from([...value].map((character) => character.charCodeAt(0)));
  machine.apply(commandBytes({ kind: "put", key, value: bytes, lease: 0n, previous: false, ignoreValue: false, ignoreLease: false }), {
    index: ++index,
    position: 0,
    term: 1,
    timestamp: 1,
  });
}

describe("the watch hub", () => {
  it("gives watchers of one event the very same bytes: it is encoded once", () => {
    const machine = keyspaceFactory().create();
    const watchers = Array.from({ length: 100 }, (_, at) =>
      machine.watch(at % 2 === 0 ? request("a") : request("a", "b"), () => undefined),
    );
    put(machine, "a");
    machine.publish();
    const items = watchers.map((watcher) => watcher.take(1000).items[0]);
    for (const item of items) expect(item).toBe(items[0]);
  });

  it("asks only the watchers of an event's key: ten thousand others are not told", () => {
    const machine = keyspaceFactory().create();
    let told = 0;
    for (let i = 0; i < 10_000; i++) machine.watch(i % 2 === 0 ? request(`k${i}`) : request(`k${i}/`, `k${i}0`), () => told++);
    put(machine, "k4242");
    put(machine, "k4243/child");
    put(machine, "other");
    machine.publish();
    expect(told).toBe(2);
  });

  it("holds for a watcher that does not take no more than a position, and loses nothing for it", () => {
    const machine = keyspaceFactory().create();
    let told = 0;
    const watcher = machine.watch(request("a", "\0"), () => told++);
    for (let i = 0; i < 5_000; i++) {
      put(machine, `a${i}`);
      machine.publish();
    }
    expect(told).toBe(1);
    const revisions: number[] = [];
    for (let more = true; more; ) {
      const taken = watcher.take(10_000);
      revisions.push(...taken.items.map((item) => decodeWatchChange(item).revision));
      more = taken.more;
    }
    expect(revisions).toEqual(Array.from({ length: 5_000 }, (_, at) => at + 2));
    put(machine, "a");
    machine.publish();
    expect(told).toBe(2);
    expect(watcher.take(1000).items.length).toBe(1);
  });

  it("tells nobody from within watch or take, and a cancelled watcher never", () => {
    const machine = keyspaceFactory().create();
    put(machine, "a");
    machine.publish();
    let told = 0;
    const past = { key: "a", end: "", from: 2, previous: false, noPut: false, noDelete: false };
    const writer = new Writer();
    encodeWatchRequest(writer, past);
    const watcher = machine.watch(writer.take(), () => told++);
    expect(told).toBe(0);
    machine.work(() => 0, 1);
    expect(told).toBe(1);
    expect(watcher.take(1000).items.length).toBe(1);
    const cancelled = machine.watch(request("a"), () => {
      throw new Error("told although cancelled");
    });
    put(machine, "a");
    cancelled.cancel();
    machine.publish();
    expect(cancelled.take(1000)).toEqual({ items: [], more: false });
    expect(told).toBe(2);
  });
});
