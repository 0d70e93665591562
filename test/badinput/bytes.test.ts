/** What strangers and broken clients may send: a typed error or a closed connection, and the node goes on. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Prng, Writer, utf8Encode } from "../../src/base/index.ts";
import { Kind, decodeReply, encodeEnvelope, encodeGet, encodePut, noEnvelope } from "../../src/machine/index.ts";
import { FrameType, Method, encodeHello, protocolVersion } from "../../src/wire/index.ts";
import type { Answer } from "../../src/wire/index.ts";
import { ProcessCluster } from "../support/cluster.ts";
import type { ProcessNode } from "../support/cluster.ts";
import { eventually } from "../support/load.ts";
import { RawConnection } from "../support/raw.ts";

const MiB = 1024 * 1024;
let cluster: ProcessCluster;
let node: ProcessNode;
let handle: Awaited<ReturnType<ProcessCluster["connect"]>>;

beforeAll(async () => {
  cluster = await ProcessCluster.start({ nodes: 1 });
  node = cluster.nodes[0] as ProcessNode;
  handle = await cluster.connect();
});
afterAll(() => cluster.close());

async function goesOn(what: string): Promise<void> {
  const { pid } = node;
  expect(node.isRunning, what).toBe(true);
  await handle.kv.put("alive", what);
  expect((await handle.kv.get("alive"))?.value).toBe(what);
  expect(node.pid).toBe(pid);
}

const put = (key: string, value: Uint8Array, flags = 0): Uint8Array => {
  const writer = new Writer(value.length + 64);
  encodePut(writer, 0n, 0, 0, key, value, 0n, flags);
  return writer.take();
};
const ofKind = (kind: number, ...body: number[]): Uint8Array => {
  const writer = new Writer(64);
  encodeEnvelope(writer, noEnvelope);
  return writer.u8(kind).raw(new Uint8Array(body)).take();
};
/** The code of an error, of the node or of the machine; "ok" otherwise. */
const codeOf = (answer: Answer): string => {
  if (!answer.ok) return answer.error.code;
  const reply = decodeReply(answer.body);
  return reply.ok ? "ok" : reply.code;
};

describe("bytes that are no frames", () => {
  const prng = new Prng("bytes that are no frames");
  const hello = encodeHello({
    versionMin: protocolVersion,
    versionMax: protocolVersion,
    purpose: "client",
    cluster: undefined,
    node: undefined,
    name: "x",
    address: "",
    featureLevel: 1,
  });
  const framed = (payload: Uint8Array): Buffer => {
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32LE(payload.length);
    return Buffer.concat([prefix, payload]);
  };
  const cases: readonly (readonly [string, Uint8Array])[] = [
    ["a web browser", utf8Encode("GET / HTTP/1.1\r\nHost: unum\r\n\r\n")],
    ["a TLS client", new Uint8Array([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])],
    ["a length of 4 GiB", new Uint8Array([255, 255, 255, 255, 1])],
    ["an empty frame", new Uint8Array(8)],
    ["a greeting with another magic", framed(hello.map((byte, at) => (at === 1 ? byte ^ 1 : byte)))],
    ["a cut greeting", framed(hello.subarray(0, 12))],
    ["a request before the greeting", framed(new Uint8Array([FrameType.request, ...new Array<number>(20).fill(0)]))],
    ["a length of 4 GiB after the greeting", Buffer.concat([framed(hello), Buffer.from([255, 255, 255, 255, 16])])],
    ["an unknown frame after the greeting", Buffer.concat([framed(hello), framed(new Uint8Array([200, 1, 2, 3]))])],
    ["a cut request after the greeting", Buffer.concat([framed(hello), framed(new Uint8Array([FrameType.request, 1]))])],
    ["a node's frame from a client", Buffer.concat([framed(hello), framed(new Uint8Array([FrameType.raft, 1, 0, 0, 0, 1]))])],
    ["random bytes", Uint8Array.from({ length: 100_000 }, () => prng.below(256))],
    ["random bytes after the greeting", Buffer.concat([framed(hello), Uint8Array.from({ length: 100_000 }, () => prng.below(256))])],
  ];
  it.each(cases)("%s: the connection is closed, the node goes on", async (what, bytes) => {
    const connection = await RawConnection.open(node.address);
    connection.socket.write(bytes);
    await eventually(`closed after ${what}`, () => connection.closed, 10_000);
    await goesOn(what);
  });

  it("random frames after the greeting, of two hundred clients", async () => {
    for (let round = 0; round < 200; round++) {
      const connection = await RawConnection.greet(node.address);
      for (let frame = 0; frame < 5 && !connection.closed; frame++) {
        const type = [FrameType.request, FrameType.credit, FrameType.cancel, FrameType.fragment, FrameType.goodbye][prng.below(5)] ?? 0;
        connection.send(new Uint8Array([type, ...Array.from({ length: prng.below(60) }, () => prng.below(prng.chance(1, 2) ? 4 : 256))]));
      }
      connection.close();
    }
    await goesOn("random frames");
  });

  it("connections that say nothing are closed, and do not keep others out", async () => {
    const silent = await Promise.all(Array.from({ length: 300 }, () => RawConnection.open(node.address)));
    await eventually("all are closed", () => silent.every((connection) => connection.closed), 15_000);
    await goesOn("silent connections");
    const fresh = await cluster.connect([node]);
    await fresh.kv.get("alive");
  });
});

