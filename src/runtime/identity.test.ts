import { describe, expect, it } from "vitest";
import { Prng, defaultGroup, defined } from "../base/index.ts";
import { silentLogger } from "../ports/index.ts";
import type { Disk } from "../ports/index.ts";
import { SimDisk } from "../sim/disk.ts";
import { SimWorld } from "../sim/index.ts";
import { openStorage } from "../storage/index.ts";
import { IdentityStore } from "./identity.ts";
import { NodeWorld } from "./world.golden.ts";

const copies = ["IDENTITY.0", "IDENTITY.1"] as const;

async function trial(
  hurt: (disk: SimDisk, older: Uint8Array) => Promise<void> | void,
): Promise<{ readonly same: boolean; readonly created: boolean | undefined }> {
  const world = new SimWorld("identity");
  const { clock, random } = world.machine("n1");
  const disk = new SimDisk({ clock, prng: world.prng.fork("disk") });
  const settle = <T>(promise: Promise<T>): Promise<T> => world.scheduler.settle(promise);
  await settle(IdentityStore.open(disk, random));
  const older = disk.bytesOf(copies[1]).slice();
  await settle((await settle(IdentityStore.open(disk, random))).update({ created: true }));
  await hurt(disk, older);
  const store = await settle(IdentityStore.open(disk, random));
  const [first, second] = copies.map((path) => disk.bytesOf(path).join());
  return { same: first === second, created: store.value.created };
}

it("P8: copies of the identity that differ after a crash or damage are equal after the next start, both with the newest word", async () => {
  const mended = { same: true, created: true };
  expect(await trial((disk, older) => disk.put(copies[1], older)), "a crash between the two writes").toEqual(mended);
  expect(await trial((disk) => disk.corrupt(copies[0], 40, 3)), "a flipped bit").toEqual(mended);
  const versionAt = "UNUM-IDENTITY ".length;
  expect(await trial((disk) => disk.corrupt(copies[0], versionAt, 2)), "a version that nobody wrote: 5 for 1").toEqual(mended);
  const full = await trial((disk: SimDisk & Disk, older) => {
    disk.put(copies[1], older);
    disk.capacityBytes = disk.usedBytes();
  });
  expect(full, "a full disk does not keep it from starting").toEqual({ same: false, created: true });
});

describe("P3: a replica that its disk has forgotten", () => {
  const members = ["a", "b", "c"];

  async function formed(seed: string): Promise<NodeWorld> {
    const nodes = new NodeWorld(seed);
    for (const name of members) nodes.place(name, { seeds: members.map((other) => `${other}:7400`), expect: 3 });
    await nodes.start(...members);
    await nodes.settle(nodes.handle(members).kv.put("a", 1));
    await nodes.until(() => members.every((name) => nodes.node(name).groups.get(defaultGroup)?.configuration.voters.length === 3));
    return nodes;
  }

  /** What damage to every one of its records would leave, the discarded mark included. */
  async function forget(nodes: NodeWorld, name: string): Promise<void> {
    nodes.crash(name);
    const { checksum, clock, disk } = nodes.parts(name);
    const storage = await nodes.settle(openStorage({ checksum, clock, disk, prng: new Prng("forget"), logger: silentLogger }));
    storage.destroy(defaultGroup);
    await nodes.settle(storage.close());
  }

  it("is not made again under its id, with its votes unknown: the group gets another one", async () => {
    const nodes = await formed("forgotten");
    const before = defined(nodes.node("a").groups.get(defaultGroup), "the replica").id;
    await forget(nodes, "a");
    await nodes.start("a");
    expect(nodes.node("a").discarded.get(defaultGroup)).toBe(before);
    await nodes.until(() => nodes.node("a").groups.get(defaultGroup) !== undefined);
    const after = defined(nodes.node("a").groups.get(defaultGroup), "the replica").id;
    expect(after).toBeGreaterThan(before);
    await nodes.until(() => nodes.node("b").groups.get(defaultGroup)?.configuration.voters.includes(after) === true);
    expect(nodes.node("b").groups.get(defaultGroup)?.configuration.voters).not.toContain(before);

    nodes.crash("a");
    await nodes.start("a");
    expect(nodes.node("a").discarded.size, "the new one is there").toBe(0);
  });

  it("is not taken for lost when it went on purpose", async () => {
    const nodes = await formed("went");
    const { id } = defined(nodes.node("a").groups.get(defaultGroup), "the replica");
    await nodes.settle(nodes.node("a").identity.giveUp(defaultGroup, id));
    await forget(nodes, "a");
    await nodes.start("a");
    expect(nodes.node("a").discarded.size).toBe(0);
  });

  it("of the system group ends the start: the node must join as a new one", async () => {
    const nodes = await formed("forgotten system");
    nodes.crash("a");
    const { disk } = nodes.parts("a");
    for (const path of await nodes.settle(disk.list("wal"))) await nodes.settle(disk.remove(`wal/${path}`));
    await expect(nodes.start("a")).rejects.toMatchObject({ code: "CORRUPT", message: expect.stringContaining("lost its write-ahead log") });
  });
});
