import { describe, expect, it } from "vitest";
import { Prng, defaultGroup, isUnumError, limits, systemGroup } from "../base/index.ts";
import type { GroupId } from "../base/index.ts";
import { openHandle, text } from "../api/index.ts";
import type { UnumHandle } from "../api/index.ts";
import { commandBytes, noEnvelope, systemCommandBytes } from "../machine/index.ts";
import { parseAddress, silentLogger } from "../ports/index.ts";
import type { Replica } from "../replica/index.ts";
import { StreamCarrier } from "../wire/index.ts";
import { Agreement } from "./check/index.ts";
import { Cluster } from "./cluster.ts";
import type { Member } from "./cluster.ts";
import { installGuards } from "./guards.ts";
import { drawPlan } from "./nemesis.ts";
import type { Plan } from "./nemesis.ts";
import { Witness } from "./witness.ts";
import { SimWorld } from "./world.ts";

const plain = { lease: 0n, previous: false, ignoreValue: false, ignoreLease: false } as const;

/** Three nodes that work, whose states a test may make wrong behind their backs. */
class Trial {
  readonly world: SimWorld;
  readonly cluster: Cluster;
  readonly handle: UnumHandle;
  readonly violations: string[] = [];
  /** "n1/1": node and group, in the order in which they discarded their state. */
  readonly discarded: string[] = [];

  constructor(seed: number, nodes = 3, plan: Partial<Plan> = {}) {
    this.world = new SimWorld(seed);
    const violation = (found: string): void => void this.violations.push(found);
    this.cluster = new Cluster(this.world, {
      // A session that ends early would make a write's outcome unknown, which is not the question here.
      plan: { ...drawPlan(new Prng(seed), "calm"), sessionIdleMs: limits.sessionIdleMs, nodes, snapshotLogBytes: 16 * 1024, ...plan },
      // States differ here on purpose.
      agreement: new Agreement(),
      witness: new Witness({ violation: () => undefined }),
      violation,
      discarded: (member, replica) => void this.discarded.push(`${member.name}/${replica.group}`),
      special: () => ({ checkpointMs: 1_000 }),
    });
    const { clock, streams } = this.world.machine("client");
    this.handle = openHandle(
      {
        clock,
        prng: this.world.prng.fork("client"),
        logger: silentLogger,
        dial: async (endpoint, timeoutMs) => {
          const address = parseAddress(endpoint);
          if (address === undefined) throw new Error(endpoint);
          return new StreamCarrier(await streams.dial(address, { timeoutMs, purpose: "client" }), (callback) => clock.defer(callback));
        },
      },
      { endpoints: this.cluster.addresses, direct: true, name: "client" },
    );
  }

  async begin(): Promise<void> {
    this.cluster.start();
    await this.world.scheduler.until(() => this.cluster.isSettled());
    await this.write(20);
    await this.world.scheduler.until(() => this.agrees(defaultGroup) && this.agrees(systemGroup), 30_000);
  }

  async write(count: number): Promise<void> {
    const kv = this.handle.kv.with(text);
    for (let i = 0; i < count; i++) await this.world.scheduler.settle(kv.put(`key${i % 50}`, `${i} ${"x".repeat(500)}`));
  }

  replica(member: Member, group: GroupId = defaultGroup): Replica {
    const replica = member.node?.groups.get(group);
    if (replica === undefined) throw new Error(`${member.name} has no replica of group ${group}`);
    return replica;
  }

  leader(): Member {
    const leader = this.cluster.leader();
    if (leader === undefined) throw new Error("there is no leader");
    return leader;
  }

  followers(): Member[] {
    return this.cluster.live().filter((member) => member !== this.cluster.leader());
  }

