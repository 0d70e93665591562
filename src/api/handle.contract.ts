import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bytes, key, op, text } from "./index.ts";
import type { Change, KV, UnumHandle } from "./index.ts";

export interface HandleUnderTest {
  readonly handle: UnumHandle;
  /** Closes what stands behind the handle; the suite has closed the handle. */
  close(): Promise<void>;
}

/** What an engine that is no Unum cannot do, each with the reason that its refusal gives. */
export interface Lacks {
  readonly keyspaces?: RegExp | undefined;
}

/**
 * What every handle promises, whatever carries its frames and whatever engine stands behind it. One handle serves all the tests; each has
 * keys of its own, so that the cluster behind may be shared.
 */
export function handleContract(name: string, makeHandle: () => Promise<HandleUnderTest>, lacks: Lacks = {}): void {
  describe(`handle contract: ${name}`, () => {
    let made: HandleUnderTest;
    let handle: UnumHandle;
    let number = 0;
    const fresh = (): KV => handle.kv.prefix(`contract/${name}/${number++}/`);

    beforeAll(async () => {
      made = await makeHandle();
      handle = made.handle;
      await handle.ready;
    });

    afterAll(async () => {
      await handle.close();
      await handle.closed;
      await made.close();
    });

    entries(fresh);
    writes(fresh);
    transactions(fresh);
    watches(fresh, () => handle);
    caches(fresh);
    leases(fresh, () => handle);
    errors(fresh, () => handle);
    if (lacks.keyspaces === undefined) keyspaces(() => handle, name);
    else noKeyspaces(() => handle, lacks.keyspaces);
  });
}

function entries(fresh: () => KV): void {
  test("what was put is read, with its revisions and version", async () => {
    const kv = fresh();
    expect(await kv.get("a")).toBeUndefined();
    const first = await kv.put("a", { on: true });
    const second = await kv.put("a", [1, "ä", null]);
    expect(second.revision).toBeGreaterThan(first.revision);
    expect(await kv.get("a")).toEqual({
      key: "a",
      keyBytes: new Uint8Array([97]),
      value: [1, "ä", null],
      revision: second.revision,
      createRevision: first.revision,
      version: 2,
    });
    expect((await kv.get("a", { revision: first.revision }))?.value).toEqual({ on: true });
    expect((await kv.get("a", { consistency: "stale" }))?.revision).toBe(second.revision);
  });

  test("a range is in the order of bytes, in pages, and entries() reads all of it at one revision", async () => {
    const kv = fresh().with(text);
    const keys = ["a", "b", "\uffff", "\u{10000}", "ä"];
    for (const each of keys) await kv.put(each, `value of ${each}`);
    const page = await kv.range({ prefix: "" });
    expect(page.entries.map((entry) => entry.key)).toEqual(["a", "b", "ä", "\uffff", "\u{10000}"]);
    expect(page).toMatchObject({ more: false, count: 5 });
    const part = await kv.range({ from: "b" }, { limit: 2 });
    expect(part.entries.map((entry) => entry.key)).toEqual(["b", "ä"]);
    expect(part).toMatchObject({ more: true, count: 4 });
    expect((await kv.range({ from: "a", to: "b" })).count).toBe(1);

    const many = fresh();
    await Promise.all(Array.from({ length: 450 }, (_, at) => many.put(String(at).padStart(4, "0"), at)));
    const read: unknown[] = [];
    for await (const entry of many.entries({ prefix: "" })) {
      if (read.length === 50) await many.put("0449", "changed meanwhile");
      read.push(entry.value);
    }
    expect(read).toEqual(Array.from({ length: 450 }, (_, at) => at));
  });

  test("bytes are stored as they are, under keys that are bytes", async () => {
    const kv = fresh().with(bytes);
    const name = new Uint8Array([0, 255, 128]);
    await kv.put(name, new Uint8Array([1, 0, 255]));
    const entry = await kv.get(name);
    expect(entry?.keyBytes).toEqual(name);
    expect(entry?.value).toEqual(new Uint8Array([1, 0, 255]));
    await kv.put("empty", new Uint8Array(0));
    expect((await kv.get("empty"))?.value).toHaveLength(0);
  });
}

