import { assert, emptyBytes } from "../base/index.ts";
import type { Checksum, Disk, File } from "../ports/index.ts";
import type { SnapshotMeta } from "../raft/types.ts";
import {
  chainCrc,
  damagedSnapshot,
  encodeSnapshotHeader,
  encodeTrailer,
  readSnapshotHeader,
  readStep,
  sealStep,
  stepBuffer,
  stepHeaderBytes,
  stepOffset,
  verifySnapshot,
} from "./snapshot-format.ts";
import type { PlacedHeader, SnapshotHeader } from "./snapshot-format.ts";
import type { SnapshotFile } from "./types.ts";

/** A finished snapshot. Its handle stays open, so that a reader survives the file's removal by a newer one. */
export class OpenSnapshot implements SnapshotFile {
  readonly meta: SnapshotMeta;
  readonly bytes: number;
  readonly path: string;
  private readonly file: File;
  private readonly header: PlacedHeader;
  private readonly checksum: Checksum;
  /** The step read last: chunks are smaller than steps, and a step is checked as a whole. */
  private cached: { readonly step: number; readonly data: Uint8Array } | undefined;

  constructor(path: string, file: File, header: PlacedHeader, bytes: number, checksum: Checksum) {
    this.path = path;
    this.file = file;
    this.header = header;
    this.meta = header.meta;
    this.bytes = bytes;
    this.checksum = checksum;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const end = Math.min(this.bytes, offset + length);
    if (offset >= end) return emptyBytes;
    const result = new Uint8Array(end - offset);
    for (let at = offset; at < end; ) {
      const step = Math.floor(at / this.header.stepBytes);
      const data = await this.step(step);
      const within = at - step * this.header.stepBytes;
      if (within >= data.length) throw damagedSnapshot(this.path);
      const chunk = data.subarray(within, Math.min(data.length, within + end - at));
      result.set(chunk, at - offset);
      at += chunk.length;
    }
    if (end === this.bytes) this.cached = undefined;
    return result;
  }

  async readAll(visit: (chunk: Uint8Array) => void | Promise<void>): Promise<void> {
    const { checksum, file, header } = this;
    const steps = Math.ceil(this.bytes / header.stepBytes);
    // One is read while the other is visited.
    const buffers = [stepBuffer(header, this), stepBuffer(header, this)] as const;
    const begin = (step: number): ReturnType<typeof readStep> | undefined =>
      step < steps ? readStep(file, header, step, checksum, buffers[step % 2 === 0 ? 0 : 1]) : undefined;
    let next = begin(0);
    try {
      for (let step = 0; step < steps; step++) {
        const found = await next;
        const length = Math.min(header.stepBytes, this.bytes - step * header.stepBytes);
        if (found === undefined || found.data.length !== length) throw damagedSnapshot(this.path);
        next = begin(step + 1);
        await visit(found.data);
      }
    } finally {
      // What is still being read is of no interest when the visitor has thrown.
      await next?.catch(() => undefined);
    }
  }

