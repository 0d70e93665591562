/** HTTP/2 as nobody should speak it, at the etcd gateway: each connection is answered or closed, and the node goes on within its memory. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Prng } from "../../src/base/index.ts";
import { Frame, frame, grpcHead, grpcMessage, headBlock, preface, settings, u32, Wire } from "../support/http2.ts";
import { Victim } from "../support/victim.ts";

let victim: Victim;
const wires: Wire[] = [];
beforeAll(async () => {
  victim = await Victim.start();
});
afterEach(async () => {
  for (const wire of wires.splice(0)) wire.close();
  await victim.goesOn();
});
afterAll(() => victim?.close());

const range = "/etcdserverpb.KV/Range";
const watch = "/etcdserverpb.Watch/Watch";
/** Range of the key "a". */
const body = Uint8Array.of(0x0a, 1, 0x61);
const calm = 11;

async function greet(...pairs: readonly (readonly [number, number])[]): Promise<Wire> {
  const wire = await Wire.greet(victim.port, ...pairs);
  wires.push(wire);
  return wire;
}

/** What a client says that does nothing wrong: three calls. */
function conversation(): Buffer {
  const calls = [1, 3, 5].flatMap((id) => [frame(Frame.headers, 4, id, grpcHead(range)), frame(Frame.data, 1, id, grpcMessage(body))]);
  return Buffer.concat([preface, settings(), ...calls, frame(Frame.ping, 0, 0, Buffer.alloc(8))]);
}

/** Sends it in pieces, ends in order or not, and waits until the other side has closed. */
async function sendAll(bytes: Uint8Array, prng: Prng): Promise<void> {
  const wire = await Wire.open(victim.port);
  wires.push(wire);
  for (let at = 0; at < bytes.length; ) {
    const end = at + prng.between(1, Math.max(1, bytes.length - at));
    wire.send(bytes.subarray(at, end));
    at = end;
  }
  if (prng.chance(1, 2)) wire.socket.end();
  else {
    await wire.until(() => wire.goaway !== undefined, 20);
    wire.close();
  }
  await wire.until(() => wire.closed);
  expect(wire.closed).toBe(true);
}

describe("bytes", () => {
  it("cut anywhere, flipped, and put in anywhere", async () => {
    const prng = victim.prng.fork("bytes");
    const whole = conversation();
    for (let round = 0; round < 300; round++) {
      let bytes = Buffer.from(whole);
      for (let flips = prng.below(6); flips > 0; flips--) {
        const at = prng.below(bytes.length);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << prng.below(8));
      }
      if (prng.chance(1, 3)) {
        const at = prng.below(bytes.length);
        bytes = Buffer.concat([bytes.subarray(0, at), prng.bytes(prng.below(100)), bytes.subarray(at)]);
      }
      await sendAll(prng.chance(1, 2) ? bytes.subarray(0, prng.below(bytes.length)) : bytes, prng);
    }
  });

  it("at random behind the preface, and frames of any type, flags, stream and length", async () => {
    const prng = victim.prng.fork("random");
    for (let round = 0; round < 300; round++) {
      if (prng.chance(1, 4)) {
        await sendAll(Buffer.concat([preface, prng.bytes(prng.below(2000))]), prng);
        continue;
      }
      const frames: Buffer[] = [conversation()];
      for (let count = prng.below(30); count > 0; count--) {
        const stream = prng.pick([0, 1, 3, 7, 7, 9, 2, 0x7fff_ffff]);
        const type = prng.below(12);
        // Some heads are heads, so that streams are opened.
        const payload = type === Frame.headers && prng.chance(1, 2) ? grpcHead(prng.pick([range, watch])) : prng.bytes(prng.below(60));
        frames.push(frame(type, prng.below(256), stream, payload));
      }
      await sendAll(Buffer.concat(frames), prng);
    }
  });
});

