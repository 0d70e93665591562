import { describe, expect, it } from "vitest";
import { NodeWorld } from "./world.golden.ts";

const names = ["n1", "n2", "n3"];

async function formed(seed: string, record?: (line: string) => void): Promise<NodeWorld> {
  const nodes = new NodeWorld(seed, record);
  for (const name of names) nodes.place(name, { seeds: names.map((seedName) => `${seedName}:7400`), expect: 3 });
  await nodes.start(...names);
  await nodes.settle(nodes.handle(["n1"]).kv.put("a", 1));
  return nodes;
}

describe("a cluster that nobody asks anything", () => {
  it("sends few messages: the groups of a node beat together, and what answers is not asked for a sign of life", async () => {
    let writes = 0;
    let deferred = 0;
    const nodes = await formed("quiet", (line) => {
      if (/n[123] > n[123] data/.test(line)) writes++;
      if (/\bdefer\b/.test(line)) deferred++;
    });
    await nodes.run(5_000);
    writes = 0;
    deferred = 0;
    await nodes.run(10_000);
    const leaders = new Set(
      names.flatMap((name) => [...nodes.node(name).groups.all()].filter((replica) => replica.isLeader).map(() => name)),
    );
    // A second, for each node that leads: 5 heartbeats to each of two followers, and their answers. A ping and its answer where none is answered.
    const beats = leaders.size * 2 * 5 * 2;
    expect(writes / 10).toBeGreaterThanOrEqual(beats);
    expect(writes / 10).toBeLessThanOrEqual(beats + 4 * 2 + 1);
    // No turn without work: where something is sent and where it arrives, and no turn after a quiet tick (30 a second).
    expect(deferred).toBeLessThanOrEqual(2.5 * writes);
  });
});

describe("a node that is cut off without a word", () => {
  it("is found to be silent by every other one within a few seconds, follower or leader", async () => {
    const nodes = await formed("silent");
    await nodes.run(5_000);
    for (const lost of names) {
      const others = names.filter((name) => name !== lost);
      const id = nodes.node(lost).nodeId;
      nodes.world.network.partition([lost], others);
      await nodes.run(4_500);
      expect(others.map((name) => nodes.node(name).links.isConnected(id))).toEqual([false, false]);
      nodes.world.network.heal();
      await nodes.until(() => others.every((name) => nodes.node(name).links.isConnected(id)));
      await nodes.settle(nodes.handle([lost]).kv.put("a", 1));
    }
  });
});
