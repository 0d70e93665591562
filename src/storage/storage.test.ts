import { describe, expect, it } from "vitest";
import { replicaId } from "../base/index.ts";
import { StorageWorld, configuration, makeEntries, smallSettings } from "./harness.golden.ts";
import { chunksOf, readAllOf, snapshotBytes } from "./model.golden.ts";

describe("group commit", () => {
  it("P1: calls done only after the sync, in the order of the calls, one sync for all that gathered", async () => {
    const world = new StorageWorld(2);
    await world.open();
    const a = world.create(1);
    const b = world.create(2);
    world.storage.flush();
    await world.clock.pass(30);
    const order: string[] = [];
    const before = world.storage.stats().syncs;
    a.append({ hardState: undefined, entries: makeEntries(1, 1, 1, 1) }, () => order.push("a1"));
    world.storage.flush();
    for (let i = 1; i <= 5; i++) {
      b.append({ hardState: undefined, entries: makeEntries(2, i, i, 1) }, () => order.push(`b${i}`));
      a.append({ hardState: undefined, entries: makeEntries(1, i + 1, i + 1, 1) }, () => order.push(`a${i + 1}`));
      world.storage.flush();
    }
    expect(order).toEqual([]);
    expect(world.storage.queuedBytes).toBeGreaterThan(0);
    expect(world.storage.writingSince).toBe(world.clock.now());
    await world.clock.pass(5);
    expect(order).toEqual(["a1", "b1", "a2", "b2", "a3", "b3", "a4", "b4", "a5", "b5", "a6"]);
    expect(world.storage.stats().syncs - before).toBe(2);
    expect(world.storage.queuedBytes).toBe(0);
    expect(world.storage.writingSince).toBeUndefined();
  });

  it("a write of nothing is done after those before it, without a sync of its own", async () => {
    const world = new StorageWorld(2);
    await world.open();
    const log = world.create(1);
    const order: string[] = [];
    log.append({ hardState: undefined, entries: makeEntries(1, 1, 1, 1) }, () => order.push("entry"));
    log.append({ hardState: undefined, entries: [] }, () => order.push("nothing"));
    world.storage.flush();
    await world.clock.pass(30);
    expect(order).toEqual(["entry", "nothing"]);
    const { syncs } = world.storage.stats();
    log.append({ hardState: undefined, entries: [] }, () => order.push("again"));
    world.storage.flush();
    expect(order.length).toBe(2);
    await world.clock.pass(30);
    expect(order.length).toBe(3);
    expect(world.storage.stats().syncs).toBe(syncs);
  });

  it("splits what gathered into batches of bounded size, but never one write", async () => {
    const world = new StorageWorld(2, { ...smallSettings, batchBytesMax: 2000 });
    await world.open();
    const log = world.create(1);
    let done = 0;
    for (let i = 0; i < 6; i++) log.append({ hardState: undefined, entries: makeEntries(1, 1 + i * 3, 3 + i * 3, 1, 900) }, () => done++);
    const before = world.storage.stats().syncs;
    world.storage.flush();
    await world.clock.pass(9);
    expect(done).toBe(6);
    expect(world.storage.stats().syncs - before).toBeGreaterThanOrEqual(6);
  });
});

describe("an idle node", () => {
  it("carries the synced mark on once, and then is silent", async () => {
    const world = new StorageWorld(2);
    await world.open();
    world.create(1).append({ hardState: undefined, entries: makeEntries(1, 1, 1, 1) }, () => undefined);
    world.storage.flush();
    await world.clock.pass(100);
    const { syncs } = world.storage.stats();
    const { writes } = world.disk;
    await world.clock.pass(100_000);
    expect(world.storage.stats().syncs).toBe(syncs);
    expect(world.disk.writes).toBe(writes);
  });
});

describe("a failing disk", () => {
  it("settles `failed`, is never asked again, and acknowledges nothing more", async () => {
    const world = new StorageWorld(2);
    await world.open();
    const log = world.create(1);
    world.storage.flush();
    await world.clock.pass(50);
    world.disk.failNext("sync");
    let done = 0;
    log.append({ hardState: undefined, entries: makeEntries(1, 1, 1, 1) }, () => done++);
    world.storage.flush();
    const error = await world.clock.until(world.storage.failed);
    expect(error).toMatchObject({ code: "io" });
    const { writes } = world.disk;
    log.append({ hardState: undefined, entries: makeEntries(1, 2, 2, 1) }, () => done++);
    world.storage.flush();
    await world.clock.pass(5000);
    expect(done).toBe(0);
    expect(world.disk.writes).toBe(writes);
    await world.close();
  });

  it("stops when its caller's done throws: a bug must not be taken for durability", async () => {
    const world = new StorageWorld(2);
    await world.open();
    world.create(1).append({ hardState: undefined, entries: makeEntries(1, 1, 1, 1) }, () => {
      throw new Error("bug");
    });
    world.storage.flush();
    expect((await world.clock.until(world.storage.failed)).message).toBe("bug");
  });
});