describe("requests that cannot be", () => {
  it("oversized keys and values are refused by name, by the handle and by the node itself", async () => {
    await expect(handle.kv.put("k".repeat(4097), 1)).rejects.toMatchObject({ code: "INVALID_KEY", outcome: "not-applied" });
    await expect(handle.kv.put("large", "x".repeat(2 * MiB))).rejects.toMatchObject({ code: "TOO_LARGE", outcome: "not-applied" });
    const raw = await RawConnection.greet(node.address);
    expect(codeOf(await raw.request(Method.propose, 1, put("k".repeat(4097), new Uint8Array(1))))).toBe("INVALID_KEY");
    expect(codeOf(await raw.request(Method.propose, 1, put("", new Uint8Array(1))))).toBe("INVALID_KEY");
    expect(codeOf(await raw.request(Method.propose, 1, put("large", new Uint8Array(2 * MiB))))).toBe("TOO_LARGE");
    expect(codeOf(await raw.request(Method.propose, 1, put("large", new Uint8Array(MiB))))).toBe("ok");
    raw.close();
    await handle.kv.put("largest", "x".repeat(1536 * 1024 - 1024));
    await goesOn("oversized");
  });

  it("unknown commands, flags, methods and groups are refused by name, and the group goes on", async () => {
    const raw = await RawConnection.greet(node.address);
    expect(codeOf(await raw.request(Method.propose, 1, ofKind(250, 1, 2, 3)))).toBe("UNSUPPORTED");
    expect(codeOf(await raw.request(Method.propose, 1, ofKind(Kind.systemFirst, 0)))).toBe("UNSUPPORTED");
    expect(codeOf(await raw.request(Method.propose, 1, put("k", new Uint8Array(1), 0x80)))).toBe("UNSUPPORTED");
    for (const kind of [Kind.leaseCheckpoint, Kind.checkpoint, Kind.activate]) {
      expect(codeOf(await raw.request(Method.propose, 1, ofKind(kind, ...new Array<number>(24).fill(0)))), `kind ${kind}`).toMatch(
        /MALFORMED|UNSUPPORTED/,
      );
    }
    expect(codeOf(await raw.request(Method.propose, 1, new Uint8Array(3)))).toBe("MALFORMED");
    expect(codeOf(await raw.request(Method.query, 1, new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 250])))).toMatch(/MALFORMED|UNSUPPORTED/);
    expect(codeOf(await raw.request(Method.query, 1, new Uint8Array(2)))).toBe("MALFORMED");
    expect(codeOf(await raw.request(Method.watch, 1, new Uint8Array(2)))).toBe("MALFORMED");
    expect(codeOf(await raw.request(Method.admin, 0, utf8Encode("{")))).toBe("MALFORMED");
    expect(codeOf(await raw.request(Method.admin, 0, utf8Encode('{"op":"explode"}')))).toMatch(/MALFORMED|UNSUPPORTED/);
    expect(codeOf(await raw.request(200, 1, new Uint8Array(0)))).toBe("UNSUPPORTED");
    expect(codeOf(await raw.request(Method.propose, 999_999, put("k", new Uint8Array(1))))).not.toBe("ok");
    expect(codeOf(await raw.request(Method.propose, 0, put("k", new Uint8Array(1))))).not.toBe("ok");
    expect(raw.closed).toBe(false);
    raw.close();
    await goesOn("unknown commands");
    expect((await handle.status()).groups.every((group) => group.leader !== null)).toBe(true);
  });

  it("a node of another cluster is refused with WRONG_CLUSTER", async () => {
    for (const purpose of ["control", "entries", "bulk"] as const) {
      const stranger = await RawConnection.greet(node.address, {
        purpose,
        cluster: "0123456789abcdef",
        node: "00000000000000aa" as never,
        name: "stranger",
      });
      expect(stranger.refusal?.code).toBe("WRONG_CLUSTER");
      await eventually("the connection ends", () => stranger.closed);
    }
    await goesOn("another cluster");
  });
});

describe("a client that never reads", () => {
  it("is stopped or closed before its answers fill the node's memory", async () => {
    const value = new Uint8Array(MiB);
    const writer = await RawConnection.greet(node.address);
    expect(codeOf(await writer.request(Method.propose, 1, put("big", value)))).toBe("ok");
    writer.close();
    const base = (await handle.nodeStatus()).memoryBytes;
    const query = new Writer(64).u64(0);
    encodeGet(query, "big");
    const body = query.take();
    const slow = await RawConnection.greet(node.address);
    slow.socket.pause();
    for (let i = 0; i < 16_000 && !slow.closed; i++) slow.post(Method.query, 1, body);
    let worst = 0;
    for (let look = 0; look < 20; look++) {
      worst = Math.max(worst, (await handle.nodeStatus()).memoryBytes);
      await handle.kv.put("alive", look);
    }
    expect(worst - base).toBeLessThan(300 * MiB);
    slow.close();
    await goesOn("a client that never reads");
  });
});
