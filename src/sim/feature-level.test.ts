import { expect, it } from "vitest";
import { Prng, defaultGroup, isUnumError, systemGroup } from "../base/index.ts";
import type { SystemMachine } from "../machine/index.ts";
import { Agreement } from "./check/index.ts";
import { Cluster } from "./cluster.ts";
import type { Member } from "./cluster.ts";
import { installGuards } from "./guards.ts";
import { drawPlan } from "./nemesis.ts";
import { Witness } from "./witness.ts";
import { SimWorld } from "./world.ts";

/** A cluster of builds: what each member's build supports, changed by an "upgrade" and a restart. */
class Fleet {
  readonly world: SimWorld;
  readonly cluster: Cluster;
  readonly builds = new Map<string, number>();
  readonly violations: string[] = [];
  /** What nodes say as errors before they end. */
  readonly errors: string[] = [];

  constructor(seed: number, builds: readonly number[], snapshotLogBytes = 64 * 1024) {
    this.world = new SimWorld(seed, { record: (line) => void (/ error /.test(line) && this.errors.push(line)) });
    builds.forEach((level, i) => this.builds.set(`n${i + 1}`, level));
    const violation = (found: string): void => void this.violations.push(found);
    this.cluster = new Cluster(this.world, {
      plan: { ...drawPlan(new Prng(seed), "calm"), nodes: builds.length, snapshotLogBytes },
      agreement: new Agreement(),
      witness: new Witness({ violation }),
      violation,
      special: ({ name }) => ({ featureLevel: this.builds.get(name) ?? 1, checkpointMs: 500 }),
    });
  }

  async begin(): Promise<void> {
    this.cluster.start();
    await this.world.scheduler.until(() => this.cluster.isSettled());
  }

  member(name: string): Member {
    const member = this.cluster.members.get(name);
    if (member === undefined) throw new Error(name);
    return member;
  }

  /** The other build is installed, and the process started again. */
  async install(name: string, level: number): Promise<void> {
    this.builds.set(name, level);
    this.cluster.crash(this.member(name), "process");
    await this.world.scheduler.run(500);
    this.cluster.revive(this.member(name));
  }

  /** What each copy of each group uses, and what the system group's state says. */
  levels(): number[] {
    const replicas = [systemGroup, defaultGroup].flatMap((group) => this.cluster.replicas(group).map(({ replica }) => replica));
    return replicas.flatMap(({ group, machine }) =>
      group === systemGroup ? [machine.featureLevel, (machine as SystemMachine).state.featureLevel] : [machine.featureLevel],
    );
  }

  get lowest(): number {
    return Math.min(...this.levels());
  }

  get highest(): number {
    return Math.max(...this.levels());
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

it("a level is used by all groups once every member supports it, and by none before", () =>
  guarded(async () => {
    const fleet = new Fleet(1, [1, 1, 1]);
    await fleet.begin();
    for (const name of ["n1", "n2"]) {
      await fleet.install(name, 2);
      await fleet.world.scheduler.run(8_000);
      expect(fleet.highest).toBe(1);
    }
    await fleet.install("n3", 2);
    await fleet.world.scheduler.until(() => fleet.lowest === 2, 20_000);
    expect(fleet.highest).toBe(2);
    expect(fleet.violations).toEqual([]);
  }));

it("a member that only learns counts like any other", () =>
  guarded(async () => {
    const fleet = new Fleet(2, [2, 2, 2, 1]);
    await fleet.begin();
    const learner = fleet.cluster.replicas(systemGroup).find(({ replica }) => replica.configuration.learners.includes(replica.id));
    expect(learner).toBeDefined();
    await fleet.world.scheduler.run(10_000);
    expect(fleet.highest).toBe(1);
    await fleet.install("n4", 2);
    await fleet.world.scheduler.until(() => fleet.lowest === 2, 20_000);
    expect(fleet.violations).toEqual([]);
  }));

it("a new cluster of one build uses what that supports, over changes of leader and restarts", () =>
  guarded(async () => {
    const fleet = new Fleet(3, [3, 3, 3]);
    await fleet.begin();
    await fleet.world.scheduler.until(() => fleet.lowest === 3, 20_000);
    for (const name of ["n1", "n2", "n3"]) await fleet.install(name, 3);
    await fleet.world.scheduler.until(() => fleet.cluster.isSettled() && fleet.lowest === 3, 20_000);
    expect(fleet.violations).toEqual([]);
  }));

it("who does not support what the cluster uses may not join, and is told so; who does, may", () =>
  guarded(async () => {
    const fleet = new Fleet(4, [2, 2, 2]);
    await fleet.begin();
    await fleet.world.scheduler.until(() => fleet.lowest === 2, 20_000);
    fleet.builds.set("n4", 1);
    fleet.cluster.addMember();
    await fleet.world.scheduler.until(() => fleet.errors.length > 0, 20_000);
    expect(fleet.errors[0]).toMatch(/n4 error the node stops .*UPGRADE_REQUIRED.*level 2.*knows 1/);
    expect(fleet.cluster.replicas(systemGroup).map(({ member }) => member.name)).toEqual(["n1", "n2", "n3"]);
    await fleet.install("n4", 2);
    await fleet.world.scheduler.until(() => fleet.cluster.replicas(systemGroup).length === 4 && fleet.lowest === 2, 20_000);
    expect(fleet.highest).toBe(2);
  }));

it("a member that goes back to an older build serves nothing that it does not know, and the others go on", () =>
  guarded(async () => {
    // It reads of the new level in its log, or in a snapshot.
    for (const snapshotLogBytes of [64 * 1024, 64]) {
      const fleet = new Fleet(5, [2, 2, 2], snapshotLogBytes);
      await fleet.begin();
      await fleet.world.scheduler.until(() => fleet.lowest === 2, 20_000);
      if (snapshotLogBytes === 64) {
        const replica = fleet.member("n2").node?.groups.get(systemGroup);
        const activated = replica?.applied ?? 0;
        await fleet.world.scheduler.until(() => (replica?.log.snapshot?.meta.index ?? 0) >= activated, 60_000);
      }
      await fleet.install("n2", 1);
      await fleet.world.scheduler.run(10_000);
      expect(fleet.violations.length).toBeGreaterThan(0);
      for (const found of fleet.violations) expect(found).toContain("UPGRADE_REQUIRED");
      expect(fleet.violations[0]).toMatch(/^group 0 stopped on n2: /);
      for (const replica of fleet.member("n2").node?.groups.all() ?? [])
        expect(isUnumError(replica.failure, "UPGRADE_REQUIRED")).toBe(true);
      expect(fleet.cluster.leader()?.name).toMatch(/n1|n3/);
      fleet.violations.length = 0;
      await fleet.install("n2", 2);
      await fleet.world.scheduler.until(() => fleet.cluster.isSettled() && fleet.lowest === 2, 20_000);
      expect(fleet.violations).toEqual([]);
    }
  }));
