import { MalformedBytes, Reader, UnumError, Writer, latin1Decode, latin1Encode } from "../base/index.ts";
import type { GroupId } from "../base/index.ts";
import type { Checksum, File } from "../ports/index.ts";
import type { SnapshotMeta } from "../raft/types.ts";
import { readSnapshotMeta, writeSnapshotMeta } from "./codec.ts";
import { alignSector, checkPreamble, viewOf, writePreamble } from "./format.ts";

export const stepHeaderBytes = 16;
export const trailerBytes = 32;
const fixedBytes = 64;
const headerBytesMax = 1024 * 1024;
const endMagic = "UNUM-END";
const two32 = 0x1_0000_0000;

/** The beginning of a snapshot file: whose it is, of what, and how it is cut into steps. */
export interface SnapshotHeader {
  readonly group: GroupId;
  readonly incarnation: number;
  readonly stepBytes: number;
  readonly meta: SnapshotMeta;
  /** Of a snapshot that is received; 0 while one's own is written, whose size is known at its end. */
  readonly totalBytes: number;
}

export interface PlacedHeader extends SnapshotHeader {
  readonly headerBytes: number;
  /** Every step's and the trailer's CRC continue from it, so that parts of two files never fit together. */
  readonly crc: number;
}

export function encodeSnapshotHeader(
  header: SnapshotHeader,
  checksum: Checksum,
): { readonly bytes: Uint8Array; readonly placed: PlacedHeader } {
  const writer = new Writer(256);
  writeSnapshotMeta(writer, header.meta);
  const meta = writer.take();
  const bytes = new Uint8Array(alignSector(fixedBytes + meta.length));
  const view = viewOf(bytes);
  writePreamble(bytes, "UNUM-SNP", checksum);
  view.setUint32(16, header.group, true);
  view.setUint32(20, header.stepBytes, true);
  view.setBigUint64(24, BigInt(header.incarnation), true);
  view.setUint32(32, bytes.length, true);
  view.setUint32(36, meta.length, true);
  view.setBigUint64(40, BigInt(header.totalBytes), true);
  bytes.set(meta, fixedBytes);
  const crc = checksum.crc32(meta, checksum.crc32(bytes.subarray(0, 60)));
  view.setUint32(60, crc, true);
  return { bytes, placed: { ...header, headerBytes: bytes.length, crc } };
}

/** Undefined when the header is damaged. */
export async function readSnapshotHeader(file: File, path: string, checksum: Checksum): Promise<PlacedHeader | undefined> {
  const fixed = await file.readAt(0, fixedBytes);
  if (!checkPreamble(fixed, "UNUM-SNP", path, checksum) || fixed.length < fixedBytes) return undefined;
  const view = viewOf(fixed);
  const headerBytes = view.getUint32(32, true);
  const metaLength = view.getUint32(36, true);
  if (headerBytes > headerBytesMax || headerBytes < fixedBytes + metaLength) return undefined;
  const meta = await file.readAt(fixedBytes, metaLength);
  const crc = checksum.crc32(meta, checksum.crc32(fixed.subarray(0, 60)));
  if (crc !== view.getUint32(60, true)) return undefined;
  try {
    const reader = new Reader(meta);
    return {
      group: view.getUint32(16, true) as GroupId,
      stepBytes: view.getUint32(20, true),
      incarnation: Number(view.getBigUint64(24, true)),
      totalBytes: Number(view.getBigUint64(40, true)),
      meta: readSnapshotMeta(reader),
      headerBytes,
      crc,
    };
  } catch (error) {
    if (error instanceof MalformedBytes) return undefined;
    throw error;
  }
}

export function stepOffset(header: PlacedHeader, step: number): number {
  return header.headerBytes + step * (stepHeaderBytes + header.stepBytes);
}

/** Fills in the 16 bytes before `length` bytes of data; returns the step's CRC. */
export function sealStep(buffer: Uint8Array, length: number, step: number, header: PlacedHeader, checksum: Checksum): number {
  const view = viewOf(buffer);
  view.setUint32(0, length, true);
  view.setUint32(4, step, true);
  view.setUint32(12, 0, true);
  const crc = checksum.crc32(buffer.subarray(stepHeaderBytes, stepHeaderBytes + length), checksum.crc32(buffer.subarray(0, 8), header.crc));
  view.setUint32(8, crc, true);
  return crc;
}

