import { once } from "node:events";
import { connect } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { connect as connectSocket } from "node:net";
import type { Socket } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { MalformedBytes } from "../../base/index.ts";
import { NodeHttp } from "../../platform/node/http.ts";
import { NodeClock } from "../../platform/node/index.ts";
import type { HttpExchange, HttpListener, HttpOptions } from "../../ports/index.ts";
import { Guard } from "./guard.ts";
import type { Share } from "./backlog.ts";
import { HeadDecoder, HeadTooLarge, encodeHead } from "./heads.ts";
import { Backlog, Connection } from "./index.ts";

const clock = new NodeClock({ ref: false });
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const defaults: HttpOptions = {
  headBytesMax: 16_384,
  streamsMax: 100,
  connectionsMax: 10,
  resetsMax: 50,
  outputBytesMax: 8 * 1024 * 1024,
  windowBytes: 65_536,
};

async function listen(accept: (exchange: HttpExchange) => void, options: Partial<HttpOptions> = {}): Promise<HttpListener> {
  const backlog = new Backlog({ ...defaults, ...options }.outputBytesMax);
  const http = new NodeHttp(
    (stream, subject, given, take, closed) => new Connection(stream, subject, { clock, options: given, backlog, accept: take, closed }),
  );
  const listener = await http.listen({ host: "127.0.0.1", port: 0 }, { ...defaults, ...options }, accept);
  closing.push(() => listener.stop(0));
  return listener;
}

