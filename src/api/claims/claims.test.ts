import { describe, expect, it } from "vitest";
import { bytes, isUnumError, key, op } from "../../index.ts";
import type { Claim, Unum } from "../../index.ts";
import { simTest, simulate } from "../../testing.ts";
import type { World } from "../../testing.ts";

const caught = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const inWorld =
  (body: (world: World, unum: Unum, other: Unum) => Promise<void>, seed = 1): (() => Promise<void>) =>
  () =>
    simulate({ seed }, async (world) => {
      const [unum, other] = [world.connect(), world.connect()];
      // Who asks first while the cluster is still forming is anybody's guess.
      await Promise.all([unum.ready, other.ready]);
      await body(world, unum, other);
    });

describe("a lock", () => {
  it(
    "has one holder at a time, in the order of asking, with fences that only grow",
    inWorld(async (_world, unum, other) => {
      const order: string[] = [];
      const fences: number[] = [];
      const hold = (handle: Unum, name: string): Promise<void> =>
        handle.lock("a").using(async (claim) => {
          order.push(`${name} in`);
          fences.push(claim.fence);
          expect(claim.held).toBe(true);
          await sleep(50);
          order.push(`${name} out`);
        });
      const first = hold(unum, "1");
      await sleep(500);
      const second = hold(other, "2");
      await sleep(500);
      const third = hold(unum, "3");
      await Promise.all([first, second, third]);
      expect(order).toEqual(["1 in", "1 out", "2 in", "2 out", "3 in", "3 out"]);
      expect([...fences].sort((a, b) => a - b)).toEqual(fences);
    }),
  );

  it(
    "is fair among callers of one handle and of several: nobody overtakes",
    inWorld(async (_world, unum, other) => {
      const held = await unum.lock("a").acquire();
      const order: number[] = [];
      const waiting: Promise<void>[] = [];
      for (let i = 0; i < 6; i++) {
        waiting.push((i % 2 === 0 ? unum : other).lock("a").using(() => void order.push(i)));
        await sleep(300);
      }
      await held.close();
      await Promise.all(waiting);
      expect(order).toEqual([0, 1, 2, 3, 4, 5]);
    }),
  );

  it(
    "tryAcquire waits for nobody and leaves nothing in line",
    inWorld(async (_world, unum, other) => {
      const held = await unum.lock("a").tryAcquire();
      expect(held?.held).toBe(true);
      expect(await other.lock("a").tryAcquire()).toBeUndefined();
      await sleep(1_000);
      expect((await unum.kv.with(bytes).range({ prefix: "a/" })).count).toBe(1);
      await held?.close();
      const next = await other.lock("a").tryAcquire();
      expect(next?.fence).toBeGreaterThan(held?.fence ?? 0);
    }),
  );

  it(
    "a waiter that gives up, by signal or timeout, leaves the line to others",
    inWorld(async (_world, unum, other) => {
      const held = await unum.lock("a").acquire();
      const controller = new AbortController();
      const aborted = caught(other.lock("a").acquire({ signal: controller.signal }));
      const late = caught(other.lock("a").acquire({ timeout: "2s" }));
      await sleep(1_000);
      controller.abort("enough");
      expect(await aborted).toBe("enough");
      const error = await late;
      expect(isUnumError(error, "TIMEOUT") && error.outcome).toBe("not-applied");
      await sleep(1_000);
      expect((await unum.kv.with(bytes).range({ prefix: "a/" })).count).toBe(1);
      await held.close();
      await other.lock("a").using(() => undefined);
    }),
  );

  it(
    "readers share it and wait for a writer in line, so that no writer starves",
    inWorld(async (_world, unum, other) => {
      const order: string[] = [];
      const one = await unum.lock("a").shared.acquire();
      const two = await other.lock("a").shared.acquire();
      const writer = unum.lock("a").using(() => void order.push("writer"));
      await sleep(500);
      const late = other.lock("a").shared.using(() => void order.push("reader"));
      await sleep(500);
      expect(order).toEqual([]);
      await one.close();
      await two.close();
      await Promise.all([writer, late]);
      expect(order).toEqual(["writer", "reader"]);
    }),
  );

  it(
    "refuses to be taken again by the code that holds it, instead of waiting for ever; another name, or another flow, may",
    inWorld(async (_world, unum) => {
      await unum.lock("a").using(async () => {
        await sleep(10);
        const error = await caught(unum.lock("a").using(() => undefined));
        expect(isUnumError(error, "REENTRANT")).toBe(true);
        await unum.lock("b").using(async () => {
          expect(isUnumError(await caught(unum.lock("a").shared.using(() => undefined)), "REENTRANT")).toBe(true);
        });
      });
      await Promise.all([1, 2].map(() => unum.lock("a").using(() => sleep(10))));
    }),
  );

  it(
    "names with a slash do not wait for each other",
    inWorld(async (_world, unum, other) => {
      const inner = await unum.lock("a/b").acquire();
      await other.lock("a").using(() => undefined, { timeout: "5s" });
      await inner.close();
    }),
  );

  it(
    "uses etcd's layout, so that a place put there by etcdctl lock excludes",
    inWorld(async (_world, unum, other) => {
      const lease = await unum.lease("10s");
      await unum.kv.put(`a/${BigInt(lease.id).toString(16)}`, "", { lease });
      const error = await caught(other.lock("a").acquire({ timeout: "1s" }));
      expect(isUnumError(error, "TIMEOUT")).toBe(true);
      await lease.close();
      await other.lock("a").using(() => undefined);
    }),
  );

  it(
    "refuses names that are none",
    inWorld(async (_world, unum) => {
      for (const name of ["", "x".repeat(3_000), "\ud800", 1 as unknown as string])
        expect(() => unum.lock(name)).toThrow(/name|surrogate/i);
      expect(() => unum.semaphore("a", 0)).toThrow("permits");
      expect(() => unum.sequence("a", { block: 0.5 })).toThrow("block");
    }),
  );
});

