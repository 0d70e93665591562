import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { defaultGroup, limits } from "../../base/index.ts";
import { commandBytes, decodeReply, queryBytes } from "../../machine/commands/index.ts";
import { Method } from "../../wire/index.ts";
import { bytes, openHandle } from "../index.ts";
import type { Change, UnumHandle, Watch } from "../index.ts";
import { FakeCluster } from "../testing/fake-cluster.contract.ts";
import { VirtualClock } from "../testing/virtual-clock.contract.ts";

let clock: VirtualClock;
let cluster: FakeCluster;
let handle: UnumHandle;

beforeEach(async () => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, ["a", "b", "c"]);
  handle = openHandle(cluster.environment(5), { endpoints: ["a:7400", "b:7400"] });
  await clock.settle(handle.ready);
});

afterEach(async () => {
  await clock.settle(handle.close());
  expect(clock.timerCount).toBe(0);
});

/** Collects in the background; `stop` says what came, and the error, if one ended it. */
function collect<T>(watch: Watch<T>): { readonly changes: Change<T>[]; readonly done: Promise<unknown> } {
  const changes: Change<T>[] = [];
  const run = async (): Promise<unknown> => {
    try {
      for await (const change of watch) changes.push(change);
      return undefined;
    } catch (error) {
      return error;
    }
  };
  return { changes, done: run() };
}

const compact = (revision: number): void => {
  cluster.apply(defaultGroup, commandBytes({ kind: "compact", revision }));
};

