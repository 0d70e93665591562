import { emptyBytes } from "../base/index.ts";
import type { Checksum } from "../ports/index.ts";
import {
  BatchFlag,
  RecordKind,
  align8,
  alignSector,
  batchHeaderBytes,
  batchSeed,
  checkPreamble,
  preambleBytes,
  readBatchHeader,
  readRecordHeader,
  readRecordPayload,
  recordHeaderBytes,
  sectorBytes,
  viewOf,
  writePreamble,
} from "./format.ts";
import type { BatchHeader, RecordHeader } from "./format.ts";

export interface ScannedRecord {
  readonly header: RecordHeader;
  /** Where the record begins in the file. */
  readonly offset: number;
  /** False: the payload is damaged though the header is not. */
  readonly intact: boolean;
  /** A copy; empty for an entry, whose data is read again when it is wanted, and for a damaged payload. */
  readonly payload: Uint8Array;
}

export interface ScannedBatch {
  readonly sequence: number;
  readonly first: number;
  readonly syncedUpTo: number;
  readonly isHead: boolean;
  readonly isCopies: boolean;
  /** Header and all records are as they were written. */
  readonly intact: boolean;
  /** False: the header is damaged too, and `records` were found by trying the sequence that must stand here. */
  readonly headerIntact: boolean;
  readonly records: readonly ScannedRecord[];
  /** Some bytes could not be attributed to any record. */
  readonly unattributed: boolean;
  readonly offset: number;
  /** Behind its last byte. */
  readonly end: number;
}

export interface ScannedSegment {
  readonly segment: number;
  readonly salt: number | undefined;
  /** Of the file. */
  readonly bytes: number;
  /** In file order; sequences ascend, gaps are what is lost. */
  readonly batches: readonly ScannedBatch[];
  /** The file has lost its end, which no crash can do. */
  readonly isShort: boolean;
  /** Nothing but zeros behind an intact preamble: never used. */
  readonly blank: boolean;
}

interface Records {
  readonly records: ScannedRecord[];
  readonly unattributed: boolean;
  readonly end: number;
}

export interface SegmentIdentity {
  readonly segment: number;
  /** Drawn for each segment, so that nobody can write bytes into an entry that look like a batch of it. */
  readonly salt: number;
  /** The file was made so large, durably, before anything was written to it. */
  readonly capacity: number;
}

const identityBytes = 40;

/** The head of a segment file, one sector long. */
export function segmentPreamble(identity: SegmentIdentity, checksum: Checksum): Uint8Array {
  const bytes = new Uint8Array(sectorBytes);
  const view = viewOf(bytes);
  writePreamble(bytes, "UNUM-WAL", checksum);
  view.setBigUint64(preambleBytes, BigInt(identity.segment), true);
  view.setUint32(preambleBytes + 8, identity.salt, true);
  view.setBigUint64(preambleBytes + 16, BigInt(identity.capacity), true);
  view.setUint32(identityBytes, checksum.crc32(bytes.subarray(0, identityBytes)), true);
  return bytes;
}

function readIdentity(bytes: Uint8Array, segment: number, path: string, checksum: Checksum): SegmentIdentity | undefined {
  if (!checkPreamble(bytes, "UNUM-WAL", path, checksum) || bytes.length < identityBytes + 4) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(identityBytes, true) !== checksum.crc32(bytes.subarray(0, identityBytes))) return undefined;
  const named = Number(view.getBigUint64(preambleBytes, true));
  if (named !== segment) return undefined;
  return { segment, salt: view.getUint32(preambleBytes + 8, true), capacity: Number(view.getBigUint64(preambleBytes + 16, true)) };
}

function scanRecord(bytes: Uint8Array, view: DataView, at: number, header: RecordHeader, checksum: Checksum): ScannedRecord {
  const payload = readRecordPayload(bytes, view, at, checksum)?.payload;
  const isKept = payload !== undefined && header.kind !== RecordKind.entry;
  return { header, offset: at, intact: payload !== undefined, payload: isKept ? payload.slice() : emptyBytes };
}

/** Reads records from `at`; behind a damaged header it looks for the next intact one, 8 bytes a step. */
export function scanRecords(bytes: Uint8Array, view: DataView, at: number, end: number, seed: number, checksum: Checksum): Records {
  const records: ScannedRecord[] = [];
  let unattributed = false;
  let position = at;
  while (position < end) {
    const header = readRecordHeader(bytes, view, position, seed, checksum);
    if (header === undefined) {
      unattributed = true;
      position += 8;
      continue;
    }
    records.push(scanRecord(bytes, view, position, header, checksum));
    position += recordHeaderBytes + align8(header.length);
  }
  return { records, unattributed, end: position };
}

