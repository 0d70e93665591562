import type { GroupId } from "../base/index.ts";
import type { Checksum, Disk } from "../ports/index.ts";
import { EntryKind } from "../raft/types.ts";
import type { Entry } from "../raft/types.ts";
import { RecordKind, align8, batchSeed, recordHeaderBytes, viewOf, writePreamble, writeRecord } from "./format.ts";
import { groupDirectory, groupFileName } from "./names.ts";
import { scanRecords } from "./scan.ts";

/**
 * A group's own segment: committed entries that are still needed when their WAL segment is released.
 * Written whole, synced, then renamed to its name, so it is never cut at its end.
 */
export interface GroupLogFile {
  readonly path: string;
  readonly file: number;
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
}

export const groupLogHeaderBytes = 64;
const syncBytes = 4 * 1024 * 1024;

interface Owner {
  readonly group: GroupId;
  readonly incarnation: number;
}

function seedOf(owner: Owner, checksum: Checksum): number {
  return batchSeed(owner.group, 0, owner.incarnation, checksum);
}

export interface WrittenEntry {
  readonly index: number;
  readonly offset: number;
}

/**
 * Writes entries `first` to `last` as they come from `next` (undefined ends), under the final name when
 * it fulfils. Returns where each entry lies.
 */
export async function writeGroupLog(
  disk: Disk,
  checksum: Checksum,
  owner: Owner,
  range: { readonly first: number; readonly last: number },
  next: () => Promise<readonly Entry[] | undefined>,
): Promise<{ readonly path: string; readonly places: readonly WrittenEntry[]; readonly bytes: number }> {
  const name = groupFileName({ group: owner.group, incarnation: owner.incarnation, kind: "log", a: range.first, b: range.last });
  const path = `${groupDirectory}/${name}`;
  await disk.remove(`${path}.part`);
  const file = await disk.open(`${path}.part`, { create: true, lane: "bulk" });
  const places: WrittenEntry[] = [];
  let at = groupLogHeaderBytes;
  try {
    await file.writeAt(0, [header(owner, range, checksum)], { sync: false });
    const seed = seedOf(owner, checksum);
    let unsynced = 0;
    for (let entries = await next(); entries !== undefined; entries = await next()) {
      const bytes = encode(owner, entries, seed, at, places, checksum);
      await file.writeAt(at, [bytes], { sync: false });
      at += bytes.length;
      unsynced += bytes.length;
      if (unsynced >= syncBytes) {
        await file.sync();
        unsynced = 0;
      }
    }
    await file.sync();
    await file.close();
  } catch (error) {
    await file.close();
    await disk.remove(`${path}.part`);
    throw error;
  }
  await disk.rename(`${path}.part`, path);
  await disk.syncDirectory(groupDirectory);
  return { path, places, bytes: at };
}

function header(owner: Owner, range: { readonly first: number; readonly last: number }, checksum: Checksum): Uint8Array {
  const bytes = new Uint8Array(groupLogHeaderBytes);
  const view = viewOf(bytes);
  writePreamble(bytes, "UNUM-LOG", checksum);
  view.setUint32(16, owner.group, true);
  view.setBigUint64(24, BigInt(owner.incarnation), true);
  view.setBigUint64(32, BigInt(range.first), true);
  view.setBigUint64(40, BigInt(range.last), true);
  view.setUint32(60, checksum.crc32(bytes.subarray(0, 60)), true);
  return bytes;
}

function encode(
  owner: Owner,
  entries: readonly Entry[],
  seed: number,
  start: number,
  places: WrittenEntry[],
  checksum: Checksum,
): Uint8Array {
  let length = 0;
  for (const entry of entries) length += recordHeaderBytes + align8(entry.data.length);
  const bytes = new Uint8Array(length);
  const view = viewOf(bytes);
  let at = 0;
  for (const { index, term, kind, data } of entries) {
    places.push({ index, offset: start + at });
    const head = {
      kind: RecordKind.entry,
      detail: kind,
      group: owner.group,
      incarnation: owner.incarnation,
      index,
      term,
      length: data.length,
    };
    at = writeRecord(bytes, view, at, head, data, seed, checksum);
  }
  return bytes;
}

export interface FoundEntry {
  readonly index: number;
  readonly term: number;
  readonly offset: number;
  readonly length: number;
  readonly isConfiguration: boolean;
}

/** The intact entries of a group's segment. Damaged ones are left out: their indexes stay holes. */
export function scanGroupLog(bytes: Uint8Array, owner: Owner, checksum: Checksum): FoundEntry[] {
  const { records } = scanRecords(bytes, viewOf(bytes), groupLogHeaderBytes, bytes.length, seedOf(owner, checksum), checksum);
  const found: FoundEntry[] = [];
  for (const { header: head, intact, offset } of records) {
    if (!intact || head.kind !== RecordKind.entry) continue;
    if (head.group !== owner.group || head.incarnation !== owner.incarnation) continue;
    found.push({
      index: head.index,
      term: head.term,
      offset,
      length: head.length,
      isConfiguration: head.detail === EntryKind.configuration,
    });
  }
  return found;
}
