import { describe, expect, it } from "vitest";
import { Prng } from "../base/index.ts";
import { diskContract } from "../ports/disk.contract.ts";
import { ManualClock } from "../storage/harness.golden.ts";
import { SimDisk } from "./disk.ts";
import type { CrashFate } from "./disk.ts";

function make(seed = 1, capacityBytes?: number): { disk: SimDisk; clock: ManualClock } {
  const clock = new ManualClock();
  return { clock, disk: new SimDisk({ clock, prng: new Prng(seed), ...(capacityBytes === undefined ? {} : { capacityBytes }) }) };
}

diskContract("SimDisk", () => {
  const { disk, clock } = make();
  return { disk, another: () => disk, until: (promise) => clock.until(promise) };
});

const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);

describe("SimDisk", () => {
  it("loses nothing that a sync covered, whatever the fate of the rest", async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const { disk, clock } = make(seed);
      const file = await clock.until(disk.open("a", { create: true, lane: "log" }));
      await clock.until(file.writeAt(0, [filled(2000, 1)], { sync: true }));
      await clock.until(disk.syncDirectory(""));
      void file.writeAt(1024, [filled(3000, 2)], { sync: false });
      await clock.pass(10);
      disk.crash("power");
      expect(disk.bytesOf("a").subarray(0, 1024)).toEqual(filled(1024, 1));
      for (const byte of disk.bytesOf("a").subarray(1024, 2000)) expect([1, 2]).toContain(byte);
    }
  });

  it("keeps, loses or tears unsynced sectors, each whole", async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 60; seed++) {
      const { disk, clock } = make(seed);
      disk.put("a", filled(1536, 1));
      const file = await clock.until(disk.open("a", { create: false, lane: "log" }));
      await clock.until(file.writeAt(0, [filled(1536, 2)], { sync: false }));
      disk.crash("power");
      const bytes = disk.bytesOf("a");
      for (let sector = 0; sector < 3; sector++) expect(new Set(bytes.subarray(sector * 512, sector * 512 + 512)).size).toBe(1);
      seen.add([bytes[0], bytes[512], bytes[1024]].join(""));
    }
    expect(seen.size).toBe(8);
  });

  it("does not count a sync that a crash overtook", async () => {
    const { disk, clock } = make();
    disk.put("a", filled(512, 1));
    const file = await clock.until(disk.open("a", { create: false, lane: "log" }));
    void file.writeAt(0, [filled(512, 2)], { sync: true });
    disk.crash("power", "lose");
    expect(disk.bytesOf("a")[0]).toBe(1);
  });

  it("does not let a sync cover what was written after it began", async () => {
    const { disk, clock } = make();
    disk.put("a", filled(1024, 1));
    const file = await clock.until(disk.open("a", { create: false, lane: "log" }));
    const synced = file.writeAt(0, [filled(512, 2)], { sync: true });
    void file.writeAt(512, [filled(512, 3)], { sync: false });
    await clock.until(synced);
    disk.crash("power", "lose");
    expect([disk.bytesOf("a")[0], disk.bytesOf("a")[512]]).toEqual([2, 1]);
  });

  it("keeps everything when only the process dies, and a power loss after that still takes it", async () => {
    const { disk, clock } = make();
    disk.put("a", filled(512, 1));
    const file = await clock.until(disk.open("a", { create: false, lane: "log" }));
    await clock.until(file.writeAt(0, [filled(512, 2)], { sync: false }));
    disk.crash("process");
    expect(disk.bytesOf("a")[0]).toBe(2);
    disk.crash("power", "lose");
    expect(disk.bytesOf("a")[0]).toBe(1);
  });

  it("forgets names that no sync of the directory covered, in order", async () => {
    const outcome = async (fate: CrashFate): Promise<string[]> => {
      const { disk, clock } = make();
      disk.put("d/old", filled(1, 1));
      await clock.until(disk.open("d/new", { create: true, lane: "bulk" }));
      await clock.until(disk.rename("d/old", "d/renamed"));
      disk.crash("power", fate);
      return await clock.until(disk.list("d"));
    };
    expect(await outcome("lose")).toEqual(["old"]);
    expect(await outcome("keep")).toEqual(["new", "renamed"]);
  });

  it("never makes durable later what a failed sync covered", async () => {
    const { disk, clock } = make();
    disk.put("a", filled(512, 1));
    const file = await clock.until(disk.open("a", { create: false, lane: "log" }));
    disk.failNext("sync");
    await expect(clock.until(file.writeAt(0, [filled(512, 2)], { sync: true }))).rejects.toMatchObject({ code: "io" });
    await clock.until(file.sync());
    disk.crash("power", "lose");
    expect(disk.bytesOf("a")[0]).toBe(1);
  });

  it("makes durable what is written again after a failed sync", async () => {
    const { disk, clock } = make();
    disk.put("a", filled(1024, 1));
    const file = await clock.until(disk.open("a", { create: false, lane: "log" }));
    disk.failNext("sync");
    await expect(clock.until(file.writeAt(0, [filled(1024, 2)], { sync: true }))).rejects.toMatchObject({ code: "io" });
    await clock.until(file.writeAt(512, [filled(512, 2)], { sync: true }));
    disk.crash("power", "lose");
    expect([disk.bytesOf("a")[0], disk.bytesOf("a")[512]]).toEqual([1, 2]);
  });

  it("refuses to grow beyond its capacity, and writes on within what is there", async () => {
    const { disk, clock } = make(1, 10_000);
    const file = await clock.until(disk.open("a", { create: true, lane: "log" }));
    await clock.until(file.preallocate(8000));
    await expect(clock.until(file.preallocate(12_000))).rejects.toMatchObject({ code: "full" });
    await expect(clock.until(file.writeAt(9000, [filled(2000, 1)], { sync: true }))).rejects.toMatchObject({ code: "full" });
    await clock.until(file.writeAt(0, [filled(8000, 1)], { sync: true }));
    expect(await clock.until(disk.freeBytes())).toBe(2000);
    disk.copiesOnWrite = true;
    await clock.until(file.writeAt(0, [filled(2000, 1)], { sync: true }));
    await expect(clock.until(file.writeAt(0, [filled(2001, 1)], { sync: true }))).rejects.toMatchObject({ code: "full" });
  });

  it("refuses the next read or write when told to, once, and a refused write leaves nothing", async () => {
    const { disk, clock } = make();
    disk.put("a", filled(512, 1));
    const file = await clock.until(disk.open("a", { create: false, lane: "log" }));
    disk.failNext("write");
    await expect(clock.until(file.writeAt(0, [filled(512, 2)], { sync: true }))).rejects.toMatchObject({ code: "io" });
    disk.failNext("read");
    await expect(clock.until(file.readAt(0, 512))).rejects.toMatchObject({ code: "io" });
    expect(await clock.until(file.readAt(0, 512))).toEqual(filled(512, 1));
    for (const operation of ["sync", "write", "read"] as const) disk.failNext(operation);
    disk.heal();
    await clock.until(file.writeAt(0, [filled(512, 3)], { sync: true }));
    expect(await clock.until(file.readAt(0, 512))).toEqual(filled(512, 3));
  });

  it("says when a change was accepted and not synced yet: a crash there loses it or not", async () => {
    const survives = async (fate: CrashFate): Promise<number | undefined> => {
      const { disk, clock } = make();
      disk.put("a", filled(512, 1));
      const file = await clock.until(disk.open("a", { create: false, lane: "log" }));
      disk.afterChanges(2, () => disk.crash("power", fate));
      await clock.until(file.writeAt(0, [filled(512, 2)], { sync: true }));
      void file.writeAt(0, [filled(512, 3)], { sync: true });
      await clock.pass(10);
      return disk.bytesOf("a")[0];
    };
    expect(await survives("lose")).toBe(2);
    expect(await survives("keep")).toBe(3);
  });

  it("is empty when it was replaced, and its handles are dead", async () => {
    const { disk, clock } = make();
    const file = await clock.until(disk.open("a", { create: true, lane: "log" }));
    await clock.until(file.writeAt(0, [filled(10, 1)], { sync: true }));
    await clock.until(disk.lock("LOCK"));
    disk.wipe();
    expect(disk.files()).toEqual([]);
    await clock.until(disk.lock("LOCK"));
    let settled = false;
    void file.size().then(() => (settled = true));
    await clock.pass(1000);
    expect(settled).toBe(false);
  });

  it("erases a place in every version of it", async () => {
    const { disk, clock } = make();
    disk.put("a", filled(1024, 1));
    const file = await clock.until(disk.open("a", { create: false, lane: "log" }));
    void file.writeAt(0, [filled(1024, 2)], { sync: false });
    disk.erase("a", 500, 600);
    for (const byte of [500, 599]) expect(disk.bytesOf("a")[byte]).toBe(0);
    disk.crash("power", "lose");
    expect([499, 500, 599, 600].map((at) => disk.bytesOf("a")[at])).toEqual([1, 0, 0, 1]);
  });

  it("is as fast as ever once it is told to hurry, for what waits already, too, and in order", async () => {
    const { disk, clock } = make();
    const file = await clock.until(disk.open("a", { create: true, lane: "log" }));
    disk.slow(10_000);
    const ended: number[] = [];
    for (let i = 0; i < 5; i++) void file.writeAt(i, [filled(1, i)], { sync: true }).then(() => ended.push(i));
    await clock.pass(500);
    expect(ended).toEqual([]);
    disk.hurry();
    await clock.pass(10);
    expect(ended).toEqual([0, 1, 2, 3, 4]);
    await clock.pass(100_000);
    expect(ended).toHaveLength(5);
  });

  it("flips a bit for good", async () => {
    const { disk, clock } = make();
    disk.put("a", filled(512, 0));
    disk.corrupt("a", 100, 3);
    disk.crash("power", "lose");
    expect(disk.bytesOf("a")[100]).toBe(8);
    expect(clock.now()).toBe(0);
  });

  it("never settles what a crash overtook", async () => {
    const { disk, clock } = make();
    const file = await clock.until(disk.open("a", { create: true, lane: "log" }));
    let settled = false;
    void file.sync().then(() => (settled = true));
    disk.crash("process");
    void file.size().then(() => (settled = true));
    await clock.pass(1000);
    expect(settled).toBe(false);
  });

  it("does the same again for the same seed", async () => {
    const run = async (): Promise<string> => {
      const { disk, clock } = make(5);
      const file = await clock.until(disk.open("a", { create: true, lane: "log" }));
      await clock.until(disk.syncDirectory(""));
      for (let i = 0; i < 10; i++) void file.writeAt(i * 300, [filled(700, i)], { sync: i === 4 });
      await clock.pass(0.7);
      disk.crash("power", "mix");
      return `${clock.now()} ${disk.bytesOf("a").join()}`;
    };
    expect(await run()).toBe(await run());
  });
});
