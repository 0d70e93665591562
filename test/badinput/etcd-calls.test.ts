/** Calls of the etcd gateway with what nobody should ask: each ends with a status or a reset, and the node goes on within its memory. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, DescMethod, DescService, MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Prng } from "../../src/base/index.ts";
import {
  Auth,
  Cluster,
  Compare_CompareTarget,
  Election,
  Health,
  KV,
  Lease,
  Lock,
  Maintenance,
  RangeRequestSchema,
  ServerReflection,
  TxnRequestSchema,
  Watch,
} from "../../src/etcd/index.ts";
import { StatusError, TestClient } from "../../src/gateway/etcd/testing/client.contract.ts";
import { Frame, frame, grpcHead, grpcMessage, u32, Wire } from "../support/http2.ts";
import { Victim } from "../support/victim.ts";

let victim: Victim;
let client: TestClient;
const wires: Wire[] = [];
beforeAll(async () => {
  victim = await Victim.start();
  client = new TestClient(victim.port);
});
afterEach(async () => {
  for (const wire of wires.splice(0)) wire.close();
  await victim.goesOn();
});
afterAll(() => {
  client?.close();
  return victim?.close();
});

const services: readonly DescService[] = [Auth, KV, Watch, Lease, Cluster, Maintenance, Lock, Election, Health, ServerReflection];
const methods = (): readonly DescMethod[] => services.flatMap((service) => service.methods);
const pathOf = (method: DescMethod): string => `/${method.parent.typeName}/${method.name}`;
const range = pathOf(KV.method.range);

async function greet(): Promise<Wire> {
  const wire = await Wire.greet(victim.port);
  wires.push(wire);
  return wire;
}

/** One call on a stream: its body as it is, in pieces, with a short time of its own. Ends, or is reset by its client when it is a stream that goes on. */
async function call(wire: Wire, id: number, path: string, body: Uint8Array, timeout = "1000m"): Promise<void> {
  wire.send(frame(Frame.headers, 4, id, grpcHead(path, [["grpc-timeout", timeout]])));
  for (let at = 0; at < body.length; at += 16_000) wire.send(frame(Frame.data, 0, id, body.subarray(at, at + 16_000)));
  wire.send(frame(Frame.data, 1, id));
  expect(await wire.settled(id), `${path} ${Buffer.from(body.subarray(0, 200)).toString("hex")}`).toBe(true);
}

/** A message with a little of everything in it, as the definitions allow it. */
function anyMessage(schema: DescMessage, prng: Prng, depth = 0): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const field of schema.fields) {
    if (!prng.chance(1, 2)) continue;
    const tag = (wire: number): Uint8Array => varint(BigInt((field.number << 3) | wire));
    const delimited = (bytes: Uint8Array): Uint8Array => Buffer.concat([tag(2), varint(BigInt(bytes.length)), bytes]);
    if (field.message !== undefined) parts.push(delimited(depth > 4 ? new Uint8Array(0) : anyMessage(field.message, prng, depth + 1)));
    else if (field.scalar === 9 || field.scalar === 12) parts.push(delimited(prng.bytes(prng.pick([0, 1, 3, 20]))));
    else
      parts.push(Buffer.concat([tag(0), varint(prng.pick([0n, 1n, 2n, 77n, -1n, 1n << 31n, 1n << 53n, (1n << 63n) - 1n, -(1n << 63n)]))]));
  }
  return Buffer.concat(parts);
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

/** Ends the cluster's memory, or locks everybody out: nothing for a random body. */
const isHarmless = (method: DescMethod): boolean => method !== KV.method.compact && method !== Auth.method.authEnable;