describe("a fence", () => {
  it(
    "lets writes through while the claim is held, and none after, whatever their kind",
    inWorld(async (_world, unum, other) => {
      let stale: Claim | undefined;
      await unum.lock("a").using(async (claim) => {
        stale = claim;
        await unum.kv.put("k", 1, { fence: claim });
        await unum.kv.update("k", (value) => (value as number) + 1, { fence: claim });
        await unum.kv.put("k", 3, { fence: claim, ifRevision: (await unum.kv.get("k"))?.revision ?? 0 });
        const done = await unum.kv.txn({ if: [key("k").exists()], do: [op.put("k", 4), op.get("k")] }, { fence: claim });
        expect(done.ok).toBe(true);
        const conflict = await caught(unum.kv.put("k", 5, { fence: claim, ifRevision: 1 }));
        expect(isUnumError(conflict, "CONFLICT")).toBe(true);
      });
      const writes = [
        () => unum.kv.put("k", 9, { fence: stale }),
        () => unum.kv.put("k", 9, { fence: stale, ifRevision: 0 }),
        () => unum.kv.update("k", () => 9, { fence: stale }),
        () => unum.kv.delete("k", { fence: stale }),
        () => unum.kv.delete({ prefix: "k" }, { fence: stale }),
        () => unum.kv.txn({ do: [op.put("k", 9)] }, { fence: stale }),
        () => unum.kv.txn({ do: [op.get("k")] }, { fence: stale }),
      ];
      for (const write of writes) expect(isUnumError(await caught(write()), "FENCED")).toBe(true);
      expect((await other.kv.get("k"))?.value).toBe(4);
    }),
  );

  it(
    "is decided in the cluster, also when the holder still believes that it holds",
    inWorld(async (_world, unum, other) => {
      const claim = await unum.lock("a").acquire();
      await other.kv.delete({ prefix: "a/" });
      expect(claim.held).toBe(true);
      expect(isUnumError(await caught(unum.kv.put("k", 1, { fence: claim })), "FENCED")).toBe(true);
    }),
  );

  it(
    "in another keyspace refuses a claim once a later one has acted there, and not before",
    inWorld(async (_world, unum, other) => {
      const orders = unum.keyspace("orders");
      const claim = await unum.lock("a").acquire();
      await orders.put("k", 1, { fence: claim });
      await other.kv.delete({ prefix: "a/" });
      const next = await other.lock("a").acquire();
      expect(next.fence).toBeGreaterThan(claim.fence);
      // Nobody has told "orders" of the successor.
      await orders.put("k", 2, { fence: claim });
      await other.keyspace("orders").put("k", 3, { fence: next });
      const writes = [
        (): Promise<unknown> => orders.put("k", 4, { fence: claim }),
        (): Promise<unknown> => orders.put("k", 4, { fence: claim, ifRevision: 0 }),
        (): Promise<unknown> => orders.update("k", () => 4, { fence: claim }),
        (): Promise<unknown> => orders.delete("k", { fence: claim }),
        (): Promise<unknown> => orders.txn({ do: [op.get("k")] }, { fence: claim }),
      ];
      for (const write of writes) expect(isUnumError(await caught(write()), "FENCED")).toBe(true);
      expect((await orders.get("k"))?.value).toBe(3);
    }),
  );

  it(
    "in a guarded keyspace refuses a claim as soon as a later one is given out, also to a reader",
    inWorld(async (_world, unum, other) => {
      const guards = { guards: ["orders", "stock", "default"] };
      const claim = await unum.lock("a", guards).acquire();
      await unum.keyspace("orders").put("k", 1, { fence: claim });
      await unum.keyspace("stock").put("k", 1, { fence: claim });
      await other.kv.delete({ prefix: "a/" });
      const reader = await other.lock("a", guards).shared.acquire();
      for (const name of ["orders", "stock"])
        expect(isUnumError(await caught(unum.keyspace(name).put("k", 2, { fence: claim })), "FENCED")).toBe(true);
      const error = await caught(other.keyspace("orders").put("k", 2, { fence: reader }));
      expect(isUnumError(error, "UNSUPPORTED") && error.message).toMatch(/Several hold claims/);
      const led = new Promise<Claim>((resolve) => {
        unum.election("e", guards).run(async (leading) => {
          await unum.keyspace("orders").put("led", 1, { fence: leading });
          resolve(leading);
          await new Promise((ended) => leading.signal.addEventListener("abort", ended));
        });
      });
      expect((await led).held).toBe(true);
    }),
  );

  it(
    "takes claims only, and guards a short list of keyspaces",
    inWorld(async (_world, unum) => {
      expect(isUnumError(await caught(unum.kv.put("k", 1, { fence: {} as Claim })), "INVALID_ARGUMENT")).toBe(true);
      expect(() => unum.lock("a", { guards: Array.from({ length: 17 }, (_, i) => `k${i}`) })).toThrow(/at most 16/);
      expect(() => unum.lock("a", { guards: "orders" as unknown as string[] })).toThrow(/list/);
      const elsewhere = await unum.lock("a", { keyspace: "other" }).acquire();
      await unum.keyspace("other").put("k", 1, { fence: elsewhere });
    }),
  );
});

