import { describe, expect, it } from "vitest";
import { defaultGroup } from "../base/index.ts";
import { StorageWorld, makeEntries } from "../storage/harness.golden.ts";
import { sitesOf } from "./rot-sites.ts";
import type { Site, StoredFile } from "./rot-sites.ts";

const group = defaultGroup;
const written = 40;

/** A directory with some batches of entries, votes and a snapshot, after a power loss that kept what was synced and no more. */
async function storedWorld(): Promise<StorageWorld> {
  const world = new StorageWorld();
  await world.open();
  const log = world.create(group);
  for (let index = 1; index <= written; index++) {
    const entries = makeEntries(group, index, index, 1);
    const hardState = index % 10 === 0 ? { term: 1, vote: 1 as never, commit: index - 1 } : undefined;
    await world.clock.until(
      new Promise<void>((resolve) => {
        log.append({ hardState, entries }, resolve);
        world.storage.flush();
      }),
    );
  }
  const meta = { index: 5, term: 1, configuration: log.recovered.snapshot.configuration };
  const chunks = [new Uint8Array(3_000).fill(7)];
  await world.clock.until(log.saveSnapshot(meta, () => chunks.shift()));
  await world.clock.pass(50);
  world.crash("power", "lose");
  return world;
}

function filesOf(world: StorageWorld): StoredFile[] {
  return world.disk.files().map(({ path }) => ({ path, bytes: world.disk.bytesOf(path) }));
}

/** What a start says of the damage: "whole" only if every acknowledged entry is still there. */
async function reopened(world: StorageWorld): Promise<string> {
  try {
    await world.open();
  } catch (error) {
    return String(error);
  }
  const { discarded, groups } = world.storage;
  const recovered = groups.get(group)?.recovered;
  if (discarded.some((lost) => lost.group === group)) return "discarded";
  if (recovered === undefined) return "gone";
  return recovered.suspect ? "suspect" : recovered.lastIndex === written ? "whole" : `ends at ${recovered.lastIndex}`;
}

describe("places that a budget of stored damage may hit", () => {
  it("are of every kind, within their files, and not in the newest batch", async () => {
    const world = await storedWorld();
    const files = filesOf(world);
    const sites = sitesOf(files);
    expect(new Set(sites.map(({ kind }) => kind))).toEqual(new Set(["batch", "entry", "hard-state", "state", "snapshot"]));
    for (const { length, offset, path } of sites) {
      const { bytes } = files.find((file) => file.path === path) as StoredFile;
      expect(length).toBeGreaterThan(0);
      expect(offset + length).toBeLessThanOrEqual(bytes.length);
    }
    const wal = files.filter(({ path }) => path.startsWith("wal/"));
    const newest = Math.max(...wal.flatMap(({ bytes }) => batchOffsets(bytes)));
    expect(sites.filter(({ kind, offset }) => kind === "batch" && offset > 0).length).toBeGreaterThan(written / 2);
    expect(sites.some(({ offset, path }) => path.startsWith("wal/") && offset >= newest)).toBe(false);
  });

  it("are noticed at the next start or do not matter: nothing acknowledged goes in silence", async () => {
    const count = sitesOf(filesOf(await storedWorld())).length;
    const seen = new Set<string>();
    for (let i = 0; i < count; i += 3) {
      const world = await storedWorld();
      const site = sitesOf(filesOf(world))[i] as Site;
      world.disk.corrupt(site.path, site.offset + ((i * 7) % site.length), i % 8);
      const said = await reopened(world);
      seen.add(said);
      expect(["whole", "suspect", "discarded"], `${site.kind} at ${site.offset} of ${site.path}`).toContain(said);
    }
    expect([...seen].sort()).toEqual(["suspect", "whole"]);
  });
});

function batchOffsets(bytes: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 512; at + 64 <= bytes.length; at += 512) if (String.fromCharCode(...bytes.subarray(at, at + 4)) === "BTCH") found.push(at);
  return found;
}
