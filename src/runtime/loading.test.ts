import { describe, expect, it } from "vitest";
import { text } from "../api/index.ts";
import { defaultGroup, defined } from "../base/index.ts";
import type { Replica } from "../replica/index.ts";
import type { GroupLog } from "../storage/index.ts";
import { NodeWorld } from "./world.golden.ts";

const names = ["a", "b", "c"];
const MiB = 1024 * 1024;

/** Three nodes with a snapshot that takes the simulated disk a second or more to read. */
async function withSnapshots(seed: string): Promise<NodeWorld> {
  const nodes = new NodeWorld(seed);
  for (const name of names) {
    nodes.place(name, {
      seeds: names.map((other) => `${other}:7400`),
      expect: 3,
      snapshotLogBytes: 128 * 1024,
      storage: { segmentBytes: MiB, firstSegmentBytes: MiB, walBytesMax: 4 * MiB, batchBytesMax: MiB / 2, stepBytes: 512 },
    });
  }
  await nodes.start(...names);
  const kv = nodes.handle(names, { from: "writer" }).kv.with(text);
  for (let i = 0; i < 400; i++) await nodes.settle(kv.put(`key${i}`, `${i} ${"x".repeat(4_000)}`));
  await nodes.until(() => names.every((name) => (replicaOf(nodes, name)?.log.snapshot?.bytes ?? 0) > 400_000));
  return nodes;
}

function replicaOf(nodes: NodeWorld, name: string): Replica | undefined {
  return nodes.node(name).groups.get(defaultGroup);
}

describe("a start with a large state", () => {
  it("votes and elects a leader while the state is loaded, shows nothing of it until it stands, and then answers what was asked meanwhile", async () => {
    const nodes = await withSnapshots("loading together");
    for (const name of names) nodes.crash(name);
    await nodes.start(...names);
    await nodes.until(() => names.some((name) => replicaOf(nodes, name)?.isLeader === true));
    for (const name of names) {
      expect(replicaOf(nodes, name)?.isReadable).toBe(false);
      expect(replicaOf(nodes, name)?.isServing).toBe(false);
    }
    const kv = nodes.handle(names, { from: "reader" }).kv.with(text);
    const read = kv.get("key7");
    const written = kv.put("key7", "new");
    const stale = kv.get("key8", { consistency: "stale" });
    expect((await nodes.settle(read))?.value.slice(0, 5)).toMatch(/^(7 xxx|new)$/);
    expect((await nodes.settle(stale))?.value).toBe(`8 ${"x".repeat(4_000)}`);
    await nodes.settle(written);
    expect((await nodes.settle(kv.get("key7")))?.value).toBe("new");
    expect((await nodes.settle(kv.get("key399")))?.value).toBe(`399 ${"x".repeat(4_000)}`);
    await nodes.until(() => names.every((name) => replicaOf(nodes, name)?.isReadable === true));
  });

  it("does not take leadership from those that have their state", async () => {
    const nodes = await withSnapshots("loading alone");
    nodes.crash("a");
    await nodes.until(() => ["b", "c"].some((name) => replicaOf(nodes, name)?.isServing === true));
    await nodes.start("a");
    const loading = replicaOf(nodes, "a");
    await nodes.until(() => (loading?.leader ?? 0) !== 0);
    expect(loading?.isReadable).toBe(false);
    for (const name of ["b", "c"]) if (replicaOf(nodes, name)?.isLeader === true) replicaOf(nodes, name)?.handOver();
    await nodes.until(() => loading?.isReadable === true || loading?.isLeader === true);
    expect(loading?.isReadable).toBe(true);
  });

  it("replays no log that a quiet moment could have spared it", async () => {
    const nodes = new NodeWorld("quiet snapshot");
    nodes.place("a", { seeds: ["a:7400"], expect: 1, snapshotLogBytes: 4 * MiB });
    await nodes.start("a");
    const kv = nodes.handle(["a"], { from: "writer" }).kv.with(text);
    for (let i = 0; i < 100; i++) await nodes.settle(kv.put(`key${i}`, "x".repeat(4_000)));
    const log = (): GroupLog => defined(replicaOf(nodes, "a"), "the replica").log;
    expect(log().snapshot).toBeUndefined();
    expect(log().bytesSinceSnapshot).toBeGreaterThan(400_000);
    await nodes.until(() => log().snapshot !== undefined);
    expect(log().bytesSinceSnapshot).toBeLessThan(1_000);
    const taken = log().snapshot?.meta.index;
    for (let i = 0; i < 5; i++) await nodes.settle(kv.put("small", `${i}`));
    const revision = (await nodes.settle(kv.get("small")))?.revision ?? 0;
    await nodes.run(20_000);
    expect(log().snapshot?.meta.index).toBe(taken);
    nodes.crash("a");
    await nodes.start("a");
    expect((await nodes.settle(nodes.handle(["a"], { from: "reader" }).kv.with(text).get("small")))?.revision).toBe(revision);
  });
});
