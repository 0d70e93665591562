/** The etcd gateway's side of HTTP/1.1 and JSON with what nobody should send: an error in JSON or a closed connection, and the node goes on. */
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Victim } from "../support/victim.ts";

const MiB = 1024 * 1024;
let victim: Victim;
const sockets: Socket[] = [];
beforeAll(async () => {
  victim = await Victim.start();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await victim.goesOn();
});
afterAll(() => victim?.close());

async function post(path: string, body: string | Uint8Array): Promise<{ readonly status: number; readonly text: string }> {
  const init = { method: "POST", body: body as string, signal: AbortSignal.timeout(20_000) };
  const response = await fetch(`http://127.0.0.1:${victim.port}/v3${path}`, init);
  return { status: response.status, text: await response.text() };
}

async function open(): Promise<Socket> {
  const socket = connect(victim.port, "127.0.0.1");
  sockets.push(socket);
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

/** Sends and gives what comes back until the other side closes, or for so long. */
async function talk(text: string | Uint8Array, msMax = 2_000): Promise<string> {
  const socket = await open();
  let answer = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    answer += chunk;
  });
  const closed = once(socket, "close");
  socket.write(text);
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([closed, new Promise((resolve) => (timer = setTimeout(resolve, msMax)))]);
  clearTimeout(timer);
  return answer;
}

const deep = (open: string, close: string, depth: number): string => open.repeat(depth) + close.repeat(depth);
const txns = (depth: number): string => `${'{"success":[{"request_txn":'.repeat(depth)}{}${"}]}".repeat(depth)}`;

describe("bodies", () => {
  it.each<readonly [string, string]>([
    ["that are cut", '{"key":"YQ=='],
    ["that are no objects", '["YQ=="]'],
    ["of one word", "null"],
    ["of bad base64", '{"key":"*%$"}'],
    ["with a number for bytes", '{"key":7}'],
    ["with an object for bytes", '{"key":{"key":"YQ=="}}'],
    ["with a number beyond 64 bits", '{"key":"YQ==","limit":"9223372036854775808"}'],
    ["with a number far beyond", `{"key":"YQ==","limit":"${"9".repeat(10_000)}"}`],
    ["with a broken number", '{"key":"YQ==","revision":1.5}'],
    ["with no number", '{"key":"YQ==","revision":"one"}'],
    ["with an order that is none", '{"key":"YQ==","sort_order":"SIDEWAYS"}'],
    ["with the same field in both its names", '{"key":"YQ==","range_end":"Yg==","rangeEnd":"Yw=="}'],
    ["of objects in objects", deep('{"a":', "}", 100_000)],
    ["of lists in lists", `{"a":${deep("[", "]", 100_000)}}`],
    ["with names that every object has", '{"__proto__":{"key":"YQ=="},"constructor":1}'],
    ["of bytes that are no UTF-8", '{"key":"\xff\xfe"}'],
    ["that nobody asked for", `{"unknown":"${"x".repeat(100_000)}"}`],
  ])("%s get an error in JSON", async (_name, body) => {
    const { status, text } = await post("/kv/range", Buffer.from(body, "latin1"));
    expect([400, 429]).toContain(status);
    expect(typeof (JSON.parse(text) as { readonly message?: unknown }).message).toBe("string");
  });

  it("nested like nobody's transactions are refused at every depth", async () => {
    for (const depth of [9, 129, 1_000, 20_000]) {
      const { status, text } = await post("/kv/txn", txns(depth));
      expect([depth, status]).toEqual([depth, 400]);
      expect(JSON.parse(text)).toHaveProperty("message");
    }
  });

  it("larger than the limit are refused, and their connection closed or read to the end", async () => {
    const { status } = await post("/kv/put", `{"key":"YQ==","value":"${"A".repeat(6 * MiB)}"}`);
    expect(status).toBe(429);
  });

  it("at random", async () => {
    const prng = victim.prng.fork("json");
    const whole =
      '{"compare":[{"key":"YQ==","target":"MOD","mod_revision":"0"}],"success":[{"request_put":{"key":"YQ==","value":"MQ=="}}]}';
    for (let round = 0; round < 150; round++) {
      const body = Buffer.from(whole);
      for (let flips = prng.between(1, 4); flips > 0; flips--) body[prng.below(body.length)] = prng.below(256);
      const path = prng.pick(["/kv/txn", "/kv/range", "/lease/grant", "/watch", "/nothing"]);
      const sent = body.subarray(0, prng.below(body.length));
      // A watch without a request is no mistake, and has no answer: the test below.
      if (path === "/watch" && sent.toString("latin1").trim() === "") continue;
      const { status } = await post(path, sent);
      expect(status).toBeGreaterThanOrEqual(200);
      expect(status).toBeLessThan(500);
    }
  });

  it("that are empty leave a watch open, as etcd does, until who asked has gone", async () => {
    const socket = await open();
    let answer = "";
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      answer += chunk;
    });
    socket.write("POST /v3/watch HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    for (let i = 0; i < 3; i++) await victim.put();
    expect([answer, socket.readyState]).toEqual(["", "open"]);
  });

  it("in chunks of one byte cost no more than their length", async () => {
    const body = `{"key":"${"A".repeat(1_500_000)}"}`;
    const chunks = Array.from(body, (byte) => `1\r\n${byte}\r\n`).join("");
    const socket = await open();
    socket.write(`POST /v3/kv/range HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${chunks}`);
    // Others are served while it comes.
    let worst = 0;
    for (let i = 0; i < 5; i++) worst = Math.max(worst, await victim.put(30_000));
    expect(worst).toBeLessThan(5_000);
  });
});

