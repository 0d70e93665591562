import { afterEach, beforeEach, expect, test } from "vitest";
import { Method } from "../wire/index.ts";
import { openHandle } from "./index.ts";
import type { UnumHandle } from "./index.ts";
import { FakeCluster } from "./testing/fake-cluster.contract.ts";
import { VirtualClock } from "./testing/virtual-clock.contract.ts";

let clock: VirtualClock;
let cluster: FakeCluster;
let handle: UnumHandle;

beforeEach(async () => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, ["a", "b", "c"]);
  handle = openHandle(cluster.environment(5), { endpoints: ["a:7400", "b:7400"] });
  await clock.settle(handle.ready);
});

afterEach(async () => {
  cluster.intercept = () => "serve";
  await clock.settle(handle.close());
  expect(clock.timerCount).toBe(0);
});

/** Moves time in steps in which the cluster may end leases. */
async function live(ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 250) {
    await clock.advance(250);
    cluster.expireLeases();
  }
}

test("a lease is kept alive until it is closed", async () => {
  const lease = await clock.settle(handle.lease("3s"));
  await clock.settle(handle.kv.put("a", 1, { lease }));
  await live(60_000);
  expect(lease.held).toBe(true);
  expect((await clock.settle(handle.kv.get("a")))?.value).toBe(1);
  await clock.settle(lease.close());
  expect(await clock.settle(handle.kv.get("a"))).toBeUndefined();
});

test("the owner stops believing before the lease can end in the cluster, counted from when it sent", async () => {
  const lease = await clock.settle(handle.lease("10s"));
  const sentMs = clock.now();
  cluster.intercept = (_node, request) => (request.method === Method.keepAlive ? "silence" : "serve");
  await clock.advance(9800);
  expect(lease.signal).toMatchObject({ aborted: false });
  await clock.advance(150);
  expect(lease.signal).toMatchObject({ aborted: true, reason: { code: "LEASE_NOT_FOUND" } });
  expect(clock.now() - sentMs).toBeLessThan(10_000);
});

test("lost keep-alives are repeated: one lost connection costs no lease", async () => {
  const lease = await clock.settle(handle.lease("3s"));
  let times = 0;
  cluster.intercept = (_node, request) => (request.method === Method.keepAlive && times++ % 3 === 0 ? "drop-before" : "serve");
  await live(30_000);
  expect(lease.held).toBe(true);
});

test("held is right in the first statement after a stall, and a sleeping machine's monotonic clock does not deceive it", async () => {
  const lease = await clock.settle(handle.lease("5s"));
  expect(lease.held).toBe(true);
  clock.sleepMachine(60_000);
  expect(lease.held).toBe(false);
  expect(lease.signal).toMatchObject({ aborted: true });
});

test("a lease that has ended in the cluster is lost at the next keep-alive", async () => {
  const lease = await clock.settle(handle.lease("9s"));
  cluster.intercept = (_node, request) => (request.method === Method.keepAlive ? { code: "LEASE_NOT_FOUND" } : "serve");
  await clock.advance(3100);
  expect(lease.held).toBe(false);
  cluster.intercept = () => "serve";
  await clock.settle(lease.revoke());
});

test("without keepAlive it runs out", async () => {
  const lease = await clock.settle(handle.lease("3s", { keepAlive: false }));
  await clock.settle(handle.kv.put("a", 1, { lease }));
  await live(4000);
  expect(lease.held).toBe(false);
  expect(await clock.settle(handle.kv.get("a"))).toBeUndefined();
});

test("closing the handle ends its leases at once, so that others need not wait", async () => {
  const lease = await clock.settle(handle.lease("1h"));
  await clock.settle(handle.kv.put("a", 1, { lease }));
  await clock.settle(handle.close());
  expect(lease.held).toBe(false);
  expect(cluster.count("leaseRevoke")).toBe(1);
});

test("a put with a ttl that was not applied leaves no lease behind", async () => {
  await clock.settle(handle.kv.put("a", 1));
  await expect(clock.settle(handle.kv.put("a", 2, { ttl: "10s", ifRevision: 0 }))).rejects.toMatchObject({ code: "CONFLICT" });
  expect([cluster.count("leaseGrant"), cluster.count("leaseRevoke")]).toEqual([1, 1]);
});
