import { assert, emptyBytes } from "../../base/index.ts";
import { Mixer } from "../hash.ts";
import { Slabs } from "./slabs.ts";

const chunkBits = 13;
const chunkRecords = 1 << chunkBits;
const chunkMask = chunkRecords - 1;

/** A record is 7 numbers of 64 bits: create, mod, version; lease; place of the value; previous; hash. */
const doubles = 7;
const words = doubles * 2;
const Word = { leaseLow: 6, leaseHigh: 7, slab: 8, offset: 9, length: 10, previous: 11, hashLow: 12, hashHigh: 13 } as const;

interface Chunk {
  readonly doubles: Float64Array;
  readonly words: Uint32Array;
  readonly keys: string[];
}

/** Bytes of a record beside its value: the numbers and the key's pointer. */
const recordBytes = doubles * 8 + 8;

/**
 * Every version of every key that is kept: one record each, addressed by a small integer, in typed
 * arrays so that a million of them are no million objects. A record never changes, its value's place
 * aside, until it is freed; while frozen (a snapshot reads) freed records wait.
 *
 * A record with version 0 is a tombstone: its key was deleted at its mod revision.
 */
export class Records {
  private readonly chunks: Chunk[] = [];
  private readonly slabs: Slabs;
  private readonly mixer = new Mixer();
  /** Head of the list of free records, linked through `previous`; -1: none. */
  private freeHead = -1;
  private next = 0;
  private frozen = 0;
  private readonly waiting: number[] = [];
  count = 0;

  constructor() {
    this.slabs = new Slabs(this);
  }

  get memoryBytes(): number {
    return this.slabs.capacityBytes + this.chunks.length * chunkRecords * recordBytes;
  }

  /** A new record; its `previous` is the version that it supersedes, or -1. */
  create(
    key: string,
    create: number,
    mod: number,
    version: number,
    leaseLow: number,
    leaseHigh: number,
    value: Uint8Array,
    previous: number,
  ): number {
    const handle = this.take();
    const chunk = this.chunks[handle >>> chunkBits] as Chunk;
    const at = handle & chunkMask;
    const d = at * doubles;
    const w = at * words;
    chunk.keys[at] = key;
    chunk.doubles[d] = create;
    chunk.doubles[d + 1] = mod;
    chunk.doubles[d + 2] = version;
    chunk.words[w + Word.leaseLow] = leaseLow;
    chunk.words[w + Word.leaseHigh] = leaseHigh;
    chunk.words[w + Word.length] = value.length;
    chunk.words[w + Word.previous] = previous + 1;
    const { slabs, mixer } = this;
    mixer.begin(1);
    mixer.text(key);
    mixer.number(create);
    mixer.number(mod);
    mixer.number(version);
    mixer.word(leaseLow);
    mixer.word(leaseHigh);
    if (value.length === 0) chunk.words[w + Word.slab] = 0;
    else {
      slabs.allocate(handle, value);
      chunk.words[w + Word.slab] = slabs.slab + 1;
      chunk.words[w + Word.offset] = slabs.offset;
      mixer.bytes(slabs.view(slabs.slab), slabs.offset, value.length);
    }
    mixer.finish();
    chunk.words[w + Word.hashLow] = mixer.low;
    chunk.words[w + Word.hashHigh] = mixer.high;
    this.count++;
    return handle;
  }

  private take(): number {
    if (this.frozen === 0) for (let i = 0; i < 2 && this.waiting.length > 0; i++) this.reclaim(this.waiting.pop() as number);
    const head = this.freeHead;
    if (head >= 0) {
      this.freeHead = this.word(head, Word.previous) - 1;
      return head;
    }
    const handle = this.next++;
    if ((handle & chunkMask) === 0) {
      const buffer = new ArrayBuffer(chunkRecords * doubles * 8);
      this.chunks.push({
        doubles: new Float64Array(buffer),
        words: new Uint32Array(buffer),
        keys: new Array<string>(chunkRecords).fill(""),
      });
    }
    return handle;
  }

