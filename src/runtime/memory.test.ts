import { describe, expect, it } from "vitest";
import { defaultGroup } from "../base/index.ts";
import type { GroupId, NodeId, ReplicaId } from "../base/index.ts";
import { op } from "../api/index.ts";
import type { UnumHandle } from "../api/index.ts";
import { commandBytes, decodeReply } from "../machine/index.ts";
import type { Replica } from "../replica/index.ts";
import { Memory, headroomWhole } from "./memory.ts";
import type { UnumNode } from "./index.ts";
import { NodeWorld } from "./world.golden.ts";

const MiB = 1024 * 1024;
const list = ["n1:7400", "n2:7400", "n3:7400"];
const names = ["n1", "n2", "n3"];

describe("a node whose memory budget is nearly used", () => {
  /** Three nodes, of which only the one named has little memory, and whoever leads the default keyspace. */
  async function cluster(
    seed: string,
    small: "leader" | "follower",
  ): Promise<{ nodes: NodeWorld; handle: UnumHandle; low: UnumNode; leader: UnumNode }> {
    const nodes = new NodeWorld(seed);
    for (const name of names) nodes.place(name, { seeds: list, expect: 3, memoryBudgetBytes: name === "n2" ? 64 * MiB : 1024 * MiB });
    await nodes.start(...names);
    const handle = nodes.handle(names, { direct: true });
    await nodes.settle(handle.kv.put("first", 1));
    const replicaOf = (name: string): Replica | undefined => nodes.node(name).groups.get(defaultGroup);
    const lead = (name: string): Promise<void> => nodes.until(() => replicaOf(name)?.isServing === true);
    const wanted = small === "leader" ? "n2" : "n3";
    const now = names.find((name) => replicaOf(name)?.isLeader === true);
    if (now !== wanted) {
      const target = replicaOf(wanted)?.id;
      if (now !== undefined && target !== undefined) replicaOf(now)?.transfer(target);
      await lead(wanted);
    }
    return { nodes, handle, low: nodes.node("n2"), leader: nodes.node(wanted) };
  }

  for (const small of ["leader", "follower"] as const) {
    it(`refuses growing writes when it is a ${small}; reads, deletes, compaction and leases that live go on, and it lifts by itself`, async () => {
      const { handle, leader, low, nodes } = await cluster(`memory of a ${small}`, small);
      const lease = await nodes.settle(handle.lease("10s"));
      const value = "x".repeat(1024 * 1024);
      let written = 0;
      const refusals: unknown[] = [];
      // The first refusal may lift again when buffers have drained: three in a row mean that it is full.
      while (refusals.length < 3 && written < 200) {
        try {
          await nodes.settle(handle.kv.put(`k/${written}`, value, { timeout: 300 }));
          written++;
          refusals.length = 0;
          // Followers speak of their memory with their heartbeats.
          await nodes.run(50);
        } catch (error) {
          refusals.push(error);
          await nodes.run(500);
        }
      }
      expect(refusals[0]).toMatchObject({
        code: "OUT_OF_SPACE",
        outcome: "not-applied",
        retry: "safe",
        message: expect.stringContaining("n2"),
      });
      expect(low.memory.usedBytes).toBeGreaterThan(0.75 * 64 * MiB);
      expect(low.memory.usedBytes, "what was under way when it was decided is little").toBeLessThan(64 * MiB);
      await expect(nodes.settle(handle.kv.txn({ do: [op.put("t", 1)] }, { timeout: 300 }))).rejects.toMatchObject({ code: "OUT_OF_SPACE" });
      await expect(nodes.settle(handle.keyspace("another").put("a", 1, { timeout: 300 }))).rejects.toMatchObject({ code: "OUT_OF_SPACE" });
      const status = await nodes.settle(handle.status());
      expect(status.groups.find((group) => group.name === "default")?.writesStopped).toBe(true);

      expect((await nodes.settle(handle.kv.get("k/0")))?.value).toBe(value);
      await nodes.run(15_000);
      expect(lease.signal.aborted, "keep-alives pass").toBe(false);
      expect((await nodes.settle(handle.kv.delete({ prefix: "k/" }))).deleted).toBe(written);
      const other = nodes.node(leader === nodes.node("n1") ? "n3" : "n1");
      const { revision } = await nodes.settle(handle.kv.delete("first"));
      const compact = commandBytes({ kind: "compact", revision });
      expect(decodeReply(await nodes.settle(other.router.propose(defaultGroup, compact, 5_000)))).toMatchObject({ ok: true });
      await nodes.run(5_000);
      await nodes.settle(handle.kv.put("after", 1));
      expect((await nodes.settle(handle.status())).groups.every((group) => !group.writesStopped)).toBe(true);
    });
  }
});

describe("what the leader knows of its voters' memory", () => {
  function make(): { memory: Memory; advance: (ms: number) => void; use: (bytes: number) => void; heap: { full: boolean } } {
    let now = 0;
    let used = 0;
    const heap = { full: false };
    const configuration = { voters: [1, 2, 3], outgoing: [] as number[], learners: [4] };
    const replica = {
      group: defaultGroup,
      isLeader: true,
      configuration,
      limitTail: () => undefined,
      get memoryBytes() {
        return used;
      },
    };
    const memory = new Memory({
      clock: { now: () => now } as never,
      budgetBytes: 1000,
      isHeapFull: () => heap.full,
      node: "a" as NodeId,
      replicas: () => [replica as unknown as Replica],
      bufferedBytes: () => 100,
      nodeOf: (_group: GroupId, id: ReplicaId) => ["", "a", "b", "c", "d"][id] as NodeId,
    });
    return {
      memory,
      heap,
      advance: (ms) => {
        now += ms;
        memory.measure();
      },
      use: (bytes) => {
        used = bytes;
        memory.measure();
      },
    };
  }

  it("a fifth of the budget must be free, buffers included", () => {
    const { memory, use } = make();
    use(690);
    expect(memory.usedBytes).toBe(790);
    expect(memory.lowVoter(defaultGroup)).toBeUndefined();
    use(710);
    expect(memory.lowVoter(defaultGroup)).toBe("a");
    use(5_000);
    expect(memory.headroom).toBe(0);
    use(0);
    expect(memory.lowVoter(defaultGroup)).toBeUndefined();
  });

  it("a heap that is nearly used leaves no headroom, whatever the budget says", () => {
    const { heap, memory, use } = make();
    heap.full = true;
    use(0);
    expect([memory.headroom, memory.lowVoter(defaultGroup)]).toEqual([0, "a"]);
  });

  it("a voter counts, a learner does not, and what nobody repeats is forgotten: a dead voter stops no writes", () => {
    const { advance, memory } = make();
    memory.heard("d" as NodeId, 0);
    advance(0);
    expect(memory.lowVoter(defaultGroup)).toBeUndefined();
    memory.heard("c" as NodeId, Math.floor(headroomWhole * 0.19));
    advance(100);
    expect(memory.lowVoter(defaultGroup)).toBe("c");
    advance(4_000);
    expect(memory.lowVoter(defaultGroup)).toBeUndefined();
    memory.heard("c" as NodeId, Math.ceil(headroomWhole * 0.21));
    advance(100);
    expect(memory.lowVoter(defaultGroup)).toBeUndefined();
  });
});