  /** As a flipped bit or a bug would: what no log says is true here. */
  makeWrong(member: Member, value: string, group: GroupId = defaultGroup): void {
    const replica = this.replica(member, group);
    const command =
      group === systemGroup
        ? systemCommandBytes(noEnvelope, { kind: "create-keyspace", name: value, wanted: 1, nodes: [member.node?.nodeId as never] })
        : commandBytes({ kind: "put", key: "wrong", value: new Uint8Array([value.length]), ...plain });
    replica.machine.apply(command, { index: replica.applied, term: replica.term, position: 60_000, timestamp: 0 });
  }

  /** All replicas have the same state, and know it. */
  agrees(group: GroupId): boolean {
    const replicas = this.cluster.replicas(group).map(({ replica }) => replica);
    return (
      replicas.length === Math.min(this.cluster.members.size, group === systemGroup ? 5 : 3) &&
      replicas.every(({ applied, machine, check }) => {
        return check.condition === "agreed" && applied === replicas[0]?.applied && machine.hash() === replicas[0].machine.hash();
      })
    );
  }
}

async function guarded(run: () => Promise<void>): Promise<void> {
  const remove = installGuards();
  try {
    await run();
  } finally {
    remove();
  }
}

describe("a state that is not the majority's", () => {
  for (const role of ["follower", "leader"] as const) {
    it(`on a ${role} is found at the next checkpoint, discarded and replaced, under load and for good`, () =>
      guarded(async () => {
        for (let seed = 1; seed <= 3; seed++) {
          const trial = new Trial(seed);
          await trial.begin();
          const victim = role === "leader" ? trial.leader() : (trial.followers()[seed % 2] as Member);
          trial.makeWrong(victim, "a");
          await trial.write(100);
          await trial.world.scheduler.until(() => trial.discarded.length > 0 && trial.agrees(defaultGroup), 30_000);
          expect(trial.discarded, `seed ${seed}`).toEqual([`${victim.name}/1`]);
          expect(trial.violations).toEqual([]);
          if (role === "leader") expect(trial.leader()).not.toBe(victim);
          // What it keeps on its disk is the new state, too.
          trial.cluster.crash(victim, "power");
          trial.cluster.revive(victim);
          await trial.write(20);
          await trial.world.scheduler.until(() => trial.agrees(defaultGroup), 30_000);
          expect(trial.discarded).toHaveLength(1);
          const stale = trial.world.scheduler.settle(trial.handle.kv.with(text).get("wrong", { consistency: "stale" }));
          expect(await stale).toBeUndefined();
        }
      }));
  }

  it("of the system group is replaced as well, and the cluster goes on", () =>
    guarded(async () => {
      const trial = new Trial(7);
      await trial.begin();
      const victim = trial.followers()[0] as Member;
      trial.makeWrong(victim, "nowhere", systemGroup);
      await trial.world.scheduler.until(() => trial.discarded.length > 0 && trial.agrees(systemGroup), 30_000);
      expect(trial.discarded).toEqual([`${victim.name}/0`]);
      await trial.write(10);
      expect(trial.violations).toEqual([]);
    }));

  it("on two of five, one of them the leader, is replaced on both", () =>
    guarded(async () => {
      const trial = new Trial(8, 5);
      await trial.begin();
      const copies = trial.cluster.replicas(systemGroup);
      const leader = copies.find(({ replica }) => replica.isLeader)?.member as Member;
      const follower = copies.find(({ replica }) => !replica.isLeader)?.member as Member;
      trial.makeWrong(leader, "a", systemGroup);
      trial.makeWrong(follower, "bb", systemGroup);
      await trial.world.scheduler.until(() => trial.discarded.length >= 2 && trial.agrees(systemGroup), 60_000);
      expect([...trial.discarded].sort()).toEqual([`${leader.name}/0`, `${follower.name}/0`].sort());
      await trial.write(10);
    }));

  it("P7: takes a bounded amount of memory for what is committed until a snapshot has come, however long that takes", () =>
    guarded(async () => {
      const logCacheBytes = 16 * 1024;
      for (const late of [100, 400]) {
        const trial = new Trial(11, 3, { logCacheBytes });
        await trial.begin();
        const victim = trial.followers()[0] as Member;
        const replica = trial.replica(victim);
        const arrived: (() => void)[] = [];
        const take = replica.snapshotReceived.bind(replica);
        replica.snapshotReceived = (...snapshot) => void arrived.push(() => take(...snapshot));
        trial.makeWrong(victim, "a");
        await trial.world.scheduler.until(() => replica.check.isDiscarded, 5_000);
        const before = replica.applied;
        let most = 0;
        for (let i = 0; i < late; i++) {
          await trial.write(1);
          most = Math.max(most, replica.memoryBytes - replica.machine.memoryBytes);
        }
        expect(replica.applied).toBe(before);
        expect(most, `${late} writes`).toBeLessThan(3 * logCacheBytes);
        delete (replica as Partial<Replica>).snapshotReceived;
        for (const offer of arrived) offer();
        await trial.world.scheduler.until(() => trial.agrees(defaultGroup), 30_000);
        await trial.write(20);
        await trial.world.scheduler.until(() => trial.agrees(defaultGroup), 30_000);
        expect(trial.violations).toEqual([]);
      }
    }));

  it("serves nobody: stale reads go elsewhere until it is replaced", () =>
    guarded(async () => {
      const trial = new Trial(9);
      await trial.begin();
      const victim = trial.followers()[0] as Member;
      trial.makeWrong(victim, "a");
      await trial.world.scheduler.until(() => trial.replica(victim).check.isDiscarded, 5_000);
      expect(trial.replica(victim).isReadable).toBe(false);
      expect(trial.replica(victim).status()).toMatchObject({ state: "discarded", suspect: false });
    }));
});

