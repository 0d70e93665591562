import { describe, expect, it } from "vitest";
import { defaultGroup, systemGroup } from "../base/index.ts";
import type { GroupId } from "../base/index.ts";
import { votersOf } from "./plan.ts";
import { NodeWorld } from "./world.golden.ts";

async function clusterOf(seed: string, names: readonly string[], replicas = 3): Promise<NodeWorld> {
  const world = new NodeWorld(seed);
  const seeds = names.map((name) => `${name}:7400`);
  for (const name of names) world.place(name, { seeds, expect: names.length, replicas });
  await world.start(...names);
  await world.settle(world.handle(names).kv.put("k", "before"));
  const whole = (group: GroupId, count: number): boolean =>
    names.some((name) => {
      const replica = world.node(name).groups.get(group);
      return replica?.isServing === true && replica.configuration.voters.length === count && replica.configuration.outgoing.length === 0;
    });
  await world.until(
    () =>
      whole(systemGroup, votersOf(names.length)) &&
      whole(defaultGroup, replicas) &&
      names.filter((name) => world.node(name).groups.get(defaultGroup) !== undefined).length === replicas,
  );
  return world;
}

/** The nodes that hold a group, its leader first. */
function holders(world: NodeWorld, names: readonly string[], group: GroupId): string[] {
  const held = names.filter((name) => world.node(name).groups.get(group) !== undefined);
  return held.sort((a, b) => rank(world, a, group) - rank(world, b, group) || (a < b ? -1 : 1));
}

function rank(world: NodeWorld, name: string, group: GroupId): number {
  return world.node(name).groups.get(group)?.isLeader === true ? 0 : 1;
}

describe("removal of a member", () => {
  it("waits for the groups that need its vote: a live one goes while another voter is away, and nothing waits for it afterwards", async () => {
    for (const seed of Array.from({ length: 20 }, (_, i) => `r${i + 1}`)) {
      const names = ["n1", "n2", "n3"];
      const world = await clusterOf(seed, names);
      const [leader = "", away = "", goes = ""] = holders(world, names, defaultGroup);
      const handle = world.handle([leader]);
      world.crash(away);
      const removed = await world.settle(handle.removeMember(goes, { timeout: "10s" }));
      expect(removed, seed).toMatchObject({ name: goes, state: "removed" });
      await expect(world.settle(handle.kv.put("k", "after", { timeout: "8s" })), seed).resolves.toBeDefined();
      expect((await world.settle(handle.members())).map(({ name }) => name).sort()).toEqual([away, leader].sort());
      await world.start(away);
      await world.settle(world.handle([away]).kv.put("k", "again"));
    }
  });

  it("that a group cannot do without yet goes on: the caller hears which group that is, and it ends when the group can", async () => {
    const names = ["n1", "n2", "n3", "n4", "n5"];
    const world = await clusterOf("held up", names);
    const [, back = "", dead = ""] = holders(world, names, defaultGroup);
    const asked = names.find((name) => world.node(name).groups.get(defaultGroup) === undefined) ?? "";
    const handle = world.handle([asked]);
    world.crash(back);
    world.crash(dead);
    const pending = world.settle(handle.removeMember(dead, { timeout: "4s" }));
    await expect(pending).rejects.toMatchObject({ code: "REMOVAL_PENDING", details: { groups: expect.arrayContaining(["default"]) } });
    expect((await world.settle(handle.members())).filter(({ leaving }) => leaving).map(({ name }) => name)).toEqual([dead]);
    await world.start(back);
    await world.until(() => [...(world.node(asked).directory?.members().values() ?? [])].every(({ name }) => name !== dead));
    await world.settle(handle.kv.put("k", "after"));
    // Its place was taken: the group has as many copies as before.
    await world.until(() => world.node(asked).directory?.group(defaultGroup)?.replicas.length === 3);
  });

  it("answers for the node that is asked, too, which then stops for good", async () => {
    const names = ["n1", "n2", "n3", "n4"];
    const world = await clusterOf("self", names);
    const [leader = ""] = holders(world, names, systemGroup);
    const { closed } = world.node(leader);
    const ended = closed.then(
      () => "closed",
      (error: unknown) => (error as { code?: string }).code,
    );
    const others = names.filter((name) => name !== leader);
    await expect(world.settle(world.handle([leader]).removeMember(leader))).resolves.toMatchObject({ state: "removed" });
    expect(await world.settle(ended)).toBe("REMOVED");
    await world.settle(world.handle(others).kv.put("k", "after"));
  });

  it("the last member stays", async () => {
    const world = await clusterOf("last", ["n1"], 1);
    await expect(world.settle(world.handle(["n1"]).removeMember("n1"))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await world.settle(world.handle(["n1"]).kv.put("k", "after"));
  });
});
