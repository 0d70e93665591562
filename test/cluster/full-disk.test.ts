import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Prng } from "#dist/base/index.js";
import { isUnumError } from "../../src/index.ts";
import { ChaosCluster } from "../chaos/cluster.ts";
import { whyNoSmallDisks } from "../chaos/disks.ts";
import { Load, eventually } from "../support/load.ts";

const whyNot = whyNoSmallDisks(tmpdir());
if (whyNot !== undefined) console.log(`skipped: ${whyNot}`);

let directory = "";
let cluster: ChaosCluster;
const violations: string[] = [];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "unum-test-"));
  cluster = await ChaosCluster.open({
    directory,
    nodes: 3,
    wires: "proxies",
    smallMebibytes: 160,
    syncMs: 0,
    prng: new Prng("full disk"),
    violation: (text) => violations.push(text),
  });
});

afterEach(async () => {
  await cluster.close();
  rmSync(directory, { recursive: true, force: true });
  expect(violations.splice(0), "no node ended by itself").toEqual([]);
});

describe.skipIf(whyNot !== undefined)("a disk that is full", () => {
  it("of a follower: writes go on, and it catches up when there is room", async () => {
    for (const { node } of cluster.members) node.start();
    const handle = await cluster.connect("test");
    await handle.kv.put("started", true, { timeout: 30_000 });
    const load = new Load(handle, { writers: 8, prefix: "load/" });
    await eventually("writes", () => load.acknowledged > 200);
    const leader = await cluster.resolve("leader");
    const follower = cluster.members.find((member) => member !== leader);
    if (follower === undefined) throw new Error("no follower");
    follower.disk.fill(0);
    const value = "x".repeat(512 * 1024);
    // More than the segments that the follower has: it must run out of room, and the majority must not.
    for (let i = 0; i < 180; i++) await handle.kv.put(`big/${i % 10}`, value, { timeout: 30_000 });
    await eventually("it is full", () => follower.node.log.some((line) => line.includes("the disk is full")));
    const before = load.acknowledged;
    await eventually("writes while it is full", () => load.acknowledged > before + 100);
    follower.disk.free();
    await load.stop();
    expect(load.failures).toEqual([]);
    for (const { number } of cluster.members) {
      const through = await cluster.connect(`check ${number}`, [cluster.wires.address(number)], true);
      expect(await load.check(through)).toEqual([]);
    }
    await eventually("it has caught up", async () => {
      const member = (await handle.status()).members.find(({ name }) => name === follower.node.name);
      return member?.report?.replicas.every(({ applied, commit }) => applied === commit) === true;
    });
  });

  it("of all nodes: writes are refused as OUT_OF_SPACE and reads go on; with room, writes go on by themselves; all acknowledged is there", async () => {
    for (const { node } of cluster.members) node.start();
    const handle = await cluster.connect("test");
    await handle.kv.put("started", true, { timeout: 30_000 });
    const load = new Load(handle, { writers: 8, prefix: "load/" });
    await eventually("writes", () => load.acknowledged > 200);
    for (const { disk } of cluster.members) disk.fill(0);
    const value = "x".repeat(512 * 1024);
    const refusals: unknown[] = [];
    for (let i = 0; i < 400 && refusals.length === 0; i++) {
      await handle.kv.put(`big/${i % 10}`, value, { timeout: 30_000 }).catch((error: unknown) => {
        // A leader that runs out of room in the middle cannot say what became of it.
        if (!isUnumError(error) || error.outcome !== "unknown") refusals.push(error);
      });
    }
    expect(refusals).toEqual([expect.objectContaining({ code: "OUT_OF_SPACE", outcome: "not-applied", retry: "safe" })]);
    expect((await handle.kv.get("started", { timeout: 30_000 }))?.value).toBe(true);
    for (const { disk } of cluster.members) disk.free();
    await eventually("writes go on by themselves", async () => {
      try {
        return (await handle.kv.put("after", 1)).revision > 0;
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/OUT_OF_SPACE|TIMEOUT|NO_LEADER/) });
        return false;
      }
    });
    const before = load.acknowledged;
    await eventually("so does the load", () => load.acknowledged > before + 100);
    await load.stop();
    for (const { number } of cluster.members) {
      const through = await cluster.connect(`check ${number}`, [cluster.wires.address(number)], true);
      expect(await load.check(through)).toEqual([]);
    }
  });
});
