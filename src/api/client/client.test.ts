import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { limits } from "../../base/index.ts";
import type { ClusterId } from "../../base/index.ts";
import { Method } from "../../wire/index.ts";
import type { Request } from "../../wire/index.ts";
import { openHandle } from "../index.ts";
import type { ClientOptions, UnumHandle } from "../index.ts";
import { commandKind, Kind } from "../../machine/commands/index.ts";
import { FakeCluster } from "../testing/fake-cluster.contract.ts";
import type { FakeNode, Fault } from "../testing/fake-cluster.contract.ts";
import { VirtualClock } from "../testing/virtual-clock.contract.ts";

let clock: VirtualClock;
let cluster: FakeCluster;
let handle: UnumHandle;

beforeEach(() => {
  clock = new VirtualClock();
  cluster = new FakeCluster(clock, ["a", "b", "c"]);
});

afterEach(async () => {
  cluster.intercept = () => "serve";
  await clock.settle(handle.close());
  expect(clock.timerCount).toBe(0);
});

async function open(options: Partial<ClientOptions> = {}): Promise<void> {
  handle = openHandle(cluster.environment(7), { endpoints: ["a:7400", "b:7400"], ...options });
  await clock.settle(handle.ready);
}

const isPut = (request: Request): boolean => request.method === Method.propose && commandKind(request.body) === Kind.put;

/** One fault for the first put, then none. */
function onFirstPut(fault: Fault): void {
  let first = true;
  cluster.intercept = (_node, request) => {
    if (!first || !isPut(request)) return "serve";
    first = false;
    return fault;
  };
}

describe("exactly once", () => {
  test("a put whose connection was lost after it was applied is answered and applied once", async () => {
    await open();
    onFirstPut("drop-after");
    const { revision } = await clock.settle(handle.kv.put("a", 1));
    expect(await clock.settle(handle.kv.get("a"))).toMatchObject({ revision, version: 1 });
    expect(cluster.count("put")).toBe(2);
  });

  test("a put whose connection was lost before it was applied is applied", async () => {
    await open();
    onFirstPut("drop-before");
    await clock.settle(handle.kv.put("a", 1));
    expect(await clock.settle(handle.kv.get("a"))).toMatchObject({ version: 1 });
  });

  test("commands after it do not raise the floor over one that is still without a reply", async () => {
    await open();
    await clock.settle(handle.kv.put("a", 0));
    onFirstPut("silence");
    const held = handle.kv.put("a", 1);
    for (let i = 0; i < 10; i++) await clock.settle(handle.kv.put("b", i));
    cluster.node("a").disconnect();
    await clock.settle(held);
    expect(await clock.settle(handle.kv.get("a"))).toMatchObject({ value: 1, version: 2 });
  });

  test("five hundred increments under random faults are five hundred", async () => {
    await open({ timeout: "5m" });
    const prng = cluster.environment(11).prng;
    const faults: Fault[] = ["drop-before", "drop-after", { code: "NO_LEADER" }, { code: "UNKNOWN_OUTCOME" }, "serve", "serve", "serve"];
    cluster.intercept = (_node, request) => (request.method === Method.propose && prng.chance(1, 12) ? prng.pick(faults) : "serve");
    const nodes = [...cluster.nodes.values()];
    for (let round = 0; round < 10; round++) {
      const puts = Array.from({ length: 50 }, (_, at) => handle.kv.put(`k${at}`, round));
      if (round % 3 === 1) cluster.elect(prng.pick(nodes));
      await clock.settle(Promise.all(puts));
    }
    cluster.intercept = () => "serve";
    const page = await clock.settle(handle.kv.range({ prefix: "k" }));
    expect(page.entries.map((entry) => entry.version)).toEqual(Array.from({ length: 50 }, () => 10));
  });

  test("no more commands are in flight than the machine keeps replies for; the others wait", async () => {
    await open();
    let held = 0;
    cluster.intercept = (_node, request) => {
      if (!isPut(request)) return "serve";
      held++;
      return "silence";
    };
    const puts = Array.from({ length: limits.sessionRepliesMax + 10 }, (_, at) => handle.kv.put(`k${at}`, 1, { timeout: "60s" }));
    await clock.drain();
    expect(held).toBe(limits.sessionRepliesMax);
    cluster.intercept = () => "serve";
    cluster.node("a").disconnect();
    await clock.settle(Promise.all(puts));
    expect((await clock.settle(handle.kv.range({ prefix: "k" }, { limit: 1 }))).count).toBe(limits.sessionRepliesMax + 10);
  });

  test("an expired session fails what is in flight with an unknown outcome; the next call opens another", async () => {
    await open();
    await clock.settle(handle.kv.put("a", 1));
    onFirstPut({ code: "SESSION_EXPIRED" });
    await expect(clock.settle(handle.kv.put("a", 2))).rejects.toMatchObject({ code: "SESSION_EXPIRED", outcome: "unknown" });
    expect(cluster.count("sessionOpen")).toBe(1);
    await clock.settle(handle.kv.put("a", 3));
    expect(cluster.count("sessionOpen")).toBe(2);
  });

  test("a session idle for so long that it may be gone is left before it refuses", async () => {
    await open();
    await clock.settle(handle.kv.put("a", 1));
    await clock.advance(limits.sessionIdleMs * 0.6);
    await clock.settle(handle.kv.put("a", 2));
    expect(cluster.count("sessionOpen")).toBe(2);
    clock.sleepMachine(limits.sessionIdleMs);
    await clock.settle(handle.kv.put("a", 3));
    expect(cluster.count("sessionOpen")).toBe(3);
  });

  test("close tells the machine to forget the session", async () => {
    await open();
    await clock.settle(handle.kv.put("a", 1));
    await clock.settle(handle.close());
    expect(cluster.count("sessionClose")).toBe(1);
  });
});