describe("floods of one client, which reads nothing", () => {
  /** Sends frames until the other side hangs up or `bytesMax` are gone; whether it hung up. */
  async function flood(bytes: Buffer, bytesMax: number): Promise<Wire> {
    const wire = await greet();
    wire.socket.pause();
    for (let sent = 0; sent < bytesMax && !wire.closed; sent += bytes.length) {
      wire.send(bytes);
      if (!(await wire.drained(3000))) break;
    }
    wire.socket.resume();
    return wire;
  }
  const many = (count: number, make: (at: number) => Buffer): Buffer => Buffer.concat(Array.from({ length: count }, (_, at) => make(at)));
  const MiB = 1024 * 1024;

  it.each([
    ["pings", () => many(1000, () => frame(Frame.ping, 0, 0, Buffer.alloc(8)))],
    ["settings", () => many(1000, () => settings([4, 65_535]))],
    ["priorities", () => many(1000, () => frame(Frame.priority, 0, 1, Buffer.alloc(5)))],
    ["frames of no type", () => many(1000, () => frame(200, 0, 0, Buffer.alloc(5)))],
    [
      "a head that goes on for ever",
      () => Buffer.concat([frame(Frame.headers, 0, 1, grpcHead(range)), many(5000, () => frame(9, 0, 1, []))]),
    ],
    [
      "large pieces of one head",
      () => Buffer.concat([frame(Frame.headers, 0, 1, []), many(100, () => frame(9, 0, 1, Buffer.alloc(16_000)))]),
    ],
  ])("%s: ENHANCE_YOUR_CALM", async (_name, make) => {
    const wire = await flood(make(), 64 * MiB);
    expect(await wire.until(() => wire.closed)).toBe(true);
    expect(wire.goaway).toBe(calm);
  });

  it("streams opened and reset at once: ENHANCE_YOUR_CALM", async () => {
    const wire = await greet();
    let id = 1;
    for (let round = 0; round < 100 && !wire.closed; round++) {
      wire.send(
        many(1000, () => {
          const opened = frame(Frame.headers, 4, id, grpcHead(watch));
          const reset = frame(Frame.reset, 0, id, u32(8));
          id += 2;
          return Buffer.concat([opened, reset]);
        }),
      );
      await wire.drained(5000);
    }
    expect(await wire.until(() => wire.closed)).toBe(true);
    expect(wire.goaway).toBe(calm);
  });

  it("calls whose refusals nobody reads, with pings between, which a call does not make useful: ENHANCE_YOUR_CALM", async () => {
    const wire = await greet();
    wire.socket.pause();
    const head = grpcHead(`/nobody.Knows/${"it".repeat(2000)}`);
    let id = 1;
    for (let round = 0; round < 50 && !wire.closed; round++) {
      wire.send(
        many(100, () => {
          const call = frame(Frame.headers, 5, id, head);
          id += 2;
          return Buffer.concat([call, many(20, () => frame(Frame.ping, 0, 0, Buffer.alloc(8)))]);
        }),
      );
      if (!(await wire.drained(3000))) break;
    }
    wire.socket.resume();
    expect(await wire.until(() => wire.closed)).toBe(true);
    expect(wire.goaway).toBe(calm);
  });

  it("windows that overflow: of a stream, the stream is reset; of the connection, it is closed", async () => {
    const wire = await greet();
    wire.send(frame(Frame.headers, 4, 1, grpcHead(watch)), frame(Frame.windowUpdate, 0, 1, u32(0x7fff_ffff)));
    expect(await wire.settled(1)).toBe(true);
    expect(wire.goaway).toBeUndefined();
    wire.send(frame(Frame.windowUpdate, 0, 0, u32(0x7fff_ffff)));
    expect(await wire.until(() => wire.goaway !== undefined)).toBe(true);
    expect(wire.goaway).toBe(3);
    const other = await greet();
    other.send(frame(Frame.headers, 4, 1, grpcHead(watch)), settings([4, 0x8000_0000]));
    await other.until(() => other.goaway !== undefined);
    expect(other.goaway).toBe(3);
  });
});