function writes(fresh: () => KV): void {
  test("ifRevision writes only over that revision; 0 only where nothing is", async () => {
    const kv = fresh();
    const first = await kv.put("a", 1, { ifRevision: 0 });
    await expect(kv.put("a", 2, { ifRevision: 0 })).rejects.toMatchObject({
      code: "CONFLICT",
      outcome: "not-applied",
      details: { revision: first.revision },
    });
    const second = await kv.put("a", 2, { ifRevision: first.revision });
    await expect(kv.delete("a", { ifRevision: first.revision })).rejects.toMatchObject({ code: "CONFLICT" });
    expect((await kv.get("a"))?.value).toBe(2);
    expect(await kv.delete("a", { ifRevision: second.revision })).toMatchObject({ deleted: 1 });
  });

  test("delete takes a key or a range and says how many", async () => {
    const kv = fresh();
    for (const each of ["a/1", "a/2", "b"]) await kv.put(each, 1);
    expect((await kv.delete({ prefix: "a/" })).deleted).toBe(2);
    expect((await kv.delete("b")).deleted).toBe(1);
    expect((await kv.delete("b")).deleted).toBe(0);
  });

  test("update loses none of many concurrent changes", async () => {
    const kv = fresh();
    const all = await Promise.all(Array.from({ length: 12 }, () => kv.update<number>("n", (n) => (n ?? 0) + 1)));
    expect(all.map((entry) => entry?.value).sort((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 12 }, (_, at) => at + 1));
    expect((await kv.get("n"))?.version).toBe(12);
    expect((await kv.update("n", () => undefined))?.value).toBe(12);
    expect(await kv.update("none", () => undefined)).toBeUndefined();
    await expect(
      kv.update("n", () => {
        throw new Error("mine");
      }),
    ).rejects.toThrow("mine");
  });

  test("a thousand puts in flight are all applied, each once", async () => {
    const kv = fresh();
    const all = await Promise.all(Array.from({ length: 1000 }, (_, at) => kv.put(`k${at}`, at)));
    expect(new Set(all.map((written) => written.revision)).size).toBe(1000);
    expect((await kv.range({ prefix: "k" }, { limit: 1 })).count).toBe(1000);
    const read = await Promise.all(Array.from({ length: 1000 }, (_, at) => kv.get(`k${at}`)));
    expect(read.every((entry, at) => entry?.value === at && entry.version === 1)).toBe(true);
  });
}

function transactions(fresh: () => KV): void {
  test("a transaction compares, then does the one or the other, with a result per operation", async () => {
    const kv = fresh();
    const first = await kv.txn({ if: [key("a").missing()], do: [op.put("a", 1), op.get("a")], else: [op.get("a")] });
    expect(first).toMatchObject({ ok: true, results: [{ revision: first.revision }, { value: 1, revision: first.revision }] });
    const second = await kv.txn({
      if: [key("a").missing()],
      do: [op.put("a", 2)],
      else: [op.get("a"), op.delete("zz"), op.range({ prefix: "" })],
    });
    expect(second).toMatchObject({
      ok: false,
      results: [{ value: 1 }, { deleted: 0 }, { count: 1, more: false, entries: [{ key: "a" }] }],
    });
    const conditions = [
      key("a").exists(),
      key("a").value(1),
      key("a").version(1),
      key("a").revision(first.revision),
      key("a").createRevision(0, "greater"),
    ];
    expect((await kv.txn({ if: conditions, do: [op.delete({ prefix: "" })] })).ok).toBe(true);
    expect(await kv.get("a")).toBeUndefined();
  });

  test("transactions nest; all conditions are asked of the state before, and all writes are one revision", async () => {
    const kv = fresh();
    await kv.put("x", 1);
    const done = await kv.txn({
      do: [
        op.put("a", 1),
        op.txn({ if: [key("x").value(1)], do: [op.put("b", 2)], else: [op.put("c", 3)] }),
        op.get("b"),
        op.txn({ if: [key("a").exists()], do: [op.put("d", 4)], else: [op.get("a")] }),
      ],
    });
    expect(done).toMatchObject({
      ok: true,
      results: [
        {},
        { ok: true, results: [{ revision: done.revision }] },
        { value: 2, revision: done.revision },
        { ok: false, results: [{ value: 1 }] },
      ],
    });
    expect(await kv.get("c")).toBeUndefined();
  });

  test("one that only reads writes nothing", async () => {
    const kv = fresh();
    const { revision } = await kv.put("a", 1);
    expect(await kv.txn({ if: [key("a").value(1)], do: [op.get("a")] })).toMatchObject({ ok: true, revision, results: [{ value: 1 }] });
  });

  test("a key written twice is DUPLICATE_KEY", async () => {
    await expect(fresh().txn({ do: [op.put("a", 1), op.put("a", 2)] })).rejects.toMatchObject({
      code: "DUPLICATE_KEY",
      outcome: "not-applied",
    });
  });
}

async function take<T>(source: AsyncIterable<Change<T>>, count: number): Promise<Change<T>[]> {
  const changes: Change<T>[] = [];
  for await (const change of source) {
    changes.push(change);
    if (changes.length === count) break;
  }
  return changes;
}

