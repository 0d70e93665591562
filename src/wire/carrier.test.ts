import { MessageChannel } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { Prng } from "../base/index.ts";
import { NodeClock, NodeStreams } from "../platform/node/index.ts";
import type { Stream } from "../ports/index.ts";
import { SimWorld } from "../sim/index.ts";
import { carrierContract } from "./carrier.contract.ts";
import type { CarrierHarness } from "./carrier.contract.ts";
import { MessagePortCarrier, StreamCarrier, directCarrierPair, encodeHello, protocolVersion } from "./index.ts";
import type { ByteStream, ByteStreamHandlers, PortLike } from "./index.ts";

const clock = new NodeClock();
const defer = (callback: () => void): void => clock.defer(callback);

async function until(done: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  do {
    if (performance.now() > end) throw new Error("it did not happen within 10 s");
    await new Promise((resolve) => setImmediate(resolve));
  } while (!done());
}

carrierContract("DirectCarrier", () => {
  const [near, far] = directCarrierPair(defer);
  return { near, far, until };
});

carrierContract("MessagePortCarrier", () => {
  const { port1, port2 } = new MessageChannel();
  return { near: new MessagePortCarrier(port1 as PortLike, defer), far: new MessagePortCarrier(port2 as PortLike, defer), until };
});

carrierContract("StreamCarrier over TCP", async () => {
  const streams = new NodeStreams();
  const accepted: Stream[] = [];
  const listener = await streams.listen({ host: "127.0.0.1", port: 0 }, (stream) => accepted.push(stream));
  const near = await streams.dial(listener.address, { timeoutMs: 1000, purpose: "client" });
  await until(() => accepted.length === 1);
  return {
    near: new StreamCarrier(near, defer),
    far: new StreamCarrier(accepted[0] as Stream, defer),
    until,
    close: () => listener.close(),
  };
});

async function simulated(): Promise<CarrierHarness> {
  const world = new SimWorld(1);
  const a = world.machine("a");
  const b = world.machine("b");
  const accepted: Stream[] = [];
  const { scheduler } = world;
  await scheduler.settle(b.streams.listen({ host: "b", port: 1 }, (stream) => accepted.push(stream)));
  const near = await scheduler.settle(a.streams.dial({ host: "b", port: 1 }, { timeoutMs: 1000, purpose: "client" }));
  await scheduler.until(() => accepted.length === 1);
  return {
    near: new StreamCarrier(near, (callback) => a.clock.defer(callback)),
    far: new StreamCarrier(accepted[0] as Stream, (callback) => b.clock.defer(callback)),
    until: async (done) => {
      const endMs = scheduler.nowMs + 60_000;
      do {
        if (scheduler.nowMs > endMs) throw new Error("it did not happen within 60 s");
        await scheduler.run(1);
      } while (!done());
    },
  };
}
carrierContract("StreamCarrier in the simulator", simulated);

/** A stream whose other side is the test. */
class FakeStream implements ByteStream {
  readonly peer = "test";
  bufferedBytes = 0;
  readonly written: Uint8Array[] = [];
  destroyed = false;
  handlers: ByteStreamHandlers | undefined;
  handle(handlers: ByteStreamHandlers): void {
    this.handlers = handlers;
  }
  write(bytes: Uint8Array): void {
    this.written.push(bytes.slice());
    this.bufferedBytes += bytes.length;
  }
  readonly calls: string[] = [];
  pause(): void {
    this.calls.push("pause");
  }
  resume(): void {
    this.calls.push("resume");
  }
  close(): void {
    this.calls.push("close");
  }
  destroy(): void {
    this.destroyed = true;
  }
}

