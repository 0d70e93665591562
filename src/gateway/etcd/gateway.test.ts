import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { utf8Decode, utf8Encode } from "../../base/index.ts";
import {
  Compare_CompareResult,
  Compare_CompareTarget,
  KV,
  Lease,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  Watch,
} from "../../etcd/index.ts";
import { StatusError } from "./testing/client.contract.ts";
import type { TestClient } from "./testing/client.contract.ts";
import { startTestGateway } from "./testing/gateway.contract.ts";
import type { TestGateway } from "./testing/gateway.contract.ts";

const bytes = utf8Encode;
let gateway: TestGateway;
let client: TestClient;

beforeAll(async () => {
  gateway = await startTestGateway();
  client = gateway.client;
});
afterAll(async () => gateway.close());

async function refusal(work: Promise<unknown>): Promise<StatusError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StatusError);
  return error as StatusError;
}

describe("KV through gRPC", () => {
  it("counts revisions from 1, one per transaction, and fills the header", async () => {
    const empty = await client.call(KV.method.range, { key: bytes("first") });
    expect(empty.header?.revision).toBe(1n);
    const put = await client.call(KV.method.put, { key: bytes("first"), value: bytes("1") });
    expect(put.header).toMatchObject({ revision: 2n });
    expect(put.header?.clusterId).not.toBe(0n);
    expect(put.header?.memberId).not.toBe(0n);
    expect(put.header?.raftTerm).toBeGreaterThan(0n);
    const txn = await client.call(KV.method.txn, {
      compare: [
        {
          key: bytes("first"),
          target: Compare_CompareTarget.VALUE,
          result: Compare_CompareResult.EQUAL,
          targetUnion: { case: "value", value: bytes("1") },
        },
      ],
      success: [
        { request: { case: "requestPut", value: { key: bytes("a"), value: bytes("x") } } },
        { request: { case: "requestDeleteRange", value: { key: bytes("first"), prevKv: true } } },
        { request: { case: "requestRange", value: { key: bytes("a") } } },
      ],
    });
    expect(txn.succeeded).toBe(true);
    expect(txn.header?.revision).toBe(3n);
    expect(txn.responses.map(({ response }) => response.case)).toEqual(["responsePut", "responseDeleteRange", "responseRange"]);
    const deleted = txn.responses[1]?.response;
    expect(deleted?.case === "responseDeleteRange" ? deleted.value.prevKvs.map((kv) => utf8Decode(kv.value)) : undefined).toEqual(["1"]);
  });

  it("answers a range in the order and with the limit asked for", async () => {
    for (const [key, value] of [
      ["r/a", "3"],
      ["r/b", "1"],
      ["r/c", "2"],
    ] as const) {
      await client.call(KV.method.put, { key: bytes(key), value: bytes(value) });
    }
    const range = { key: bytes("r/"), rangeEnd: bytes("r0") };
    const sorted = await client.call(KV.method.range, {
      ...range,
      sortTarget: RangeRequest_SortTarget.VALUE,
      sortOrder: RangeRequest_SortOrder.DESCEND,
      limit: 2n,
    });
    expect(sorted.kvs.map((kv) => utf8Decode(kv.key))).toEqual(["r/a", "r/c"]);
    expect([sorted.more, sorted.count]).toEqual([true, 3n]);
    // Without an order etcd takes three by keys, sorts them, and cuts.
    const late = await client.call(KV.method.range, { ...range, sortTarget: RangeRequest_SortTarget.VALUE, limit: 2n });
    expect(late.kvs.map((kv) => utf8Decode(kv.key))).toEqual(["r/b", "r/c"]);
    const counted = await client.call(KV.method.range, { ...range, countOnly: true });
    expect([counted.kvs.length, counted.count]).toEqual([0, 3n]);
    const none = await client.call(KV.method.range, { ...range, maxModRevision: -1n });
    expect([none.kvs.length, none.count]).toEqual([0, 3n]);
  });

  it("compares with negative numbers as etcd does", async () => {
    const compare = (result: Compare_CompareResult) =>
      ({ key: bytes("nobody"), target: Compare_CompareTarget.VERSION, result, targetUnion: { case: "version", value: -1n } }) as const;
    const greater = await client.call(KV.method.txn, { compare: [compare(Compare_CompareResult.GREATER)] });
    const less = await client.call(KV.method.txn, { compare: [compare(Compare_CompareResult.LESS)] });
    expect([greater.succeeded, less.succeeded]).toEqual([true, false]);
  });

  it("brings a range larger than one page whole", async () => {
    const value = new Uint8Array(1024 * 1024).fill(7);
    for (let i = 0; i < 6; i++) await client.call(KV.method.put, { key: bytes(`large/${i}`), value });
    const all = await client.call(KV.method.range, { key: bytes("large/"), rangeEnd: bytes("large0") });
    expect([all.kvs.length, all.more, all.count]).toEqual([6, false, 6n]);
    const five = await client.call(KV.method.range, { key: bytes("large/"), rangeEnd: bytes("large0"), limit: 5n });
    expect([five.kvs.length, five.more]).toEqual([5, true]);
    await client.call(KV.method.deleteRange, { key: bytes("large/"), rangeEnd: bytes("large0") });
  });

  it("brings an answer whole that is larger than what one connection of ours may leave unread", async () => {
    const value = new Uint8Array(1024 * 1024).fill(7);
    for (let i = 0; i < 70; i++) await client.call(KV.method.put, { key: bytes(`huge/${i}`), value });
    const all = await client.call(KV.method.range, { key: bytes("huge/"), rangeEnd: bytes("huge0") });
    expect([all.kvs.length, all.more]).toEqual([70, false]);
    await client.call(KV.method.deleteRange, { key: bytes("huge/"), rangeEnd: bytes("huge0") });
  });

  it("refuses in etcd's words", async () => {
    expect(await refusal(client.call(KV.method.put, {}))).toMatchObject({ code: 3, text: "etcdserver: key is not provided" });
    expect(await refusal(client.call(KV.method.range, { key: bytes("a"), revision: 1_000_000n }))).toMatchObject({
      code: 11,
      text: "etcdserver: mvcc: required revision is a future revision",
    });
    expect(await refusal(client.call(KV.method.put, { key: bytes("a"), lease: 77n }))).toMatchObject({
      code: 5,
      text: "etcdserver: requested lease not found",
    });
    expect(await refusal(client.call(KV.method.put, { key: bytes("nobody"), ignoreValue: true }))).toMatchObject({
      code: 3,
      text: "etcdserver: key not found",
    });
    const twice = { request: { case: "requestPut", value: { key: bytes("a") } } } as const;
    expect(await refusal(client.call(KV.method.txn, { success: [twice, twice] }))).toMatchObject({
      code: 3,
      text: "etcdserver: duplicate key given in txn request",
    });
  });
});