describe("a lost session", () => {
  it("aborts the signal before the lease ends elsewhere, and using rejects with CLAIM_LOST", () =>
    simulate({ seed: 5 }, async (world) => {
      const other = world.connect();
      await other.kv.put("warm", 1);
      let lostAtMs = 0;
      const result = caught(
        world.run(0, (unum) =>
          unum.lock("a").using(async (claim) => {
            await new Promise<void>((resolve) => claim.signal.addEventListener("abort", () => resolve()));
            lostAtMs = world.nowMs;
            expect(isUnumError(claim.signal.reason, "SESSION_LOST")).toBe(true);
            expect(claim.held).toBe(false);
            expect(() => claim.throwIfLost()).toThrow();
            return "work is done";
          }),
        ),
      );
      await sleep(2_000);
      world.partition([0], [1, 2]);
      const next = await world.run(1, (unum) => unum.lock("a").acquire());
      expect(lostAtMs).toBeGreaterThan(0);
      expect(lostAtMs).toBeLessThanOrEqual(world.nowMs);
      expect(next.held).toBe(true);
      expect(isUnumError(await result, "CLAIM_LOST")).toBe(true);
    }));

  it("a waiter goes on with a new session", () =>
    simulate({ seed: 6 }, async (world) => {
      const unum = world.connect();
      const held = await unum.lock("a").acquire();
      const waiter = world.run(0, (node) => node.lock("a").using((claim) => claim.fence));
      await sleep(2_000);
      world.partition([0], [1, 2]);
      await sleep(30_000);
      world.heal();
      await sleep(2_000);
      await held.close();
      expect(await waiter).toBeGreaterThan(held.fence);
    }));

  it("held is right in the first statement after the process stood still", () =>
    simulate({ seed: 7 }, async (world) => {
      const done = world.run(0, (unum) =>
        caught(
          unum.lock("a").using(
            async (claim) => {
              world.pause(0, "8s");
              await sleep(1);
              // No timer of the lease needs to have run: the clocks are asked.
              expect(claim.held).toBe(false);
              expect(isUnumError(await caught(unum.kv.put("k", 1, { fence: claim })), "FENCED")).toBe(true);
            },
            { ttl: "3s" },
          ),
        ),
      );
      expect(isUnumError(await done, "CLAIM_LOST")).toBe(true);
    }));
});