describe("StreamCarrier", () => {
  const silent = { onFrame: () => undefined, onDrain: () => undefined, onClose: () => undefined };

  it("all frames of a turn travel in one write", () => {
    const stream = new FakeStream();
    const turn: (() => void)[] = [];
    const carrier = new StreamCarrier(stream, (callback) => turn.push(callback));
    carrier.handle(silent);
    for (let i = 0; i < 30; i++) carrier.send(Uint8Array.of(16, i, 0, 0, 0));
    expect(stream.written.length).toBe(0);
    for (const callback of turn) callback();
    expect(turn.length).toBe(1);
    expect(stream.written.map((bytes) => bytes.length)).toEqual([30 * 9]);
  });

  it("pieces of a large frame wait while the stream is full, and small frames overtake them", () => {
    const stream = new FakeStream();
    let turn: (() => void)[] = [];
    const run = (): void => {
      for (; turn.length > 0; ) for (const callback of turn.splice(0)) callback();
    };
    const carrier = new StreamCarrier(stream, (callback) => turn.push(callback));
    carrier.handle(silent);
    carrier.send(new Uint8Array(4_000_000).fill(16));
    run();
    const first = stream.bufferedBytes;
    expect(first).toBeLessThan(700_000);
    carrier.send(Uint8Array.of(16, 1, 0, 0, 0));
    run();
    expect(stream.bufferedBytes).toBe(first + 9);
    expect(carrier.bufferedBytes).toBeGreaterThan(4_000_000);
    while (carrier.bufferedBytes > 0) {
      stream.bufferedBytes = 0;
      stream.handlers?.onDrain();
      run();
      if (stream.bufferedBytes === 0) break;
    }
    expect(carrier.bufferedBytes).toBe(0);
    turn = [];
  });

  it("random bytes end the connection with a reason, and nothing else", () => {
    for (let seed = 0; seed < 50; seed++) {
      const random = new Prng(seed);
      const stream = new FakeStream();
      const carrier = new StreamCarrier(stream, () => undefined, { frameBytesMax: 2000 });
      let closed = "";
      carrier.handle({ ...silent, onClose: (reason) => (closed = reason) });
      for (let i = 0; i < 200 && !stream.destroyed; i++) stream.handlers?.onData(random.bytes(random.between(1, 50)));
      expect(stream.destroyed).toBe(true);
      stream.handlers?.onClose(undefined);
      expect(closed).toMatch(/^malformed: /);
    }
  });

  it("a side that has not introduced itself may be held to small frames", () => {
    const stream = new FakeStream();
    const carrier = new StreamCarrier(stream, () => undefined, { frameBytesMax: 4096 });
    const frames: number[] = [];
    carrier.handle({ ...silent, onFrame: (frame) => frames.push(frame.length) });
    const hello = encodeHello({
      versionMin: protocolVersion,
      versionMax: protocolVersion,
      purpose: "client",
      cluster: undefined,
      node: undefined,
      name: "",
      address: "",
      featureLevel: 1,
    });
    stream.handlers?.onData(new Uint8Array([hello.length, 0, 0, 0, ...hello, 0xff, 0xff, 0, 0]));
    expect(frames).toEqual([hello.length]);
    expect(stream.destroyed).toBe(true);
  });

  it("and is given the usual limit once it is admitted, within the same bytes", () => {
    const stream = new FakeStream();
    const carrier = new StreamCarrier(stream, () => undefined, { frameBytesMax: 100 });
    const frames: number[] = [];
    carrier.handle({
      ...silent,
      onFrame: (frame) => {
        frames.push(frame.length);
        carrier.admit({ lossy: true });
      },
    });
    stream.handlers?.onData(new Uint8Array([2, 0, 0, 0, 1, 1, 200, 0, 0, 0, ...new Uint8Array(200).fill(16)]));
    expect(frames).toEqual([2, 200]);
    expect(stream.destroyed).toBe(false);
  });

  it("a stream that ends within a frame says so", () => {
    const stream = new FakeStream();
    const carrier = new StreamCarrier(stream, () => undefined);
    let closed = "";
    carrier.handle({ ...silent, onClose: (reason) => (closed = reason) });
    stream.handlers?.onData(Uint8Array.of(9, 0, 0, 0, 16));
    stream.handlers?.onClose(undefined);
    expect(closed).toBe("closed in the middle of a frame");
  });

  it("output that nobody takes ends the connection before it fills the memory", () => {
    const stream = new FakeStream();
    const turn: (() => void)[] = [];
    const carrier = new StreamCarrier(stream, (callback) => turn.push(callback));
    carrier.handle(silent);
    for (let i = 0; i < 2000 && !stream.destroyed; i++) {
      carrier.send(new Uint8Array(60_000).fill(16));
      for (const callback of turn.splice(0)) callback();
    }
    expect(stream.destroyed).toBe(true);
  });

  it("between nodes: whole frames or none, though the network loses, repeats and reorders writes", async () => {
    const world = new SimWorld(11, { network: { lossPpm: 60_000, duplicatePpm: 60_000, reorderPpm: 60_000 } });
    const a = world.machine("a");
    const b = world.machine("b");
    const got = new Map<number, number>();
    let closed = "";
    await world.scheduler.settle(
      b.streams.listen({ host: "b", port: 1 }, (stream) => {
        new StreamCarrier(stream, (callback) => b.clock.defer(callback), { lossy: true }).handle({
          onFrame: (frame) => {
            const id = frame[1] as number;
            const size = id % 5 === 0 ? 200_000 + id : 50 + id;
            expect(frame.length).toBe(size);
            expect(frame.subarray(2).every((byte) => byte === id)).toBe(true);
            got.set(id, (got.get(id) ?? 0) + 1);
          },
          onDrain: () => undefined,
          onClose: (reason) => (closed = reason),
        });
      }),
    );
    const stream = await world.scheduler.settle(a.streams.dial({ host: "b", port: 1 }, { timeoutMs: 1000, purpose: "entries" }));
    const carrier = new StreamCarrier(stream, (callback) => a.clock.defer(callback));
    carrier.handle(silent);
    for (let id = 1; id < 250; id++) {
      carrier.send(new Uint8Array(id % 5 === 0 ? 200_000 + id : 50 + id).fill(id).fill(33, 0, 1));
      await world.scheduler.run(1);
    }
    await world.scheduler.run(5000);
    expect(closed).toBe("");
    expect(got.size).toBeGreaterThan(200);
    expect(got.size).toBeLessThan(249);
    expect([...got.values()].some((times) => times > 1)).toBe(true);
    expect([...got.keys()].some((id) => id % 5 === 0)).toBe(true);
  });
});
