import { Reader, crc32 } from "../base/index.ts";

/** What the bytes at a place are, by the layout that storage's README gives. */
export type SiteKind = "batch" | "entry" | "hard-state" | "state" | "snapshot" | "group-log" | "identity";

/** Bytes on a disk whose damage must be noticed and mended: none of them is in the last batch before a sync mark. */
export interface Site {
  readonly kind: SiteKind;
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

export interface StoredFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

const sectorBytes = 512;
/** Of a segment: magic, version, number, salt, capacity and their checksums. */
const preambleBytes = 44;
const batchMagic = "BTCH";
const batchHeaderBytes = 64;
const recordHeaderBytes = 48;
const recordKinds: Readonly<Record<number, SiteKind>> = { 1: "entry", 2: "hard-state", 3: "entry", 4: "state", 5: "state" };

interface Batch {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly sequence: number;
  readonly syncedUpTo: number;
  readonly length: number;
}

/**
 * Every place on a disk that a budget of stored damage may hit. Of the log those are the batches that a later,
 * durable one calls synced: damage of the very last batch cannot be told from a torn write, by anybody.
 */
export function sitesOf(files: readonly StoredFile[]): Site[] {
  const sites: Site[] = [];
  const batches: Batch[] = [];
  for (const { bytes, path } of files) {
    if (bytes.length === 0 || path.endsWith(".part")) continue;
    if (path.startsWith("wal/")) batches.push(...batchesOf(path, bytes));
    else if (path.startsWith("IDENTITY.")) sites.push({ kind: "identity", path, offset: 0, length: bytes.length });
    else if (path.startsWith("groups/"))
      sites.push({ kind: path.includes(".log.") ? "group-log" : "snapshot", path, offset: 0, length: bytes.length });
  }
  const synced = Math.max(-1, ...batches.map(({ syncedUpTo }) => syncedUpTo));
  const old = batches.filter(({ sequence }) => sequence <= synced);
  for (const path of new Set(old.map((batch) => batch.path))) sites.push({ kind: "batch", path, offset: 0, length: preambleBytes });
  return [...sites, ...old.flatMap(sitesOfBatch)];
}

/** The intact batch headers of a segment, in order. */
function batchesOf(path: string, bytes: Uint8Array): Batch[] {
  const found: Batch[] = [];
  const salt = bytes.length < sectorBytes ? 0 : u32(bytes, 24);
  for (let offset = sectorBytes; offset + batchHeaderBytes <= bytes.length; offset += sectorBytes) {
    if (![...batchMagic].every((letter, i) => bytes[offset + i] === letter.charCodeAt(0)) || u32(bytes, offset + 48) !== salt) continue;
    const header = bytes.subarray(offset, offset + batchHeaderBytes);
    if (crc32(header.subarray(0, 60), seedOf(header)) !== u32(header, 60)) continue;
    found.push({
      path,
      bytes,
      offset,
      sequence: u64(header, 16),
      syncedUpTo: u64(header, 32),
      length: u32(header, 40),
    });
  }
  return found;
}

/** What a batch's CRCs continue from: one of segment, sequence and salt. */
function seedOf(header: Uint8Array): number {
  const seed = new Uint8Array(24);
  seed.set(header.subarray(8, 24));
  seed.set(header.subarray(48, 52), 16);
  return crc32(seed);
}

function sitesOfBatch({ bytes, length, offset, path }: Batch): Site[] {
  const sites: Site[] = [{ kind: "batch", path, offset, length: batchHeaderBytes }];
  const end = Math.min(bytes.length, offset + batchHeaderBytes + length);
  for (let at = offset + batchHeaderBytes; at + recordHeaderBytes <= end; ) {
    const kind = recordKinds[bytes[at] ?? 0];
    const recordBytes = recordHeaderBytes + u32(bytes, at + 32);
    // A record that was damaged earlier: what follows it in this batch is not found from here.
    if (kind === undefined || at + recordBytes > end) break;
    sites.push({ kind, path, offset: at, length: recordBytes });
    at += Math.ceil(recordBytes / 8) * 8;
  }
  return sites;
}

function u32(bytes: Uint8Array, at: number): number {
  return new Reader(bytes.subarray(at, at + 4)).u32();
}

function u64(bytes: Uint8Array, at: number): number {
  return new Reader(bytes.subarray(at, at + 8)).u64();
}
