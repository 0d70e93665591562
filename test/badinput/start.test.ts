/** A node that must not start says why, by code, and exits 1. */
import { open, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { crc32 } from "../../src/base/index.ts";
import { ProcessCluster } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import type { ProcessNode } from "../support/cluster.ts";
import { unum } from "../support/command.ts";

let cluster: ProcessCluster;
let node: ProcessNode;
beforeEach(async () => {
  cluster = await ProcessCluster.start({ nodes: 1 });
  node = cluster.nodes[0] as ProcessNode;
});
afterEach(() => cluster.close());

async function refused(code: string): Promise<string> {
  node.log.length = 0;
  node.start();
  expect(await node.exited()).toBe(1);
  const log = node.log.join("\n");
  expect(log).toContain(code);
  expect(log).not.toMatch(/\n\s+at /);
  return log;
}

it("a second process on one data directory: DATA_DIR_LOCKED, naming the first; afterwards the first goes on", async () => {
  const second = await unum("start", "--data", node.data, "--listen", `127.0.0.1:${await freePort()}`);
  expect(second.code).toBe(1);
  expect(second.err).toContain("DATA_DIR_LOCKED");
  expect(second.err).toContain(String(node.pid));
  await (await cluster.connect()).kv.put("a", 1);
});

it("a directory of a newer version: DATA_DIR_FORMAT, and nothing in it is changed", async () => {
  await node.kill("SIGTERM");
  for (const name of ["IDENTITY.0", "IDENTITY.1"]) {
    const path = join(node.data, name);
    const [, generation = "", json = ""] = /^UNUM-IDENTITY 1 (\d+) [0-9a-f]{8}\n([\s\S]*)$/.exec(await readFile(path, "utf8")) ?? [];
    // From version 2 on the check covers the version, too: without it this would be damage, not a newer directory.
    const check = crc32(Buffer.from(`99 ${generation} ${json}`))
      .toString(16)
      .padStart(8, "0");
    await writeFile(path, `UNUM-IDENTITY 99 ${generation} ${check}\n${json}`);
  }
  const before = await readFile(join(node.data, "IDENTITY.0"), "latin1");
  expect(await refused("DATA_DIR_FORMAT")).toContain("99");
  expect(await readFile(join(node.data, "IDENTITY.0"), "latin1")).toBe(before);
});

it("a log of a newer version: DATA_DIR_FORMAT", async () => {
  await node.kill("SIGTERM");
  const folder = join(node.data, "wal");
  for (const name of await readdir(folder)) {
    const file = await open(join(folder, name), "r+");
    const preamble = Buffer.alloc(16);
    await file.read(preamble, 0, 16, 0);
    if (preamble.toString("latin1", 0, 8) === "UNUM-WAL") {
      preamble.writeUInt32LE(99, 8);
      preamble.writeUInt32LE(crc32(preamble.subarray(0, 12)), 12);
      await file.write(preamble, 0, 16, 0);
    }
    await file.close();
  }
  await refused("DATA_DIR_FORMAT");
});

it("both copies of the identity damaged: CORRUPT, not a new node", async () => {
  await node.kill();
  for (const name of ["IDENTITY.0", "IDENTITY.1"]) await writeFile(join(node.data, name), "damaged");
  await refused("CORRUPT");
});

it("a port that is taken: PORT_IN_USE", async () => {
  const second = await unum("start", "--data", join(cluster.directory, "second"), "--listen", node.address);
  expect(second.code).toBe(1);
  expect(second.err).toContain("PORT_IN_USE");
});

it("listening beyond loopback without saying so: INSECURE", async () => {
  const listen = `0.0.0.0:${await freePort()}`;
  const open = await unum("start", "--data", join(cluster.directory, "open"), "--listen", listen);
  expect(open.code).toBe(1);
  expect(open.err).toContain("INSECURE");
});
