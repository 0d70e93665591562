import { describe, expect, it } from "vitest";
import type { ClusterId, GroupId, NodeId, ReplicaId } from "../base/index.ts";
import { decodeReply, noEnvelope, systemCommandBytes, systemFactory } from "../machine/index.ts";
import type { SystemCommand, SystemGroup, SystemState } from "../machine/index.ts";
import { stayingReplicas, wasSentAway } from "./departures.ts";

const data = 1 as GroupId;
const idOf = (name: string): NodeId => name as NodeId;

class Script {
  private readonly machine = systemFactory().create();
  private index = 0;

  constructor(names: readonly string[], holders: readonly string[]) {
    const nodes = names.map((name, i) => ({
      ...{ node: idOf(name), name, address: `${name}:1`, zone: "", incarnation: "one", ephemeral: false, featureLevel: 1 },
      replica: (i + 1) as ReplicaId,
    }));
    this.run({ kind: "bootstrap", cluster: "c" as ClusterId, initialVoters: nodes.map(({ replica }) => replica), nodes });
    this.run({ kind: "create-keyspace", name: "default", wanted: holders.length, nodes: holders.map(idOf) });
  }

  run(command: SystemCommand): void {
    const meta = { index: ++this.index, position: 0, term: 1, timestamp: 0 };
    expect(decodeReply(this.machine.apply(systemCommandBytes(noEnvelope, command), meta)).ok).toBe(true);
  }

  get state(): SystemState {
    return this.machine.state;
  }

  group(id: number): SystemGroup {
    const group = this.state.groups.get(id as GroupId);
    if (group === undefined) throw new Error(`no group ${id}`);
    return group;
  }
}

describe("a replica", () => {
  it("was sent away only if its place is known and gone: an older state of the system group, replayed at a start, sends nobody away", () => {
    const script = new Script(["a", "b", "c", "d"], ["a", "b", "c"]);
    expect(wasSentAway(undefined, 1 as ReplicaId), "the group is younger than this state").toBe(false);
    expect(wasSentAway(script.group(data), 4 as ReplicaId), "the replica is younger than this state").toBe(false);
    script.run({ kind: "set-replicas", group: data, version: 1, nodes: ["a", "b", "d"].map(idOf) });
    expect(wasSentAway(script.group(data), 4 as ReplicaId)).toBe(false);
    expect(wasSentAway(script.group(data), 3 as ReplicaId)).toBe(true);
  });
});

describe("a group that a leaving member holds", () => {
  it("does without it once it has a copy in its place, or cannot get one", () => {
    const script = new Script(["a", "b", "c", "d"], ["a", "b", "c"]);
    script.run({ kind: "leave-node", node: idOf("c") });
    expect(stayingReplicas(script.state, script.group(data), true)).toEqual([1, 2, 3]);
    expect(stayingReplicas(script.state, script.group(data), false)).toEqual([1, 2]);
    script.run({ kind: "set-replicas", group: data, version: 1, nodes: ["a", "b", "c", "d"].map(idOf) });
    expect(stayingReplicas(script.state, script.group(data), true)).toEqual([1, 2, 4]);
  });

  it("keeps its copies when all of their nodes are leaving, rather than none", () => {
    const script = new Script(["a", "b"], ["b"]);
    script.run({ kind: "leave-node", node: idOf("b") });
    expect(stayingReplicas(script.state, script.group(data), false)).toEqual([1]);
  });

  it("is done with before the system group, from which the member hears what the others need", () => {
    const script = new Script(["a", "b", "c"], ["a", "b", "c"]);
    script.run({ kind: "leave-node", node: idOf("c") });
    expect(stayingReplicas(script.state, script.group(0), false)).toEqual([1, 2, 3]);
    script.run({ kind: "release-replica", group: data, replica: 3 as ReplicaId });
    expect(stayingReplicas(script.state, script.group(0), false)).toEqual([1, 2]);
    script.run({ kind: "release-replica", group: 0 as GroupId, replica: 3 as ReplicaId });
    expect([...script.state.nodes.keys()]).toEqual(["a", "b"]);
  });
});
