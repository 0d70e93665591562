import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { ProcessCluster, ProcessNode } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
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

  it("any of five nodes writes a backup of all keyspaces, fetching those that it has no copy of", async () => {
    cluster = await ProcessCluster.start({ nodes: 5 });
    const handle = await cluster.connect();
    const names = Array.from({ length: 8 }, (_, at) => `space-${at}`);
    const timeout = 30_000;
    // One keyspace is larger than a stream's credit, so that its bytes wait for the reader on the way.
    const big = "x".repeat(64 * 1024);
    for (const name of names) {
      await handle.keyspace(name).put("made", name, { timeout });
      await handle.keyspace(name).put("deleted", 1, { timeout });
      await handle.keyspace(name).delete("deleted", { timeout });
    }
    for (let i = 0; i < 64; i++) await handle.keyspace("space-0").put(`big/${i}`, `${i} ${big}`, { timeout });
    const page = await handle.keyspace("space-0").range({ prefix: "" });

    const { members } = await handle.status();
    const held = new Map(members.map((member) => [member.name, (member.report?.replicas ?? []).map((replica) => replica.name)]));
    const data = ["default", ...names];
    for (const [name, keyspaces] of held) {
      const missing = data.filter((keyspace) => !keyspaces.includes(keyspace));
      expect(missing.length, `${name} lacks some keyspaces, or this proves nothing`).toBeGreaterThan(0);
    }
    const saved: string[] = [];
    for (const node of cluster.nodes) {
      const file = join(cluster.directory, `backup-${node.name}`);
      const outcome = await unum("snapshot", "save", file, "--endpoint", node.address);
      expect([outcome.code, outcome.err]).toEqual([0, expect.stringContaining("saved")]);
      saved.push(file);
    }
    // Of the named ones only, and a lost node does not matter while another has a copy.
    const some = join(cluster.directory, "some");
    const victim = cluster.nodes[4] as ProcessNode;
    await victim.kill();
    const partly = await unum("snapshot", "save", some, "--keyspace", "space-1,space-0", "--endpoint", cluster.nodes[0]?.address ?? "");
    expect([partly.code, partly.err]).toEqual([0, expect.stringContaining("saved")]);
    for (const node of cluster.nodes) await node.kill();

    for (const file of [...saved, some]) {
      const directory = `${file}-restored`;
      const restored = await unum("snapshot", "restore", file, "--data", directory, "--json");
      expect([restored.code, restored.err]).toEqual([0, expect.any(String)]);
      const report = JSON.parse(restored.out) as { keyspaces: { name: string; keys: number }[] };
      const expected = file === some ? ["default", "space-0", "space-1"] : data;
      expect(report.keyspaces.map(({ name }) => name).sort()).toEqual([...expected].sort());
      const node = new ProcessNode("restored", directory, `127.0.0.1:${await freePort()}`, undefined, []);
      cluster.nodes.push(node);
      node.start();
      const anew = await cluster.connect([node], { pinned: true, timeout: 20_000 });
      for (const name of expected.filter((keyspace) => keyspace !== "default")) {
        expect((await anew.keyspace(name).get("made"))?.value, `${name} from ${file}`).toBe(name);
        expect(await anew.keyspace(name).get("deleted")).toBeUndefined();
      }
      const copied = await anew.keyspace("space-0").range({ prefix: "" });
      expect(copied.entries.map(({ key, value }) => [key, value])).toEqual(page.entries.map(({ key, value }) => [key, value]));
      await node.kill();
    }
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
    const status = await unum("status", "--endpoint", survivor.address);
    expect(status.code).toBe(1);
    expect(status.out).toMatch(/, 1 of 3 voters up, no quorum\n/);
    for (const { downMs, state } of await alone.members()) {
      if (state === "up") expect(downMs).toBeNull();
      else expect(downMs).toBeLessThanOrEqual((await alone.nodeStatus()).uptimeMs);
    }
    await survivor.kill();

    const asked = await unum("recover", "--data", survivor.data);
    expect(asked.code, "it destroys, so it wants --yes").not.toBe(0);
    const done = await unum("recover", "--data", survivor.data, "--yes");
    expect([done.code, done.err]).toEqual([0, expect.stringContaining("gives up")]);
    const kept = `${survivor.data}.before-recover`;
    expect(done.err).toContain(`the old directory is kept as ${kept}\n`);
    expect(existsSync(kept)).toBe(true);
    const again = await unum("recover", "--data", survivor.data, "--yes", "--json");
    expect([again.code, JSON.parse(again.out)]).toEqual([0, expect.objectContaining({ recovered: true, kept: `${kept}-2` })]);
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