describe("bodies", () => {
  it("of every method, random, mutated and cut", async () => {
    const prng = victim.prng.fork("bodies");
    for (const method of methods().filter(isHarmless)) {
      const wire = await greet();
      const calls: Promise<void>[] = [];
      for (let round = 0; round < 12; round++) {
        const body = Buffer.from(prng.chance(1, 4) ? prng.bytes(prng.below(40)) : anyMessage(method.input, prng));
        if (body.length > 0 && prng.chance(1, 3)) body[prng.below(body.length)] = prng.below(256);
        const cut = prng.chance(1, 4) ? body.subarray(0, prng.below(body.length + 1)) : body;
        calls.push(call(wire, 2 * round + 1, pathOf(method), grpcMessage(cut)));
      }
      await Promise.all(calls);
      expect(wire.goaway, pathOf(method)).toBeUndefined();
      wire.close();
    }
  });

  it("with prefixes that lie, none at all, or two messages where one belongs", async () => {
    const prng = victim.prng.fork("prefixes");
    const body = toBinary(RangeRequestSchema, create(RangeRequestSchema, { key: Buffer.from("a") }));
    const bad = [
      Buffer.alloc(0),
      Buffer.from([0]),
      Buffer.from([0, 0, 0, 0]),
      grpcMessage(body, 1),
      grpcMessage(body, 255),
      grpcMessage(body, 0, body.length + 1),
      grpcMessage(body, 0, 0xffff_ffff),
      grpcMessage(body, 0, 2 * 1024 * 1024 + 1),
      grpcMessage(body, 0, 0),
      Buffer.concat([grpcMessage(body), grpcMessage(body)]),
      Buffer.concat([grpcMessage(body), Buffer.from([0, 0])]),
    ];
    for (const method of [KV.method.range, KV.method.put, KV.method.rangeStream, Watch.method.watch, Lease.method.leaseKeepAlive]) {
      const wire = await greet();
      await Promise.all(bad.map((bytes, at) => call(wire, 2 * at + 1, pathOf(method), bytes)));
      await call(wire, 2 * bad.length + 1, pathOf(method), prng.bytes(50));
      expect(wire.goaway).toBeUndefined();
    }
  });

  it("nested a hundred thousand deep", async () => {
    const wire = await greet();
    // Each level is a transaction with one operation, which is a transaction.
    let body: Uint8Array = new Uint8Array(0);
    const pieces: Uint8Array[] = [];
    let length = 0;
    for (let depth = 0; depth < 100_000; depth++) {
      const inner = Buffer.concat([Uint8Array.of(0x22), varint(BigInt(length))]);
      const outer = Buffer.concat([Uint8Array.of(0x12), varint(BigInt(length + inner.length)), inner]);
      pieces.push(outer);
      length += outer.length;
    }
    body = Buffer.concat(pieces.reverse());
    await call(wire, 1, pathOf(KV.method.txn), grpcMessage(body));
    await call(wire, 3, pathOf(KV.method.txn), grpcMessage(body.subarray(0, 1_000_000)));
    expect(wire.goaway).toBeUndefined();
  });

  it("in frames of one byte", async () => {
    const wire = await greet();
    const key = Buffer.alloc(200_000, 1);
    const bytes = grpcMessage(toBinary(RangeRequestSchema, create(RangeRequestSchema, { key })));
    wire.send(frame(Frame.headers, 4, 1, grpcHead(range)));
    wire.send(Buffer.concat(Array.from(bytes, (byte) => frame(Frame.data, 0, 1, [byte]))), frame(Frame.data, 1, 1));
    expect(await wire.settled(1, 30_000)).toBe(true);
  });
});

async function refusal(work: Promise<unknown>): Promise<StatusError | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(StatusError);
    return error as StatusError;
  }
}