function watches(fresh: () => KV, handle: () => UnumHandle): void {
  test("every change after started is seen, in order, one per revision", async () => {
    const kv = fresh();
    const watch = kv.watch({ prefix: "w/" }, { previous: true });
    const started = await watch.started;
    const put = await kv.put("w/a", 1);
    await kv.put("other", 1);
    const txn = await kv.txn({ do: [op.put("w/a", 2), op.put("w/b", 3)] });
    const gone = await kv.delete({ prefix: "w/" });
    const changes = await take(watch, 3);
    expect(started).toBeLessThanOrEqual(put.revision);
    expect(changes.map((change) => change.revision)).toEqual([put.revision, txn.revision, gone.revision]);
    expect(changes[0]?.events).toMatchObject([{ kind: "put", key: "w/a", entry: { value: 1, version: 1 } }]);
    expect(changes[1]?.events).toMatchObject([
      { kind: "put", key: "w/a", entry: { value: 2 }, previous: { value: 1 } },
      { kind: "put", key: "w/b", entry: { value: 3 } },
    ]);
    expect(changes[2]?.events.map((event) => [event.kind, event.key, event.previous?.value])).toEqual([
      ["delete", "w/a", 2],
      ["delete", "w/b", 3],
    ]);
  });

  test("from an earlier revision it tells what has happened since, without end", async () => {
    const kv = fresh();
    const revisions: number[] = [];
    for (let i = 0; i < 5; i++) revisions.push((await kv.put("k", i)).revision);
    const watch = kv.watch({ key: "k" }, { from: revisions[2] });
    expect((await take(watch, 3)).map((change) => change.revision)).toEqual(revisions.slice(2));
    expect(await watch[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined });
  });

  test("from a revision of the future it waits, and what nobody has seen keeps no read waiting", async () => {
    const kv = fresh();
    const { revision } = await kv.put("k", 0);
    const watch = kv.watch({ key: "k" }, { from: revision + 100 });
    await watch.started;
    await kv.put("k", 1);
    expect(await kv.get("k", { consistency: "stale", timeout: "5s" })).toMatchObject({ value: 1 });
    await watch.close();
  });

  test("a consumer who is slow gets everything", async () => {
    const kv = fresh().with(bytes);
    const watch = kv.watch({ prefix: "" });
    await watch.started;
    const value = new Uint8Array(16 * 1024);
    const written = await Promise.all(Array.from({ length: 200 }, (_, at) => kv.put(`k${at}`, value)));
    const changes = await take(watch, 200);
    expect(changes.map((change) => change.revision)).toEqual(written.map((each) => each.revision).sort((a, b) => a - b));
  });

  test("close ends it in order; a signal ends it with its reason", async () => {
    const kv = fresh();
    const closed = kv.watch({ prefix: "" });
    const waiting = closed[Symbol.asyncIterator]().next();
    await closed.close();
    expect(await waiting).toEqual({ done: true, value: undefined });
    const controller = new AbortController();
    const aborted = kv.watch({ prefix: "" }, { signal: controller.signal })[Symbol.asyncIterator]();
    const next = aborted.next();
    controller.abort(new Error("enough"));
    await expect(next).rejects.toThrow("enough");
    expect(await aborted.next()).toEqual({ done: true, value: undefined });
  });

  test("a wrong argument ends it with an error, not with an exception", async () => {
    const watch = handle().kv.watch({ key: "" });
    await expect(watch.started).rejects.toMatchObject({ code: "INVALID_KEY" });
    await expect(take(watch, 1)).rejects.toMatchObject({ code: "INVALID_KEY" });
  });
}

function caches(fresh: () => KV): void {
  test("a cache follows the range and answers at once", async () => {
    const kv = fresh();
    await kv.put("c/a", 1);
    await kv.put("c/b", 2);
    const cache = await kv.cache({ prefix: "c/" });
    expect(cache.stale).toBe(false);
    expect(cache.entries().map((entry) => [entry.key, entry.value])).toEqual([
      ["c/a", 1],
      ["c/b", 2],
    ]);
    await kv.put("c/c", 3);
    await kv.delete("c/a");
    const { revision } = await kv.put("c/b", 4);
    await cache.reached(revision);
    expect(cache.size).toBe(2);
    expect(cache.get("c/a")).toBeUndefined();
    expect(cache.get("c/b")).toEqual(await kv.get("c/b"));
    expect(cache.entries().map((entry) => [entry.key, entry.value])).toEqual([
      ["c/b", 4],
      ["c/c", 3],
    ]);
    await cache.close();
    await cache.closed;
    expect(cache.stale).toBe(true);
    await expect(cache.reached(revision + 100)).rejects.toMatchObject({ code: "CLOSED" });
  });
}