describe("heads", () => {
  it.each([
    ["of another content type", [["content-type", "text/plain"]]],
    [
      "with a length of nonsense",
      [
        ["content-type", "application/grpc"],
        ["content-length", "-5"],
      ],
    ],
    [
      "with a timeout of nonsense",
      [
        ["content-type", "application/grpc"],
        ["grpc-timeout", "soon"],
      ],
    ],
    [
      "with a timeout of the past",
      [
        ["content-type", "application/grpc"],
        ["grpc-timeout", "0n"],
      ],
    ],
    [
      "with a compression that nobody has",
      [
        ["content-type", "application/grpc"],
        ["grpc-encoding", "snappy"],
      ],
    ],
    ["with names in upper case", [["Content-Type", "application/grpc"]]],
    [
      "with names that every object has",
      [
        ["constructor", "a"],
        ["__proto__", "b"],
        ["hasownproperty", "c"],
        ["content-type", "application/grpc"],
      ],
    ],
    ["with a thousand fields", Array.from({ length: 1000 }, (_, at) => [`x-${at}`, "y"])],
    [
      "with a field of 100 KiB",
      [
        ["x", "y".repeat(14_000)],
        ["z", "y".repeat(14_000)],
      ],
    ],
    [
      "with bytes that are no text",
      [
        ["content-type", "application/grpc"],
        ["x-bin", "\xff\xfe\x00\n\r"],
      ],
    ],
  ] as const)("%s are answered or refused", async (_name, fields) => {
    const wire = await greet();
    const pseudo = [
      [":method", "POST"],
      [":scheme", "http"],
      [":path", range],
    ] as const;
    const head = headBlock([...pseudo, ...(fields as readonly (readonly [string, string])[])]);
    const pieces = [frame(Frame.headers, head.length <= 16_000 ? 4 : 0, 1, head.subarray(0, 16_000))];
    if (head.length > 16_000) pieces.push(frame(Frame.continuation, 4, 1, head.subarray(16_000, 32_000)));
    wire.send(...pieces, frame(Frame.data, 1, 1, grpcMessage(body)));
    expect(await wire.settled(1)).toBe(true);
  });

  it.each([
    "",
    "/",
    "//",
    "/KV",
    "/etcdserverpb.KV/",
    "/etcdserverpb.KV/Nothing",
    "/\xff\xfe/\xff",
    `/${"x".repeat(8000)}/y`,
    "/v3/kv/range",
    "*",
    "/%00/%",
  ])("for %j are answered or refused", async (path) => {
    const wire = await greet();
    wire.send(frame(Frame.headers, 4, 1, grpcHead(path)), frame(Frame.data, 1, 1, grpcMessage(body)));
    expect(await wire.settled(1)).toBe(true);
  });

  it.each(["GET", "HEAD", "CONNECT", "OPTIONS", "DELETE", ""])("with the method %j are answered or refused", async (method) => {
    const wire = await greet();
    for (const [id, type] of [
      [1, "application/grpc"],
      [3, "application/json"],
    ] as const) {
      const head = headBlock([
        [":method", method],
        [":scheme", "http"],
        [":path", id === 1 ? range : "/v3/kv/range"],
        ["content-type", type],
      ]);
      wire.send(frame(Frame.headers, 5, id, head));
      expect(await wire.settled(id)).toBe(true);
    }
  });

  it("trailers that are too large end their request", async () => {
    const wire = await greet();
    wire.send(frame(Frame.headers, 4, 1, grpcHead(watch)));
    const large = headBlock([["x", "y".repeat(10_000)]]);
    const trailers = Buffer.concat([large, large]);
    wire.send(frame(Frame.headers, 1, 1, trailers.subarray(0, 16_000)), frame(Frame.continuation, 4, 1, trailers.subarray(16_000)));
    expect(await wire.settled(1)).toBe(true);
    // The connection goes on.
    wire.send(frame(Frame.headers, 4, 3, grpcHead(range)), frame(Frame.data, 1, 3, grpcMessage(body)));
    expect(await wire.settled(3)).toBe(true);
    expect(wire.goaway).toBeUndefined();
  });
});
