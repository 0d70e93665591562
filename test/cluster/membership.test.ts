import { afterEach, describe, expect, it } from "vitest";
import { rm } from "node:fs/promises";
import { ProcessCluster, ProcessNode } from "../support/cluster.ts";
import { Load, eventually } from "../support/load.ts";

let cluster: ProcessCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

describe("membership of real processes", () => {
  it("three identical commands, started in any order, make one cluster", async () => {
    cluster = await ProcessCluster.make({ nodes: 3 });
    for (const node of [...cluster.nodes].reverse()) {
      node.start();
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    const handle = await cluster.connect();
    await handle.kv.put("a", 1, { timeout: 20_000 });
    const status = await handle.status();
    expect(status.members.map((member) => member.name)).toEqual(["n1", "n2", "n3"]);
    expect(status.voters).toBe(3);
    expect(status.canLose).toBe(1);
  });

  it("nodes that know one name find each other: the one that the name lists forms the cluster, the others join", async () => {
    cluster = await ProcessCluster.make({ nodes: 1 });
    const [first] = cluster.nodes;
    const seeds = `dns:localhost:${first?.address.split(":")[1]}`;
    const named = ["--seeds", seeds, "--expect", "1"];
    await cluster.add("early", named);
    const founder = new ProcessNode("founder", `${cluster.directory}/founder`, first?.address ?? "", undefined, named);
    cluster.nodes.splice(0, 1, founder);
    founder.start();
    await cluster.add("late", named);
    const handle = await cluster.connect();
    await eventually("three voters", async () => (await handle.status()).voters === 3);
    expect((await handle.members()).map((member) => member.name)).toEqual(["early", "founder", "late"]);
  });

  it("a cluster of one grows to three voters: the second node stays a learner", async () => {
    cluster = await ProcessCluster.start({ nodes: 1 });
    const handle = await cluster.connect();
    await cluster.add("second");
    await eventually("the second node has joined", async () => (await handle.status()).members.length === 2);
    expect((await handle.status()).voters).toBe(1);
    await cluster.add("third");
    await eventually("three voters", async () => (await handle.status()).voters === 3);
    await handle.kv.put("grown", true);
    expect((await handle.kv.get("grown"))?.value).toBe(true);
  });

  it("a member is replaced under load by an empty directory with the same name", async () => {
    cluster = await ProcessCluster.start({ nodes: 3 });
    const handle = await cluster.connect();
    const load = new Load(handle, { writers: 8, prefix: "load/" });
    await eventually("writes", () => load.acknowledged > 200);
    const victim = cluster.follower(await cluster.leader());
    await victim.kill();
    await rm(victim.data, { recursive: true });
    victim.start();
    await eventually(
      "the replacement votes",
      async () => {
        const status = await handle.status();
        const member = status.members.find((candidate) => candidate.name === victim.name);
        const group = status.groups.find((candidate) => candidate.name === "default");
        return member?.state === "up" && group?.voters.includes(member.node) === true && group.votersUp === 3;
      },
      40_000,
    );
    await load.stop();
    expect(await load.check(await cluster.connect([victim], { pinned: true }))).toEqual([]);
  });

  it("a live member's name is refused", async () => {
    cluster = await ProcessCluster.start({ nodes: 3 });
    const twin = await cluster.add("n1-twin");
    await twin.kill();
    const intruder = await cluster.add("n2", ["--data", `${cluster.directory}/intruder`]);
    expect(await intruder.exited()).toBe(1);
    expect(intruder.log.join("\n")).toContain("NAME_IN_USE");
    cluster.nodes.pop();
  });

  it("a removed member stops and its id never returns", async () => {
    cluster = await ProcessCluster.start({ nodes: 3 });
    const handle = await cluster.connect();
    const victim = cluster.follower(await cluster.leader());
    await handle.removeMember(victim.name);
    await eventually("it has stopped", () => !victim.isRunning);
    victim.start();
    expect(await victim.exited()).toBe(1);
    expect(victim.log.join("\n")).toContain("REMOVED");
  });

  it("a second process on one data directory is refused, naming the first", async () => {
    cluster = await ProcessCluster.start({ nodes: 1 });
    const [first] = cluster.nodes;
    const second = await cluster.add("n1", []);
    expect(await second.exited()).toBe(1);
    expect(second.log.join("\n")).toContain("DATA_DIR_LOCKED");
    expect(second.log.join("\n")).toContain(String(first?.pid));
    cluster.nodes.pop();
  });
});