describe("HTTP/1.1", () => {
  it.each<readonly [string, string]>([
    ["no request", "hello\r\n\r\n"],
    ["a version that is none", "GET / HTTP/9.9\r\nhost: x\r\n\r\n"],
    ["two lengths", "POST /v3/kv/range HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"],
    ["a length and chunks", "POST /v3/kv/range HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["a length below nothing", "POST /v3/kv/range HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n"],
    ["chunks that are none", "POST /v3/kv/range HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"],
    ["a head of 100 KB", `GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(100_000)}\r\n\r\n`],
    ["a path of 100 KB", `GET /${"y".repeat(100_000)} HTTP/1.1\r\nhost: x\r\n\r\n`],
    ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ["half of the other protocol's first words", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"],
  ])("%s: refused", async (_name, text) => {
    const answer = await talk(Buffer.from(text, "latin1"));
    expect(answer === "" || answer.startsWith("HTTP/1.1 4")).toBe(true);
  });

  it("an upgrade to what is not there, and methods that nobody has, are answered", async () => {
    expect(await talk("GET /version HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: h2c\r\n\r\n")).toMatch(
      /^HTTP\/1\.1 \d{3} /,
    );
    expect(await talk("PROPFIND /version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).toMatch(/^HTTP\/1\.1 405 /);
    expect(await talk("HEAD /version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).toMatch(/^HTTP\/1\.1 200 .*\r\n\r\n$/s);
    expect(
      await talk(
        'POST /v3/kv/range HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 14\r\nconnection: close\r\n\r\n{"key":"YQ=="}',
      ),
    ).toMatch(/HTTP\/1\.1 200 /);
  });

  it("ten thousand requests in a row whose answers nobody reads", async () => {
    const body = '{"key":"AA==","range_end":"AA=="}';
    const request = `POST /v3/kv/range HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    const socket = await open();
    socket.pause();
    for (let i = 0; i < 100; i++) socket.write(request.repeat(100));
    for (let i = 0; i < 3; i++) expect(await victim.put()).toBeLessThan(10_000);
  });

  it("hundreds of connections that send a byte now and then", async () => {
    const prng = victim.prng.fork("slow");
    const starts = ["G", "GET / HTTP/1.1\r\nhost:", "POST /v3/kv/put HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n{", "PRI * HT"];
    const slow = await Promise.all(Array.from({ length: 400 }, open));
    for (const socket of slow) socket.write(prng.pick(starts));
    for (let round = 0; round < 5; round++) {
      for (const socket of slow) if (!socket.destroyed) socket.write("x");
      expect(await victim.put()).toBeLessThan(5_000);
    }
  });

  it("watches of JSON that nobody reads while 100 MB of events pass", async () => {
    const body = '{"create_request":{"key":"aw=="}}';
    for (let i = 0; i < 10; i++) {
      const socket = await open();
      socket.write(`POST /v3/watch HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
      socket.pause();
    }
    const value = Buffer.alloc(MiB, 1).toString("base64");
    for (let i = 0; i < 100; i++) expect((await post("/kv/put", `{"key":"aw==","value":"${value}"}`)).status).toBe(200);
  });
});
