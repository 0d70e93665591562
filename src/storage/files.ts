import { defined, emptyBytes } from "../base/index.ts";
import type { Disk, File } from "../ports/index.ts";

interface Known {
  readonly path: string;
  handle: Promise<File> | undefined;
}

/**
 * The files that entries are read from, each under a number that places refer to. Handles are opened
 * on first use, on the bulk lane: a read never stands in the way of the log's writes.
 */
export class Files {
  private readonly disk: Disk;
  private readonly known = new Map<number, Known>();
  private count = 0;

  constructor(disk: Disk) {
    this.disk = disk;
  }

  add(path: string): number {
    this.count++;
    this.known.set(this.count, { path, handle: undefined });
    return this.count;
  }

  has(number: number): boolean {
    return this.known.has(number);
  }

  pathOf(number: number): string {
    return defined(this.known.get(number), `file ${number}`).path;
  }

  async read(number: number, offset: number, length: number): Promise<Uint8Array> {
    const file = defined(this.known.get(number), `file ${number}`);
    file.handle ??= this.disk.open(file.path, { create: false, lane: "bulk" });
    return await (await file.handle).readAt(offset, length);
  }

  /** Deletes the file. A crash before the name's removal is durable brings it back, which recovery accepts. */
  async remove(number: number): Promise<void> {
    const file = this.known.get(number);
    if (file === undefined) return;
    this.known.delete(number);
    await closeHandle(file);
    await this.disk.remove(file.path);
  }

  async close(): Promise<void> {
    const all = [...this.known.values()];
    this.known.clear();
    for (const file of all) await closeHandle(file);
  }
}

async function closeHandle(file: Known): Promise<void> {
  if (file.handle === undefined) return;
  const handle = await file.handle.catch(() => undefined);
  await handle?.close();
}

/** Memory for one file after the other: fresh memory for each would cost as much as reading them. */
export class ReadBuffer {
  private bytes: Uint8Array = emptyBytes;

  take(length: number): Uint8Array {
    if (this.bytes.length < length) this.bytes = new Uint8Array(length);
    return this.bytes;
  }
}

/**
 * A whole file with one read: only recovery does so, while nothing else wants the lane, and a copy of a segment costs as
 * much as reading it. In `buffer` until that is used again.
 */
export async function readWhole(disk: Disk, path: string, buffer?: ReadBuffer): Promise<Uint8Array> {
  const file = await disk.open(path, { create: false, lane: "bulk" });
  try {
    const size = await file.size();
    return await file.readAt(0, size, buffer?.take(size));
  } finally {
    await file.close();
  }
}