  private async step(step: number): Promise<Uint8Array> {
    if (this.cached?.step === step) return this.cached.data;
    const found = await readStep(this.file, this.header, step, this.checksum);
    if (found === undefined) throw damagedSnapshot(this.path);
    this.cached = { step, data: found.data };
    return found.data;
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

/** Opens and verifies a finished snapshot; undefined when it is damaged or another replica's. */
export async function openSnapshot(
  disk: Disk,
  path: string,
  owner: { readonly group: number; readonly incarnation: number },
  checksum: Checksum,
): Promise<OpenSnapshot | undefined> {
  const file = await disk.open(path, { create: false, lane: "bulk" });
  let opened: OpenSnapshot | undefined;
  try {
    const header = await readSnapshotHeader(file, path, checksum);
    if (header !== undefined && header.group === owner.group && header.incarnation === owner.incarnation) {
      const trailer = await verifySnapshot(file, header, checksum);
      if (trailer !== undefined) opened = new OpenSnapshot(path, file, header, trailer.bytes, checksum);
    }
    return opened;
  } finally {
    if (opened === undefined) await file.close();
  }
}

/**
 * Writes a snapshot file in steps, each synced before the next begins: one sync of everything at the
 * end would stall the WAL on the same disk.
 */
export class SnapshotWriter {
  readonly path: string;
  readonly header: PlacedHeader;
  private readonly file: File;
  private readonly checksum: Checksum;
  /** The step's header and its data so far. */
  private readonly buffer: Uint8Array;
  private filled = 0;
  private steps = 0;
  private whole = 0;
  private durable = 0;

  private constructor(path: string, file: File, header: PlacedHeader, checksum: Checksum) {
    this.path = path;
    this.file = file;
    this.header = header;
    this.checksum = checksum;
    this.buffer = new Uint8Array(stepHeaderBytes + header.stepBytes);
  }

  static async create(disk: Disk, path: string, header: SnapshotHeader, checksum: Checksum): Promise<SnapshotWriter> {
    await disk.remove(path);
    const file = await disk.open(path, { create: true, lane: "bulk" });
    try {
      const { bytes, placed } = encodeSnapshotHeader(header, checksum);
      await file.writeAt(0, [bytes], { sync: true });
      return new SnapshotWriter(path, file, placed, checksum);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Goes on with a file of the same snapshot, behind its last intact step; undefined when it is none. */
  static async resume(disk: Disk, path: string, wanted: SnapshotHeader, checksum: Checksum): Promise<SnapshotWriter | undefined> {
    const file = await disk.open(path, { create: false, lane: "bulk" });
    const header = await readSnapshotHeader(file, path, checksum);
    const same = header !== undefined && encodeSnapshotHeader(wanted, checksum).placed.crc === header.crc;
    if (!same) {
      await file.close();
      return undefined;
    }
    const writer = new SnapshotWriter(path, file, header, checksum);
    for (;;) {
      const found = await readStep(file, header, writer.steps, checksum);
      if (found === undefined || found.data.length === 0) break;
      const isLast = writer.durable + found.data.length === wanted.totalBytes;
      if (found.data.length !== header.stepBytes && !isLast) break;
      writer.whole = chainCrc(writer.whole, found.crc, checksum);
      writer.steps++;
      writer.durable += found.data.length;
      if (isLast) break;
    }
    return writer;
  }

  /** Bytes that are synced. */
  get durableBytes(): number {
    return this.durable;
  }

  /** Bytes taken, those included that still wait for their step to be full. */
  get bytes(): number {
    return this.durable + this.filled;
  }

  async add(chunk: Uint8Array, afterStep?: () => Promise<void>): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + this.header.stepBytes - this.filled);
      this.buffer.set(part, stepHeaderBytes + this.filled);
      this.filled += part.length;
      at += part.length;
      if (this.filled === this.header.stepBytes) {
        await this.writeStep();
        await afterStep?.();
      }
    }
  }

  async writeStep(): Promise<void> {
    if (this.filled === 0) return;
    const crc = sealStep(this.buffer, this.filled, this.steps, this.header, this.checksum);
    await this.file.writeAt(stepOffset(this.header, this.steps), [this.buffer.subarray(0, stepHeaderBytes + this.filled)], { sync: true });
    this.whole = chainCrc(this.whole, crc, this.checksum);
    this.steps++;
    this.durable += this.filled;
    this.filled = 0;
  }

  /** The last step and the trailer, synced, and the size cut to them. The file has its temporary name still. */
  async finish(): Promise<void> {
    await this.writeStep();
    const trailer = encodeTrailer({ bytes: this.durable, steps: this.steps, whole: this.whole }, this.header, this.checksum);
    const at = this.header.headerBytes + this.steps * stepHeaderBytes + this.durable;
    await this.file.writeAt(at, [trailer], { sync: true });
    const size = at + trailer.length;
    if ((await this.file.size()) !== size) {
      await this.file.truncate(size);
      await this.file.sync();
    }
  }

  /** Whether everything on disk is what was written. */
  async verify(): Promise<boolean> {
    return (await verifySnapshot(this.file, this.header, this.checksum)) !== undefined;
  }

  /** The finished snapshot under its final name, on the handle that wrote it. */
  opened(path: string): OpenSnapshot {
    assert(this.filled === 0, "every step is written");
    return new OpenSnapshot(path, this.file, this.header, this.durable, this.checksum);
  }

  close(): Promise<void> {
    return this.file.close();
  }
}
