import { describe, expect, it } from "vitest";
import { replicaId } from "../base/index.ts";
import type { CrashFate } from "../sim/disk.ts";
import { StorageWorld, configuration, makeEntries, smallSettings } from "./harness.golden.ts";
import { readIdentity, writeIdentity } from "./identity.ts";
import { chunksOf, snapshotBytes } from "./model.golden.ts";
import type { GroupLog } from "./types.ts";

const fates: readonly CrashFate[] = ["lose", "keep", "mix"];

/**
 * Runs `prepare`, then `action` with a crash after each number of disk operations in turn, then `check`
 * on what is there after reopening, until the action gets through before the crash.
 */
async function everyStep(
  prepare: (world: StorageWorld) => Promise<void>,
  action: (world: StorageWorld) => Promise<unknown>,
  check: (world: StorageWorld, finished: boolean) => Promise<void>,
): Promise<void> {
  for (const fate of fates) {
    for (let steps = 0, finished = false; !finished; steps++) {
      const world = new StorageWorld(steps + 1, { ...smallSettings, walSegmentsMax: 2 });
      await prepare(world);
      const acting = action(world).then(() => (finished = true));
      acting.catch(() => undefined);
      await world.clock.step(steps);
      world.crash("power", fate);
      await world.open();
      await check(world, finished);
      expect(steps).toBeLessThan(200);
    }
  }
}

async function prepared(world: StorageWorld): Promise<void> {
  await world.open();
  const log = world.create(1);
  log.append({ hardState: { term: 1, vote: replicaId(1), commit: 10 }, entries: makeEntries(1, 1, 10, 1) }, () => undefined);
  log.committed(10);
  world.storage.flush();
  await world.clock.pass(50);
}

async function checkSnapshot(world: StorageWorld, log: GroupLog): Promise<void> {
  const file = log.snapshot;
  expect(file?.meta.index ?? 0).toBe(log.recovered.snapshot.index);
  if (file === undefined) return;
  expect(await world.clock.until(file.read(0, file.bytes))).toEqual(snapshotBytes(file.meta.index));
}

const metaOf = (index: number) => ({ index, term: 1, configuration: configuration(1, 2, 3) });

describe("a crash between any two steps", () => {
  it("of a snapshot leaves the old one or the new one, and the whole log", async () => {
    await everyStep(
      async (world) => {
        await prepared(world);
        await world.clock.until(world.log(1).saveSnapshot(metaOf(3), chunksOf(snapshotBytes(3), 700)));
      },
      async (world) => {
        await world.log(1).saveSnapshot(metaOf(6), chunksOf(snapshotBytes(6), 700));
        world.log(1).release(5);
      },
      async (world, finished) => {
        const log = world.log(1);
        expect(finished ? [6] : [3, 6]).toContain(log.recovered.snapshot.index);
        expect(log.recovered.suspect).toBe(false);
        expect(log.recovered.lastIndex).toBe(10);
        await checkSnapshot(world, log);
      },
    );
  });

  it("of receiving and installing leaves the old state or the new one", async () => {
    await everyStep(
      prepared,
      async (world) => {
        const log = world.log(1);
        const bytes = snapshotBytes(30);
        const receiver = await log.receiveSnapshot(metaOf(30), bytes.length);
        for (let at = receiver.received; at < bytes.length; ) at = await receiver.write(at, bytes.subarray(at, at + 600));
        const file = await receiver.finish();
        await new Promise<void>((resolve) => {
          log.install(file, { term: 2, vote: replicaId(0), commit: 30 }, false, resolve);
          world.storage.flush();
        });
      },
      async (world, finished) => {
        const log = world.log(1);
        const { recovered } = log;
        expect(recovered.suspect).toBe(false);
        if (finished || recovered.snapshot.index === 30)
          expect([recovered.snapshot.index, recovered.firstIndex, recovered.lastIndex]).toEqual([30, 31, 30]);
        else expect([recovered.snapshot.index, recovered.firstIndex, recovered.lastIndex]).toEqual([0, 1, 10]);
        await checkSnapshot(world, log);
      },
    );
  });

  it("of releasing a segment loses no entry and invents none", async () => {
    await everyStep(
      async (world) => {
        await prepared(world);
        const log = world.log(1);
        log.append({ hardState: undefined, entries: makeEntries(1, 11, 12, 1) }, () => undefined);
        world.storage.flush();
        await world.clock.pass(50);
      },
      async (world) => {
        const other = world.create(2);
        for (let i = 0; i < 4; i++) {
          await new Promise<void>((resolve) => {
            other.append({ hardState: undefined, entries: makeEntries(2, 1 + i * 8, 8 + i * 8, 1, 900) }, resolve);
            other.committed(8 + i * 8);
            world.storage.flush();
          });
          await new Promise<void>((resolve) => void world.clock.after(20, resolve));
        }
      },
      async (world) => {
        const { recovered } = world.log(1);
        expect(recovered.suspect).toBe(false);
        expect([recovered.firstIndex, recovered.lastIndex]).toEqual([1, 12]);
        expect(await world.clock.until(world.log(1).read(1, 12, 1_000_000))).toEqual([
          ...makeEntries(1, 1, 10, 1),
          ...makeEntries(1, 11, 12, 1),
        ]);
      },
    );
  });

  it("of opening leaves what was there", async () => {
    await everyStep(
      async (world) => {
        await prepared(world);
        world.log(1).append({ hardState: undefined, entries: makeEntries(1, 11, 14, 1, 600) }, () => undefined);
        world.storage.flush();
        world.crash("process");
      },
      async (world) => await world.beginOpen(),
      async (world) => {
        const { recovered } = world.log(1);
        expect(recovered.suspect).toBe(false);
        expect(recovered.firstIndex).toBe(1);
        expect([10, 14]).toContain(recovered.lastIndex);
      },
    );
  });

  it("of writing the identity leaves the old one or the new one", async () => {
    await everyStep(
      async (world) => {
        await world.open();
        await world.clock.until(writeIdentity(world.disk, { node: "old" }));
      },
      async (world) => await writeIdentity(world.disk, { node: "new" }),
      async (world, finished) => {
        const found = await world.clock.until(readIdentity(world.disk));
        if (finished) expect(found).toEqual({ node: "new" });
        else expect([{ node: "old" }, { node: "new" }]).toContainEqual(found);
      },
    );
  });
});
