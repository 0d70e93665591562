import { connect } from "node:http2";
import { get } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { Prng } from "../../base/index.ts";
import { NodeHttp } from "../../platform/node/http.ts";
import { NodeClock } from "../../platform/node/index.ts";
import type { HttpExchange, HttpListener } from "../../ports/index.ts";
import { Output } from "./frames.ts";
import { Backlog, Connection } from "./index.ts";

const clock = new NodeClock({ ref: false });
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const pieces = 3_000;
const pieceBytes = 200;

/** Answers with numbered pieces, all in one buffer that is written over for each, now and then with some of its own between. */
function lend(exchange: HttpExchange): void {
  const prng = new Prng(exchange.path);
  exchange.handle({ onData: () => undefined, onEnd: () => undefined, onDrain: () => undefined, onClose: () => undefined });
  exchange.begin(200, {});
  const buffer = new Uint8Array(pieceBytes);
  for (let i = 0; i < pieces; i++) {
    const lent = prng.chance(4, 5);
    const bytes = lent ? buffer : new Uint8Array(pieceBytes);
    bytes.fill(i & 0xff);
    if (lent) exchange.writeLent(bytes);
    else exchange.write(bytes);
  }
  buffer.fill(0xee);
  exchange.end();
}

async function listen(): Promise<HttpListener> {
  const options = {
    headBytesMax: 16_384,
    streamsMax: 100,
    connectionsMax: 10,
    resetsMax: 50,
    outputBytesMax: 64 * 1024 * 1024,
    windowBytes: 65_536,
  };
  const backlog = new Backlog(options.outputBytesMax);
  const http = new NodeHttp(
    (stream, subject, given, take, closed) => new Connection(stream, subject, { clock, options: given, backlog, accept: take, closed }),
  );
  const listener = await http.listen({ host: "127.0.0.1", port: 0 }, options, lend);
  closing.push(() => listener.stop(0));
  return listener;
}

/** Where the body differs from what was written; -1: nowhere. */
function firstWrong(body: Uint8Array): number {
  if (body.length !== pieces * pieceBytes) return body.length;
  return body.findIndex((byte, at) => byte !== (Math.floor(at / pieceBytes) & 0xff));
}

async function bodyOf(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

describe("bytes that were lent", () => {
  it("arrive as they were when they were written, over HTTP/2, through windows of any size", async () => {
    const { address } = await listen();
    for (const initialWindowSize of [90, 4_000, 65_535, 1 << 24]) {
      const session = connect(`http://127.0.0.1:${address.port}`, { settings: { initialWindowSize } });
      closing.push(() => session.destroy());
      const paths = ["/a", "/b", "/c"];
      const bodies = await Promise.all(paths.map((path) => bodyOf(session.request({ ":path": path }) as AsyncIterable<Uint8Array>)));
      expect(bodies.map(firstWrong), `window ${initialWindowSize}`).toEqual(paths.map(() => -1));
      session.close();
    }
  });

  it("arrive as they were when they were written, over HTTP/1.1", async () => {
    const { address } = await listen();
    const body = await new Promise<Uint8Array>((resolve, reject) => {
      get({ port: address.port, path: "/a", agent: false }, (response) => {
        bodyOf(response as AsyncIterable<Uint8Array>).then(resolve, reject);
      }).on("error", reject);
    });
    expect(firstWrong(body)).toBe(-1);
  });
});

describe("what leaves in one turn", () => {
  it("is frames of no more than the other side takes, one for all that one stream says in a row, in writes of at most one buffer", () => {
    const writes: Uint8Array[] = [];
    const output = new Output((bytes) => {
      writes.push(bytes.slice());
      return true;
    });
    const frameMax = 1_000;
    const said: { stream: number; bytes: number }[] = [];
    const prng = new Prng("frames");
    for (let i = 0; i < 2_000; i++) {
      const stream = prng.pick([1, 1, 1, 3]);
      const bytes = prng.between(1, 400);
      output.data(stream, new Uint8Array(bytes).fill(stream), frameMax);
      said.push({ stream, bytes });
      if (prng.chance(1, 50)) output.number(8, 5, 7);
    }
    output.leave();
    for (const write of writes) expect(write.length).toBeLessThanOrEqual(64 * 1024);
    const all = Buffer.concat(writes);
    const heard = new Map<number, number>();
    let frames = 0;
    for (let at = 0; at < all.length; ) {
      const length = all.readUIntBE(at, 3);
      const stream = all.readUInt32BE(at + 5);
      const payload = all.subarray(at + 9, at + 9 + length);
      if (all[at + 3] === 0) {
        expect(length).toBeLessThanOrEqual(frameMax);
        expect(payload.every((byte) => byte === stream)).toBe(true);
        heard.set(stream, (heard.get(stream) ?? 0) + length);
        frames++;
      } else expect([all[at + 3], stream, payload.readUInt32BE(0)]).toEqual([8, 5, 7]);
      at += 9 + length;
    }
    for (const stream of [1, 3])
      expect(heard.get(stream)).toBe(said.reduce((sum, piece) => sum + (piece.stream === stream ? piece.bytes : 0), 0));
    expect(frames).toBeLessThan(said.length * 0.7);
  });
});
