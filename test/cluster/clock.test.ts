import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Prng } from "#dist/base/index.js";
import { ChaosCluster } from "../chaos/cluster.ts";
import { Load, eventually } from "../support/load.ts";

let directory = "";
let cluster: ChaosCluster;
const violations: string[] = [];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "unum-test-"));
  cluster = await ChaosCluster.open({
    directory,
    nodes: 3,
    wires: "proxies",
    smallMebibytes: undefined,
    syncMs: 0,
    prng: new Prng("clock"),
    violation: (text) => violations.push(text),
  });
  for (const { node } of cluster.members) node.start();
});

afterEach(async () => {
  await cluster.close();
  rmSync(directory, { recursive: true, force: true });
  expect(violations.splice(0), "no node ended by itself").toEqual([]);
});

const hourMs = 3_600_000;

it("wall clocks that jump, ahead and back, by a minute or a year, lose no write, no lease that is kept, and turn no read back", async () => {
  const handle = await cluster.connect("test");
  await handle.kv.put("started", true, { timeout: 30_000 });
  const lease = await handle.lease("5s", { keepAlive: true });
  await handle.kv.put("held", true, { lease });
  const load = new Load(handle, { writers: 8, prefix: "load/" });
  await eventually("writes", () => load.acknowledged > 200);
  for (const jumpMs of [60_000, -60_000, hourMs, -400 * 24 * hourMs, 400 * 24 * hourMs, 0]) {
    const { node } = await cluster.resolve("leader");
    await node.shiftClock(jumpMs);
    const before = load.acknowledged;
    await eventually(
      `writes after the clock of ${node.name} jumped to ${jumpMs} ms from the true time`,
      () => load.acknowledged > before + 200,
    );
    expect(lease.held, "the lease is kept").toBe(true);
    expect((await handle.kv.get("held"))?.value).toBe(true);
  }
  // Clocks that differ from each other, and a leader that starts with a wrong one.
  for (const { node, number } of cluster.members) await node.shiftClock((number - 1) * hourMs);
  const { node } = await cluster.resolve("leader");
  await node.end("SIGKILL");
  const before = load.acknowledged;
  await eventually("writes under a leader with another clock", () => load.acknowledged > before + 200);
  node.start();
  await load.stop();
  for (const { number } of cluster.members) {
    const through = await cluster.connect(`check ${number}`, [cluster.wires.address(number)], true);
    expect(await load.check(through)).toEqual([]);
  }
  expect((await handle.kv.get("held"))?.value).toBe(true);
  await lease.revoke();
});