describe("numbers and names that nobody means", () => {
  const key = Buffer.from("k");
  const huge = (1n << 63n) - 1n;

  it.each<readonly [string, MessageInitShape<typeof RangeRequestSchema>, number | undefined]>([
    ["an end before the start", { key: Buffer.from("b"), rangeEnd: Buffer.from("a") }, undefined],
    ["a negative limit", { key, rangeEnd: Buffer.from("\0"), limit: -5n }, undefined],
    ["a limit beyond all numbers", { key, rangeEnd: Buffer.from("\0"), limit: huge }, undefined],
    ["a negative revision", { key, revision: -1n }, undefined],
    ["a revision of the future", { key, revision: huge }, 11],
    ["a key of 1 MiB", { key: Buffer.alloc(1024 * 1024, 1) }, undefined],
    ["an order that is none", { key, sortOrder: 9 as never }, 3],
    ["a target that is none", { key, sortTarget: -1 as never }, 3],
    ["bounds the wrong way round", { key, rangeEnd: Buffer.from("\0"), minModRevision: 9n, maxModRevision: 1n }, undefined],
    ["a negative bound", { key, rangeEnd: Buffer.from("\0"), minCreateRevision: -1n }, undefined],
    ["no key", {}, 3],
  ])("a range with %s", async (_name, request, code) => {
    expect((await refusal(client.call(KV.method.range, request)))?.code).toBe(code);
  });

  it("leases, watches, transactions and compactions", async () => {
    const codes = async (...calls: readonly Promise<unknown>[]): Promise<(number | undefined)[]> =>
      (await Promise.all(calls.map(refusal))).map((error) => error?.code);
    const calls = [
      client.call(Lease.method.leaseGrant, { TTL: huge }),
      client.call(Lease.method.leaseGrant, { TTL: -huge }),
      client.call(Lease.method.leaseRevoke, { ID: -99n }),
      client.call(Lease.method.leaseTimeToLive, { ID: -98n }),
      client.call(KV.method.put, { key, lease: -97n }),
      client.call(KV.method.put, { key, value: Buffer.from("v"), ignoreValue: true }),
      client.call(KV.method.compact, { revision: huge }),
      client.call(KV.method.compact, { revision: -1n }),
      client.call(KV.method.txn, { compare: Array.from({ length: 129 }, () => ({ key })) }),
      client.call(KV.method.txn, { success: [{}] }),
      client.call(KV.method.txn, {
        compare: [{ key, target: Compare_CompareTarget.VERSION, targetUnion: { case: "version", value: -huge } }],
      }),
      client.call(KV.method.put, { key, value: new Uint8Array(1_800_000) }),
      client.call(KV.method.put, { key, value: new Uint8Array(2_200_000) }),
    ];
    expect(await codes(...calls)).toEqual([11, undefined, 5, undefined, 5, 3, 11, 11, 3, 3, undefined, 3, 8]);
    const stream = client.open(Watch.method.watch);
    for (const value of [
      { key: Buffer.from("b"), rangeEnd: Buffer.from("a") },
      { key, startRevision: -1n },
    ]) {
      stream.send({ requestUnion: { case: "createRequest", value } });
      expect(await stream.next()).toMatchObject({ watchId: -1n, created: true, canceled: true });
    }
    // Far in the future it waits, and another one goes on beside it.
    stream.send({ requestUnion: { case: "createRequest", value: { key, startRevision: huge, watchId: -1n } } });
    stream.send({ requestUnion: { case: "cancelRequest", value: { watchId: 12345n } } });
    stream.send({ requestUnion: { case: "createRequest", value: { key: Buffer.from("beside"), watchId: 7n } } });
    for (;;) if ((await stream.next()).watchId === 7n) break;
    await client.call(KV.method.put, { key: Buffer.from("beside") });
    for (;;) if ((await stream.next()).events.length > 0) break;
    stream.cancel();
  });

  it("texts that are no UTF-8", async () => {
    const wire = await greet();
    const bad = Uint8Array.of(0x0a, 2, 0xff, 0xfe);
    let id = 1;
    for (const method of methods().filter(isHarmless)) {
      await call(wire, id, pathOf(method), grpcMessage(bad), "300m");
      id += 2;
    }
    expect(wire.goaway).toBeUndefined();
    const keys = await client.call(KV.method.put, { key: Uint8Array.of(0xff, 0xfe, 0, 0x80) });
    expect(keys.header?.revision).toBeGreaterThan(0n);
    expect(await refusal(client.call(Lock.method.lock, { name: Uint8Array.of(0xff), lease: 5n }))).toMatchObject({
      code: 2, // etcd's lock service passes on what its own client says, and that has no code
      text: "etcdserver: requested lease not found",
    });
  });

  it("an answer that somebody resets in the middle, a thousand times", async () => {
    const prng = victim.prng.fork("resets");
    const wire = await greet();
    const request = { requestUnion: { case: "createRequest", value: { key } } } as const;
    const watching = grpcMessage(toBinary(Watch.method.watch.input, create(Watch.method.watch.input, request)));
    const txn = grpcMessage(toBinary(TxnRequestSchema, create(TxnRequestSchema, {})));
    for (let id = 1; id < 2000; id += 2) {
      const isWatch = prng.chance(1, 2);
      wire.send(frame(Frame.headers, 4, id, grpcHead(pathOf(isWatch ? Watch.method.watch : KV.method.txn))));
      wire.send(frame(Frame.data, isWatch ? 0 : 1, id, isWatch ? watching : txn));
      if (prng.chance(1, 4)) await wire.until(() => wire.ended.has(id), prng.below(5));
      wire.send(frame(Frame.reset, 0, id, u32(8)));
    }
    await wire.drained(5000);
    await call(wire, 2001, range, grpcMessage(Uint8Array.of(0x0a, 1, 0x61)));
    expect(wire.goaway).toBeUndefined();
  });
});
