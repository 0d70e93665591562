import { afterEach, describe, expect, it } from "vitest";
import { ProcessCluster } from "../support/cluster.ts";
import { Load, eventually } from "../support/load.ts";

let cluster: ProcessCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

/** Load before, while and after `fault`, then every acknowledged write is read back through every node. */
async function underLoad(
  fault: (cluster: ProcessCluster, load: Load) => Promise<void>,
  options: { proxied?: boolean } = {},
): Promise<Load> {
  cluster = await ProcessCluster.start({ nodes: 3, ...options });
  const load = new Load(await cluster.connect(), { writers: 16, prefix: "load/" });
  await eventually("writes before the fault", () => load.acknowledged > 200);
  load.resetPause();
  await fault(cluster, load);
  const before = load.acknowledged;
  await eventually("writes after the fault", () => load.acknowledged > before + 200);
  await load.stop();
  for (const node of cluster.nodes) {
    if (!node.isRunning) continue;
    expect(await load.check(await cluster.connect([node], { pinned: true })), node.name).toEqual([]);
  }
  return load;
}

describe("P1, P2: acknowledged writes survive, and no read goes back", () => {
  it("when the leader is killed under load, and comes back", async () => {
    await underLoad(async (running, load) => {
      const leader = await running.leader();
      await leader.kill();
      const before = load.acknowledged;
      await eventually("writes under the new leader", () => load.acknowledged > before + 200);
      expect(load.longestPauseMs).toBeLessThan(10_000);
      leader.start();
    });
  });

  it("when a follower is killed under load, and comes back", async () => {
    const load = await underLoad(async (running) => {
      const follower = running.follower(await running.leader());
      await follower.kill();
      await new Promise((resolve) => setTimeout(resolve, 500));
      follower.start();
    });
    expect(load.failures).toEqual([]);
  });

  it("when all are killed at once and restarted", async () => {
    await underLoad(async (running) => {
      await Promise.all(running.nodes.map((node) => node.kill()));
      for (const node of running.nodes) node.start();
    });
  });

  it("when the leader stands still for longer than the election timeout and goes on", async () => {
    await underLoad(async (running, load) => {
      const leader = await running.leader();
      leader.pause();
      const before = load.acknowledged;
      await eventually("writes while it stands still", () => load.acknowledged > before + 100);
      leader.resume();
    });
  });

  it("when the leader is partitioned away and the cable is mended", async () => {
    await underLoad(
      async (running, load) => {
        const leader = await running.leader();
        leader.proxy?.cut();
        const before = load.acknowledged;
        await eventually("writes on the majority's side", () => load.acknowledged > before + 100, 40_000);
        leader.proxy?.heal();
      },
      { proxied: true },
    );
  });

  it("when each node is restarted in turn, without a failed request", async () => {
    const load = await underLoad(async (running, current) => {
      for (const node of running.nodes) {
        await node.kill("SIGTERM");
        const before = current.acknowledged;
        node.start();
        await eventually("writes while it restarts", () => current.acknowledged > before + 100);
        const handle = await running.connect();
        await eventually(`${node.name} has caught up`, async () => {
          const member = (await handle.status()).members.find((candidate) => candidate.name === node.name);
          return (
            member?.state === "up" &&
            member.report?.replicas.every((replica) => replica.leader !== null && replica.applied + 1_000 > replica.commit) === true
          );
        });
      }
    });
    expect(load.failures).toEqual([]);
  });
});
