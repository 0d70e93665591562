import { afterEach, describe, expect, it } from "vitest";
import { open, readdir, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { ProcessCluster } from "../support/cluster.ts";
import { Load, eventually } from "../support/load.ts";

let cluster: ProcessCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

async function walFiles(data: string): Promise<string[]> {
  const names = await readdir(data, { recursive: true });
  const files: { path: string; modified: number }[] = [];
  for (const name of names) {
    if (!/wal/.test(name)) continue;
    const path = join(data, name);
    const info = await stat(path);
    if (info.isFile() && info.size > 4096) files.push({ path, modified: info.mtimeMs });
  }
  return files.sort((a, b) => b.modified - a.modified).map((file) => file.path);
}

async function flip(path: string, offset: number): Promise<void> {
  const file = await open(path, "r+");
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, offset);
  await file.write(Buffer.from([(buffer[0] ?? 0) ^ 0x10]), 0, 1, offset);
  await file.close();
}

async function damaged(damage: (data: string) => Promise<void>): Promise<void> {
  cluster = await ProcessCluster.start({ nodes: 3 });
  const handle = await cluster.connect();
  const load = new Load(handle, { writers: 16, prefix: "load/" });
  await eventually("writes", () => load.acknowledged > 1_000);
  const victim = cluster.follower(await cluster.leader());
  await victim.kill();
  await damage(victim.data);
  victim.start();
  const before = load.acknowledged;
  await eventually("writes go on", () => load.acknowledged > before + 200);
  await load.stop();
  await eventually("the damaged node runs on", () => victim.isRunning);
  const through = await cluster.connect([victim], { pinned: true });
  expect(await load.check(through).catch((error: unknown) => [String(error), ...victim.log.slice(-10)])).toEqual([]);
  await eventually("the damaged node is trusted again and has everything", async () => {
    const member = (await handle.status()).members.find((candidate) => candidate.name === victim.name);
    return member?.report?.replicas.every((replica) => !replica.suspect && replica.applied === replica.commit) === true;
  });
}

describe("P8: damaged bytes are detected, never served, and repaired from the others", () => {
  it("a log cut short", async () => {
    await damaged(async (data) => {
      const [path = ""] = await walFiles(data);
      await truncate(path, 8192);
    });
  });

  it("a flipped bit in the middle of the log", async () => {
    await damaged(async (data) => {
      const [path = ""] = await walFiles(data);
      for (const offset of [9_000, 20_001, 40_003]) await flip(path, offset);
    });
  });
});
