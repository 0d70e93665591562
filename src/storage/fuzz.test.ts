import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Prng, equalBytes, groupId, isUnumError, replicaId } from "../base/index.ts";
import { StorageWorld, checksum, configuration, entryData, makeEntries, smallSettings } from "./harness.golden.ts";
import { scanGroupLog } from "./group-log-file.ts";
import { chunksOf, readAllOf, snapshotBytes } from "./model.golden.ts";
import { scanSegment, segmentPreamble } from "./scan.ts";

const seeds = Number(process.env["UNUM_SEEDS"] ?? 150);

/** A directory with two groups, a released segment, a group's own segment and a snapshot. */
async function sample(): Promise<Map<string, Uint8Array>> {
  const world = new StorageWorld(5, { ...smallSettings, walSegmentsMax: 2 });
  await world.open();
  const one = world.create(1);
  const two = world.create(2);
  one.append({ hardState: { term: 2, vote: replicaId(1), commit: 3 }, entries: makeEntries(1, 1, 5, 2) }, () => undefined);
  one.committed(4);
  for (let i = 0; i < 4; i++) {
    two.append(
      { hardState: { term: 1 + i, vote: replicaId(2), commit: 0 }, entries: makeEntries(2, 1 + i * 7, 8 + i * 7, 1 + i, 700) },
      () => undefined,
    );
    two.committed(i * 7);
    world.storage.flush();
    await world.clock.pass(60);
  }
  await world.clock.until(two.saveSnapshot({ index: 9, term: 2, configuration: configuration(1, 2, 3) }, chunksOf(snapshotBytes(9), 500)));
  one.append({ hardState: { term: 3, vote: replicaId(3), commit: 4 }, entries: makeEntries(1, 5, 8, 3) }, () => undefined);
  world.storage.flush();
  await world.clock.pass(60);
  await world.close();
  return new Map(world.disk.files().map(({ path }) => [path, world.disk.bytesOf(path)]));
}

function numberOf(path: string): number {
  return Number.parseInt(path.slice(4, 20), 16);
}

describe("whatever stands in the files", () => {
  it("the scanner of segments neither fails nor finds records in arbitrary bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4096 }), fc.boolean(), (bytes, withPreamble) => {
        const segment = withPreamble
          ? new Uint8Array([...segmentPreamble({ segment: 3, salt: 77, capacity: 8192 }, checksum), ...bytes])
          : bytes;
        expect(scanSegment(segment, 3, "x", checksum).batches).toEqual([]);
        expect(scanGroupLog(bytes, { group: groupId(1), incarnation: 1 }, checksum)).toEqual([]);
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  it("the scanner finds only records that were written, however a segment is damaged", async () => {
    const files = await sample();
    const [path, intact] = [...files].find(([name]) => name.startsWith("wal/")) ?? ["", new Uint8Array(0)];
    const number = numberOf(path);
    const key = (record: { readonly header: object }): string => JSON.stringify(record.header);
    const written = new Map(
      scanSegment(intact, number, path, checksum).batches.flatMap(({ records }) => records.map((record) => [key(record), record.payload])),
    );
    expect(written.size).toBeGreaterThan(3);
    const edit = fc.record({ at: fc.nat(intact.length - 1), bytes: fc.uint8Array({ minLength: 1, maxLength: 700 }) });
    const move = fc.record({ from: fc.nat(Math.floor(intact.length / 512) - 1), to: fc.nat(Math.floor(intact.length / 512) - 1) });
    fc.assert(
      fc.property(
        fc.array(edit, { maxLength: 3 }),
        fc.array(move, { maxLength: 2 }),
        fc.option(fc.nat(intact.length)),
        (edits, moves, cut) => {
          const bytes = intact.slice(0, cut ?? intact.length);
          for (const { from, to } of moves) bytes.copyWithin(to * 512, from * 512, from * 512 + 512);
          for (const { at, bytes: other } of edits) if (at < bytes.length) bytes.set(other.subarray(0, bytes.length - at), at);
          for (const batch of scanSegment(bytes, number, path, checksum).batches) {
            for (const record of batch.records) {
              expect(written.has(key(record))).toBe(true);
              if (record.intact) expect(equalBytes(record.payload, written.get(key(record)) ?? new Uint8Array(0))).toBe(true);
            }
          }
        },
      ),
      { numRuns: 500, seed: 2 },
    );
  });

  it("P8: a damaged directory opens or is refused by name, and no damaged byte is served", async () => {
    const files = await sample();
    const newest =
      [...files]
        .filter(([path, bytes]) => path.startsWith("wal/") && scanSegment(bytes, numberOf(path), path, checksum).batches.length > 0)
        .map(([path]) => path)
        .at(-1) ?? "";
    for (let seed = 1; seed <= seeds; seed++) {
      const prng = new Prng(seed);
      const world = new StorageWorld(seed, smallSettings);
      for (const [path, bytes] of files) world.disk.put(path, bytes);
      const damages: string[] = [];
      for (let i = prng.between(1, 4); i > 0; i--) {
        const path = prng.pick(world.disk.files().map((file) => file.path));
        // One damage tells from a torn end; two, of the data and of every mark behind them, cannot.
        if (path === newest && damages.some((damage) => damage.startsWith(newest))) continue;
        const size = world.disk.bytesOf(path).length;
        damages.push(`${path} of ${size}`);
        if (prng.chance(1, 8) && path !== newest) world.disk.lose(path);
        else if (size === 0) continue;
        else if (prng.chance(1, 6)) world.disk.cut(path, prng.between(Math.min(512, size), size));
        else if (prng.chance(1, 3)) {
          const bytes = world.disk.bytesOf(path);
          const at = prng.below(Math.min(size, 6000));
          bytes.set(prng.bytes(Math.min(600, size - at)), at);
          world.disk.put(path, bytes);
        } else world.disk.corrupt(path, prng.below(Math.min(size, 9000)), prng.below(8));
      }
      await openDamaged(world).catch((error: unknown) =>
        Promise.reject(new Error(`seed ${seed}: ${damages.join("; ")}: ${String(error)}`, { cause: error })),
      );
    }
  });
});

async function openDamaged(world: StorageWorld): Promise<void> {
  try {
    await world.open();
  } catch (error) {
    if (isUnumError(error)) return;
    throw error;
  }
  for (const group of world.groups()) {
    const log = world.log(group);
    const { recovered } = log;
    const last = group === 1 ? [0, 2, 2, 2, 2, 3, 3, 3, 3] : undefined;
    for (const { index, term, data } of recovered.entries) {
      expect(equalBytes(data, entryData(group, index, term, data.length))).toBe(true);
      if (last !== undefined && !recovered.suspect) expect(term).toBe(last[index]);
    }
    if (group === 1 && !recovered.suspect) expect(recovered.hardState).toMatchObject({ term: 3, vote: 3 });
    if (group === 1 && !recovered.suspect) expect(recovered.lastIndex).toBe(8);
    const file = log.snapshot;
    if (file !== undefined) expect(equalBytes(await world.clock.until(readAllOf(file)), snapshotBytes(file.meta.index))).toBe(true);
  }
  await world.close();
}
