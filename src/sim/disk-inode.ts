import { assert } from "../base/index.ts";

const sectorBytes = 512;
const zeros = new Uint8Array(sectorBytes);

/** What sectors held before they were written, since a sync began (or since the file was made). */
interface Layer {
  readonly before: Map<number, Uint8Array>;
  /** The size when the layer began. */
  readonly size: number;
}

/**
 * A file's bytes and what they may fall back to. The layers, oldest first, are the unsynced past: a
 * sector's durable content is what the oldest layer that knows it remembers.
 */
export class SimInode {
  private content: Uint8Array;
  private length: number;
  private layers: Layer[];
  /**
   * What sectors hold on the disk whose sync failed: the system believes their pages clean and writes them
   * only once they are written to again. They are in no layer until then.
   */
  private readonly stuck = new Map<number, Uint8Array>();
  private preallocatedFrom: number | undefined;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.content = bytes.slice();
    this.length = bytes.length;
    this.layers = [{ before: new Map(), size: bytes.length }];
  }

  get size(): number {
    return this.length;
  }

  bytes(): Uint8Array {
    return this.content.subarray(0, this.length);
  }

  read(offset: number, length: number): Uint8Array {
    return this.content.slice(Math.min(offset, this.length), Math.min(offset + length, this.length));
  }

  write(offset: number, chunks: readonly Uint8Array[]): void {
    let end = offset;
    for (const chunk of chunks) end += chunk.length;
    this.remember(offset, end);
    this.grow(end);
    let at = offset;
    for (const chunk of chunks) {
      this.content.set(chunk, at);
      at += chunk.length;
    }
    this.length = Math.max(this.length, end);
  }

  resize(length: number): void {
    if (length < this.length) {
      this.remember(length, this.length);
      this.content.fill(0, length, this.length);
    } else this.grow(length);
    this.length = length;
  }

  beginPreallocate(length: number): void {
    if (length <= this.length) return;
    this.preallocatedFrom = this.length;
    this.grow(length);
    this.length = length;
  }

  endPreallocate(): void {
    this.preallocatedFrom = undefined;
    this.layers = this.layers.map(({ before }) => ({ before, size: this.length }));
  }

  /** What is written from now on is not covered by this sync. */
  beginSync(): Layer {
    const covered = this.layers[this.layers.length - 1];
    assert(covered !== undefined, "a file has a layer");
    this.layers.push({ before: new Map(), size: this.length });
    return covered;
  }

  endSync(covered: Layer): void {
    const position = this.layers.indexOf(covered);
    if (position < 0) return;
    for (const { before } of this.layers.splice(0, position + 1)) for (const sector of before.keys()) this.stuck.delete(sector);
  }

  failSync(covered: Layer): void {
    const position = this.layers.indexOf(covered);
    if (position < 0) return;
    for (const { before } of this.layers.splice(0, position + 1)) {
      for (const [sector, bytes] of before) if (!this.stuck.has(sector)) this.stuck.set(sector, bytes);
    }
  }

  /** `choose(n)` picks one of a sector's n versions, 0 the durable one, n - 1 the newest. */
  crash(choose: (versions: number) => number): void {
    const sizes = [...this.layers.map((layer) => layer.size), this.length];
    let size = sizes[choose(sizes.length)] ?? this.length;
    if (this.preallocatedFrom !== undefined) size = Math.min(size, this.preallocatedFrom + choose(this.length - this.preallocatedFrom + 1));
    const sectors = new Set<number>(this.stuck.keys());
    for (const { before } of this.layers) for (const sector of before.keys()) sectors.add(sector);
    for (const sector of [...sectors].sort((a, b) => a - b)) {
      const versions = this.layers.flatMap(({ before }) => before.get(sector) ?? []);
      const stuck = this.stuck.get(sector);
      if (stuck !== undefined) versions.unshift(stuck);
      const chosen = versions[choose(versions.length + 1)];
      if (chosen === undefined) continue;
      this.grow((sector + 1) * sectorBytes);
      this.content.set(chosen, sector * sectorBytes);
    }
    this.grow(size);
    this.content.fill(0, size);
    this.length = size;
    this.stuck.clear();
    this.preallocatedFrom = undefined;
    this.layers = [{ before: new Map(), size }];
  }

  flip(offset: number, bit: number): void {
    this.alter(offset, (byte) => byte ^ (1 << bit));
  }

  clear(offset: number): void {
    this.alter(offset, () => 0);
  }

  private alter(offset: number, change: (byte: number) => number): void {
    assert(offset < this.length, "the damaged byte lies within the file");
    this.content[offset] = change(this.content[offset] ?? 0);
    const within = offset % sectorBytes;
    for (const before of [this.stuck, ...this.layers.map((layer) => layer.before)]) {
      const sector = before.get(Math.floor(offset / sectorBytes));
      if (sector !== undefined) sector[within] = change(sector[within] ?? 0);
    }
  }

  private remember(from: number, to: number): void {
    const newest = this.layers[this.layers.length - 1];
    assert(newest !== undefined, "a file has a layer");
    for (let sector = Math.floor(from / sectorBytes); sector * sectorBytes < to; sector++) {
      if (newest.before.has(sector)) continue;
      const stuck = this.stuck.get(sector);
      this.stuck.delete(sector);
      newest.before.set(sector, stuck ?? this.copyOf(sector));
    }
  }

  private copyOf(sector: number): Uint8Array {
    const copy = zeros.slice();
    copy.set(this.content.subarray(sector * sectorBytes, Math.min((sector + 1) * sectorBytes, this.length)));
    return copy;
  }

  private grow(length: number): void {
    if (length <= this.content.length) return;
    const larger = new Uint8Array(Math.max(length, this.content.length * 2));
    larger.set(this.content.subarray(0, this.length));
    this.content = larger;
  }
}
