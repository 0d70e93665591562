/** P6: a stalled event loop, or a full thread pool, is not a dead node. A program that embeds the leader blocks itself. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import type { Unum } from "../../dist/index.js";
import { ProcessCluster } from "../support/cluster.ts";
import { eventually } from "../support/load.ts";
import { freePort } from "../support/ports.ts";

const program = fileURLToPath(new URL("../support/programs/stalls.mjs", import.meta.url));
const stallMs = 10_000;

interface Look {
  readonly held: boolean;
  readonly thrown?: string;
  readonly written: string;
}

let cluster: ProcessCluster | undefined;
let child: ChildProcess | undefined;
afterEach(async () => {
  if (child !== undefined && child.exitCode === null && child.signalCode === null) {
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }
  await cluster?.close();
  child = undefined;
  cluster = undefined;
});

/** A third member that lives in a user's program, leads every group, and holds a claim. */
async function guest(
  options: Readonly<Record<string, unknown>>,
): Promise<{ unum: Unum; ask: (op: string, argument?: number) => Promise<unknown> }> {
  cluster = await ProcessCluster.start({ nodes: 2 });
  const seeds = cluster.nodes.map((node) => node.address);
  const made = { name: "guest", data: join(cluster.directory, "guest"), listen: `127.0.0.1:${await freePort()}`, seeds, expect: 2 };
  const started = fork(program, [JSON.stringify({ ...made, ...options })], { execArgv: [] });
  child = started;
  const ask = async (op: string, argument?: number): Promise<unknown> => {
    const answered = once(started, "message");
    started.send({ op, argument });
    return ((await answered) as unknown[])[0];
  };
  await once(started, "message");
  const unum = await cluster.connect();
  await eventually("the guest leads every group", async () => {
    await unum.transferLeader({ to: "guest" }).catch(() => undefined);
    const { leaders, id } = await leadersOf(unum);
    return leaders.length === 2 && leaders.every((leader) => leader.startsWith(`${id} `));
  });
  await ask("lock");
  return { unum, ask };
}

/** For each group its leader and term, and the guest's id. */
async function leadersOf(unum: Unum): Promise<{ leaders: string[]; id: string | undefined }> {
  const status = await unum.status();
  return {
    leaders: status.groups.map((group) => `${group.leader} ${group.term}`),
    id: status.members.find((member) => member.name === "guest")?.node,
  };
}

/** Writes from another process until the promise settles: how many were acknowledged, and the longest wait for one. */
async function writeDuring(unum: Unum, stall: Promise<unknown>): Promise<{ writes: number; longestMs: number }> {
  let running = true;
  void stall.finally(() => {
    running = false;
  });
  let writes = 0;
  let longestMs = 0;
  while (running) {
    const sent = performance.now();
    await unum.kv.put("beside", writes++);
    longestMs = Math.max(longestMs, performance.now() - sent);
  }
  return { writes, longestMs };
}

describe("a program whose thread stands still", () => {
  for (const [what, op] of [
    ["its event loop is blocked", "block"],
    ["its thread pool is full", "fillPool"],
  ] as const) {
    it(`loses no leadership and no claim of 2 s while ${what} for 10 s`, async () => {
      const { unum, ask } = await guest({});
      const before = await leadersOf(unum);
      const stall = ask(op, stallMs);
      const { writes, longestMs } = await writeDuring(unum, stall);
      expect(await stall).toEqual({ held: true, written: "written" });
      expect(await leadersOf(unum)).toEqual(before);
      expect(writes).toBeGreaterThan(10);
      expect(longestMs).toBeLessThan(stallMs / 2);
      await ask("close");
    });
  }

  it("without a thread of its own the node loses both, and the first statement afterwards says so", async () => {
    const { unum, ask } = await guest({ isolate: false });
    const stall = ask("block", stallMs) as Promise<Look>;
    await writeDuring(unum, stall);
    expect(await stall).toMatchObject({ held: false, thrown: "SESSION_LOST", written: "FENCED" });
    const { leaders, id } = await leadersOf(unum);
    expect(leaders.filter((leader) => leader.startsWith(`${id} `))).toEqual([]);
  });

  it("beyond maxStall its claim passes on, with a higher fence, and the first statement afterwards says so", async () => {
    const { unum, ask } = await guest({ maxStall: "2s" });
    const stall = ask("block", stallMs) as Promise<Look>;
    let isBlocked = true;
    void stall.finally(() => {
      isBlocked = false;
    });
    const before = await leadersOf(unum);
    const successor = await unum.lock("job").acquire({ ttl: "30s", timeout: "20s" });
    expect(isBlocked, "the successor begins while the other still stands").toBe(true);
    expect(await stall).toMatchObject({ held: false, thrown: "SESSION_LOST", written: "FENCED" });
    expect(await leadersOf(unum), "the node goes on voting and leading").toEqual(before);
    expect(successor.held).toBe(true);
    await successor.close();
  });
});
