import { assert } from "../base/index.ts";

/** From this index on, until the next run, entries have this term. */
export interface TermRun {
  readonly from: number;
  readonly term: number;
}

export interface Place {
  /** Number of the file (see `Files`); 0: nobody knows where the entry is. */
  readonly file: number;
  readonly offset: number;
  /** Bytes of the entry's data. */
  readonly length: number;
}

/**
 * Where each entry of a group's log lies, in parallel arrays: some hundred thousand entries must cost
 * neither objects nor a search.
 *
 * Invariant: slot `index - base` holds `index`, for every index from `first` to `last`. A hole (file 0)
 * exists only while recovery runs.
 */
export class LogIndex {
  private base: number;
  private firstIndex: number;
  private lastIndex: number;
  private files = new Float64Array(16);
  private offsets = new Float64Array(16);
  private lengths = new Uint32Array(16);
  private terms = new Float64Array(16);
  /** Sum of `length` over all entries. */
  private total = 0;

  constructor(first: number) {
    this.base = first;
    this.firstIndex = first;
    this.lastIndex = first - 1;
  }

  get first(): number {
    return this.firstIndex;
  }

  get last(): number {
    return this.lastIndex;
  }

  get bytes(): number {
    return this.total;
  }

  has(index: number): boolean {
    return index >= this.firstIndex && index <= this.lastIndex;
  }

  termAt(index: number): number {
    assert(this.has(index), `index ${index} is in the log`);
    return this.terms[index - this.base] as number;
  }

  /** 0: a hole. */
  fileAt(index: number): number {
    return this.files[index - this.base] as number;
  }

  placeAt(index: number): Place {
    assert(this.has(index), `index ${index} is in the log`);
    const slot = index - this.base;
    return { file: this.files[slot] as number, offset: this.offsets[slot] as number, length: this.lengths[slot] as number };
  }

  /** Sets a place, within the log or right behind it. */
  put(index: number, term: number, file: number, offset: number, length: number): void {
    assert(index >= this.firstIndex, `index ${index} is not below the log's first, ${this.firstIndex}`);
    assert(index <= this.lastIndex + 1, `index ${index} leaves no gap behind ${this.lastIndex}`);
    const isNew = index > this.lastIndex;
    if (isNew) {
      this.reserve(index - this.base + 1);
      this.lastIndex = index;
    }
    const slot = index - this.base;
    if (isNew) this.lengths[slot] = 0;
    this.total += length - (this.lengths[slot] as number);
    this.files[slot] = file;
    this.offsets[slot] = offset;
    this.lengths[slot] = length;
    this.terms[slot] = term;
  }

  /** Forgets `from` and everything behind it. */
  truncate(from: number): void {
    const end = Math.max(from, this.firstIndex);
    for (let index = end; index <= this.lastIndex; index++) this.total -= this.lengths[index - this.base] as number;
    this.lastIndex = Math.min(this.lastIndex, end - 1);
  }

  /** Forgets everything below `first`. */
  releaseBelow(first: number): void {
    if (first <= this.firstIndex) return;
    if (first > this.lastIndex) {
      this.reset(first);
      return;
    }
    for (let index = this.firstIndex; index < first; index++) this.total -= this.lengths[index - this.base] as number;
    this.firstIndex = first;
    if (first - this.base > this.lastIndex - first + 64) this.compact();
  }

  reset(first: number): void {
    this.base = first;
    this.firstIndex = first;
    this.lastIndex = first - 1;
    this.total = 0;
  }

  bytesFrom(index: number): number {
    let sum = 0;
    for (let i = Math.max(index, this.firstIndex); i <= this.lastIndex; i++) sum += this.lengths[i - this.base] as number;
    return sum;
  }

  runs(): TermRun[] {
    const runs: TermRun[] = [];
    let term = -1;
    for (let index = this.firstIndex; index <= this.lastIndex; index++) {
      const next = this.terms[index - this.base] as number;
      if (next !== term) runs.push({ from: index, term: next });
      term = next;
    }
    return runs;
  }

  private reserve(slots: number): void {
    if (slots <= this.files.length) return;
    if (this.firstIndex - this.base > slots / 2) {
      this.compact();
      return;
    }
    this.files = grown(this.files, new Float64Array(slots * 2));
    this.offsets = grown(this.offsets, new Float64Array(slots * 2));
    this.lengths = grown(this.lengths, new Uint32Array(slots * 2));
    this.terms = grown(this.terms, new Float64Array(slots * 2));
  }

  /** Moves the live slots to the front; the arrays keep their size. */
  private compact(): void {
    const shift = this.firstIndex - this.base;
    for (const array of [this.files, this.offsets, this.lengths, this.terms]) array.copyWithin(0, shift, this.lastIndex - this.base + 1);
    this.base = this.firstIndex;
  }
}

function grown<T extends Float64Array | Uint32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
