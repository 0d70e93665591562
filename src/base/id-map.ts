import { assert } from "./assert.ts";

const capacityMin = 64;
/** A table up to this capacity is kept when it empties: work comes in bursts. */
const capacityKept = 2048;

/**
 * Values by 32-bit ids that come and go quickly: requests in flight. A `Map` makes a new table after so many
 * deletions, and an old table that has survived a collection keeps alive whatever it held, until the next full
 * one. This one changes in place.
 *
 * Invariants: the capacity is a power of two and at most half of it is in use; an id stands at its own
 * place or behind it, with no gap between.
 */
export class IdMap<T extends object> {
  private ids = new Uint32Array(capacityMin);
  private values: (T | undefined)[] = emptyValues(capacityMin);
  /** 32 less the bits of the capacity: the place of an id is the upper bits of its product with a constant. */
  private shift = 26;
  private count = 0;

  get size(): number {
    return this.count;
  }

  get(id: number): T | undefined {
    return this.values[this.find(id)];
  }

  has(id: number): boolean {
    return this.values[this.find(id)] !== undefined;
  }

  set(id: number, value: T): void {
    const at = this.find(id);
    if (this.values[at] === undefined) {
      this.ids[at] = id;
      this.count++;
    }
    this.values[at] = value;
    if (this.count * 2 > this.ids.length) this.resize(this.ids.length * 2);
  }

  /** Whether it was there. */
  delete(id: number): boolean {
    const { ids, values } = this;
    const mask = ids.length - 1;
    let gap = this.find(id);
    if (values[gap] === undefined) return false;
    for (let at = (gap + 1) & mask; values[at] !== undefined; at = (at + 1) & mask) {
      // What would not be found beyond the gap moves into it.
      const home = this.home(ids[at] as number);
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      ids[gap] = ids[at] as number;
      values[gap] = values[at];
      gap = at;
    }
    values[gap] = undefined;
    this.count--;
    if (ids.length > capacityKept && this.count * 16 < ids.length) this.resize(ids.length / 2);
    return true;
  }

  /** All values, by ascending id. */
  all(): T[] {
    const places: number[] = [];
    for (let at = 0; at < this.values.length; at++) if (this.values[at] !== undefined) places.push(at);
    places.sort((a, b) => (this.ids[a] as number) - (this.ids[b] as number));
    return places.map((at) => this.values[at] as T);
  }

  clear(): void {
    this.ids = new Uint32Array(capacityMin);
    this.values = emptyValues(capacityMin);
    this.shift = 26;
    this.count = 0;
  }

  private home(id: number): number {
    return Math.imul(id, 0x9e37_79b1) >>> this.shift;
  }

  /** Where the id stands, or would. */
  private find(id: number): number {
    const { ids, values } = this;
    const mask = ids.length - 1;
    let at = this.home(id);
    while (values[at] !== undefined && ids[at] !== id) at = (at + 1) & mask;
    return at;
  }

  private resize(capacity: number): void {
    const { ids, values } = this;
    assert(capacity >= this.count * 2, "the table has room for what it holds");
    this.ids = new Uint32Array(capacity);
    this.values = emptyValues(capacity);
    this.shift = Math.clz32(capacity) + 1;
    for (let from = 0; from < values.length; from++) {
      const value = values[from];
      if (value === undefined) continue;
      const at = this.find(ids[from] as number);
      this.ids[at] = ids[from] as number;
      this.values[at] = value;
    }
  }
}

function emptyValues<T>(capacity: number): (T | undefined)[] {
  return new Array<T | undefined>(capacity).fill(undefined);
}