describe("a small disk", () => {
  it("is not filled for good by the log itself: what an idle group pins is moved out of the way", async () => {
    const world = new StorageWorld(2, { ...smallSettings, walSegmentsMax: 100, walBytesMax: 1_000_000 });
    await world.open();
    const idle = world.create(1);
    const busy = world.create(2);
    idle.append({ hardState: undefined, entries: makeEntries(1, 1, 3, 1) }, () => undefined);
    idle.committed(3);
    let last = 0;
    const write = async (): Promise<boolean> => {
      let isDone = false;
      busy.append({ hardState: undefined, entries: makeEntries(2, last + 1, last + 5, 1, 900) }, () => (isDone = true));
      last += 5;
      busy.committed(last);
      world.storage.flush();
      await world.clock.pass(3_000);
      return isDone;
    };
    expect(await write()).toBe(true);
    // Room for one more segment, and never for all that the log would like to keep.
    world.disk.capacityBytes = world.disk.usedBytes() + 32 * 1024;
    for (let i = 0; i < 10; i++) {
      expect(await write(), `write ${i}`).toBe(true);
      const saved = busy.saveSnapshot({ index: last, term: 1, configuration: configuration(1) }, chunksOf(snapshotBytes(6), 300));
      await world.clock.until(saved);
      busy.release(last);
    }
    expect(world.storage.full).toBe(false);
    expect(await world.clock.until(idle.read(1, 3, 10_000))).toHaveLength(3);
  });
});

describe("closing", () => {
  it("ends though entries wait for room on a full disk and a segment is being emptied", async () => {
    const world = new StorageWorld(2, { ...smallSettings, walSegmentsMax: 1 });
    await world.open();
    const a = world.create(1);
    const b = world.create(2);
    a.append({ hardState: undefined, entries: makeEntries(1, 1, 3, 1) }, () => undefined);
    world.storage.flush();
    await world.clock.pass(50);
    world.disk.capacityBytes = world.disk.usedBytes();
    let done = 0;
    for (let i = 0; i < 6; i++) b.append({ hardState: undefined, entries: makeEntries(2, 1 + i * 5, 5 + i * 5, 1, 900) }, () => done++);
    world.storage.flush();
    await world.clock.pass(500);
    expect(world.storage.full).toBe(true);
    expect(done).toBeLessThan(6);
    await world.close();
    world.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
    await world.open();
    expect(world.log(1).recovered.lastIndex).toBe(3);
    expect(world.log(2).recovered.lastIndex).toBe(done * 5);
  });

  it("stops a snapshot that is being written, and leaves nothing of it", async () => {
    const world = new StorageWorld(2);
    await world.open();
    const log = world.create(1);
    log.append({ hardState: undefined, entries: makeEntries(1, 1, 9, 1) }, () => undefined);
    world.storage.flush();
    await world.clock.pass(50);
    const saving = log.saveSnapshot({ index: 6, term: 1, configuration: configuration(1) }, chunksOf(snapshotBytes(6), 300));
    saving.catch(() => undefined);
    await world.clock.step(3);
    await world.close();
    await expect(saving).rejects.toMatchObject({ code: "CLOSED" });
    expect(world.disk.files().filter(({ path }) => path.startsWith("groups/"))).toEqual([]);
  });

  it("P7: a start on a nearly full disk makes do with a small segment, and without any room says so", async () => {
    const world = new StorageWorld(2);
    world.disk.capacityBytes = 4000;
    await world.open();
    world.create(1).append({ hardState: { term: 1, vote: replicaId(1), commit: 0 }, entries: [] }, () => undefined);
    world.storage.flush();
    await world.clock.pass(50);
    world.crash("power", "lose");
    world.disk.capacityBytes = world.disk.usedBytes();
    await expect(world.open()).rejects.toMatchObject({ code: "OUT_OF_SPACE" });
    world.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
    await world.open();
    expect(world.log(1).recovered.hardState.vote).toBe(1);
  });
});

