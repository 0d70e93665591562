import { afterEach, expect, it } from "vitest";
import { Writer } from "../../src/base/index.ts";
import { commandBytes, decodeReply, encodePut } from "../../src/machine/index.ts";
import { Method } from "../../src/wire/index.ts";
import { ProcessCluster } from "../support/cluster.ts";
import { unum } from "../support/command.ts";
import { eventually } from "../support/load.ts";
import { RawConnection } from "../support/raw.ts";

const MiB = 1024 * 1024;
let cluster: ProcessCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

interface Flood {
  readonly counts: Map<string, number>;
  stop(): Promise<void>;
}

/** Sends puts as fast as the socket takes them, whatever the answers say, until it is stopped. */
async function flood(address: string, client: number): Promise<Flood> {
  const connection = await RawConnection.greet(address);
  const counts = new Map<string, number>();
  const value = new Uint8Array(32 * 1024);
  let running = true;
  let sent = 0;
  let answered = 0;
  const send = async (): Promise<void> => {
    while (running && !connection.closed) {
      const writer = new Writer(value.length + 64);
      encodePut(writer, 0n, 0, 0, `flood/${client}/${sent % 50}`, value);
      sent++;
      const taken = connection.post(Method.propose, 1, writer.take(), (answer) => {
        answered++;
        const reply = answer.ok ? decodeReply(answer.body) : undefined;
        const code = answer.ok ? (reply?.ok === true ? "ok" : (reply?.code ?? "?")) : answer.error.code;
        counts.set(code, (counts.get(code) ?? 0) + 1);
      });
      // Also where the node has hung up on it: nobody hears of that within one turn.
      if (!taken) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const done = send();
  return {
    counts,
    stop: async () => {
      running = false;
      await done;
      const end = performance.now() + 30_000;
      while (answered < sent && !connection.closed && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
      expect(answered, "every request is answered").toBe(sent);
      connection.close();
    },
  };
}

it("three clients that flood get OVERLOADED, memory stays bounded, others are served, and it ends with the flood", async () => {
  cluster = await ProcessCluster.start({ nodes: 3 });
  const leader = await cluster.leader();
  const handle = await cluster.connect([leader], { pinned: true });
  const floods = await Promise.all([1, 2, 3].map((client) => flood(leader.address, client)));
  let worst = 0;
  let served = 0;
  const end = performance.now() + 6_000;
  while (performance.now() < end) {
    const [status] = await Promise.all([
      handle.nodeStatus({ timeout: 10_000 }),
      // Whoever asks for little is not refused because others ask for too much.
      handle.kv.put("polite", served, { timeout: 30_000 }).then(() => served++),
    ]);
    worst = Math.max(worst, status.memoryBytes);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await Promise.all(floods.map((each) => each.stop()));
  const total = new Map<string, number>();
  for (const { counts } of floods) for (const [code, count] of counts) total.set(code, (total.get(code) ?? 0) + count);
  expect([...total.keys()]).toEqual(expect.arrayContaining(["OVERLOADED", "ok"]));
  // Whoever floods is refused, or its commands wait for their turn until their time is over. On a machine with too little of
  // everything the flooded leader may be replaced, and says so to whoever asked it.
  expect(["OVERLOADED", "ok", "TIMEOUT", "NOT_LEADER", "UNKNOWN_OUTCOME"]).toEqual(expect.arrayContaining([...total.keys()]));
  expect(served).toBeGreaterThan(0);
  expect(worst).toBeLessThan(1_000 * MiB);
  expect(cluster.nodes.every((node) => node.isRunning)).toBe(true);
  await handle.kv.put("polite", "afterwards");
  expect((await handle.nodeStatus()).operations.refused).toBeGreaterThan(0);
});

it("a small memory budget: puts get OUT_OF_SPACE, reads and deletes go on, and after a compaction puts are taken again", async () => {
  cluster = await ProcessCluster.start({ nodes: 3, arguments: ["--memory", "96MiB"] });
  const handle = await cluster.connect();
  const value = "x".repeat(1 * MiB);
  let written = 0;
  const refusals: unknown[] = [];
  // The first refusal may lift again when buffers have drained: three in a row mean that it is full.
  while (refusals.length < 3 && written < 300) {
    try {
      await handle.kv.put(`k/${written}`, value);
      written++;
      refusals.length = 0;
    } catch (error) {
      refusals.push(error);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
  expect(refusals[0]).toMatchObject({ code: "OUT_OF_SPACE", outcome: "not-applied", retry: "safe" });
  expect(written).toBeGreaterThan(40);
  const status = await handle.status();
  expect(status.groups.find((group) => group.name === "default")?.writesStopped).toBe(true);
  for (const { report } of status.members) {
    expect(report?.memoryBudgetBytes).toBe(96 * MiB);
    expect(report?.memoryUsedBytes).toBeLessThan(96 * MiB);
  }
  const told = await unum("status", "--endpoint", cluster.nodes.map((node) => node.address).join(","));
  expect([told.code, told.err]).toEqual([0, expect.stringContaining("default refuses growing writes")]);

  expect((await handle.kv.get("k/0"))?.value).toBe(value);
  expect((await handle.kv.delete({ prefix: "k/" })).deleted).toBe(written);
  const { revision } = await handle.kv.delete("test/started");
  const leader = await RawConnection.greet((await cluster.leader()).address);
  const compacted = await leader.request(Method.propose, 1, commandBytes({ kind: "compact", revision }));
  expect(compacted.ok && decodeReply(compacted.body).ok).toBe(true);
  leader.close();
  await eventually("puts are taken again", async () => {
    try {
      await handle.kv.put("after", 1);
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: "OUT_OF_SPACE" });
      return false;
    }
  });
});