function scanBatch(bytes: Uint8Array, view: DataView, at: number, header: BatchHeader, checksum: Checksum): ScannedBatch {
  const seed = batchSeed(header.segment, header.salt, header.sequence, checksum);
  const start = at + batchHeaderBytes;
  const wanted = start + header.length;
  const found = scanRecords(bytes, view, start, Math.min(wanted, bytes.length), seed, checksum);
  const whole = wanted <= bytes.length && found.end === wanted && found.records.length === header.count && !found.unattributed;
  return {
    sequence: header.sequence,
    first: header.first,
    syncedUpTo: header.syncedUpTo,
    isHead: (header.flags & BatchFlag.head) !== 0,
    isCopies: (header.flags & BatchFlag.copies) !== 0,
    intact: whole && found.records.every((record) => record.intact),
    headerIntact: true,
    records: found.records,
    unattributed: !whole,
    offset: at,
    end: Math.min(wanted, bytes.length),
  };
}

/**
 * All batches of a segment's bytes. It scans past damage, sector by sector, since only what stands
 * behind a damaged place tells whether it was synced. Never throws but DATA_DIR_FORMAT, and never
 * returns a record whose CRC does not match.
 */
export function scanSegment(bytes: Uint8Array, segment: number, path: string, checksum: Checksum): ScannedSegment {
  const view = viewOf(bytes);
  const identity = readIdentity(bytes, segment, path, checksum);
  let salt = identity?.salt;
  const batches: ScannedBatch[] = [];
  let lostFrom = sectorBytes;
  for (let at = sectorBytes; at + batchHeaderBytes <= bytes.length; ) {
    const header = readBatchHeader(bytes, view, at, segment, salt, checksum);
    const last = batches[batches.length - 1];
    if (header === undefined || !follows(header, last)) {
      at += sectorBytes;
      continue;
    }
    salt = header.salt;
    const expected = last === undefined ? header.first : last.sequence + 1;
    if (header.sequence > expected && lostFrom < at) batches.push(...guessBatches(bytes, view, lostFrom, at, expected, header, checksum));
    batches.push(scanBatch(bytes, view, at, header, checksum));
    at = alignSector(at + batchHeaderBytes + header.length);
    lostFrom = at;
  }
  const isShort = identity !== undefined && bytes.length < identity.capacity;
  return {
    segment,
    salt,
    bytes: bytes.length,
    batches,
    isShort,
    blank: batches.length === 0 && identity !== undefined && !isShort && isZero(bytes, sectorBytes),
  };
}

/** Sequences ascend in file order and belong to the same run of the log. */
function follows(header: BatchHeader, last: ScannedBatch | undefined): boolean {
  if (header.sequence < header.first || header.syncedUpTo >= header.sequence) return false;
  return last === undefined || (header.sequence > last.sequence && header.first === last.first);
}

/**
 * The batches between two intact ones whose own headers are damaged. Their sequences are known, and so is
 * what their records' CRCs continue from. They are taken only when records, each behind the other, and
 * padding fill the place exactly: then nothing can be missing. Otherwise there are none.
 */
function guessBatches(
  bytes: Uint8Array,
  view: DataView,
  from: number,
  end: number,
  first: number,
  next: BatchHeader,
  checksum: Checksum,
): ScannedBatch[] {
  const found: ScannedBatch[] = [];
  let at = from;
  for (let sequence = first; sequence < next.sequence; sequence++) {
    const batch = guessBatch(bytes, view, at, end, sequence, next, checksum);
    if (batch === undefined) return [];
    found.push(batch.guessed);
    at = batch.end;
  }
  return at === end ? found : [];
}

function guessBatch(
  bytes: Uint8Array,
  view: DataView,
  from: number,
  end: number,
  sequence: number,
  next: BatchHeader,
  checksum: Checksum,
): { readonly guessed: ScannedBatch; readonly end: number } | undefined {
  const seed = batchSeed(next.segment, next.salt, sequence, checksum);
  const records: ScannedRecord[] = [];
  let at = from + batchHeaderBytes;
  for (
    let header = readRecordHeader(bytes, view, at, seed, checksum);
    header !== undefined && at < end;
    header = readRecordHeader(bytes, view, at, seed, checksum)
  ) {
    records.push(scanRecord(bytes, view, at, header, checksum));
    at += recordHeaderBytes + align8(header.length);
  }
  const padded = alignSector(at);
  if (records.length === 0 || padded > end || !isZero(bytes.subarray(at, padded), 0)) return undefined;
  const guessed = {
    sequence,
    first: next.first,
    syncedUpTo: 0,
    isHead: false,
    isCopies: false,
    intact: false,
    headerIntact: false,
    records,
    unattributed: false,
    offset: from,
    end: padded,
  };
  return { guessed, end: padded };
}

function isZero(bytes: Uint8Array, from: number): boolean {
  let at = from;
  // Most of it word by word: a spare segment is all zeros, 64 MiB of them.
  if ((bytes.byteOffset + from) % 4 === 0) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + from, (bytes.length - from) >>> 2);
    for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
    at += words.length * 4;
  }
  for (; at < bytes.length; at++) if (bytes[at] !== 0) return false;
  return true;
}
