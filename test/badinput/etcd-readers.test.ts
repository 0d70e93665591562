/** Clients of the etcd gateway that take nothing, never end what they begin, or open more than they need: memory stays bounded, others are served. */
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { KV, Lease, PutRequestSchema, RangeRequestSchema, Watch } from "../../src/etcd/index.ts";
import { TestClient } from "../../src/gateway/etcd/testing/client.contract.ts";
import { Frame, frame, grpcHead, grpcMessage, u32, Wire } from "../support/http2.ts";
import { Victim } from "../support/victim.ts";

const MiB = 1024 * 1024;
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

const paths = { range: "/etcdserverpb.KV/Range", put: "/etcdserverpb.KV/Put", watch: "/etcdserverpb.Watch/Watch" } as const;

async function greet(...pairs: readonly (readonly [number, number])[]): Promise<Wire> {
  const wire = await Wire.greet(victim.port, ...pairs);
  wires.push(wire);
  return wire;
}

const watchOf = (key: string, end: string): Buffer => {
  const value = { key: Buffer.from(key), rangeEnd: Buffer.from(end), prevKv: true };
  const request = create(Watch.method.watch.input, { requestUnion: { case: "createRequest", value } });
  return grpcMessage(toBinary(Watch.method.watch.input, request));
};
const rangeOf = (key: string, end: string): Buffer =>
  grpcMessage(toBinary(RangeRequestSchema, create(RangeRequestSchema, { key: Buffer.from(key), rangeEnd: Buffer.from(end) })));

describe("answers that nobody takes", () => {
  it("watches while 300 MB of events pass, in every way not to read them", async () => {
    // A window of none, a socket that is not read, and a window that opens byte by byte.
    const closed = await greet([4, 0]);
    const stopped = await greet([4, 0x7fff_ffff]);
    stopped.send(frame(Frame.windowUpdate, 0, 0, u32(0x7ffe_0000)));
    const slow = await greet([4, 0]);
    for (const wire of [closed, stopped, slow]) {
      for (let id = 1; id < 41; id += 2)
        wire.send(frame(Frame.headers, 4, id, grpcHead(paths.watch)), frame(Frame.data, 0, id, watchOf("w/", "w0")));
    }
    await closed.until(() => false, 300);
    stopped.socket.pause();
    const value = new Uint8Array(MiB);
    for (let i = 0; i < 300; i++) {
      value.fill(i);
      const { header } = await client.call(KV.method.put, { key: Buffer.from(`w/${i % 8}`), value });
      slow.send(...Array.from({ length: 20 }, (_, at) => frame(Frame.windowUpdate, 0, 2 * at + 1, u32(1))));
      if (i % 40 === 39) await client.call(KV.method.compact, { revision: header?.revision ?? 0n });
    }
    expect(client.session.closed).toBe(false);
    await client.call(KV.method.deleteRange, { key: Buffer.from("w/"), rangeEnd: Buffer.from("w0") });
  });

  it("ranges of 4 MiB through windows of none, hundreds at a time, on many connections", async () => {
    for (let i = 0; i < 4; i++) await client.call(KV.method.put, { key: Buffer.from(`r/${i}`), value: new Uint8Array(MiB) });
    const request = rangeOf("r/", "r0");
    for (let count = 0; count < 8; count++) {
      const wire = await greet([4, 0]);
      for (let id = 1; id < 101; id += 2) wire.send(frame(Frame.headers, 4, id, grpcHead(paths.range)), frame(Frame.data, 1, id, request));
      await wire.drained(5000);
    }
    // Somebody who reads is served meanwhile.
    for (let i = 0; i < 10; i++) expect(await victim.put()).toBeLessThan(10_000);
  });

  it("one update of a window does not cost work for each of ten thousand answers that wait", async () => {
    const wire = await greet([4, 0]);
    const request = rangeOf("r/", "");
    const head = grpcHead(paths.range);
    for (let id = 1; id < 20_000; id += 2) wire.send(frame(Frame.headers, 4, id, head), frame(Frame.data, 1, id, request));
    await wire.drained(10_000);
    await victim.put();
    const update = frame(Frame.windowUpdate, 0, 0, u32(1));
    const settings = frame(Frame.settings, 0, 0, [0, 4, 0, 0, 0, 0]);
    wire.send(Buffer.concat(Array.from({ length: 20_000 }, () => update)), Buffer.concat(Array.from({ length: 1000 }, () => settings)));
    expect(await victim.put()).toBeLessThan(5_000);
  });
});

describe("what is begun and never ended", () => {
  it("requests of 1.5 MiB without their last byte, thousands at a time", async () => {
    const put = create(PutRequestSchema, { key: Buffer.from("partial"), value: new Uint8Array(1_500_000) });
    const message = grpcMessage(toBinary(PutRequestSchema, put));
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < message.length - 1; at += 16_000) pieces.push(message.subarray(at, Math.min(at + 16_000, message.length - 1)));
    for (let count = 0; count < 5; count++) {
      const wire = await greet();
      for (let id = 1; id < 200 && !wire.closed; id += 2) {
        // Within its window, which a client that obeys waits for; this one does so by taking its time.
        wire.send(frame(Frame.headers, 4, id, grpcHead(paths.put)));
        for (const piece of pieces) wire.send(frame(Frame.data, 0, id, piece));
        await wire.drained(2000);
      }
    }
    expect(await victim.put()).toBeLessThan(10_000);
  });

  it("the same in frames of one byte", async () => {
    const message = grpcMessage(new Uint8Array(100_000), 0, 1_500_000);
    const tiny = (id: number): Buffer => Buffer.concat(Array.from(message, (byte) => frame(Frame.data, 0, id, [byte])));
    const wire = await greet();
    for (let id = 1; id < 60 && !wire.closed; id += 2) {
      wire.send(frame(Frame.headers, 4, id, grpcHead(paths.put)), tiny(id));
      await wire.drained(5000);
    }
    expect(await victim.put()).toBeLessThan(10_000);
  });

  it("tens of thousands of streams that say nothing, and of watches on one stream", async () => {
    for (let count = 0; count < 4; count++) {
      const wire = await greet();
      for (let id = 1; id < 30_000; id += 2)
        wire.send(frame(Frame.headers, 4, id, grpcHead(id % 4 === 1 ? paths.watch : "/etcdserverpb.Lease/LeaseKeepAlive")));
      await wire.drained(10_000);
    }
    const wire = await greet();
    wire.send(frame(Frame.headers, 4, 1, grpcHead(paths.watch)));
    for (let at = 0; at < 50_000; at += 100) {
      wire.send(frame(Frame.data, 0, 1, Buffer.concat(Array.from({ length: 100 }, (_, one) => watchOf(`many/${at + one}`, "")))));
      await wire.drained(10_000);
    }
    await victim.put();
    // It still tells what it watches, or has said that it is too much.
    await client.call(KV.method.put, { key: Buffer.from("many/7"), value: Buffer.from("1") });
  });

  it("leases without number, and keep-alives of them", async () => {
    const stream = client.open(Lease.method.leaseKeepAlive);
    stream.http.on("error", () => undefined);
    for (let id = 1n; id <= 5_000n; id++) stream.send({ ID: id });
    expect(await victim.put()).toBeLessThan(10_000);
    stream.cancel();
  });
});