describe("reading", () => {
  it("gives at least one entry, and at most the bytes beyond it", async () => {
    const world = new StorageWorld(2);
    await world.open();
    const log = world.create(1);
    log.append({ hardState: undefined, entries: makeEntries(1, 1, 20, 1, 300) }, () => undefined);
    world.storage.flush();
    await world.clock.pass(50);
    const { clock } = world;
    expect((await clock.until(log.read(3, 20, 1))).map(({ index }) => index)).toEqual([3]);
    expect((await clock.until(log.read(3, 20, 950))).map(({ index }) => index)).toEqual([3, 4, 5]);
    expect((await clock.until(log.read(19, 99, 10_000))).map(({ index }) => index)).toEqual([19, 20]);
    await expect(clock.until(log.read(21, 25, 100))).rejects.toMatchObject({ code: "COMPACTED" });
  });

  it("P8: rejects with CORRUPT what has rotted since", async () => {
    const world = new StorageWorld(2);
    await world.open();
    const log = world.create(1);
    log.append({ hardState: undefined, entries: makeEntries(1, 1, 2, 1, 300) }, () => undefined);
    world.storage.flush();
    await world.clock.pass(50);
    const path = "wal/0000000000000001.wal";
    const bytes = world.disk.bytesOf(path);
    const at = Buffer.from(bytes).indexOf("1/2/1/");
    world.disk.corrupt(path, at + 20, 1);
    await expect(world.clock.until(log.read(1, 2, 10_000))).rejects.toMatchObject({ code: "CORRUPT" });
    expect((await world.clock.until(log.read(1, 1, 10_000))).length).toBe(1);
  });

  it("recovers the newest entries in memory, the others by read", async () => {
    const world = new StorageWorld(2, { ...smallSettings, recoveredBytesMax: 1000 });
    await world.open();
    world.create(1).append({ hardState: undefined, entries: makeEntries(1, 1, 20, 1, 300) }, () => undefined);
    world.storage.flush();
    await world.clock.pass(50);
    await world.close();
    await world.open();
    const { recovered } = world.log(1);
    expect([recovered.firstIndex, recovered.lastIndex]).toEqual([1, 20]);
    expect(recovered.entries.map(({ index }) => index)).toEqual([18, 19, 20]);
    expect((await world.clock.until(world.log(1).read(1, 20, 100_000))).length).toBe(20);
  });
});

