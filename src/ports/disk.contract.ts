import { afterEach, describe, expect, it } from "vitest";
import { DiskError } from "./disk.ts";
import type { Disk, DiskErrorCode, File } from "./disk.ts";

export interface DiskHarness {
  /** An empty directory. */
  readonly disk: Disk;
  /** The same directory, as another process would open it. */
  another(): Promise<Disk> | Disk;
  /** Lets what was asked go on until it has settled; a real disk needs no help. */
  until<T>(promise: Promise<T>): Promise<T>;
  close?(): Promise<void> | void;
}

const lanes = ["log", "bulk"] as const;

function bytes(length: number, seed: number): Uint8Array {
  const all = new Uint8Array(length);
  for (let i = 0; i < length; i++) all[i] = (i * 31 + seed * 17 + (i >> 8)) & 0xff;
  return all;
}

async function codeOf(promise: Promise<unknown>): Promise<DiskErrorCode | "none"> {
  try {
    await promise;
    return "none";
  } catch (error) {
    if (error instanceof DiskError) return error.code;
    throw error;
  }
}

/** What every disk promises to a process that lives; see `disk.ts`. What a crash leaves, the simulated disk's own tests say. */
export function diskContract(name: string, make: () => Promise<DiskHarness> | DiskHarness): void {
  describe(`${name} keeps the disk's promises`, () => {
    let harness: DiskHarness | undefined;
    const open: File[] = [];
    const start = async (): Promise<DiskHarness> => (harness = await make());
    const openFile = async (path: string, lane: "log" | "bulk" = "bulk", create = true): Promise<File> => {
      const { disk, until } = harness as DiskHarness;
      const file = await until(disk.open(path, { create, lane }));
      open.push(file);
      return file;
    };
    afterEach(async () => {
      for (const file of open.splice(0)) await harness?.until(file.close());
      await harness?.close?.();
    });

    for (const lane of lanes)
      describe(`on the ${lane} lane`, () => {
        it("reads back what was written, chunk behind chunk, and zeros between", async () => {
          const { until } = await start();
          const file = await openFile("a", lane);
          await until(file.writeAt(100, [bytes(10, 1), bytes(0, 0), bytes(600, 2)], { sync: true }));
          expect(await until(file.size())).toBe(710);
          expect(await until(file.readAt(100, 10))).toEqual(bytes(10, 1));
          expect(await until(file.readAt(110, 600))).toEqual(bytes(600, 2));
          expect(await until(file.readAt(0, 100))).toEqual(new Uint8Array(100));
          await until(file.sync());
        });

        it("reads into a buffer of the caller's, and touches nothing behind what was read", async () => {
          const { until } = await start();
          const file = await openFile("a", lane);
          await until(file.writeAt(0, [bytes(300, 9)], { sync: false }));
          const into = new Uint8Array(1000).fill(7);
          const found = await until(file.readAt(100, 500, into));
          expect(found).toEqual(bytes(300, 9).subarray(100));
          expect(found.buffer).toBe(into.buffer);
          expect(into.subarray(200).every((byte) => byte === 7)).toBe(true);
          expect(await until(file.readAt(0, 10, into))).toEqual(bytes(300, 9).subarray(0, 10));
        });

        it("gives fewer bytes only at the end of the file", async () => {
          const { until } = await start();
          const file = await openFile("a", lane);
          await until(file.writeAt(0, [bytes(50, 3)], { sync: false }));
          expect(await until(file.readAt(40, 100))).toEqual(bytes(50, 3).subarray(40));
          expect((await until(file.readAt(50, 10))).length).toBe(0);
          expect((await until(file.readAt(5000, 10))).length).toBe(0);
        });

        it("takes a write of several MiB whole", async () => {
          const { until } = await start();
          const file = await openFile("a", lane);
          const large = bytes(3 * 1024 * 1024 + 17, 4);
          await until(file.writeAt(3, [large.subarray(0, 1_000_001), large.subarray(1_000_001)], { sync: true }));
          expect(Buffer.compare(Buffer.from(await until(file.readAt(3, large.length))), Buffer.from(large))).toBe(0);
        });

        it("carries out writes in the order of the calls", async () => {
          const { until } = await start();
          const file = await openFile("a", lane);
          await until(Promise.all([1, 2, 3, 4, 5].map((seed) => file.writeAt(0, [bytes(2000, seed)], { sync: seed % 2 === 0 }))));
          expect(await until(file.readAt(0, 2000))).toEqual(bytes(2000, 5));
        });

        it("cuts a file, and what grows again is zeros", async () => {
          const { until } = await start();
          const file = await openFile("a", lane);
          await until(file.writeAt(0, [bytes(1000, 6)], { sync: false }));
          await until(file.truncate(300));
          expect(await until(file.size())).toBe(300);
          await until(file.truncate(700));
          expect(await until(file.readAt(0, 1000))).toEqual(new Uint8Array([...bytes(1000, 6).subarray(0, 300), ...new Uint8Array(400)]));
        });

        it("preallocates zeros, keeps what is there, and never makes a file shorter", async () => {
          const { until } = await start();
          const file = await openFile("a", lane);
          await until(file.writeAt(0, [bytes(100, 7)], { sync: false }));
          await until(file.preallocate(2 * 1024 * 1024 + 5));
          expect(await until(file.size())).toBe(2 * 1024 * 1024 + 5);
          expect(await until(file.readAt(0, 100))).toEqual(bytes(100, 7));
          expect((await until(file.readAt(100, 3_000_000))).every((byte) => byte === 0)).toBe(true);
          await until(file.preallocate(10));
          expect(await until(file.size())).toBe(2 * 1024 * 1024 + 5);
        });

        it("rejects with missing what is not there, unless it may create it", async () => {
          const { disk, until } = await start();
          expect(await codeOf(until(disk.open("absent", { create: false, lane })))).toBe("missing");
          await openFile("absent", lane);
          await openFile("absent", lane, false);
        });

        it("rejects with closed after close, and closing twice is nothing", async () => {
          const { until } = await start();
          const file = await openFile("a", lane);
          await until(file.close());
          await until(file.close());
          expect(await codeOf(until(file.readAt(0, 1)))).toBe("closed");
          expect(await codeOf(until(file.writeAt(0, [bytes(1, 1)], { sync: true })))).toBe("closed");
          expect(await codeOf(until(file.sync()))).toBe("closed");
        });
      });

    it("shows what one lane wrote to the other", async () => {
      const { until } = await start();
      const log = await openFile("a", "log");
      const bulk = await openFile("a", "bulk");
      await until(log.writeAt(0, [bytes(5000, 8)], { sync: true }));
      expect(await until(bulk.readAt(1000, 4000))).toEqual(bytes(5000, 8).subarray(1000));
    });

    it("renames over a file that is there, and an open handle stays with its file", async () => {
      const { disk, until } = await start();
      const a = await openFile("a");
      const b = await openFile("b");
      await until(a.writeAt(0, [bytes(10, 1)], { sync: true }));
      await until(b.writeAt(0, [bytes(20, 2)], { sync: true }));
      await until(disk.rename("a", "b"));
      await until(disk.syncDirectory(""));
      expect(await until((await openFile("b", "bulk", false)).readAt(0, 100))).toEqual(bytes(10, 1));
      expect(await until(b.readAt(0, 100))).toEqual(bytes(20, 2));
      expect(await codeOf(until(disk.rename("a", "c")))).toBe("missing");
    });

    it("lists the files of a directory in unsigned byte order, and nothing of one that is not there", async () => {
      const { disk, until } = await start();
      await until(disk.makeDirectory("d"));
      await until(disk.makeDirectory("d"));
      for (const path of ["d/b", "d/a.part", "d/a", "d/B", "d/10", "top"]) await openFile(path);
      expect(await until(disk.list("d"))).toEqual(["10", "B", "a", "a.part", "b"]);
      expect(await until(disk.list(""))).toEqual(["top"]);
      expect(await until(disk.list("nowhere"))).toEqual([]);
    });

    it("removes a file, and what is not there too", async () => {
      const { disk, until } = await start();
      await openFile("a");
      await until(disk.remove("a"));
      await until(disk.remove("a"));
      await until(disk.syncDirectory(""));
      expect(await until(disk.list(""))).toEqual([]);
    });

    it("says how many bytes may still be written", async () => {
      const { disk, until } = await start();
      expect(await until(disk.freeBytes())).toBeGreaterThan(1024 * 1024);
    });

    it("gives its lock to one at a time, and names the holder", async () => {
      const { disk, until, another } = await start();
      const other = await another();
      const lock = await until(disk.lock("LOCK"));
      const refused = until(other.lock("LOCK"));
      await expect(refused).rejects.toMatchObject({ code: "locked" });
      await refused.catch((error: DiskError) => expect(error.pid).toBeGreaterThan(0));
      await until(lock.release());
      await until((await until(other.lock("LOCK"))).release());
    });
  });
}