describe("a semaphore", () => {
  it(
    "lets that many in and no more, in order",
    inWorld(async (_world, unum, other) => {
      let inside = 0;
      let most = 0;
      const order: number[] = [];
      const jobs: Promise<void>[] = [];
      for (let i = 0; i < 7; i++) {
        const handle = i % 2 === 0 ? unum : other;
        jobs.push(
          handle.semaphore("s", 3).using(async () => {
            order.push(i);
            most = Math.max(most, ++inside);
            await sleep(3_000);
            inside--;
          }),
        );
        await sleep(100);
      }
      await Promise.all(jobs);
      expect(most).toBe(3);
      expect(order).toEqual([0, 1, 2, 3, 4, 5, 6]);
      expect(await unum.semaphore("s", 3).tryAcquire()).toBeDefined();
    }),
  );
});

describe("an election", () => {
  it(
    "has one leader, shows its data, and passes on when the work ends or its participant closes",
    inWorld(async (_world, unum, other) => {
      const log: string[] = [];
      const seen: unknown[] = [];
      const stop = new AbortController();
      const observed = (async () => {
        for await (const leader of other.election("e").observe({ signal: stop.signal })) seen.push(leader?.data);
      })();
      let rounds = 0;
      const a = unum.election("e").run(
        async (claim) => {
          log.push(`a ${++rounds}`);
          if (rounds === 1) return;
          await new Promise<void>((resolve) => claim.signal.addEventListener("abort", () => resolve()));
          log.push("a told");
        },
        { data: { who: "a" } },
      );
      await a.ready;
      await sleep(100);
      const b = other.election("e").run(() => sleep(500).then(() => void log.push("b")), { data: { who: "b" } });
      await sleep(5_000);
      expect(log.slice(0, 3)).toEqual(["a 1", "b", "a 2"]);
      expect((await other.election("e").leader())?.data).toEqual({ who: "a" });
      await a.close();
      expect(log).toContain("a told");
      await b.close();
      await sleep(2_000);
      expect(await other.election("e").leader()).toBeUndefined();
      stop.abort();
      await observed;
      expect(seen).toContainEqual({ who: "b" });
    }),
  );

  it(
    "gives others the turn when the work fails, and backs off",
    inWorld(async (world, unum, other) => {
      const errors: unknown[] = [];
      const times: number[] = [];
      const bad = unum.election("e").run(
        () => {
          times.push(world.nowMs);
          throw new Error("broken");
        },
        { onError: (error) => errors.push(error) },
      );
      await sleep(500);
      let good = 0;
      const fine = other.election("e").run(() => sleep(100).then(() => void good++));
      await sleep(20_000);
      await Promise.all([bad.close(), fine.close()]);
      expect(good).toBeGreaterThan(5);
      expect(errors.length).toBeGreaterThanOrEqual(3);
      const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
      expect(gaps[1]).toBeGreaterThan((gaps[0] ?? 0) + 500);
    }),
  );
});