describe("honest outcomes", () => {
  test("a call whose request went out and has no answer says unknown when its time is over", async () => {
    await open();
    await clock.settle(handle.kv.put("a", 1));
    cluster.intercept = (_node, request) => (isPut(request) ? "silence" : "serve");
    const startMs = clock.now();
    await expect(clock.settle(handle.kv.put("a", 2, { timeout: "300ms" }))).rejects.toMatchObject({
      code: "TIMEOUT",
      outcome: "unknown",
      retry: "maybe-applied",
    });
    expect(clock.now() - startMs).toBeGreaterThanOrEqual(300);
    expect(clock.now() - startMs).toBeLessThan(320);
  });

  test("a call that was only ever refused says not-applied", async () => {
    await open();
    await clock.settle(handle.kv.put("a", 1));
    cluster.leader = undefined;
    await expect(clock.settle(handle.kv.put("a", 2, { timeout: "2s" }))).rejects.toMatchObject({
      code: "TIMEOUT",
      outcome: "not-applied",
      retry: "safe",
      cause: { code: "NO_LEADER" },
    });
  });

  test("a refusal after a copy was lost says unknown: the lost copy may have been applied", async () => {
    await open();
    await clock.settle(handle.kv.put("a", 1));
    let number = 0;
    cluster.intercept = (_node, request) => (!isPut(request) ? "serve" : number++ === 0 ? "drop-after" : { code: "OVERLOADED" });
    await expect(clock.settle(handle.kv.put("a", 2))).rejects.toMatchObject({
      code: "OVERLOADED",
      outcome: "unknown",
      retry: "maybe-applied",
    });
  });

  test("a read has no effect, so its failure says not-applied", async () => {
    await open();
    cluster.intercept = (_node, request) => (request.method === Method.query ? "silence" : "serve");
    await expect(clock.settle(handle.kv.get("a", { timeout: "1s" }))).rejects.toMatchObject({
      code: "TIMEOUT",
      outcome: "not-applied",
      retry: "safe",
    });
  });

  test("overload is told to the caller at once", async () => {
    await open();
    cluster.intercept = () => ({ code: "OVERLOADED" });
    await expect(clock.settle(handle.kv.get("a"))).rejects.toMatchObject({ code: "OVERLOADED", outcome: "not-applied" });
  });

  test("when nobody listens: UNAVAILABLE at the end of the call's time, with the reason", async () => {
    for (const node of cluster.nodes.values()) node.kill();
    handle = openHandle(cluster.environment(1), { endpoints: ["a:7400", "b:7400"] });
    await expect(clock.settle(handle.kv.put("a", 1, { timeout: "1s" }))).rejects.toMatchObject({
      code: "UNAVAILABLE",
      outcome: "not-applied",
      message: expect.stringContaining("refuses connections"),
    });
  });

  test("a node that comes up within the call's time is found", async () => {
    for (const node of cluster.nodes.values()) node.kill();
    handle = openHandle(cluster.environment(1), { endpoints: ["a:7400", "b:7400"] });
    const put = handle.kv.put("a", 1);
    await clock.advance(5000);
    for (const node of cluster.nodes.values()) node.up = true;
    const startMs = clock.now();
    await clock.settle(put);
    expect(clock.now() - startMs).toBeLessThan(2500);
  });

  test("a node of another cluster refuses for good, and waiting would not help", async () => {
    await open();
    cluster.id = "00000000000000dd" as ClusterId;
    for (const node of cluster.nodes.values()) node.disconnect();
    await expect(clock.settle(handle.kv.put("a", 1, { timeout: "5m" }))).rejects.toMatchObject({
      code: "WRONG_CLUSTER",
      outcome: "not-applied",
    });
  });

  test("what changes the cluster is sent once: a lost connection leaves it unknown", async () => {
    await open();
    let times = 0;
    cluster.intercept = (_node, request) => {
      if (request.method !== Method.admin) return "serve";
      times++;
      return "drop-after";
    };
    await expect(clock.settle(handle.removeMember("c"))).rejects.toMatchObject({ code: "UNKNOWN_OUTCOME", outcome: "unknown" });
    expect(times).toBe(1);
  });
});

