import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { replicaId } from "../base/index.ts";
import { StorageWorld, configuration, makeEntries, smallSettings } from "./harness.golden.ts";
import { readIdentity, writeIdentity } from "./identity.ts";
import { chunksOf, snapshotBytes } from "./model.golden.ts";

const folder = fileURLToPath(new URL("./testdata/format-1/", import.meta.url));
const settings = { ...smallSettings, segmentBytes: 4096, firstSegmentBytes: 4096, walSegmentsMax: 2 };

function filesIn(directory: string, prefix = ""): string[] {
  return readdirSync(join(directory, prefix), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesIn(directory, `${prefix}${entry.name}/`) : [`${prefix}${entry.name}`],
  );
}

/** Made once, by the first build of the format (UNUM_WRITE_FIXTURES=1); every later build reads the same bytes. */
async function writeFixtures(): Promise<void> {
  const world = new StorageWorld(11, settings);
  await world.open();
  await world.clock.until(writeIdentity(world.disk, { node: "00112233445566aa", incarnations: 2 }));
  const one = world.create(1, 1, 2);
  one.append({ hardState: { term: 3, vote: replicaId(2), commit: 2 }, entries: makeEntries(1, 1, 4, 3) }, () => undefined);
  one.committed(3);
  const two = world.create(2, 5, 7);
  for (let i = 0; i < 6; i++) {
    two.append(
      { hardState: { term: 1 + i, vote: replicaId(1), commit: i }, entries: makeEntries(2, 1 + i * 3, 4 + i * 3, 1 + i, 300) },
      () => undefined,
    );
    two.committed(i * 3);
    world.storage.flush();
    await world.clock.pass(60);
  }
  await world.clock.until(two.saveSnapshot({ index: 5, term: 2, configuration: configuration(1, 7, 9) }, chunksOf(snapshotBytes(5), 600)));
  one.append({ hardState: { term: 4, vote: replicaId(0), commit: 3 }, entries: makeEntries(1, 4, 6, 4) }, () => undefined);
  world.storage.flush();
  await world.clock.pass(60);
  await world.close();
  for (const { path } of world.disk.files()) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), world.disk.bytesOf(path));
  }
}

describe("files of format 1", () => {
  it("are read by this build as they were by the one that wrote them", async () => {
    if (process.env["UNUM_WRITE_FIXTURES"] === "1") await writeFixtures();
    const world = new StorageWorld(1, settings);
    for (const path of filesIn(folder)) world.disk.put(path, new Uint8Array(readFileSync(join(folder, path))));
    await world.open();
    expect(await world.clock.until(readIdentity(world.disk))).toEqual({ node: "00112233445566aa", incarnations: 2 });
    expect(world.storage.report).toEqual([]);
    expect(world.groups()).toEqual([1, 2]);
    const one = world.log(1);
    expect(one.recovered).toMatchObject({
      replica: 2,
      incarnation: 1,
      suspect: false,
      hardState: { term: 4, vote: 0, commit: 3 },
      firstIndex: 1,
      lastIndex: 6,
    });
    expect(one.recovered.terms).toEqual([
      { from: 1, term: 3 },
      { from: 4, term: 4 },
    ]);
    expect(await world.clock.until(one.read(1, 6, 10_000))).toEqual([...makeEntries(1, 1, 3, 3), ...makeEntries(1, 4, 6, 4)]);
    const two = world.log(2);
    expect(two.recovered).toMatchObject({
      replica: 7,
      incarnation: 5,
      suspect: false,
      hardState: { term: 6, vote: 1, commit: 5 },
      lastIndex: 19,
    });
    expect(two.recovered.snapshot).toEqual({ index: 5, term: 2, configuration: configuration(1, 7, 9) });
    const terms = (index: number): number => Math.min(6, Math.ceil(index / 3));
    for (const { index, term } of await world.clock.until(two.read(6, 19, 100_000))) expect(term).toBe(terms(index));
    expect(await world.clock.until(two.snapshot?.read(0, 100_000) ?? Promise.reject(new Error("no snapshot")))).toEqual(snapshotBytes(5));
  });

  it("have every kind of file", () => {
    const names = filesIn(folder).join(" ");
    for (const part of ["wal/", ".log.", ".snapshot.", "IDENTITY.0", "IDENTITY.1"]) expect(names).toContain(part);
  });
});
