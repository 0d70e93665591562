import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { start } from "../../src/index.ts";
import { ProcessCluster } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import { unum } from "../support/command.ts";
import { Load, eventually } from "../support/load.ts";

let cluster: ProcessCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

describe("leaving", () => {
  it("leave() gives the membership of an embedded node up for good, under load", async () => {
    cluster = await ProcessCluster.start({ nodes: 3 });
    const handle = await cluster.connect();
    const seeds = cluster.nodes.map((node) => node.address);
    const options = { name: "guest", data: join(cluster.directory, "guest"), listen: `127.0.0.1:${await freePort()}`, seeds };
    const guest = await start({ ...options, expect: 3 });
    await guest.ready;
    await guest.kv.put("by the guest", 1);
    expect((await handle.members()).map((member) => member.name)).toContain("guest");
    const load = new Load(handle, { writers: 4, prefix: "load/" });
    await guest.leave();
    await guest.closed;
    await eventually("the others know", async () => !(await handle.members()).some((member) => member.name === "guest"));
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(await load.check(handle)).toEqual([]);
    await expect(start({ ...options, expect: 3 })).rejects.toMatchObject({ code: "REMOVED" });
  });

  it("a handle that is no node cannot leave", async () => {
    cluster = await ProcessCluster.start({ nodes: 1 });
    await expect((await cluster.connect()).leave()).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });

  it("an ephemeral node leaves when it stops, and is removed when it dies", async () => {
    cluster = await ProcessCluster.start({ nodes: 3, arguments: ["--remove-dead-after", "2s"] });
    const handle = await cluster.connect();
    const isMember = async (name: string): Promise<boolean> => (await handle.members()).some((member) => member.name === name);
    for (const [name, signal] of [
      ["polite", "SIGTERM"],
      ["killed", "SIGKILL"],
    ] as const) {
      const node = await cluster.add(name, ["--ephemeral", "--expect", "3"]);
      await eventually(`${name} is a member`, () => isMember(name));
      await node.kill(signal);
      cluster.nodes.pop();
      await eventually(`${name} is none any more`, async () => !(await isMember(name)));
    }
    await handle.kv.put("after", 1);
    expect((await handle.status()).voters).toBe(3);
  });
});

describe("leadership", () => {
  it("moves by command to the member named, and no request fails", async () => {
    cluster = await ProcessCluster.start({ nodes: 3 });
    const load = new Load(await cluster.connect(), { writers: 8, prefix: "load/" });
    await eventually("writes", () => load.acknowledged > 200);
    const endpoint = cluster.nodes.map((node) => node.address).join(",");
    for (let round = 0; round < 2; round++) {
      const target = cluster.follower(await cluster.leader());
      const { code, err } = await unum("leader", "transfer", "--to", target.name, "--keyspace", "default", "--endpoint", endpoint);
      expect([code, err]).toEqual([0, expect.any(String)]);
      expect((await cluster.leader()).name).toBe(target.name);
    }
    const before = load.acknowledged;
    await eventually("writes afterwards", () => load.acknowledged > before + 200);
    await load.stop();
    expect(load.failures).toEqual([]);
    const nobody = await unum("leader", "transfer", "--to", "nobody", "--endpoint", endpoint);
    expect(nobody.code).toBe(1);
    expect(nobody.err).toContain("MEMBER_NOT_FOUND");
  });
});