describe("snapshots", () => {
  it("P8: a snapshot that rots while it is open is not served", async () => {
    const world = new StorageWorld(2);
    await world.open();
    const log = world.create(1);
    log.append({ hardState: undefined, entries: makeEntries(1, 1, 9, 1) }, () => undefined);
    world.storage.flush();
    await world.clock.pass(50);
    const file = await world.clock.until(
      log.saveSnapshot({ index: 6, term: 1, configuration: configuration(1) }, chunksOf(snapshotBytes(6), 300)),
    );
    world.disk.corrupt("groups/1.1.snapshot.0000000000000006-0000000000000001", 2000, 4);
    expect(await world.clock.until(file.read(0, 700))).toEqual(snapshotBytes(6).subarray(0, 700));
    await expect(world.clock.until(file.read(0, file.bytes))).rejects.toMatchObject({ code: "CORRUPT" });
    let seen = 0;
    const reading = file.readAll((chunk) => {
      expect(chunk).toEqual(snapshotBytes(6).subarray(seen, seen + chunk.length));
      seen += chunk.length;
    });
    await expect(world.clock.until(reading)).rejects.toMatchObject({ code: "CORRUPT" });
    expect(seen).toBe(smallSettings.stepBytes);
  });

  it("read as a whole show each step while nothing overwrites it, wait for whoever looks, and pass on what that throws", async () => {
    const world = new StorageWorld(2);
    await world.open();
    const log = world.create(1);
    log.append({ hardState: undefined, entries: makeEntries(1, 1, 9, 1) }, () => undefined);
    world.storage.flush();
    await world.clock.pass(50);
    const bytes = snapshotBytes(6);
    const file = await world.clock.until(log.saveSnapshot({ index: 6, term: 1, configuration: configuration(1) }, chunksOf(bytes, 300)));
    const found: number[] = [];
    const slow = file.readAll(async (chunk) => {
      await new Promise<void>((resolve) => void world.clock.after(20, resolve));
      found.push(...chunk);
    });
    await world.clock.until(slow);
    expect(Uint8Array.from(found)).toEqual(bytes);
    const broken = file.readAll(() => {
      throw new Error("no more");
    });
    await expect(world.clock.until(broken)).rejects.toThrow("no more");
    expect(await world.clock.until(readAllOf(file))).toEqual(bytes);
  });

  it("a reader of the old one goes on when a newer one has replaced it", async () => {
    const world = new StorageWorld(2);
    await world.open();
    const log = world.create(1);
    log.append({ hardState: undefined, entries: makeEntries(1, 1, 9, 1) }, () => undefined);
    world.storage.flush();
    await world.clock.pass(50);
    const save = (index: number) =>
      world.clock.until(log.saveSnapshot({ index, term: 1, configuration: configuration(1) }, chunksOf(snapshotBytes(index), 300)));
    const old = await save(4);
    await save(6);
    await world.clock.pass(50);
    expect(await world.clock.until(old.read(0, old.bytes))).toEqual(snapshotBytes(4));
  });

  it("stops when it is aborted, and leaves nothing behind", async () => {
    const world = new StorageWorld(2);
    await world.open();
    const log = world.create(1);
    log.append({ hardState: undefined, entries: makeEntries(1, 1, 9, 1) }, () => undefined);
    world.storage.flush();
    await world.clock.pass(50);
    const signal = { aborted: false };
    const saving = log.saveSnapshot({ index: 6, term: 1, configuration: configuration(1) }, chunksOf(snapshotBytes(6), 300), signal);
    saving.catch(() => undefined);
    await world.clock.step(4);
    signal.aborted = true;
    await expect(world.clock.until(saving)).rejects.toMatchObject({ code: "CLOSED" });
    expect(world.disk.files().filter(({ path }) => path.startsWith("groups/"))).toEqual([]);
    expect(log.snapshot).toBeUndefined();
  });

  it("ignores repeated and early chunks and says what it wants next", async () => {
    const world = new StorageWorld(2);
    await world.open();
    const log = world.create(1);
    world.storage.flush();
    await world.clock.pass(50);
    const { clock } = world;
    const bytes = snapshotBytes(20);
    const receiver = await clock.until(log.receiveSnapshot({ index: 20, term: 1, configuration: configuration(1) }, bytes.length));
    expect(await clock.until(receiver.write(500, bytes.subarray(500, 900)))).toBe(0);
    expect(await clock.until(receiver.write(0, bytes.subarray(0, 700)))).toBe(700);
    expect(await clock.until(receiver.write(0, bytes.subarray(0, 700)))).toBe(700);
    expect(await clock.until(receiver.write(600, bytes.subarray(600, 800)))).toBe(800);
    await expect(clock.until(receiver.finish())).rejects.toMatchObject({ code: "CORRUPT" });
    expect(await clock.until(receiver.write(800, bytes.subarray(800)))).toBe(bytes.length);
    const file = await clock.until(receiver.finish());
    expect(await clock.until(file.read(0, file.bytes))).toEqual(bytes);
  });

  it("counts the log's bytes since the newest", async () => {
    const world = new StorageWorld(2);
    await world.open();
    const log = world.create(1);
    log.append({ hardState: undefined, entries: makeEntries(1, 1, 10, 1, 100) }, () => undefined);
    world.storage.flush();
    await world.clock.pass(50);
    expect(log.bytesSinceSnapshot).toBe(1000);
    await world.clock.until(log.saveSnapshot({ index: 7, term: 1, configuration: configuration(1) }, chunksOf(snapshotBytes(7), 300)));
    expect(log.bytesSinceSnapshot).toBe(300);
    await world.close();
    await world.open();
    expect(world.log(1).bytesSinceSnapshot).toBe(300);
  });
});

describe("many groups", () => {
  it("share one sync, and each comes back", async () => {
    const world = new StorageWorld(2, {});
    await world.open();
    for (let group = 1; group <= 300; group++) {
      world
        .create(group)
        .append({ hardState: { term: group, vote: replicaId(1), commit: 0 }, entries: makeEntries(group, 1, 2, group) }, () => undefined);
    }
    const before = world.storage.stats().syncs;
    world.storage.flush();
    await world.clock.pass(9);
    expect(world.storage.stats().syncs - before).toBe(1);
    world.crash("power", "lose");
    await world.open();
    expect(world.groups().length).toBe(300);
    for (const group of world.groups()) expect(world.log(group).recovered.hardState.term).toBe(group);
  });
});