describe("finding the leader", () => {
  const askedNodes = (): FakeNode[] => {
    const nodes: FakeNode[] = [];
    cluster.intercept = (node, request) => {
      if (isPut(request)) nodes.push(node);
      return "serve";
    };
    return nodes;
  };

  test("writes go to the leader directly, also to one that no endpoint names", async () => {
    cluster.leader = cluster.node("c");
    await open({ endpoints: ["a:7400"] });
    await clock.settle(handle.kv.put("a", 1));
    await clock.drain();
    const nodes = askedNodes();
    await clock.settle(handle.kv.put("a", 2));
    expect(nodes.map((node) => node.name)).toEqual(["c"]);
  });

  test("without direct connections everything goes through the endpoint", async () => {
    cluster.leader = cluster.node("c");
    await open({ endpoints: ["a:7400"], direct: false });
    const nodes = askedNodes();
    await clock.settle(handle.kv.put("a", 2));
    expect(nodes.map((node) => node.name)).toEqual(["a"]);
    expect([...cluster.nodes.values()].map((node) => node.connections.size)).toEqual([1, 0, 0]);
  });

  test("the hint of NOT_LEADER is followed at once", async () => {
    cluster.forwards = false;
    await open();
    await clock.settle(handle.kv.put("a", 1));
    cluster.leader = cluster.node("b");
    cluster.term++;
    const startMs = clock.now();
    await clock.settle(handle.kv.put("a", 2));
    expect(clock.now() - startMs).toBeLessThan(20);
  });

  test("a push tells of the new leader when the old one dies: nothing waits longer than the election", async () => {
    cluster.forwards = false;
    await open({ endpoints: ["a:7400"] });
    await clock.settle(handle.kv.put("a", 1));
    expect(cluster.node("a").connections.size + cluster.node("b").connections.size + cluster.node("c").connections.size).toBe(2);
    cluster.node("a").kill();
    const puts = Array.from({ length: 300 }, (_, at) => handle.kv.put(`k${at}`, 1));
    await clock.advance(120);
    const startMs = clock.now();
    cluster.elect(cluster.node("b"));
    await clock.settle(Promise.all(puts));
    expect(clock.now() - startMs).toBeLessThan(5);
  });

  test("a node that has fallen silent is given up, and its calls are answered elsewhere", async () => {
    await open();
    await clock.settle(handle.kv.put("a", 1));
    cluster.node("a").silent = true;
    const startMs = clock.now();
    const put = handle.kv.put("a", 2);
    await clock.advance(500);
    cluster.elect(cluster.node("b"));
    await clock.settle(put);
    expect(clock.now() - startMs).toBeLessThan(4500);
    expect(await clock.settle(handle.kv.get("a"))).toMatchObject({ value: 2, version: 2 });
  });

  test("a busy node that only answers late is not given up", async () => {
    await open();
    cluster.intercept = (_node, request) => (request.method === Method.query ? "silence" : "serve");
    await expect(clock.settle(handle.kv.get("a", { timeout: "9s" }))).rejects.toMatchObject({ code: "TIMEOUT" });
    expect(cluster.node("a").connections.size).toBe(1);
  });

  test("a dial without an answer at a time whose sums are rounded wakes nobody again and again (campaign of a07f9ca, dense 843)", async () => {
    // 1000.004 + 300 - 1000.004 is less than 300.
    await clock.advance(0.004);
    cluster.connect = () => new Promise(() => undefined);
    handle = openHandle(cluster.environment(7), { endpoints: ["a:7400"] });
    const { after } = clock;
    let timers = 0;
    clock.after = (delayMs, callback) => {
      if (++timers > 100) throw new Error("the client sets timer after timer");
      return after.call(clock, delayMs, callback);
    };
    await clock.advance(1_000);
    expect(timers).toBeGreaterThan(0);
  });

  test("no new request goes to a node that is leaving", async () => {
    await open();
    cluster.node("a").push({ kind: "leaving" });
    await clock.drain();
    cluster.elect(cluster.node("b"));
    await clock.drain();
    const seen: string[] = [];
    cluster.intercept = (node) => {
      seen.push(node.name);
      return "serve";
    };
    await clock.settle(handle.kv.get("x", { consistency: "stale" }));
    await clock.settle(handle.kv.put("x", 1));
    expect(new Set(seen)).toEqual(new Set(["b"]));
  });
});
