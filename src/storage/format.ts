import { UnumError, latin1Decode, latin1Encode } from "../base/index.ts";
import type { Checksum } from "../ports/index.ts";

/** The version of every file that this build writes, and the newest that it reads. */
export const formatVersion = 1;

/** Writes begin at multiples of this: the unit that a crash keeps or loses whole. */
export const sectorBytes = 512;
export const preambleBytes = 16;
export const batchHeaderBytes = 64;
export const recordHeaderBytes = 48;

const batchMagic = 0x48435442; // "BTCH", little-endian
const two32 = 0x1_0000_0000;

export type FileMagic = "UNUM-WAL" | "UNUM-LOG" | "UNUM-SNP";

export function alignSector(bytes: number): number {
  return Math.ceil(bytes / sectorBytes) * sectorBytes;
}

export function align8(bytes: number): number {
  return (bytes + 7) & ~7;
}

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % two32, true);
  view.setUint32(at + 4, Math.floor(value / two32), true);
}

/** Beyond 2^53 the result is not exact; whoever reads it has checked a CRC over it. */
function getU64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * two32 + view.getUint32(at, true);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The first 16 bytes of every file, in every version: magic, version, and a CRC over both. */
export function writePreamble(target: Uint8Array, magic: FileMagic, checksum: Checksum): void {
  const view = viewOf(target);
  target.set(latin1Encode(magic), 0);
  view.setUint32(8, formatVersion, true);
  view.setUint32(12, checksum.crc32(target.subarray(0, 12)), true);
}

/**
 * Whether the preamble is intact. Throws DATA_DIR_FORMAT for an intact one of a newer version: only a
 * build that knows the format may touch the file.
 */
export function checkPreamble(bytes: Uint8Array, magic: FileMagic, path: string, checksum: Checksum): boolean {
  if (bytes.length < preambleBytes) return false;
  const view = viewOf(bytes);
  if (view.getUint32(12, true) !== checksum.crc32(bytes.subarray(0, 12))) return false;
  const found = latin1Decode(bytes.subarray(0, 8));
  if (found !== magic) return false;
  const version = view.getUint32(8, true);
  if (version > formatVersion) {
    throw new UnumError(
      "DATA_DIR_FORMAT",
      `${path} has format version ${version}; this build reads up to ${formatVersion}. Run the version that wrote it.`,
    );
  }
  return true;
}

/** One write to the WAL: what one sync makes durable together. See README.md for the layout. */
export interface BatchHeader {
  readonly segment: number;
  readonly sequence: number;
  /** Sequence of the segment's first batch: what earlier segments hold from it on was dropped. */
  readonly first: number;
  /** All batches up to this sequence were known to be synced when this one was written. */
  readonly syncedUpTo: number;
  /** Bytes of records behind the header, without padding. */
  readonly length: number;
  readonly count: number;
  readonly salt: number;
  readonly flags: number;
}

export const BatchFlag = {
  /** Repeats every group's state at the beginning of a segment. */
  head: 1,
  /** Repeats the hard states that the batch before it changed. */
  copies: 2,
} as const;

const seedScratch = new Uint8Array(24);
const seedView = viewOf(seedScratch);

/** What the CRCs of a batch continue from, so that bytes of another segment or place never match. */
export function batchSeed(segment: number, salt: number, sequence: number, checksum: Checksum): number {
  setU64(seedView, 0, segment);
  setU64(seedView, 8, sequence);
  seedView.setUint32(16, salt, true);
  return checksum.crc32(seedScratch);
}

export function writeBatchHeader(target: Uint8Array, view: DataView, at: number, header: BatchHeader, checksum: Checksum): void {
  target.fill(0, at, at + batchHeaderBytes);
  view.setUint32(at, batchMagic, true);
  view.setUint32(at + 4, header.flags, true);
  setU64(view, at + 8, header.segment);
  setU64(view, at + 16, header.sequence);
  setU64(view, at + 24, header.first);
  setU64(view, at + 32, header.syncedUpTo);
  view.setUint32(at + 40, header.length, true);
  view.setUint32(at + 44, header.count, true);
  view.setUint32(at + 48, header.salt, true);
  const seed = batchSeed(header.segment, header.salt, header.sequence, checksum);
  view.setUint32(at + 60, checksum.crc32(target.subarray(at, at + 60), seed), true);
}

