import { describe, expect, it } from "vitest";
import { isUnumError } from "../base/index.ts";
import { checkOptions } from "./index.ts";
import type { NodeOptions } from "./index.ts";
import { NodeWorld } from "./world.golden.ts";

const seeds = ["dns:cluster:7400"];

describe("seeds under one name", () => {
  it("three nodes form one cluster once the name has all of their addresses, and a fourth joins it", async () => {
    const nodes = new NodeWorld("dns forms");
    for (const name of ["n1", "n2", "n3", "n4"]) nodes.place(name, { seeds, expect: 3 });
    await nodes.start("n1", "n2", "n3");
    await nodes.run(3_000);
    expect(nodes.node("n1").identity.value.cluster, "nobody is known under the name").toBeUndefined();

    nodes.world.names.set("cluster", ["n1", "n2"]);
    await nodes.run(3_000);
    expect(nodes.node("n1").identity.value.cluster, "two are fewer than expected").toBeUndefined();

    nodes.world.names.set("cluster", ["n1", "n2", "n3"]);
    const handle = nodes.handle(["n1"]);
    await nodes.settle(handle.kv.put("a", 1));
    const clusters = new Set(["n1", "n2", "n3"].map((name) => nodes.node(name).identity.value.cluster));
    expect(clusters.size).toBe(1);

    nodes.world.names.set("cluster", ["n1", "n2", "n3", "n4"]);
    await nodes.start("n4");
    await nodes.until(() => nodes.node("n4").directory?.state?.nodes.size === 4);
    expect(nodes.node("n4").identity.value.cluster).toBe([...clusters][0]);
  });

  it("a resolver that does not answer delays a node and does not end it", async () => {
    const nodes = new NodeWorld("dns is silent");
    nodes.world.names.set("cluster", "silent");
    nodes.place("n1", { seeds, expect: 1 });
    await nodes.start("n1");
    await nodes.run(20_000);
    expect(nodes.node("n1").identity.value.cluster).toBeUndefined();
    nodes.world.names.set("cluster", ["n1"]);
    await nodes.settle(nodes.handle(["n1"]).kv.put("a", 1));
  });

  it("a node that the name does not list joins and never forms", async () => {
    const nodes = new NodeWorld("dns does not list it");
    nodes.world.names.set("cluster", ["n1"]);
    nodes.place("n1", { seeds, expect: 1 });
    nodes.place("n2", { seeds, expect: 1 });
    await nodes.start("n2");
    await nodes.run(10_000);
    expect(nodes.node("n2").identity.value.cluster).toBeUndefined();
    await nodes.start("n1");
    await nodes.until(() => nodes.node("n2").identity.value.cluster !== undefined);
    expect(nodes.node("n2").identity.value.cluster).toBe(nodes.node("n1").identity.value.cluster);
  });

  it("an empty node that does not reach what else the name lists founds no cluster beside it, whatever it expects", async () => {
    const nodes = new NodeWorld("dns lists one that stands still");
    nodes.world.names.set("cluster", ["n1"]);
    for (const name of ["n1", "n2"]) nodes.place(name, { seeds, expect: 1 });
    await nodes.start("n1");
    await nodes.settle(nodes.handle(["n1"]).kv.put("a", 1));
    nodes.crash("n1");
    nodes.world.names.set("cluster", ["n1", "n2"]);
    await nodes.start("n2");
    await nodes.run(20_000);
    expect(nodes.node("n2").identity.value.cluster).toBeUndefined();
    await nodes.start("n1");
    await nodes.until(() => nodes.node("n2").identity.value.cluster !== undefined);
    expect(nodes.node("n2").identity.value.cluster).toBe(nodes.node("n1").identity.value.cluster);
  });

  it("more empty nodes than members found no cluster beside one that stands still (campaign of e26c757, dense 1175)", async () => {
    const nodes = new NodeWorld("dns grows while the members stand still");
    const members = ["n1", "n2", "n3"];
    const more = ["n4", "n5", "n6", "n7"];
    for (const name of [...members, ...more]) nodes.place(name, { seeds, expect: 3 });
    nodes.world.names.set("cluster", members);
    await nodes.start(...members);
    await nodes.settle(nodes.handle(["n1"]).kv.put("a", 1));
    for (const name of members) nodes.crash(name);
    nodes.world.names.set("cluster", [...members, ...more]);
    await nodes.start(...more);
    await nodes.run(20_000);
    expect(more.map((name) => nodes.node(name).identity.value.cluster)).toEqual(more.map(() => undefined));
    await nodes.start(...members);
    await nodes.until(() => more.every((name) => nodes.node(name).identity.value.cluster !== undefined));
    expect(new Set([...members, ...more].map((name) => nodes.node(name).identity.value.cluster)).size).toBe(1);
  });

  it("three that start at once and expect one form one cluster, under addresses of both kinds as well", async () => {
    for (const hosts of [
      ["n1", "n2", "n3"],
      ["n1", "n2", "n3", "::1", "::2", "::3"],
    ]) {
      const nodes = new NodeWorld(`dns and ${hosts.length} addresses`);
      nodes.world.names.set("cluster", hosts);
      const names = ["n1", "n2", "n3"];
      for (const name of names) nodes.place(name, { seeds, expect: 1 });
      await nodes.start(...names);
      await nodes.until(() => names.every((name) => nodes.node(name).identity.value.cluster !== undefined));
      expect(new Set(names.map((name) => nodes.node(name).identity.value.cluster)).size).toBe(1);
    }
  });

  it("needs expect, and stands alone", () => {
    const check = (list: readonly string[], expect: number): string => {
      try {
        checkOptions({ name: "n", seeds: list, expect, insecure: true, listen: { host: "n", port: 1 } } as unknown as NodeOptions);
        return "ok";
      } catch (error) {
        return isUnumError(error) ? error.code : String(error);
      }
    };
    expect(check(seeds, 3)).toBe("ok");
    expect(check(seeds, 0)).toBe("INVALID_ARGUMENT");
    expect(check([...seeds, "n2:7400"], 2)).toBe("INVALID_ARGUMENT");
    expect(check(["dns:cluster"], 1)).toBe("INVALID_ARGUMENT");
  });
});