describe("states of which none has a majority", () => {
  it("stop the writes with CORRUPT, reads go on, and a majority that agrees again lets them go on", () =>
    guarded(async () => {
      const trial = new Trial(11);
      await trial.begin();
      const kv = trial.handle.kv.with(text);
      const [first, second] = trial.followers() as [Member, Member];
      trial.makeWrong(first, "a");
      trial.makeWrong(second, "bb");
      await trial.world.scheduler.until(() => trial.replica(trial.leader()).check.condition === "corrupt", 10_000);
      const refused = await trial.world.scheduler.settle(
        kv.put("key", "value").then(
          () => undefined,
          (error: unknown) => error,
        ),
      );
      expect(isUnumError(refused, "CORRUPT") && refused.outcome).toBe("not-applied");
      expect((await trial.world.scheduler.settle(kv.get("key1")))?.value).toContain("1 ");
      expect(trial.discarded).toEqual([]);
      const status = await trial.world.scheduler.settle(trial.handle.status());
      expect(status.groups.find(({ group }) => group === defaultGroup)).toMatchObject({ corrupt: true });
      // What was wrong in memory only is right again after a start.
      for (const member of [first, second]) {
        trial.cluster.crash(member, "process");
        trial.cluster.revive(member);
      }
      await trial.world.scheduler.until(() => trial.agrees(defaultGroup), 30_000);
      await trial.write(10);
      expect(trial.violations).toEqual([]);
    }));

  it("stop the writes after a while when the one that could decide is away; it decides when it is back", () =>
    guarded(async () => {
      const trial = new Trial(12);
      await trial.begin();
      const [wrong, away] = trial.followers() as [Member, Member];
      trial.cluster.crash(away, "process");
      trial.makeWrong(wrong, "a");
      await trial.world.scheduler.until(() => trial.replica(trial.leader()).check.condition === "corrupt", 20_000);
      trial.cluster.revive(away);
      await trial.world.scheduler.until(() => trial.discarded.length > 0 && trial.agrees(defaultGroup), 30_000);
      expect(trial.discarded).toEqual([`${wrong.name}/1`]);
      await trial.write(10);
    }));
});