describe("watches", () => {
  test("connections lost at random lose, repeat and reorder nothing", async () => {
    const prng = cluster.environment(9).prng;
    const nodes = [...cluster.nodes.values()];
    const collected = collect(handle.kv.watch({ prefix: "k" }));
    await clock.drain();
    const written: number[] = [];
    for (let i = 0; i < 300; i++) {
      if (prng.chance(1, 5)) prng.pick(nodes).disconnect();
      if (prng.chance(1, 20)) await clock.advance(prng.below(300));
      written.push((await clock.settle(handle.kv.put(`k${i % 7}`, i))).revision);
    }
    await clock.advance(5000);
    expect(collected.changes.map((change) => change.revision)).toEqual(written);
    expect(collected.changes.map((change) => change.events.map((event) => event.kind === "put" && event.entry.value))).toEqual(
      written.map((_, i) => [i]),
    );
  });

  test("a watch whose node is gone goes on at another, from where it was", async () => {
    const watch = handle.kv.watch({ prefix: "k" });
    const collected = collect(watch);
    await clock.settle(watch.started);
    await clock.settle(handle.kv.put("k", 1));
    await clock.drain();
    const serving = [...cluster.nodes.values()].find((node) => node.connections.size > 0);
    serving?.kill();
    if (cluster.leader === serving) cluster.elect([...cluster.nodes.values()].find((node) => node.up));
    await clock.settle(handle.kv.put("k", 2));
    await clock.advance(100);
    expect(collected.changes).toHaveLength(2);
  });

  test("resumption asks for the revision behind the last one told, also when nothing has happened in the range", async () => {
    const asked: number[] = [];
    cluster.intercept = (_node, request) => {
      if (request.method === Method.watch) asked.push(new DataView(request.body.buffer, request.body.byteOffset).getUint32(1, true));
      return "serve";
    };
    const watch = handle.kv.watch({ prefix: "k" });
    const started = await clock.settle(watch.started);
    await clock.settle(handle.kv.put("other", 1));
    for (const node of cluster.nodes.values()) node.disconnect();
    await clock.advance(1000);
    const { revision } = await clock.settle(handle.kv.put("k", 1));
    await clock.drain();
    for (const node of cluster.nodes.values()) node.disconnect();
    await clock.advance(1000);
    expect(asked).toEqual([0, started, revision + 1]);
  });

  test("a node that has fallen silent does not hold a watch for ever", async () => {
    const watch = handle.kv.watch({ prefix: "k" });
    const collected = collect(watch);
    await clock.settle(watch.started);
    const serving = cluster.node("a").connections.size > 0 && cluster.leader === cluster.node("a") ? "a" : "b";
    for (const node of cluster.nodes.values()) node.silent = node.name === serving;
    cluster.elect(cluster.node(serving === "a" ? "b" : "a"));
    const { revision } = await clock.settle(handle.kv.put("k", 1));
    await clock.advance(15_000);
    expect(collected.changes.map((change) => change.revision)).toEqual([revision]);
  });

  test("what it needs is no longer kept: it ends with COMPACTED, after what had arrived", async () => {
    const first = await clock.settle(handle.kv.put("k", 1));
    for (let i = 0; i < 5; i++) await clock.settle(handle.kv.put("k", i));
    compact(first.revision + 3);
    const watch = handle.kv.watch({ key: "k" }, { from: first.revision });
    expect(await clock.settle(collect(watch).done)).toMatchObject({ code: "COMPACTED" });
    await watch.started.catch(() => undefined);
  });

  test("a consumer who stands still holds a bounded number of bytes, and loses nothing, connections lost meanwhile or not", async () => {
    const kv = handle.kv.with(bytes);
    const watch = kv.watch({ prefix: "k" });
    await clock.settle(watch.started);
    const value = new Uint8Array(50_000);
    const written: number[] = [];
    for (let i = 0; i < 200; i++) {
      written.push((await clock.settle(kv.put(`k${i}`, value))).revision);
      if (i % 20 === 10) for (const node of cluster.nodes.values()) node.disconnect();
    }
    const held = (watch as unknown as { buffer: readonly { bytes: number }[] }).buffer.reduce((sum, each) => sum + each.bytes, 0);
    expect(held).toBeGreaterThan(limits.streamCreditBytes / 2);
    expect(held).toBeLessThan(limits.streamCreditBytes * 1.6);
    const collected = collect(watch);
    await clock.advance(10_000);
    expect(collected.changes.map((change) => change.revision)).toEqual(written);
  });

  test("bytes that came by an earlier stream are no credit of the present one", async () => {
    const kv = handle.kv.with(bytes);
    const watch = kv.watch({ prefix: "k" });
    await clock.settle(watch.started);
    for (let i = 0; i < 100; i++) await clock.settle(kv.put(`k${i}`, new Uint8Array(50_000)));
    const inner = watch as unknown as { buffer: readonly { bytes: number }[]; bufferAt: number };
    const held = (): number => inner.buffer.slice(inner.bufferAt).reduce((sum, each) => sum + each.bytes, 0);
    const iterator = watch[Symbol.asyncIterator]();
    for (const node of cluster.nodes.values()) node.disconnect();
    await clock.advance(1000);
    const fullBytes = held();
    expect(fullBytes).toBeLessThan(limits.streamCreditBytes * 1.1);
    for (let taken = 0; taken < fullBytes - limits.streamCreditBytes / 2; taken += 50_000) await clock.settle(iterator.next());
    await clock.advance(1000);
    const earlier = held() - limits.streamCreditBytes;
    expect(earlier).toBeGreaterThan(limits.streamCreditBytes / 3);
    for (let taken = 0; taken < earlier; taken += 50_000) await clock.settle(iterator.next());
    await clock.advance(1000);
    expect(held()).toBeLessThan(limits.streamCreditBytes * 1.1);
  });

  test("a stream that a node refuses for now is asked for again; one that it refuses for good ends", async () => {
    let times = 0;
    cluster.intercept = (_node, request) => (request.method === Method.watch && times++ < 3 ? { code: "OVERLOADED" } : "serve");
    await clock.settle(handle.kv.watch({ prefix: "k" }).started);
    expect(times).toBe(4);
    cluster.intercept = (_node, request) => (request.method === Method.watch ? { code: "UNSUPPORTED" } : "serve");
    const watch = handle.kv.watch({ prefix: "k" });
    await expect(clock.settle(watch.started)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    expect(await clock.settle(collect(watch).done)).toMatchObject({ code: "UNSUPPORTED" });
  });

  test("return() frees the stream on the node", async () => {
    const watchers = (): unknown => {
      const reply = decodeReply(cluster.group(defaultGroup).machine.query(queryBytes({ kind: "summary" })));
      return reply.ok && reply.result.kind === "summary" ? reply.result.summary.watchers : undefined;
    };
    const watch = handle.kv.watch({ prefix: "k" });
    await clock.settle(watch.started);
    expect(watchers()).toBe(1);
    await watch[Symbol.asyncIterator]().return?.();
    await clock.drain();
    expect(watchers()).toBe(0);
  });
});

describe("caches", () => {
  test("while cut off a cache is stale and still answers; afterwards it has what it missed", async () => {
    await clock.settle(handle.kv.put("k/a", 1));
    const cache = await clock.settle(handle.kv.cache({ prefix: "k/" }));
    for (const node of cluster.nodes.values()) node.kill();
    await clock.advance(100);
    expect(cache.stale).toBe(true);
    expect(cache.get("k/a")?.value).toBe(1);
    for (const node of cluster.nodes.values()) node.up = true;
    const { revision } = await clock.settle(handle.kv.put("k/b", 2));
    await clock.settle(cache.reached(revision));
    expect(cache.stale).toBe(false);
    expect(cache.entries().map((entry) => entry.value)).toEqual([1, 2]);
    await expect(clock.settle(cache.reached(revision + 5, { timeout: "50ms" }))).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  test("when the history between is gone, the copy is read anew", async () => {
    await clock.settle(handle.kv.put("k/a", 1));
    await clock.settle(handle.kv.put("k/gone", 1));
    const cache = await clock.settle(handle.kv.cache({ prefix: "k/" }));
    cluster.intercept = (_node, request) => (request.method === Method.watch ? "drop-before" : "serve");
    for (const node of cluster.nodes.values()) node.disconnect();
    await clock.settle(handle.kv.delete("k/gone"));
    for (let i = 0; i < 5; i++) await clock.settle(handle.kv.put("k/a", i));
    const { revision } = await clock.settle(handle.kv.put("k/b", 2));
    compact(revision);
    cluster.intercept = () => "serve";
    await clock.settle(cache.reached(revision));
    await clock.advance(1000);
    expect(cache.entries().map((entry) => [entry.key, entry.value])).toEqual([
      ["k/a", 4],
      ["k/b", 2],
    ]);
    expect(cache.stale).toBe(false);
    await clock.settle(cache.close());
  });

  test("a cache of a closed handle is closed", async () => {
    const cache = await clock.settle(handle.kv.cache({ prefix: "k/" }));
    await clock.settle(handle.close());
    await cache.closed;
    expect(cache.stale).toBe(true);
  });
});