/** The batch header at `at`, or undefined when the bytes are none of this segment. `salt` undefined accepts any. */
export function readBatchHeader(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  segment: number,
  salt: number | undefined,
  checksum: Checksum,
): BatchHeader | undefined {
  if (at + batchHeaderBytes > bytes.length || view.getUint32(at, true) !== batchMagic) return undefined;
  const header: BatchHeader = {
    flags: view.getUint32(at + 4, true),
    segment: getU64(view, at + 8),
    sequence: getU64(view, at + 16),
    first: getU64(view, at + 24),
    syncedUpTo: getU64(view, at + 32),
    length: view.getUint32(at + 40, true),
    count: view.getUint32(at + 44, true),
    salt: view.getUint32(at + 48, true),
  };
  if (header.segment !== segment) return undefined;
  if (salt !== undefined && header.salt !== salt) return undefined;
  const seed = batchSeed(segment, header.salt, header.sequence, checksum);
  if (view.getUint32(at + 60, true) !== checksum.crc32(bytes.subarray(at, at + 60), seed)) return undefined;
  return header;
}

export const RecordKind = { entry: 1, hardState: 2, truncate: 3, state: 4, destroy: 5 } as const;

/** Why a state record was written. The numbers are on disk. */
export const StateReason = { restate: 0, create: 1, install: 2, installKeepingLog: 3 } as const;

export interface RecordHeader {
  readonly kind: number;
  /** The kind of an entry, the reason of a state; otherwise 0. */
  readonly detail: number;
  readonly group: number;
  readonly incarnation: number;
  readonly index: number;
  readonly term: number;
  readonly length: number;
}

/** Writes header and payload, padded to 8 bytes; returns where the next record begins. */
export function writeRecord(
  target: Uint8Array,
  view: DataView,
  at: number,
  header: RecordHeader,
  payload: Uint8Array,
  seed: number,
  checksum: Checksum,
): number {
  view.setUint32(at, header.kind | (header.detail << 8), true);
  view.setUint32(at + 4, header.group, true);
  setU64(view, at + 8, header.incarnation);
  setU64(view, at + 16, header.index);
  setU64(view, at + 24, header.term);
  view.setUint32(at + 32, payload.length, true);
  const identity = checksum.crc32(target.subarray(at, at + 36));
  view.setUint32(at + 36, payload.length === 0 ? identity : checksum.crc32(payload, identity), true);
  view.setUint32(at + 40, checksum.crc32(target.subarray(at, at + 40), seed), true);
  view.setUint32(at + 44, 0, true);
  const start = at + recordHeaderBytes;
  target.set(payload, start);
  const end = start + payload.length;
  const next = start + align8(payload.length);
  if (next > end) target.fill(0, end, next);
  return next;
}

function decodeRecordHeader(view: DataView, at: number): RecordHeader {
  return {
    kind: view.getUint8(at),
    detail: view.getUint8(at + 1),
    group: view.getUint32(at + 4, true),
    incarnation: getU64(view, at + 8),
    index: getU64(view, at + 16),
    term: getU64(view, at + 24),
    length: view.getUint32(at + 32, true),
  };
}

/** The record header at `at` when its own CRC, continued from `seed`, says that it belongs there. */
export function readRecordHeader(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  seed: number,
  checksum: Checksum,
): RecordHeader | undefined {
  if (at + recordHeaderBytes > bytes.length) return undefined;
  if (view.getUint8(at) === 0) return undefined;
  if (view.getUint32(at + 40, true) !== checksum.crc32(bytes.subarray(at, at + 40), seed)) return undefined;
  return decodeRecordHeader(view, at);
}

/**
 * The payload of the record at `at`, or undefined when header or payload are damaged. Needs no seed:
 * the payload's CRC covers the header's identity too, so that a record read alone is known to be the one meant.
 */
export function readRecordPayload(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  checksum: Checksum,
): { readonly header: RecordHeader; readonly payload: Uint8Array } | undefined {
  if (at + recordHeaderBytes > bytes.length) return undefined;
  const header = decodeRecordHeader(view, at);
  const start = at + recordHeaderBytes;
  if (start + header.length > bytes.length) return undefined;
  const payload = bytes.subarray(start, start + header.length);
  const identity = checksum.crc32(bytes.subarray(at, at + 36));
  const crc = payload.length === 0 ? identity : checksum.crc32(payload, identity);
  return crc === view.getUint32(at + 36, true) ? { header, payload } : undefined;
}