describe("an accepted proposal", () => {
  it("binds until the proposer's own word: what it said before the proposal releases nobody (campaign of a07f9ca, network 607)", async () => {
    const names = ["n1", "n2", "n3"];
    for (let seed = 1; seed <= 12; seed++) {
      const nodes = new NodeWorld(`a stale word ${seed}`);
      const { network } = nodes.world;
      for (const name of names) nodes.place(name, { seeds: names.map((other) => `${other}:7400`), expect: 3 });
      // Their rounds wait for each other, with the answer of the first in their hands already, while that one proposes.
      network.block(["n2"], ["n3"]);
      network.block(["n3"], ["n2"]);
      await nodes.start(...names);
      await nodes.run(8_000);
      network.heal();
      await nodes.until(() => names.every((name) => nodes.node(name).identity.value.cluster !== undefined));
      expect(new Set(names.map((name) => nodes.node(name).identity.value.cluster)).size).toBe(1);
    }
  });
});

describe("a node that learns late that it is a member", () => {
  it("knows who introduced himself before, though only his own word makes him known (campaign of e26c757, dense 1504)", async () => {
    const founders = ["n1", "n2", "n3"];
    let looked = 0;
    for (let seed = 1; seed <= 12; seed++) {
      const nodes = new NodeWorld(`a late member ${seed}`);
      for (const name of [...founders, "n4"]) nodes.place(name, { seeds: founders.map((other) => `${other}:7400`), expect: 3 });
      await nodes.start(...founders);
      const isMember = (name: string): boolean => nodes.node(name).identity.value.cluster !== undefined;
      await nodes.until(() => founders.some(isMember));
      // It has accepted, and asks again a moment later.
      const name = founders.find((founder) => !isMember(founder));
      if (name === undefined) continue;
      looked++;
      const late = nodes.node(name);
      const others = founders.filter((founder) => founder !== name);
      const cut = (): void => nodes.world.network.partition([name, "n4"], [...others, "n4"]);
      cut();
      await nodes.start("n4");
      await nodes.until(() => nodes.node("n4").directory?.state !== undefined && nodes.node("n4").links.isConnected(late.nodeId));
      nodes.world.network.heal();
      await nodes.until(() => isMember(name));
      cut();
      await nodes.until(() => late.directory?.addresses().get(nodes.node("n4").nodeId) === "n4:7400");
    }
    expect(looked).toBeGreaterThan(0);
  });
});

describe("status without a quorum", () => {
  it("a member that knows no more than what it was told still counts the voters, and for how long it misses the others", async () => {
    const nodes = new NodeWorld("status without a quorum");
    const list = ["n1:7400", "n2:7400", "n3:7400"];
    for (const name of ["n1", "n2", "n3"]) nodes.place(name, { seeds: list, expect: 3 });
    await nodes.start("n1", "n2", "n3");
    await nodes.until(() => nodes.node("n1").directory !== undefined);
    nodes.crash("n2");
    nodes.crash("n3");
    await nodes.run(7_000);
    expect(nodes.node("n1").directory?.state, "the system group has no state here, or this proves nothing").toBeUndefined();
    const status = await nodes.settle(nodes.handle(["n1"]).status());
    expect(status).toMatchObject({ voters: 3, votersUp: 1, quorum: false, canLose: 0 });
    const down = status.members.filter((member) => member.state === "down");
    expect(down.map((member) => member.name).sort()).toEqual(["n2", "n3"]);
    for (const { downMs } of down) expect(Math.round((downMs ?? 0) / 1_000)).toBe(7);
  });
});