function leases(fresh: () => KV, handle: () => UnumHandle): void {
  test("entries of a lease go when it is revoked", async () => {
    const kv = fresh();
    const lease = await handle().lease("5s");
    expect(lease).toMatchObject({ held: true, ttlMs: 5000, keyspace: "default" });
    expect(lease.id).toMatch(/^\d+$/);
    await kv.put("a", 1, { lease });
    await kv.txn({ do: [op.put("b", 2, { lease })] });
    expect((await kv.get("a"))?.lease).toBe(lease.id);
    expect((await kv.txn({ if: [key("b").lease(lease)], do: [] })).ok).toBe(true);
    await lease.revoke();
    expect(lease.held).toBe(false);
    expect(lease.signal).toMatchObject({ aborted: true });
    expect((await kv.range({ prefix: "" })).count).toBe(0);
    await expect(kv.put("a", 1, { lease })).rejects.toMatchObject({ code: "LEASE_NOT_FOUND", outcome: "not-applied" });
    await lease.revoke();
  });

  test("ttl gives an entry a lease of its own", async () => {
    const kv = fresh();
    await kv.put("a", 1, { ttl: "10s" });
    expect((await kv.get("a"))?.lease).toMatch(/^\d+$/);
    await expect(kv.put("a", 1, { ttl: "1s" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(kv.put("a", 2, { ttl: "10s", ifRevision: 0 })).rejects.toMatchObject({ code: "CONFLICT" });
  });
}

function errors(fresh: () => KV, handle: () => UnumHandle): void {
  test("wrong arguments reject, and nothing is sent", async () => {
    const kv = fresh();
    await expect(kv.put("", 1)).rejects.toMatchObject({ code: "INVALID_KEY", outcome: "not-applied" });
    await expect(kv.get("\ud800")).rejects.toMatchObject({ code: "INVALID_KEY" });
    await expect(kv.put("a", undefined)).rejects.toMatchObject({ code: "INVALID_VALUE" });
    await expect(kv.put("a", { x: [1, Number.NaN] })).rejects.toMatchObject({ code: "INVALID_VALUE", details: { path: "x[1]" } });
    await expect(kv.get("a", { timeout: "1 fortnight" as never })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(kv.range({ prefix: "" }, { limit: 0 })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(kv.with(bytes).put("a", new Uint8Array(2 * 1024 * 1024))).rejects.toMatchObject({
      code: "TOO_LARGE",
      outcome: "not-applied",
    });
  });

  test("an aborted call rejects with the signal's reason", async () => {
    const kv = fresh();
    const reason = new Error("mine");
    await expect(kv.get("a", { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const call = kv.put("a", 1, { signal: controller.signal });
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    expect(await kv.put("b", 1)).toHaveProperty("revision");
  });

  test("what the codec cannot read is DECODE_FAILED and names the key", async () => {
    const kv = fresh();
    await kv.with(text).put("a", "{not json");
    await expect(kv.get("a")).rejects.toMatchObject({ code: "DECODE_FAILED", details: { key: expect.stringContaining("/a") } });
    const watch = kv.watch({ key: "a" }, { from: (await kv.with(text).get("a"))?.revision });
    await expect(take(watch, 1)).rejects.toMatchObject({ code: "DECODE_FAILED" });
    expect((await kv.with(text).get("a"))?.value).toBe("{not json");
  });

  test("a revision that is not there yet is FUTURE_REVISION", async () => {
    const { revision } = await handle().kv.put("contract/future", 1);
    await expect(handle().kv.get("contract/future", { revision: revision + 1_000_000 })).rejects.toMatchObject({ code: "FUTURE_REVISION" });
  });
}

function keyspaces(handle: () => UnumHandle, name: string): void {
  test("a named keyspace is made on first use and holds its own keys and leases", async () => {
    const kv = handle().keyspace(`contract-${name.replace(/\W/g, "-")}`);
    await kv.put("contract/a", "there");
    expect((await kv.get("contract/a"))?.value).toBe("there");
    expect(await handle().kv.get("contract/a")).toBeUndefined();
    const lease = await handle().lease("5s");
    await expect(kv.put("a", 1, { lease })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await lease.close();
    expect(() => handle().keyspace("")).toThrowError(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
}

function noKeyspaces(handle: () => UnumHandle, reason: RegExp): void {
  test("another keyspace is refused by name, and nothing waits for one", async () => {
    const refusal = { code: "UNSUPPORTED", outcome: "not-applied", message: expect.stringMatching(reason) };
    await expect(handle().keyspace("orders").get("a")).rejects.toMatchObject(refusal);
    await expect(handle().lock("a", { keyspace: "orders" }).tryAcquire()).rejects.toMatchObject(refusal);
    await expect(handle().status()).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });
}
