import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { goldenTests, type GoldenCommand } from "../../../tools/golden.ts";
import { MalformedBytes, Prng, Reader, type ClusterId, type GroupId, type NodeId, type ReplicaId } from "../../base/index.ts";
import { decodeReply, noEnvelope, queryBytes } from "../commands/index.ts";
import { UpgradeRequired } from "../types.ts";
import { decodeSystemCommand, systemCommandBytes } from "./commands.ts";
import { systemFactory, type SystemMachine } from "./machine.ts";
import { decodeSystemState } from "./state.ts";
import type { SystemCommand, SystemNode } from "./types.ts";

function nodeOf(command: GoldenCommand): SystemNode {
  const name = command.word(0, "a name");
  return {
    node: idOf(command.text("id") ?? name),
    name,
    address: command.text("address") ?? `${name}:7400`,
    zone: command.text("zone") ?? "",
    incarnation: command.text("incarnation") ?? "one",
    ephemeral: command.has("ephemeral"),
    featureLevel: command.number("level", 1),
  };
}

function idOf(name: string): NodeId {
  return name as NodeId;
}

function founder(name: string, at: number): SystemNode & { readonly replica: ReplicaId } {
  return {
    node: idOf(name),
    name,
    address: `${name}:7400`,
    zone: "",
    incarnation: "one",
    ephemeral: false,
    featureLevel: 1,
    replica: (at + 1) as ReplicaId,
  };
}

const makers: Readonly<Record<string, (command: GoldenCommand) => SystemCommand>> = {
  bootstrap: (command) => ({
    kind: "bootstrap",
    cluster: "c1" as ClusterId,
    initialVoters: command.list("voters").map((id) => Number(id) as ReplicaId),
    nodes: command.words.map(founder),
  }),
  register: (command) => ({ kind: "register-node", ...nodeOf(command) }),
  update: (command) => ({ kind: "update-node", ...nodeOf(command) }),
  remove: (command) => ({ kind: "remove-node", node: idOf(command.word(0, "a node")) }),
  leave: (command) => ({ kind: "leave-node", node: idOf(command.word(0, "a node")) }),
  release: (command) => ({
    kind: "release-replica",
    group: Number(command.word(0, "a group")) as GroupId,
    replica: Number(command.word(1, "a replica")) as ReplicaId,
  }),
  create: (command) => ({
    kind: "create-keyspace",
    name: command.word(0, "a name"),
    wanted: command.number("wanted", 3),
    nodes: command.list("nodes").map(idOf),
  }),
  replicas: (command) => ({
    kind: "set-replicas",
    group: Number(command.word(0, "a group")) as GroupId,
    version: command.number("version", 0),
    nodes: command.list("nodes").map(idOf),
  }),
};

class SystemScript {
  private machine: SystemMachine = systemFactory().create();
  private index = 0;

  readonly run = (command: GoldenCommand): string => {
    if (command.verb === "state") return this.describe();
    if (command.verb === "snapshot") return this.snapshot();
    const maker = makers[command.verb];
    if (maker === undefined) throw new Error(`no verb ${command.verb}`);
    const reply = decodeReply(
      this.machine.apply(systemCommandBytes(noEnvelope, maker(command)), { index: ++this.index, position: 0, term: 1, timestamp: 0 }),
    );
    return reply.ok ? `version ${reply.revision}` : `version ${reply.revision}: ${reply.code}: ${reply.message}`;
  };

  private snapshot(): string {
    this.machine = restored(this.machine);
    return "restored";
  }

  /** What a query gives, not the machine's own view: both must be one. */
  private describe(): string {
    const reply = decodeReply(this.machine.query(queryBytes({ kind: "summary" })));
    if (!reply.ok || reply.result.kind !== "system") return "no state";
    const state = decodeSystemState(new Reader(reply.result.state));
    expect(state.nodes).toEqual(this.machine.state.nodes);
    const nodes = [...state.nodes.values()].map((node) => `${node.name}@${node.address}${node.ephemeral ? " ephemeral" : ""}`);
    const groups = [...state.groups.values()].map((group) => {
      const replicas = group.replicas.map(({ replica, node }) => `${replica}@${node}`).join(" ");
      return `  ${group.group} ${group.name}: ${replicas}; first voters ${group.initialVoters.join(" ")}; next ${group.nextReplica}, version ${group.version}`;
    });
    const leaving = state.leaving.size === 0 ? "" : `; leaving (${[...state.leaving].join(", ")})`;
    return [
      `cluster ${state.cluster} version ${state.version} level ${state.featureLevel}: ${nodes.join(", ")}; removed (${[...state.removed].join(", ")})${leaving}`,
      ...groups,
    ].join("\n");
  }
}

