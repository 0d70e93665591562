import { afterEach, expect, it } from "vitest";
import { ProcessCluster } from "../support/cluster.ts";
import { eventually } from "../support/load.ts";

let cluster: ProcessCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

it("50 keyspaces made at run time on five nodes serve through every node, and without one of them", async () => {
  cluster = await ProcessCluster.start({ nodes: 5 });
  const handle = await cluster.connect();
  const names = Array.from({ length: 50 }, (_, at) => `space-${at}`);
  const timeout = 30_000;
  await Promise.all(names.map((name) => handle.keyspace(name).put("made", name, { timeout })));
  expect((await handle.keyspaces()).filter((keyspace) => names.includes(keyspace.name))).toHaveLength(50);

  for (const node of cluster.nodes) {
    const through = await cluster.connect([node], { pinned: true });
    await Promise.all(
      names.map(async (name) => {
        expect((await through.keyspace(name).get("made", { timeout }))?.value, `${name} through ${node.name}`).toBe(name);
        await through.keyspace(name).put(`by/${node.name}`, node.name, { timeout });
      }),
    );
  }

  const victim = await cluster.leader();
  await victim.kill();
  const survivors = cluster.nodes.filter((node) => node !== victim);
  for (const node of survivors) {
    const through = await cluster.connect([node], { pinned: true });
    await Promise.all(
      names.map(async (name) => {
        const page = await through.keyspace(name).range({ prefix: "by/" }, { timeout });
        expect(
          page.entries.filter((entry) => entry.key !== "by/after").map((entry) => entry.value),
          `${name} through ${node.name}`,
        ).toEqual(cluster?.nodes.map((each) => each.name));
        await through.keyspace(name).put("by/after", node.name, { timeout });
      }),
    );
  }

  victim.start();
  await eventually("every group has all its voters", async () => {
    const { groups } = await handle.status();
    return groups.length === 52 && groups.every((group) => group.votersUp === group.voters.length && group.leader !== null);
  });
  const back = await cluster.connect([victim], { pinned: true });
  for (const name of names) expect((await back.keyspace(name).get("by/after", { timeout }))?.value).toBeDefined();
});
