import { describe, expect, it } from "vitest";
import { UnumError } from "../../base/index.ts";
import { FakeWorld, fastClock } from "../fake.golden.ts";
import { LocalCluster } from "./local.ts";

function threeNodes(): { readonly world: FakeWorld; readonly cluster: LocalCluster; readonly ended: string[] } {
  const world = new FakeWorld();
  world.clock = fastClock();
  const ended: string[] = [];
  const cluster = new LocalCluster(world.context(), { nodes: 3, data: "d", port: 7400 }, (node) => ended.push(node.name));
  cluster.spawnAll();
  return { world, cluster, ended };
}

describe("a local cluster", () => {
  it("starts each node with its own name, directory, port and zone, tied to the parent", () => {
    const { world } = threeNodes();
    expect(world.children.map((child) => child.request.args.join(" "))[1]).toBe(
      "start --name n2 --data d/n2 --listen 127.0.0.1:7401 --advertise 127.0.0.1:7401 " +
        "--seeds 127.0.0.1:7400,127.0.0.1:7401,127.0.0.1:7402 --expect 3 --zone b --log warn --stop-with-parent",
    );
  });

  it("is ready only once a linearizable read was answered, and writes nothing", async () => {
    const { world, cluster } = threeNodes();
    let refusals = 3;
    const get = world.store.get.bind(world.store);
    world.store.get = (...args) => (refusals-- > 0 ? Promise.reject(new UnumError("NO_LEADER")) : get(...args));
    world.store.put = () => Promise.reject(new Error("a write"));
    await cluster.ready(10_000);
    expect(refusals).toBe(-1);
    expect((await world.store.range({ prefix: "" })).count).toBe(0);
  });

  it("is not ready for ever: it says why no read was answered", async () => {
    const { world, cluster } = threeNodes();
    world.store.get = () => Promise.reject(new UnumError("NO_LEADER", "nobody leads"));
    await expect(cluster.ready(1000)).rejects.toThrow("no read was answered in 1 s: NO_LEADER: nobody leads");
  });

  it("gives the last line of a node that ends while the cluster starts", async () => {
    const { world, cluster, ended } = threeNodes();
    world.store.get = () => new Promise(() => undefined);
    const ready = cluster.ready(10_000);
    world.children[1]?.end(1, "unum: DATA_DIR_LOCKED: Process 7 uses d/n2.");
    await expect(ready).rejects.toThrow("n2 ended: unum: DATA_DIR_LOCKED: Process 7 uses d/n2.");
    expect(ended).toEqual(["n2"]);
  });

  it("calls a killed node down at once, and tells nobody that it ended by itself", async () => {
    const { world, cluster, ended } = threeNodes();
    const node = cluster.nodes[0];
    node?.kill(world.context());
    await node?.exited;
    expect([node?.state, node?.pid, ended]).toEqual(["down", undefined, []]);
  });

  it("ignores the exit of a process that was replaced meanwhile", async () => {
    const { world, cluster, ended } = threeNodes();
    const node = cluster.nodes[0];
    if (node === undefined) return;
    node.kill(world.context());
    cluster.spawn(node);
    await world.children[0]?.exited;
    expect([node.state, ended, world.children.length]).toEqual(["up", [], 4]);
  });

  it("stops in order, by force where that fails, and continues a paused node first", async () => {
    const { world, cluster } = threeNodes();
    const [first, second, third] = world.children;
    if (second !== undefined) second.obedient = false;
    cluster.nodes[2]?.pause(world.context());
    await cluster.stop(100);
    expect(first?.signals).toEqual(["SIGTERM"]);
    expect(second?.signals).toEqual(["SIGTERM", "SIGKILL"]);
    expect(third?.signals).toEqual(["SIGSTOP", "SIGCONT", "SIGTERM"]);
  });

  it("starts nothing any more once it was abandoned", () => {
    const { world, cluster } = threeNodes();
    cluster.abandon();
    cluster.spawnAll();
    expect(world.children.length).toBe(3);
  });
});
