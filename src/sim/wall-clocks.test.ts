import { expect, it } from "vitest";
import { Prng, defaultGroup, systemGroup } from "../base/index.ts";
import { Agreement } from "./check/index.ts";
import { Cluster } from "./cluster.ts";
import type { Member } from "./cluster.ts";
import { installGuards } from "./guards.ts";
import { drawPlan } from "./nemesis.ts";
import { Witness } from "./witness.ts";
import { SimWorld } from "./world.ts";

/** A cluster whose wall clocks a test sets. */
class Clocks {
  readonly world: SimWorld;
  readonly cluster: Cluster;
  readonly log: string[] = [];

  constructor(seed: number, nodes: number, latencyUsMax = 1_000) {
    this.world = new SimWorld(seed, { network: { latencyUsMax }, record: (line) => this.note(line) });
    const violation = (found: string): void => expect.unreachable(found);
    this.cluster = new Cluster(this.world, {
      plan: { ...drawPlan(new Prng(seed), "calm"), nodes, driftPpmMax: 0 },
      agreement: new Agreement(),
      witness: new Witness({ violation }),
      violation,
    });
  }

  private note(line: string): void {
    if (line.includes("wall clock")) this.log.push(line);
  }

  async begin(): Promise<void> {
    this.cluster.start();
    await this.world.scheduler.until(() => this.cluster.isSettled());
    await this.world.scheduler.run(3_000);
  }

  leader(): Member {
    const leader = this.cluster.leader();
    if (leader === undefined) throw new Error("there is no leader");
    return leader;
  }

  followers(): Member[] {
    return this.cluster.live().filter((member) => member !== this.cluster.leader());
  }

  declines(member: Member): boolean {
    return member.node?.wallClocks.isOff === true;
  }

  /** Whether it leads any group. */
  leads(member: Member): boolean {
    return [systemGroup, defaultGroup].some((group) => member.node?.groups.get(group)?.isLeader === true);
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

for (const byMs of [700, -700, 3_600_000]) {
  it(`a leader whose wall clock is ${byMs} ms off hands over, says so, and may lead again when it is right`, () =>
    guarded(async () => {
      const clocks = new Clocks(1, 3);
      await clocks.begin();
      const leader = clocks.leader();
      leader.machine.clock.jumpWall(byMs);
      await clocks.world.scheduler.until(() => clocks.declines(leader) && !clocks.leads(leader) && clocks.cluster.isSettled(), 8_000);
      expect(clocks.leader()).not.toBe(leader);
      expect(leader.node?.wallClocks.offsetMs).toBeCloseTo(byMs, -1);
      expect(clocks.log.filter((line) => line.includes(`${leader.name} warn this node's wall clock is off`))).toHaveLength(1);
      expect(clocks.followers().filter((member) => clocks.declines(member))).toEqual([leader]);
      await clocks.world.scheduler.run(10_000);
      expect(clocks.leads(leader)).toBe(false);
      leader.machine.clock.jumpWall(-byMs);
      await clocks.world.scheduler.until(() => !clocks.declines(leader), 5_000);
      expect(leader.node?.wallClocks.offsetMs ?? 0).toBeCloseTo(0, -1);
      expect(clocks.log.some((line) => line.includes(`${leader.name} info this node's wall clock agrees`))).toBe(true);
      // It is as good as the others again: leadership may come to it.
      const replica = clocks.leader().node?.groups.get(defaultGroup);
      const own = leader.node?.groups.get(defaultGroup);
      if (replica === undefined || own === undefined) return expect.unreachable("both have a replica");
      replica.transfer(own.id);
      await clocks.world.scheduler.until(() => own.isLeader, 3_000);
      await clocks.world.scheduler.run(8_000);
      expect(own.isLeader).toBe(true);
    }));
}

it("a difference below half a second, or one that slow links explain, moves nothing", () =>
  guarded(async () => {
    for (const [byMs, latencyUsMax] of [
      [450, 1_000],
      [520, 150_000],
    ] as const) {
      const clocks = new Clocks(2, 3, latencyUsMax);
      await clocks.begin();
      const leader = clocks.leader();
      const { term } = leader.node?.groups.get(defaultGroup) ?? { term: 0 };
      leader.machine.clock.jumpWall(byMs);
      await clocks.world.scheduler.run(10_000);
      expect(clocks.leader()).toBe(leader);
      expect(leader.node?.groups.get(defaultGroup)?.term).toBe(term);
      expect(clocks.log).toEqual([]);
    }
  }));

it("who is in the middle leads when all three differ; of two that are left neither declines", () =>
  guarded(async () => {
    const clocks = new Clocks(3, 3);
    await clocks.begin();
    const [ahead, behind] = clocks.cluster.live() as [Member, Member];
    ahead.machine.clock.jumpWall(2_000);
    behind.machine.clock.jumpWall(-2_000);
    await clocks.world.scheduler.until(() => clocks.declines(ahead) && clocks.declines(behind), 8_000);
    await clocks.world.scheduler.until(() => !clocks.leads(ahead) && !clocks.leads(behind) && clocks.cluster.isSettled(), 10_000);
    const middle = clocks.leader();
    expect(clocks.declines(middle)).toBe(false);
    clocks.cluster.crash(middle, "power");
    await clocks.world.scheduler.until(() => clocks.cluster.leader() !== undefined, 20_000);
    await clocks.world.scheduler.until(() => !clocks.declines(ahead) && !clocks.declines(behind), 15_000);
  }));

it("a node that declines does not take over from a leader that dies while others can", () =>
  guarded(async () => {
    for (let seed = 10; seed < 16; seed++) {
      const clocks = new Clocks(seed, 5);
      await clocks.begin();
      const copies = clocks.cluster.replicas(systemGroup);
      const off = copies.find(({ replica }) => !replica.isLeader)?.member as Member;
      off.machine.clock.jumpWall(5_000);
      await clocks.world.scheduler.until(() => clocks.declines(off) && !clocks.leads(off), 8_000);
      const leader = clocks.cluster.replicas(systemGroup).find(({ replica }) => replica.isLeader)?.member as Member;
      clocks.cluster.crash(leader, seed % 2 === 0 ? "power" : "process");
      let led = false;
      await clocks.world.scheduler.until(() => {
        led ||= off.node?.groups.get(systemGroup)?.isLeader === true;
        return clocks.cluster.replicas(systemGroup).some(({ replica }) => replica.isLeader);
      }, 10_000);
      expect(led, `seed ${seed}`).toBe(false);
    }
  }));
