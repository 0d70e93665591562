import { beforeEach, describe, expect, it } from "vitest";
import { Prng } from "../../base/index.ts";
import type { WatchCallback, ZooKeeper } from "./client/index.ts";
import type { Committer, Intent } from "./committer.ts";
import { Copy } from "./copy.ts";
import { Layout, encodeLease } from "./layout.ts";
import { Leases } from "./leases.ts";
import type { Store } from "./store.ts";

const layout = new Layout("/unum");
const lease = 7n;
const ttlMs = 10_000;

/** One lease's node on a server, and an engine whose clocks move by hand. */
class World {
  nowMs = 0;
  wallMs = 1_000_000;
  version = 0;
  /** Versions at which the engine has ended the lease. */
  readonly ended: (number | undefined)[] = [];
  /** Told to the engine before the next answer, as a server does. */
  beforeAnswer: () => void = () => undefined;
  private callback: WatchCallback = () => undefined;
  private readonly timers: { atMs: number; callback: () => void }[] = [];

  async open(): Promise<void> {
    const answer = <T>(value: T): Promise<T> => {
      this.beforeAnswer();
      return Promise.resolve(value);
    };
    const zk = {
      addWatch: (_: string, callback: WatchCallback) => {
        this.callback = callback;
        return Promise.resolve();
      },
      children: () => answer({ children: ["0000000000000007"] }),
      get: () => answer({ data: encodeLease(ttlMs, "00".repeat(16)), stat: { version: this.version } }),
      sync: () => answer(undefined),
    } as unknown as ZooKeeper;
    const clock = {
      now: () => this.nowMs,
      wall: () => this.wallMs,
      after: (delayMs: number, callback: () => void) => {
        const timer = { atMs: this.nowMs + delayMs, callback };
        this.timers.push(timer);
        return { cancel: () => void this.timers.splice(this.timers.indexOf(timer), 1) };
      },
      defer: (callback: () => void) => callback(),
    };
    const store = { layout, pause: () => Promise.resolve(), session: () => Promise.resolve(zk) } as unknown as Store;
    const committer = {
      submit: (intent: Intent) => {
        const planned = intent.plan(new Copy(), () => []);
        if ("write" in planned) this.ended.push(planned.write.ends?.version);
        return Promise.resolve({ ok: true, revision: 1, result: { kind: "done" } });
      },
    } as unknown as Committer;
    await new Leases(store, committer, clock, new Prng(1)).attach(zk);
  }

  tell(kind: "changed" | "gap"): void {
    this.callback({ kind, path: kind === "gap" ? layout.leases : layout.lease(lease) });
  }

  renew(): void {
    this.version++;
    this.tell("changed");
  }

  /** Both clocks, and the timers that are due, once each: as after a thread that stood still. */
  async pass(delayMs: number, wallMs: number = delayMs): Promise<void> {
    this.nowMs += delayMs;
    this.wallMs += wallMs;
    for (const timer of [...this.timers].filter(({ atMs }) => atMs <= this.nowMs)) {
      this.timers.splice(this.timers.indexOf(timer), 1);
      timer.callback();
    }
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }
}

describe("who counts a lease's time", () => {
  let world: World;

  beforeEach(async () => {
    world = new World();
    await world.open();
  });

  it("ends it once it has stood unchanged for its time, the drift of clocks and some more, at that version", async () => {
    for (let passedMs = 0; passedMs < 10_400; passedMs += 100) await world.pass(100);
    expect(world.ended).toEqual([]);
    await world.pass(300);
    expect(world.ended).toEqual([0]);
  });

  it("counts anew from each renewal", async () => {
    for (let round = 0; round < 20; round++) {
      await world.pass(9_000);
      world.renew();
    }
    expect(world.ended).toEqual([]);
    await world.pass(10_500);
    expect(world.ended).toEqual([20]);
  });

  it("a thread that stood still does not end what was renewed meanwhile", async () => {
    world.beforeAnswer = () => {
      world.beforeAnswer = () => undefined;
      world.renew();
    };
    await world.pass(60_000);
    expect(world.ended).toEqual([]);
    await world.pass(10_500);
    expect(world.ended).toEqual([1]);
  });

  it("what happened while the connection was lost is unknown: it counts anew", async () => {
    await world.pass(10_000);
    world.version++;
    world.tell("gap");
    await world.pass(10_000);
    expect(world.ended).toEqual([]);
  });

  it("a wall clock that is set forward, or a process that the system has suspended, ends nothing", async () => {
    await world.pass(5_000, 3_600_000);
    await world.pass(5_000, 0);
    expect(world.ended).toEqual([]);
  });
});
