import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { ProcessCluster, ProcessNode, freePort } from "../support/cluster.ts";
import { unum } from "../support/command.ts";
import { Load, eventually } from "../support/load.ts";

let cluster: ProcessCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

describe("when a cluster is lost", () => {
  it("a backup restored into an empty directory is a new cluster with all entries, its revisions far beyond", async () => {
    cluster = await ProcessCluster.start({ nodes: 3 });
    const handle = await cluster.connect();
    const load = new Load(handle, { writers: 16, prefix: "load/" });
    await eventually("writes", () => load.acknowledged > 1_000);
    await load.stop();
    await handle.keyspace("second").put("k", "of the second");
    const { revision } = await handle.kv.put("last", 1);
    const { cluster: old } = await handle.status();

    const file = join(cluster.directory, "backup");
    const saved = await unum("snapshot", "save", file, "--endpoint", cluster.nodes.map((node) => node.address).join(","));
    expect([saved.code, saved.err]).toEqual([0, expect.stringContaining("saved")]);
    for (const node of cluster.nodes) await node.kill();

    const data = join(cluster.directory, "restored");
    const restored = await unum("snapshot", "restore", file, "--data", data, "--json");
    expect([restored.code, restored.err]).toEqual([0, expect.any(String)]);
    const node = new ProcessNode("restored", data, `127.0.0.1:${await freePort()}`, undefined, []);
    cluster.nodes.push(node);
    node.start();
    const anew = await cluster.connect([node], { pinned: true, timeout: 20_000 });
    expect(await load.check(anew)).toEqual([]);
    expect((await anew.keyspace("second").get("k"))?.value).toBe("of the second");
    expect((await anew.kv.put("first of the new", 1)).revision).toBeGreaterThan(revision + 2 ** 40);
    expect((await anew.status()).cluster).not.toBe(old);

    const again = await unum("snapshot", "restore", file, "--data", data);
    expect(again.code).toBe(1);
  });

  it("a lost majority is given up by name: the survivor becomes a cluster of one that others may join", async () => {
    cluster = await ProcessCluster.start({ nodes: 3 });
    const handle = await cluster.connect();
    const load = new Load(handle, { writers: 16, prefix: "load/" });
    await eventually("writes", () => load.acknowledged > 1_000);
    await load.stop();
    const survivor = await cluster.leader();
    const before = await handle.kv.put("last", 1);
    await Promise.all(cluster.nodes.map((node) => node.kill()));
    cluster.nodes.splice(0, 3, survivor);

    survivor.start();
    const alone = await cluster.connect([survivor], { pinned: true });
    await expect(alone.kv.put("a", 1, { timeout: 2_000 })).rejects.toMatchObject({
      code: expect.stringMatching(/NO_LEADER|TIMEOUT|UNAVAILABLE/),
    });
    await survivor.kill();

    const asked = await unum("recover", "--data", survivor.data);
    expect(asked.code, "it destroys, so it wants --yes").not.toBe(0);
    const done = await unum("recover", "--data", survivor.data, "--yes");
    expect([done.code, done.err]).toEqual([0, expect.stringContaining("gives up")]);
    survivor.start();
    const anew = await cluster.connect([survivor], { pinned: true, timeout: 20_000 });
    expect(await load.check(anew)).toEqual([]);
    expect((await anew.kv.put("after", 1)).revision).toBeGreaterThan(before.revision);
    await cluster.add("second", ["--expect", "1"]);
    await cluster.add("third");
    await eventually("three voters again", async () => (await anew.status()).voters === 3);
    expect(await load.check(await cluster.connect(cluster.nodes.slice(1), { pinned: true }))).toEqual([]);
  });
});