function client(listener: HttpListener): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${listener.address.port}`);
  session.on("error", () => undefined);
  closing.push(() => session.destroy());
  return session;
}

/** Answers each request with its own body, whole. */
function echo(exchange: HttpExchange): void {
  const chunks: Uint8Array[] = [];
  exchange.handle({
    onData: (bytes) => chunks.push(bytes.slice()),
    onEnd: () =>
      exchange.reply(200, { "content-type": "x/y", path: exchange.path, seen: exchange.fields["seen"] ?? "" }, Buffer.concat(chunks), {
        done: "yes",
      }),
    onDrain: () => undefined,
    onClose: () => undefined,
  });
}

interface Answer {
  readonly head: Record<string, unknown>;
  readonly body: Buffer;
  readonly trailers: Record<string, unknown>;
}

async function read(stream: ClientHttp2Stream): Promise<Answer> {
  let head = {};
  let trailers = {};
  const chunks: Buffer[] = [];
  stream.on("response", (fields) => {
    head = fields;
  });
  stream.on("trailers", (fields) => {
    trailers = fields;
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "close");
  return { head, body: Buffer.concat(chunks), trailers };
}

function post(session: ClientHttp2Session, path: string, body: Uint8Array, fields: Record<string, string> = {}): Promise<Answer> {
  const stream = session.request({ ":method": "POST", ":path": path, ...fields });
  stream.on("error", () => undefined);
  stream.end(body);
  return read(stream);
}

const frame = (type: number, flags: number, id: number, payload: readonly number[]): Buffer =>
  Buffer.from([payload.length >>> 16, payload.length >>> 8, payload.length & 255, type, flags, 0, 0, 0, id, ...payload]);
const greeting = Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0, [])]);

/** Sends bytes and gives what comes back until the other side ends. */
async function raw(listener: HttpListener, bytes: Uint8Array): Promise<Buffer> {
  const socket: Socket = connectSocket(listener.address.port, "127.0.0.1");
  closing.push(() => socket.destroy());
  socket.on("error", () => undefined);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.write(bytes);
  await once(socket, "close");
  return Buffer.concat(chunks);
}

/** The code of the goaway among frames; undefined when there is none. */
function goawayOf(bytes: Buffer): number | undefined {
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) if (bytes[at + 3] === 7) return bytes.readUInt32BE(at + 13);
  return undefined;
}

describe("HTTP/2 with another implementation's client", () => {
  it("brings bodies of any size through windows of any size, many at a time, heads and trailers whole", async () => {
    const session = client(await listen(echo));
    const sizes = [0, 1, 16_384, 16_385, 65_535, 65_537, 300_000, 2_000_000];
    const answers = await Promise.all(
      sizes.map((size, at) =>
        post(session, `/echo/${at}`, Buffer.alloc(size, at), { seen: "ä§".repeat(at).replace(/[^ -~]/g, "~"), long: "v".repeat(300) }),
      ),
    );
    answers.forEach(({ head, body, trailers }, at) => {
      expect(head).toMatchObject({ ":status": 200, path: `/echo/${at}` });
      expect(body.equals(Buffer.alloc(sizes[at] ?? 0, at))).toBe(true);
      expect(trailers).toMatchObject({ done: "yes" });
    });
  });

  it("keeps what its client does not read, and goes on when it does", async () => {
    let drained = 0;
    let buffered = 0;
    const session = client(
      await listen((exchange) => {
        exchange.handle({ onData: () => undefined, onEnd: () => undefined, onDrain: () => drained++, onClose: () => undefined });
        exchange.begin(200, {});
        for (let i = 0; i < 8; i++) exchange.write(Buffer.alloc(100_000, i));
        buffered = exchange.bufferedBytes;
        exchange.handle({
          onData: () => undefined,
          onEnd: () => undefined,
          onDrain: () => {
            drained++;
            exchange.end();
          },
          onClose: () => undefined,
        });
      }),
    );
    const stream = session.request({ ":method": "GET", ":path": "/" });
    await once(stream, "response");
    expect(buffered).toBeGreaterThan(600_000);
    const { body } = await read(stream);
    expect([body.length, drained]).toEqual([800_000, 1]);
  });

  it("tells a request that was cancelled, and one whose connection is gone", async () => {
    const closes: boolean[] = [];
    const told = new Promise<void>((resolve) => {
      listen((exchange) => {
        exchange.handle({
          onData: () => undefined,
          onEnd: () => undefined,
          onDrain: () => undefined,
          onClose: (complete) => {
            closes.push(complete);
            if (closes.length === 2) resolve();
          },
        });
      }).then((listener) => {
        const session = client(listener);
        const one = session.request({ ":method": "POST", ":path": "/" });
        session.request({ ":method": "POST", ":path": "/" }).on("error", () => undefined);
        one.on("error", () => undefined);
        one.close(8, () => session.destroy());
      }, resolve);
    });
    await told;
    expect(closes).toEqual([false, false]);
  });

  it("pauses who sends faster than is taken, within the window", async () => {
    let held: HttpExchange | undefined;
    let taken = 0;
    const session = client(
      await listen((exchange) => {
        held = exchange;
        exchange.pause();
        exchange.handle({
          onData: (bytes) => {
            taken += bytes.length;
          },
          onEnd: () => exchange.reply(200, {}, undefined),
          onDrain: () => undefined,
          onClose: () => undefined,
        });
      }),
    );
    const answer = post(session, "/", Buffer.alloc(500_000));
    await expect.poll(() => held).toBeDefined();
    expect(taken).toBe(0);
    held?.resume();
    expect((await answer).head).toMatchObject({ ":status": 200 });
    expect(taken).toBe(500_000);
  });

  it("answers pings, and ends in order when it stops", async () => {
    const listener = await listen(echo);
    const session = client(listener);
    await once(session, "connect");
    await new Promise<void>((resolve, reject) => session.ping((error) => (error ? reject(error) : resolve())));
    const left = once(session, "goaway");
    await listener.stop(1000);
    expect((await left)[0]).toBe(0);
  });
});

describe("frames of no use", () => {
  it("are free as long as they answer what we send: a client that only watches may ping for ever", () => {
    let nowMs = 0;
    const guard = new Guard(() => nowMs, 50);
    for (let i = 0; i < 50_000; i++) {
      guard.countData();
      guard.countIdle();
    }
    // And a few now and then, without any data: keep-alives of months.
    for (let i = 0; i < 50_000; i++, nowMs += 10_000) guard.countIdle();
    expect(() => {
      for (let i = 0; i <= 10_000; i++) guard.countIdle();
    }).toThrow("frames of no use");
  });
});

describe("answers that nobody takes", () => {
  it("are bounded for all connections together: the one with most of them goes", () => {
    const KiB = 1024;
    const backlog = new Backlog(100 * KiB);
    const gone: string[] = [];
    const [a, b, c] = ["a", "b", "c"].map((name) => backlog.share({ letGo: () => gone.push(name) })) as [Share, Share, Share];
    a.note(30 * KiB);
    b.note(50 * KiB);
    c.note(20 * KiB);
    expect(gone).toEqual([]);
    c.note(21 * KiB);
    expect(gone).toEqual(["b"]);
    b.note(0);
    // Little is not counted.
    c.note(100);
    expect(backlog.bytes).toBe(30 * KiB);
  });
});

describe("HTTP/2 against what nobody should send", () => {
  it("ends a request whose trailers are too large", async () => {
    const closes: boolean[] = [];
    const listener = await listen((exchange) =>
      exchange.handle({ onData: () => undefined, onEnd: () => undefined, onDrain: () => undefined, onClose: (all) => closes.push(all) }),
    );
    const trailers = [0, 1, 0x78, 127, 0xa1, 0x7f, ...Array<number>(16_160).fill(0x79)];
    const frames = [
      frame(1, 4, 1, [0x83, 0x86, 0x84]),
      frame(1, 1, 1, trailers),
      frame(9, 4, 1, [0, 1, 0x7a, 100, ...Array<number>(100).fill(0x79)]),
    ];
    const answer = raw(listener, Buffer.concat([greeting, ...frames]));
    await expect.poll(() => closes).toEqual([false]);
    await listener.stop(0);
    await answer;
  });

  it("takes fields by the names that every object has", () => {
    const text = (value: string): number[] => [value.length, ...Buffer.from(value)];
    const names = ["constructor", "tostring", "__proto__", "valueof"];
    const block = [0x83, 0x86, 0x84, ...[...names, "constructor"].flatMap((name) => [0, ...text(name), ...text("x")])];
    const { fields, malformed } = new HeadDecoder(10_000).decode(Uint8Array.from(block));
    expect(malformed).toBe(false);
    expect([fields["constructor"], fields["tostring"], fields["valueof"]]).toEqual(["x, x", "x", "x"]);
  });

  it("closes a connection that resets its streams, with ENHANCE_YOUR_CALM", async () => {
    const listener = await listen(echo);
    const head = [0x83, 0x86, 0x84];
    const frames: Buffer[] = [greeting];
    for (let i = 0; i < 60; i++) frames.push(frame(1, 4, 2 * i + 1, head), frame(3, 0, 2 * i + 1, [0, 0, 0, 8]));
    expect(goawayOf(await raw(listener, Buffer.concat(frames)))).toBe(11);
  });

  it.each([
    ["a head without end", [frame(1, 0, 1, [0x83]), ...Array.from({ length: 10 }, () => frame(9, 0, 1, Array<number>(8000).fill(0)))], 11],
    ["pings without end", Array.from({ length: 10_100 }, () => frame(6, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8])), 11],
    ["empty data without end", [frame(1, 4, 1, [0x83, 0x86, 0x84]), ...Array.from({ length: 10_100 }, () => frame(0, 0, 1, []))], 11],
    ["a frame that is too large", [Buffer.from([0x10, 0, 0, 0, 0, 0, 0, 0, 1])], 6],
    ["a table's field that is not there", [frame(1, 5, 1, [0xff, 0x80, 0x01])], 9],
    ["a stream of even number", [frame(1, 5, 2, [0x83, 0x86, 0x84])], 1],
    ["data of no stream", [frame(0, 0, 5, [1])], 1],
    ["settings that are cut", [frame(4, 0, 0, [0, 4, 0])], 6],
    ["a window that overflows", [frame(8, 0, 0, [0x7f, 0xff, 0xff, 0xff])], 3],
    ["padding longer than its frame", [frame(1, 4, 1, [0x83, 0x86, 0x84]), frame(0, 8, 1, [9, 1])], 1],
  ])("%s", async (_name, frames, code) => {
    const answer = await raw(await listen(echo), Buffer.concat([greeting, ...frames]));
    expect(goawayOf(answer)).toBe(code);
  });

  it("closes a connection that leaves too much unread", async () => {
    let written = 0;
    const listener = await listen(
      (exchange) => {
        exchange.handle({ onData: () => undefined, onEnd: () => undefined, onDrain: () => undefined, onClose: () => undefined });
        exchange.begin(200, {});
        for (let i = 0; i < 20; i++, written++) exchange.write(new Uint8Array(1024 * 1024));
      },
      { outputBytesMax: 4 * 1024 * 1024 },
    );
    const answer = await raw(listener, Buffer.concat([greeting, frame(1, 5, 1, [0x83, 0x86, 0x84])]));
    expect(goawayOf(answer)).toBe(11);
    expect(written).toBe(20);
  });

  it("outlives arbitrary bytes", async () => {
    const listener = await listen(echo);
    const anyFrame = fc
      .tuple(
        fc.integer({ min: 0, max: 12 }),
        fc.integer({ min: 0, max: 255 }),
        fc.integer({ min: 0, max: 7 }),
        fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 60 }),
      )
      .map(([type, flags, id, payload]) => frame(type, flags, id, payload));
    await fc.assert(
      fc.asyncProperty(fc.array(anyFrame, { maxLength: 20 }), async (frames) => {
        const socket = connectSocket(listener.address.port, "127.0.0.1");
        socket.on("error", () => undefined);
        socket.resume();
        socket.end(Buffer.concat([greeting, ...frames]));
        await once(socket, "close");
      }),
      { numRuns: 200 },
    );
    expect((await post(client(listener), "/after", Buffer.from("x"))).body.toString()).toBe("x");
  });

  it("reads heads of arbitrary bytes as a head, too large or malformed, and fails in no other way", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 5 }), (blocks) => {
        const decoder = new HeadDecoder(200);
        for (const block of blocks) {
          try {
            decoder.decode(block);
          } catch (error) {
            expect(error instanceof MalformedBytes || error instanceof HeadTooLarge).toBe(true);
            if (error instanceof MalformedBytes) return;
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("decodes the examples of RFC 7541, and what it encodes itself", () => {
    const decoder = new HeadDecoder(10_000);
    const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
    // C.4: three requests on one connection, with Huffman texts.
    expect(decoder.decode(hex("828684418cf1e3c2e5f23a6ba0ab90f4ff"))).toMatchObject({
      method: "GET",
      path: "/",
      fields: { host: "www.example.com" },
    });
    expect(decoder.decode(hex("828684be5886a8eb10649cbf"))).toMatchObject({
      fields: { host: "www.example.com", "cache-control": "no-cache" },
    });
    expect(decoder.decode(hex("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"))).toMatchObject({
      path: "/index.html",
      fields: { host: "www.example.com", "custom-key": "custom-value" },
    });
    const block = encodeHead(0, { "grpc-status": "13", "grpc-message": "m".repeat(500) });
    expect(decoder.decode(block).fields).toMatchObject({ "grpc-status": "13", "grpc-message": "m".repeat(500) });
  });
});