function restored(machine: SystemMachine): SystemMachine {
  const source = machine.snapshot();
  const restorer = systemFactory().restore();
  for (let bytes = source.next(7); bytes !== undefined; bytes = source.next(7)) restorer.push(bytes);
  const copy = restorer.finish() as SystemMachine;
  expect(copy.hash()).toBe(machine.hash());
  return copy;
}

goldenTests(new URL("./testdata/", import.meta.url), () => new SystemScript());

describe("the system machine", () => {
  const names = ["a", "b", "c", "d", "e"];

  function randomCommand(prng: Prng): SystemCommand {
    const name = prng.pick(names);
    const node = { ...founder(name, 0), incarnation: prng.pick(["one", "one", "two"]), featureLevel: prng.pick([1, 1, 1, 2]) };
    const some = (): NodeId[] => prng.shuffle(names).slice(0, prng.below(4)).map(idOf);
    switch (prng.below(6)) {
      case 0:
        return { kind: "bootstrap", cluster: "c1" as ClusterId, initialVoters: [1 as ReplicaId], nodes: [founder("a", 0)] };
      case 1:
        return { kind: "register-node", ...node };
      case 2:
        return { kind: "update-node", ...node, address: `${name}:${prng.below(9)}` };
      case 3:
        return prng.pick<SystemCommand>([
          { kind: "remove-node", node: idOf(name) },
          { kind: "leave-node", node: idOf(name) },
          { kind: "release-replica", group: prng.below(4) as GroupId, replica: prng.between(1, 5) as ReplicaId },
          { kind: "register-node", ...node },
        ]);
      case 4:
        return { kind: "create-keyspace", name: prng.pick(["x", "y", "z"]), wanted: 3, nodes: some() };
      default:
        return { kind: "set-replicas", group: prng.below(4) as GroupId, version: prng.below(5), nodes: some() };
    }
  }

  it("never gives a replica id twice, never lets a removed node back, and restores to an equal hash", () => {
    for (let seed = 1; seed <= 100; seed++) {
      const prng = new Prng(seed);
      let machine = systemFactory().create();
      const twin = systemFactory().create();
      const holders = new Map<string, NodeId>();
      for (let step = 1; step <= 60; step++) {
        const bytes = systemCommandBytes(noEnvelope, randomCommand(prng));
        const meta = { index: step, position: 0, term: 1, timestamp: step };
        const removed = new Set(machine.state.removed);
        expect(twin.apply(bytes, meta)).toEqual(machine.apply(bytes, meta));
        expect(twin.hash()).toBe(machine.hash());
        for (const node of machine.state.leaving) {
          const holds = [...machine.state.groups.values()].some(({ replicas }) => replicas.some((replica) => replica.node === node));
          expect(machine.state.nodes.has(node) && holds, `seed ${seed}: ${node} is leaving for ever`).toBe(true);
        }
        for (const node of removed) expect(machine.state.nodes.has(node), `seed ${seed}`).toBe(false);
        for (const group of machine.state.groups.values()) {
          for (const { replica, node } of group.replicas) {
            const name = `${group.group}/${replica}`;
            expect(holders.get(name) ?? node, `seed ${seed}: replica ${name} moved`).toBe(node);
            holders.set(name, node);
            expect(replica).toBeLessThan(group.nextReplica);
          }
        }
        if (prng.chance(1, 20)) machine = restored(machine);
      }
    }
  });

  it("reads arbitrary bytes as a command, malformed or a newer build's, and fails in no other way", () => {
    const machine = systemFactory().create();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.integer({ min: 60, max: 75 }), (bytes, kind) => {
        try {
          decodeSystemCommand(new Reader(Uint8Array.of(kind, ...bytes)));
        } catch (error) {
          expect(error instanceof MalformedBytes || error instanceof UpgradeRequired).toBe(true);
        }
        try {
          machine.apply(Uint8Array.of(...new Uint8Array(24), kind, ...bytes), { index: 1, position: 0, term: 1, timestamp: 0 });
        } catch (error) {
          expect(error).toBeInstanceOf(UpgradeRequired);
        }
      }),
    );
  });
});