describe("counters, sequences and parties", () => {
  it(
    "a counter adds atomically from everywhere",
    inWorld(async (_world, unum, other) => {
      await Promise.all([...Array(20).keys()].map((i) => (i % 2 === 0 ? unum : other).counter("c").add(i, { timeout: "1m" })));
      expect(await unum.counter("c").get()).toBe(190);
      expect((await unum.kv.get("c"))?.value).toBe(190);
      expect(isUnumError(await caught(unum.counter("c").add(0.5)), "INVALID_ARGUMENT")).toBe(true);
      await unum.kv.put("c", "text");
      expect(isUnumError(await caught(unum.counter("c").get()), "DECODE_FAILED")).toBe(true);
    }),
  );

  it(
    "a sequence gives no number twice, and each handle's numbers grow",
    inWorld(async (_world, unum, other) => {
      const mine = unum.sequence("s", { block: 10 });
      const theirs = other.sequence("s", { block: 7 });
      const numbers = await Promise.all([...Array(50).keys()].flatMap(() => [mine.next(), theirs.next()]));
      expect(new Set(numbers).size).toBe(100);
      for (const parity of [0, 1]) {
        const own = numbers.filter((_, i) => i % 2 === parity);
        expect([...own].sort((a, b) => a - b)).toEqual(own);
      }
    }),
  );

  it("a party shows who is there, and loses whoever crashes after its ttl", () =>
    simulate({ seed: 9 }, async (world) => {
      const unum = world.connect();
      const party = unum.party("p");
      const mine = await party.join({ name: "test" });
      void world.run(0, async (node) => {
        await node.party("p").join({ name: "n1" }, { ttl: "3s" });
        await new Promise(() => undefined);
      });
      await sleep(3_000);
      expect((await party.members()).map(({ data }) => data)).toEqual([{ name: "test" }, { name: "n1" }]);
      world.crash(0);
      await sleep(10_000);
      expect((await party.members()).map(({ data }) => data)).toEqual([{ name: "test" }]);
      await mine.close();
      expect(await party.members()).toEqual([]);
    }));
});

simTest(
  "never two holders under their fences, here and in a guarded keyspace, and nobody waits for ever, whatever breaks",
  { seeds: 15, faults: "swarm" },
  async (world) => {
    let accepted = 0;
    const spaces = { default: [] as number[], orders: [] as number[] };
    const programs = Array.from({ length: world.nodes }, (_, node) =>
      world.run(node, async (unum) => {
        for (let i = 0; i < 4; i++) {
          try {
            await unum.lock("a", { guards: ["orders"] }).using(
              async (claim) => {
                await sleep(Math.random() * 800);
                // The writes that count carry the fence; what they say is checked in the order of revisions.
                for (const name of ["default", "orders"] as const) {
                  const { revision } = await unum.keyspace(name).put("log", claim.fence, { fence: claim, timeout: "20s" });
                  spaces[name][revision] = claim.fence;
                  accepted++;
                }
              },
              { ttl: "3s" },
            );
          } catch (error) {
            if (!isUnumError(error)) throw error;
          }
          await sleep(Math.random() * 500);
        }
      }),
    );
    await Promise.all(programs);
    world.heal();
    expect(accepted).toBeGreaterThan(0);
    for (const fences of Object.values(spaces)) {
      const inOrder = Object.values(fences);
      expect([...inOrder].sort((a, b) => a - b)).toEqual(inOrder);
    }
    await world
      .connect()
      .lock("a")
      .using(() => undefined, { timeout: "1m" });
  },
);
