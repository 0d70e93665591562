/** Clients that begin and do not end: they cost little, for a while, and nobody else pays. */
import { afterEach, expect, it } from "vitest";
import { Writer, limits } from "../../src/base/index.ts";
import { encodeQuery } from "../../src/machine/index.ts";
import { FrameType, Method } from "../../src/wire/index.ts";
import { ProcessCluster } from "../support/cluster.ts";
import { eventually } from "../support/load.ts";
import { RawConnection } from "../support/raw.ts";

const MiB = 1024 * 1024;
let cluster: ProcessCluster | undefined;
const connections: RawConnection[] = [];
afterEach(async () => {
  for (const connection of connections.splice(0)) connection.close();
  await cluster?.close();
  cluster = undefined;
});

async function greet(address: string, count: number): Promise<RawConnection[]> {
  const made: RawConnection[] = [];
  for (let i = 0; i < count; i++) made.push(await RawConnection.greet(address));
  connections.push(...made);
  return made;
}

const everything = { revision: 0, limit: 0, sort: undefined, keysOnly: false, countOnly: false };
const bounds = { minModRevision: 0, maxModRevision: 0, minCreateRevision: 0, maxCreateRevision: 0 };

it("half a frame and never the rest, and answers that nobody reads: memory stays bounded, others are served, and they are closed", async () => {
  cluster = await ProcessCluster.start({ nodes: 1 });
  const [node] = cluster.nodes;
  if (node === undefined) throw new Error("no node");
  const handle = await cluster.connect();
  for (let i = 0; i < 16; i++) await handle.kv.put(`big/${i}`, "x".repeat(64 * 1024));
  const before = await handle.nodeStatus();

  // The length of the largest frame and a little of it; a length alone; the first piece of a split frame.
  const begun = Buffer.alloc(4 + 1_000, 1);
  begun.writeUInt32LE(limits.frameBytesMax, 0);
  const stalled = await greet(node.address, 60);
  for (const connection of stalled.slice(0, 30)) connection.socket.write(begun);
  for (const connection of stalled.slice(30, 50)) connection.socket.write(begun.subarray(0, 4));
  const piece = Buffer.alloc(13 + 100);
  piece[0] = FrameType.fragment;
  piece.writeUInt32LE(1, 1);
  piece.writeUInt32LE(limits.frameBytesMax, 5);
  for (const connection of stalled.slice(50)) connection.send(piece);

  const writer = new Writer(64).u64(0);
  encodeQuery(writer, { kind: "range", ...everything, ...bounds, key: "big/", end: "big0" });
  const question = writer.take();
  const deaf = await greet(node.address, 5);
  for (const connection of deaf) {
    connection.socket.pause();
    for (let i = 0; i < 400; i++) connection.post(Method.query, 1, question);
  }
  const idle = await greet(node.address, 1);

  let worst = 0;
  const end = performance.now() + limits.frameMsMax + 15_000;
  const gone = (): boolean => stalled.every((connection) => connection.closed);
  while (performance.now() < end && !gone()) {
    const began = performance.now();
    expect((await handle.kv.get("big/0"))?.value).toHaveLength(64 * 1024);
    await handle.kv.put("polite", began);
    expect(performance.now() - began, "the polite client waits for nobody's stall").toBeLessThan(2_000);
    worst = Math.max(worst, (await handle.nodeStatus()).memoryBytes - before.memoryBytes);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  expect(worst).toBeLessThan(256 * MiB);
  expect(gone()).toBe(true);
  expect(new Set(stalled.map((connection) => connection.fault?.code))).toEqual(new Set(["TIMEOUT"]));
  await eventually("who does not read is disconnected", async () => (await handle.nodeStatus()).clients <= before.clients + idle.length);
  expect(idle[0]?.closed, "who is merely idle is not").toBe(false);
  expect(node.isRunning).toBe(true);
});