describe("gRPC itself", () => {
  it("says which method, encoding and message it does not take", async () => {
    const unknown = client.raw("/etcdserverpb.KV/Nothing");
    const head = await new Promise<Record<string, unknown>>((resolve) => unknown.on("response", resolve));
    expect(head).toMatchObject({ "grpc-status": "12", "grpc-message": "unknown method Nothing for service etcdserverpb.KV" });
    expect(await refusal(client.call(KV.method.range, { key: bytes("a") }, { "grpc-encoding": "gzip" }))).toMatchObject({ code: 12 });
    const value = new Uint8Array(3 * 1024 * 1024);
    expect(await refusal(client.call(KV.method.put, { key: bytes("a"), value }))).toMatchObject({ code: 8 });
    expect((await client.call(KV.method.range, { key: bytes("a") })).header).toBeDefined();
  });

  it("takes one message where a method has one", async () => {
    const stream = client.open(KV.method.rangeStream);
    stream.send({ key: bytes("a") });
    stream.send({ key: bytes("a") });
    expect(await refusal(stream.rest())).toMatchObject({ code: 13 });
    const deep = (depth: number): object => (depth === 0 ? {} : { success: [{ request: { case: "requestTxn", value: deep(depth - 1) } }] });
    expect((await client.call(KV.method.txn, deep(8))).succeeded).toBe(true);
    expect(await refusal(client.call(KV.method.txn, deep(9)))).toMatchObject({
      code: 3,
      text: "etcdserver: too many operations in txn request",
    });
  });

  it("ends a call when its time is over", async () => {
    const stream = client.open(Watch.method.watch, { "grpc-timeout": "50m" });
    expect(await refusal(stream.rest())).toMatchObject({ code: 4 });
  });
});