  free(handle: number): void {
    if (this.frozen > 0) this.waiting.push(handle);
    else this.reclaim(handle);
  }

  private reclaim(handle: number): void {
    const chunk = this.chunks[handle >>> chunkBits] as Chunk;
    const at = handle & chunkMask;
    const w = at * words;
    const slab = (chunk.words[w + Word.slab] as number) - 1;
    chunk.keys[at] = "";
    chunk.words[w + Word.slab] = 0;
    if (slab >= 0) this.slabs.free(slab, chunk.words[w + Word.length] as number);
    chunk.words[w + Word.previous] = this.freeHead + 1;
    this.freeHead = handle;
    this.count--;
  }

  /** From now on every record stays readable until the matching `thaw`. */
  freeze(): void {
    this.frozen++;
  }

  thaw(): void {
    assert(this.frozen > 0, "records were frozen");
    this.frozen--;
  }

  /** Work that was put off: reclaims what was freed meanwhile, then compacts slabs, about `bytes` of it. False: none is left. */
  work(bytes: number): boolean {
    if (this.frozen === 0) {
      for (let budget = bytes >>> 7; budget > 0 && this.waiting.length > 0; budget--) this.reclaim(this.waiting.pop() as number);
    }
    return this.slabs.compact(bytes) || (this.frozen === 0 && this.waiting.length > 0);
  }

  isAt(handle: number, slab: number, offset: number): boolean {
    return handle < this.next && this.word(handle, Word.slab) === slab + 1 && this.word(handle, Word.offset) === offset;
  }

  moved(handle: number, slab: number, offset: number): void {
    const chunk = this.chunks[handle >>> chunkBits] as Chunk;
    const w = (handle & chunkMask) * words;
    chunk.words[w + Word.slab] = slab + 1;
    chunk.words[w + Word.offset] = offset;
  }

  private word(handle: number, word: number): number {
    return (this.chunks[handle >>> chunkBits] as Chunk).words[(handle & chunkMask) * words + word] as number;
  }

  private double(handle: number, double: number): number {
    return (this.chunks[handle >>> chunkBits] as Chunk).doubles[(handle & chunkMask) * doubles + double] as number;
  }

  key(handle: number): string {
    return (this.chunks[handle >>> chunkBits] as Chunk).keys[handle & chunkMask] as string;
  }

  createRevision(handle: number): number {
    return this.double(handle, 0);
  }

  modRevision(handle: number): number {
    return this.double(handle, 1);
  }

  version(handle: number): number {
    return this.double(handle, 2);
  }

  isTombstone(handle: number): boolean {
    return this.double(handle, 2) === 0;
  }

  leaseLow(handle: number): number {
    return this.word(handle, Word.leaseLow);
  }

  leaseHigh(handle: number): number {
    return this.word(handle, Word.leaseHigh);
  }

  lease(handle: number): bigint {
    const low = this.leaseLow(handle);
    const high = this.leaseHigh(handle);
    return low === 0 && high === 0 ? 0n : (BigInt(high) << 32n) | BigInt(low);
  }

  /** The version that this one superseded, or -1. Meaningful only while this record's event is in the history. */
  previous(handle: number): number {
    return this.word(handle, Word.previous) - 1;
  }

  valueLength(handle: number): number {
    return this.word(handle, Word.length);
  }

  /** A view, valid until the next write. */
  value(handle: number): Uint8Array {
    const slab = this.word(handle, Word.slab) - 1;
    return slab < 0 ? emptyBytes : this.slabs.read(slab, this.word(handle, Word.offset), this.word(handle, Word.length));
  }

  hashLow(handle: number): number {
    return this.word(handle, Word.hashLow);
  }

  hashHigh(handle: number): number {
    return this.word(handle, Word.hashHigh);
  }
}
