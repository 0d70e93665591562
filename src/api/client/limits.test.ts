import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { limits } from "../../base/index.ts";
import { Method } from "../../wire/index.ts";
import type { Request } from "../../wire/index.ts";
import { openHandle } from "../index.ts";
import type { ClientOptions, UnumHandle } from "../index.ts";
import { commandKind, Kind } from "../../machine/commands/index.ts";
import { FakeCluster } from "../testing/fake-cluster.contract.ts";
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

describe("limits and the end", () => {
  test("more calls than may be in flight are OVERLOADED, and nothing is sent for them", async () => {
    await open();
    cluster.intercept = () => "silence";
    const calls = Array.from({ length: limits.connectionRequestsMax }, () =>
      handle.kv.get("a", { timeout: "1s" }).catch((error: unknown) => error),
    );
    await expect(handle.kv.get("a")).rejects.toMatchObject({ code: "OVERLOADED", outcome: "not-applied" });
    cluster.intercept = () => "serve";
    await clock.settle(Promise.all(calls));
    expect(await clock.settle(handle.kv.get("a"))).toBeUndefined();
  });

  test("an aborted call frees its place and lets the session go on", async () => {
    await open();
    await clock.settle(handle.kv.put("a", 0));
    cluster.intercept = (_node, request) => (isPut(request) ? "silence" : "serve");
    const reason = new Error("no longer");
    for (let i = 0; i < 50; i++) {
      const controller = new AbortController();
      const put = handle.kv.put("a", i, { signal: controller.signal });
      await clock.drain();
      controller.abort(reason);
      await expect(put).rejects.toBe(reason);
    }
    cluster.intercept = () => "serve";
    await clock.settle(handle.kv.put("b", 1));
    expect(handle).toHaveProperty("describe");
    expect((handle as unknown as { describe(): string }).describe()).toContain("0 calls, 0 parked");
  });

  test("close fails what is in flight with an honest outcome, ends watches in order, and is idempotent", async () => {
    await open();
    await clock.settle(handle.kv.put("a", 1));
    const watch = handle.kv.watch({ prefix: "" });
    await clock.settle(watch.started);
    cluster.intercept = (_node, request) => (isPut(request) ? "silence" : "serve");
    const next = watch[Symbol.asyncIterator]().next();
    const put = handle.kv.put("a", 2).catch((error: unknown) => error);
    const get = handle.kv.get("a", { signal: new AbortController().signal });
    await clock.settle(get);
    const closing = handle.close();
    expect(handle.close()).toBe(closing);
    await clock.settle(closing);
    expect(await put).toMatchObject({ code: "CLOSED", outcome: "unknown" });
    expect(await next).toEqual({ done: true, value: undefined });
    await expect(handle.kv.get("a")).rejects.toMatchObject({ code: "CLOSED", outcome: "not-applied" });
    await handle.closed;
    expect([...cluster.nodes.values()].map((node) => node.connections.size)).toEqual([0, 0, 0]);
  });

  test("when the node behind stops for good, calls fail with NODE_STOPPED and closed rejects with the reason", async () => {
    let stop: (error: never) => void = () => undefined;
    const environment = {
      ...cluster.environment(3),
      stopped: new Promise<never>((resolve) => {
        stop = resolve;
      }),
    };
    handle = openHandle(environment, { endpoints: ["local"], direct: false });
    await clock.settle(handle.ready);
    cluster.intercept = () => "silence";
    const get = handle.kv.get("a").catch((error: unknown) => error);
    await clock.drain();
    const reason = Object.assign(new Error("the disk"), { code: "DISK_FAILED" });
    stop(reason as never);
    expect(await clock.settle(get)).toMatchObject({ code: "NODE_STOPPED" });
    await expect(clock.settle(handle.closed)).rejects.toBe(reason);
    await expect(handle.kv.put("a", 1)).rejects.toMatchObject({ code: "NODE_STOPPED", outcome: "not-applied" });
  });

  test("leave is for nodes", async () => {
    await open();
    await expect(handle.leave()).rejects.toMatchObject({ code: "UNSUPPORTED" });
    expect(await clock.settle(handle.status())).toMatchObject({ cluster: "00000000000000cc" });
    expect(await clock.settle(handle.members())).toHaveLength(3);
    const chunks: string[] = [];
    const read = async (): Promise<void> => {
      for await (const chunk of handle.snapshotSave()) chunks.push(new TextDecoder().decode(chunk));
    };
    await clock.settle(read());
    expect(chunks).toEqual(["unum ", "backup"]);
  });
});
