import { describe, expect, it } from "vitest";
import { Prng } from "../../base/index.ts";
import { commandBytes, decodeReply, noEnvelope } from "../commands/index.ts";
import { keyspaceFactory, type KeyspaceMachine } from "../keyspace.ts";

interface Logged {
  readonly bytes: Uint8Array;
  readonly term: number;
}

/** A log, whose tail may be lost with its leader, and the machines that apply it. One of them leads. */
class Leadership {
  readonly machines: readonly KeyspaceMachine[];
  leader = 0;
  term = 1;
  now = 0;
  private index = 0;
  private pending: Logged[] = [];

  constructor() {
    this.machines = [keyspaceFactory().create(), keyspaceFactory().create()];
    this.leading.lead(this.time());
  }

  get leading(): KeyspaceMachine {
    return this.machines[this.leader] as KeyspaceMachine;
  }

  time(): { nowMs: number; wallMs: number; term: number } {
    return { nowMs: this.now, wallMs: this.now, term: this.term };
  }

  propose(bytes: Uint8Array): void {
    this.pending.push({ bytes, term: this.term });
  }

  /** Commits the oldest `count` entries. */
  commit(count: number): void {
    for (const { bytes, term } of this.pending.splice(0, count)) {
      const meta = { index: ++this.index, position: 0, term, timestamp: this.now };
      for (const machine of this.machines) decodeReply(machine.apply(bytes, meta));
    }
  }

  /** What is committed stays; the rest of the log goes with its leader. */
  change(prng: Prng): void {
    this.leading.follow();
    this.commit(prng.below(this.pending.length + 1));
    this.pending = [];
    this.term++;
    this.leader = 1 - this.leader;
    this.leading.lead(this.time());
  }

  get pendingCount(): number {
    return this.pending.length;
  }
}

describe("leases", () => {
  it("never end before the time that their owner was told, through lost entries, checkpoints and changes of leader", () => {
    for (let seed = 1; seed <= 150; seed++) {
      const prng = new Prng(seed);
      const world = new Leadership();
      const leases = [1n, 2n, 3n];
      const ttls = [prng.pick([5_000, 400_000]), 900_000, 2_000];
      const promised = new Map<bigint, number>();
      const isAlive = (lease: bigint): boolean => {
        const { leases: state } = world.leading.inner;
        return state.get(Number(lease), 0) !== undefined;
      };
      for (let step = 0; step < 400; step++) {
        const lease = prng.pick(leases);
        switch (prng.below(7)) {
          case 0:
            if (!isAlive(lease) && world.pendingCount === 0) {
              world.propose(commandBytes({ kind: "lease-grant", lease, ttlMs: ttls[Number(lease) - 1] as number }, noEnvelope));
              world.commit(1);
              promised.set(lease, world.now + (ttls[Number(lease) - 1] as number));
            }
            break;
          case 1: {
            const remaining = world.leading.keepAlive(lease, world.time());
            if (remaining !== undefined) promised.set(lease, Math.max(promised.get(lease) ?? 0, world.now + remaining));
            break;
          }
          case 2:
            for (const bytes of world.leading.due(world.time())) world.propose(bytes);
            break;
          case 3:
            if (prng.chance(1, 6)) world.change(prng);
            break;
          case 4:
            world.commit(prng.below(3));
            break;
          default:
            world.now += prng.pick([10, 500, 3_000, 60_000, 150_000]);
        }
        for (const [id, until] of promised) {
          if (isAlive(id)) continue;
          expect(world.now, `seed ${seed} step ${step}: lease ${id}`).toBeGreaterThanOrEqual(until);
          promised.delete(id);
        }
      }
      // Liveness: left alone under one leader, every lease ends.
      world.commit(world.pendingCount);
      for (let i = 0; i < 5; i++) {
        world.now += 1_000_000;
        for (const bytes of world.leading.due(world.time())) world.propose(bytes);
        world.commit(world.pendingCount);
      }
      for (const lease of leases) expect(isAlive(lease), `seed ${seed}: lease ${lease}`).toBe(false);
      expect(world.machines[0]?.hash()).toBe(world.machines[1]?.hash());
    }
  });

  it("that end together are revoked in bounded batches, in one order on every leader", () => {
    const world = new Leadership();
    for (let i = 1; i <= 600; i++)
      world.propose(commandBytes({ kind: "lease-grant", lease: BigInt(((i * 7919) % 601) + 1), ttlMs: 5_000 }, noEnvelope));
    world.commit(600);
    world.leading.due(world.time());
    world.now += 5_000;
    const batches: number[] = [];
    for (let commands = world.leading.due(world.time()); commands.length > 0; commands = world.leading.due(world.time()))
      batches.push(commands.length);
    expect(batches).toEqual([256, 256, 88]);
  });
});