describe("Watch", () => {
  it("tells of the creation first, then of each revision once and whole, from the past and from now on", async () => {
    const first = await client.call(KV.method.put, { key: bytes("w/a"), value: bytes("1") });
    const stream = client.open(Watch.method.watch);
    const create = { key: bytes("w/"), rangeEnd: bytes("w0"), prevKv: true };
    stream.send({ requestUnion: { case: "createRequest", value: { ...create, startRevision: first.header?.revision ?? 0n } } });
    expect(await stream.next()).toMatchObject({ watchId: 0n, created: true, canceled: false });
    expect((await stream.next()).events.map((event) => utf8Decode(event.kv?.value ?? bytes("")))).toEqual(["1"]);
    stream.send({ requestUnion: { case: "createRequest", value: { ...create, watchId: 7n } } });
    expect(await stream.next()).toMatchObject({ watchId: 7n, created: true });
    await client.call(KV.method.txn, {
      success: [
        { request: { case: "requestPut", value: { key: bytes("w/a"), value: bytes("2") } } },
        { request: { case: "requestPut", value: { key: bytes("w/b"), value: bytes("3") } } },
      ],
    });
    const both = [await stream.next(), await stream.next()];
    expect(both.map(({ watchId }) => watchId).sort()).toEqual([0n, 7n]);
    for (const { events } of both) expect(events.map(({ prevKv }) => prevKv && utf8Decode(prevKv.value))).toEqual(["1", undefined]);
    stream.send({ requestUnion: { case: "cancelRequest", value: { watchId: 7n } } });
    expect(await stream.next()).toMatchObject({ watchId: 7n, canceled: true });
    stream.cancel();
  });

  it("answers a progress request with a revision up to which everything was sent", async () => {
    const stream = client.open(Watch.method.watch);
    stream.send({ requestUnion: { case: "createRequest", value: { key: bytes("p/") } } });
    await stream.next();
    const put = await client.call(KV.method.put, { key: bytes("elsewhere"), value: bytes("1") });
    stream.send({ requestUnion: { case: "progressRequest", value: {} } });
    const progress = await stream.next();
    expect([progress.watchId, progress.events.length]).toEqual([-1n, 0]);
    expect(progress.header?.revision).toBeGreaterThanOrEqual(put.header?.revision ?? 0n);
    stream.cancel();
  });

  it("waits for a revision beyond all that can be", async () => {
    const stream = client.open(Watch.method.watch, { "grpc-timeout": "99999999H" });
    for (const startRevision of [1n << 53n, (1n << 63n) - 1n]) {
      stream.send({ requestUnion: { case: "createRequest", value: { key: bytes("f"), startRevision } } });
      expect(await stream.next()).toMatchObject({ created: true, canceled: false });
    }
    const put = await client.call(KV.method.put, { key: bytes("f"), value: bytes("1") });
    // What nobody has seen yet counts as seen for nobody: not for reads of a member's own state, not for progress, not for watches from now on.
    const read = await client.call(KV.method.range, { key: bytes("f"), serializable: true });
    expect(read.header?.revision).toBe(put.header?.revision);
    stream.send({ requestUnion: { case: "progressRequest", value: {} } });
    expect((await stream.next()).header?.revision).toBe(put.header?.revision);
    stream.send({ requestUnion: { case: "createRequest", value: { key: bytes("g") } } });
    expect(await stream.next()).toMatchObject({ created: true });
    await client.call(KV.method.put, { key: bytes("g"), value: bytes("1") });
    expect((await stream.next()).events).toHaveLength(1);
    stream.cancel();
  });

  it("cancels a watch that begins before what is kept, and one that cannot be", async () => {
    const put = await client.call(KV.method.put, { key: bytes("c"), value: bytes("1") });
    await client.call(KV.method.compact, { revision: put.header?.revision ?? 0n });
    const stream = client.open(Watch.method.watch);
    stream.send({ requestUnion: { case: "createRequest", value: { key: bytes("c"), startRevision: 2n } } });
    expect(await stream.next()).toMatchObject({ created: true, canceled: false });
    expect(await stream.next()).toMatchObject({ canceled: true, compactRevision: put.header?.revision });
    stream.send({ requestUnion: { case: "createRequest", value: { key: bytes("b"), rangeEnd: bytes("a") } } });
    expect(await stream.next()).toMatchObject({ watchId: -1n, created: true, canceled: true });
    stream.cancel();
  });
});

describe("Lease", () => {
  it("grants under the id that the client chose, tells its keys and takes them along", async () => {
    const id = 0x7fff_ffff_ffff_fff1n;
    expect(await client.call(Lease.method.leaseGrant, { ID: id, TTL: 60n })).toMatchObject({ ID: id, TTL: 60n });
    expect(await refusal(client.call(Lease.method.leaseGrant, { ID: id, TTL: 60n }))).toMatchObject({
      code: 9,
      text: "etcdserver: lease already exists",
    });
    await client.call(KV.method.put, { key: bytes("leased"), lease: id });
    const told = await client.call(Lease.method.leaseTimeToLive, { ID: id, keys: true });
    expect(told).toMatchObject({ ID: id, grantedTTL: 60n, keys: [bytes("leased")] });
    const alive = client.open(Lease.method.leaseKeepAlive);
    alive.send({ ID: id });
    expect(await alive.next()).toMatchObject({ ID: id, TTL: 60n });
    alive.send({ ID: 5n });
    expect(await alive.next()).toMatchObject({ ID: 5n, TTL: 0n });
    alive.end();
    expect(await alive.rest()).toEqual([]);
    await client.call(Lease.method.leaseRevoke, { ID: id });
    expect((await client.call(KV.method.range, { key: bytes("leased") })).count).toBe(0n);
    expect(await client.call(Lease.method.leaseTimeToLive, { ID: id })).toMatchObject({ TTL: -1n });
  });
});
