import { assert } from "../../base/index.ts";

/** A slab's size. Larger values than `blockBytesMax` get a slab of their own. */
const slabBytes = 1024 * 1024;
const blockBytesMax = slabBytes / 4;
/** Before each block: the handle of the record that owns it and its length, for compaction. */
const headerBytes = 8;
/** Emptied slabs kept for reuse: an array buffer's birth costs the zeroing of its pages. */
const spareMax = 8;

/** Compaction has work when dead bytes exceed this share of all, and this many slabs. */
const deadShare = 0.25;
const deadBytesMin = 8 * slabBytes;
/** Beyond this share `allocate` itself compacts, so that memory is bounded although nobody calls `compact`. */
const deadShareMax = 0.5;

interface Slab {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Bytes given out, headers included, and how many of them are dead. */
  used: number;
  dead: number;
}

/** Who owns the blocks: compaction asks whether a block is still its owner's and tells where it went. */
export interface BlockOwner {
  isAt(handle: number, slab: number, offset: number): boolean;
  moved(handle: number, slab: number, offset: number): void;
}

/**
 * Values off the JavaScript heap, in slabs of 1 MiB that are filled from front to back. A freed
 * block is only counted; mostly dead slabs are copied out, a slice at a time. Invariant: a slab's
 * live bytes are `used - dead`.
 */
export class Slabs {
  private readonly slabs: (Slab | undefined)[] = [];
  private readonly vacant: number[] = [];
  private readonly spare: Slab[] = [];
  private current = -1;
  private readonly owner: BlockOwner;
  /** The slab that compaction copies out and how far it is; -1: none. */
  private source = -1;
  private sourceAt = 0;
  private compacting = false;
  /** Of all slabs in use. */
  usedBytes = 0;
  deadBytes = 0;
  capacityBytes = 0;

  constructor(owner: BlockOwner) {
    this.owner = owner;
  }

  /** Where the last `allocate` put its block. */
  slab = -1;
  offset = 0;

  /** Copies `value`, of at least one byte, in for the record `handle`. */
  allocate(handle: number, value: Uint8Array): void {
    const needed = headerBytes + value.length;
    const slab = this.room(needed);
    const at = slab.used;
    slab.view.setUint32(at, handle, true);
    slab.view.setUint32(at + 4, value.length, true);
    slab.bytes.set(value, at + headerBytes);
    slab.used = at + needed;
    this.usedBytes += needed;
    this.offset = at + headerBytes;
  }

  free(slab: number, length: number): void {
    const entry = this.at(slab);
    const bytes = headerBytes + length;
    entry.dead += bytes;
    this.deadBytes += bytes;
    if (entry.dead === entry.used && slab !== this.current) this.release(slab);
  }

  /** The bytes of a block: valid until anything is freed, allocated or compacted. */
  read(slab: number, offset: number, length: number): Uint8Array {
    return this.at(slab).bytes.subarray(offset, offset + length);
  }

  view(slab: number): DataView {
    return this.at(slab).view;
  }

  get due(): boolean {
    return this.source >= 0 || (this.deadBytes > deadBytesMin && this.deadBytes > this.usedBytes * deadShare);
  }

  /** Copies about `bytes` out of the slab with the most dead bytes. False when nothing is due. */
  compact(bytes: number): boolean {
    if (!this.due) return false;
    this.compacting = true;
    if (this.source < 0) this.pickSource();
    let budget = bytes;
    while (this.source >= 0 && budget > 0) budget -= this.compactBlock();
    this.compacting = false;
    return this.due;
  }

  private at(slab: number): Slab {
    const entry = this.slabs[slab];
    assert(entry !== undefined, "the slab exists");
    return entry;
  }

  private room(needed: number): Slab {
    if (needed > blockBytesMax) return this.open(new Uint8Array(needed), false);
    const { deadBytes, usedBytes } = this;
    if (!this.fits(needed) && !this.compacting && deadBytes > deadBytesMin && deadBytes > usedBytes * deadShareMax) this.compact(slabBytes);
    const full = this.current;
    const current = this.slabs[full];
    if (current !== undefined && this.fits(needed)) {
      this.slab = full;
      return current;
    }
    const next = this.open(this.spare.pop()?.bytes ?? new Uint8Array(slabBytes), true);
    if (current !== undefined && current.dead === current.used) this.release(full);
    return next;
  }

  private fits(needed: number): boolean {
    const current = this.slabs[this.current];
    return current !== undefined && current.used + needed <= current.bytes.length;
  }

  private open(bytes: Uint8Array, shared: boolean): Slab {
    const slab: Slab = { bytes, view: new DataView(bytes.buffer), used: 0, dead: 0 };
    const id = this.vacant.pop() ?? this.slabs.length;
    this.slabs[id] = slab;
    this.capacityBytes += bytes.length;
    this.slab = id;
    if (shared) this.current = id;
    return slab;
  }

  private release(id: number): void {
    const slab = this.at(id);
    this.slabs[id] = undefined;
    this.vacant.push(id);
    this.usedBytes -= slab.used;
    this.deadBytes -= slab.dead;
    this.capacityBytes -= slab.bytes.length;
    if (slab.bytes.length === slabBytes && this.spare.length < spareMax) this.spare.push(slab);
    if (id === this.source) this.source = -1;
  }

  private pickSource(): void {
    let most = 0;
    for (let id = 0; id < this.slabs.length; id++) {
      const slab = this.slabs[id];
      if (slab === undefined || id === this.current || slab.dead <= most) continue;
      most = slab.dead;
      this.source = id;
    }
    this.sourceAt = 0;
  }

  /** Looks at the next block of the source, and moves it when it is alive. Returns about the bytes touched. */
  private compactBlock(): number {
    const id = this.source;
    const slab = this.at(id);
    const at = this.sourceAt;
    const handle = slab.view.getUint32(at, true);
    const length = slab.view.getUint32(at + 4, true);
    this.sourceAt = at + headerBytes + length;
    const last = this.sourceAt >= slab.used;
    let touched = headerBytes * 8;
    if (this.owner.isAt(handle, id, at + headerBytes)) {
      this.allocate(handle, slab.bytes.subarray(at + headerBytes, at + headerBytes + length));
      this.owner.moved(handle, this.slab, this.offset);
      this.free(id, length);
      touched += length;
    }
    if (last && this.source === id) this.source = -1;
    return touched;
  }
}