/** The data of a step and its CRC, or undefined when they do not match. `into`: memory for a whole step; the data is a view of it then. */
export async function readStep(
  file: File,
  header: PlacedHeader,
  step: number,
  checksum: Checksum,
  into?: Uint8Array,
): Promise<{ readonly data: Uint8Array; readonly crc: number } | undefined> {
  const wanted = stepHeaderBytes + header.stepBytes;
  const bytes = await file.readAt(stepOffset(header, step), into === undefined ? wanted : Math.min(wanted, into.length), into);
  if (bytes.length < stepHeaderBytes) return undefined;
  const view = viewOf(bytes);
  const length = view.getUint32(0, true);
  if (length > bytes.length - stepHeaderBytes || view.getUint32(4, true) !== step) return undefined;
  const data = bytes.subarray(stepHeaderBytes, stepHeaderBytes + length);
  const crc = checksum.crc32(data, checksum.crc32(bytes.subarray(0, 8), header.crc));
  return crc === view.getUint32(8, true) ? { data, crc } : undefined;
}

const chainScratch = new Uint8Array(4);
const chainView = viewOf(chainScratch);

/** The check of the whole file is one over its steps' checks: their order and number count too. */
export function chainCrc(whole: number, stepCrc: number, checksum: Checksum): number {
  chainView.setUint32(0, stepCrc, true);
  return checksum.crc32(chainScratch, whole);
}

export interface SnapshotTrailer {
  readonly bytes: number;
  readonly steps: number;
  readonly whole: number;
}

export function encodeTrailer(trailer: SnapshotTrailer, header: PlacedHeader, checksum: Checksum): Uint8Array {
  const bytes = new Uint8Array(trailerBytes);
  const view = viewOf(bytes);
  bytes.set(latin1Encode(endMagic), 0);
  view.setUint32(8, trailer.bytes % two32, true);
  view.setUint32(12, Math.floor(trailer.bytes / two32), true);
  view.setUint32(16, trailer.steps, true);
  view.setUint32(20, trailer.whole, true);
  view.setUint32(28, checksum.crc32(bytes.subarray(0, 28), header.crc), true);
  return bytes;
}

/** The last 32 bytes of a finished file; undefined when it is not finished or damaged. */
export async function readTrailer(file: File, header: PlacedHeader, checksum: Checksum): Promise<SnapshotTrailer | undefined> {
  const size = await file.size();
  if (size < header.headerBytes + trailerBytes) return undefined;
  const bytes = await file.readAt(size - trailerBytes, trailerBytes);
  if (bytes.length < trailerBytes || latin1Decode(bytes.subarray(0, 8)) !== endMagic) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(28, true) !== checksum.crc32(bytes.subarray(0, 28), header.crc)) return undefined;
  const total = view.getUint32(8, true) + view.getUint32(12, true) * two32;
  const steps = view.getUint32(16, true);
  const expected = header.headerBytes + steps * stepHeaderBytes + total + trailerBytes;
  return expected === size ? { bytes: total, steps, whole: view.getUint32(20, true) } : undefined;
}

/** Memory for the largest step of a file, header included. */
export function stepBuffer(header: PlacedHeader, contents: { readonly bytes: number }): Uint8Array {
  return new Uint8Array(stepHeaderBytes + Math.min(header.stepBytes, contents.bytes));
}

/** Reads every step. Resolves to the number of bytes when all checks match, otherwise to undefined. */
export async function verifySnapshot(file: File, header: PlacedHeader, checksum: Checksum): Promise<SnapshotTrailer | undefined> {
  const trailer = await readTrailer(file, header, checksum);
  if (trailer === undefined) return undefined;
  let whole = 0;
  let total = 0;
  const buffer = stepBuffer(header, trailer);
  for (let step = 0; step < trailer.steps; step++) {
    const found = await readStep(file, header, step, checksum, buffer);
    if (found === undefined || (step < trailer.steps - 1 && found.data.length !== header.stepBytes)) return undefined;
    whole = chainCrc(whole, found.crc, checksum);
    total += found.data.length;
  }
  return whole === trailer.whole && total === trailer.bytes ? trailer : undefined;
}

export function damagedSnapshot(path: string): UnumError {
  return new UnumError("CORRUPT", `The snapshot ${path} does not match its checksums.`);
}
