import { assert, equalBytes, utf8Encode } from "../../base/index.ts";

/** What the writer was told about a key. */
export const Fate = { none: 0, pending: 1, acknowledged: 2, unknown: 3, refused: 4 } as const;
export type Fate = (typeof Fate)[keyof typeof Fate];

const fine = 0;
const lost = 1;
const wrong = 2;

/**
 * Every write of the demo, two bytes per key whatever the key and value are: both follow from the
 * writer and a number that is used once.
 */
export class Ledger {
  readonly writers: number;
  private readonly fates: Uint8Array[];
  private readonly marks: Uint8Array[];
  private readonly used: number[];
  private readonly counts: number[] = [0, 0, 0, 0, 0];

  constructor(writers: number) {
    this.writers = writers;
    this.fates = Array.from({ length: writers }, () => new Uint8Array(16_384));
    this.marks = Array.from({ length: writers }, () => new Uint8Array(0));
    this.used = Array.from({ length: writers }, () => 0);
  }

  get acknowledged(): number {
    return this.counts[Fate.acknowledged] ?? 0;
  }

  get unknown(): number {
    return (this.counts[Fate.unknown] ?? 0) + (this.counts[Fate.pending] ?? 0);
  }

  get refused(): number {
    return this.counts[Fate.refused] ?? 0;
  }

  /** How many keys a writer has used: their numbers are 0 to this - 1. */
  keys(writer: number): number {
    return this.used[writer] ?? 0;
  }

  fate(writer: number, number: number): Fate {
    return (this.fates[writer]?.[number] ?? Fate.none) as Fate;
  }

  /** The number of the writer's next key. */
  begin(writer: number): number {
    const number = this.keys(writer);
    this.used[writer] = number + 1;
    const fates = this.fates[writer] ?? new Uint8Array(0);
    if (number >= fates.length) {
      const larger = new Uint8Array(fates.length * 2);
      larger.set(fates);
      this.fates[writer] = larger;
    }
    this.count(writer, number, Fate.pending);
    return number;
  }

  settle(writer: number, number: number, fate: "acknowledged" | "unknown" | "refused"): void {
    assert(this.fate(writer, number) === Fate.pending, "a write is settled once");
    this.counts[Fate.pending] = (this.counts[Fate.pending] ?? 0) - 1;
    this.count(writer, number, Fate[fate]);
  }

  private count(writer: number, number: number, fate: Fate): void {
    const fates = this.fates[writer];
    if (fates !== undefined) fates[number] = fate;
    this.counts[fate] = (this.counts[fate] ?? 0) + 1;
  }

  /** What a read found for a key; undefined: nothing. An unknown write may or may not be there. */
  check(writer: number, number: number, value: Uint8Array | undefined): void {
    const fate = this.fate(writer, number);
    if (value === undefined) {
      if (fate === Fate.acknowledged) this.mark(writer, number, lost);
      return;
    }
    // A write that was said to have no effect must not be there either.
    if (fate === Fate.refused || fate === Fate.none || !equalBytes(value, demoValue(writer, number))) this.mark(writer, number, wrong);
  }

  private mark(writer: number, number: number, mark: number): void {
    let marks = this.marks[writer] ?? new Uint8Array(0);
    if (number >= marks.length) {
      const larger = new Uint8Array(Math.max(number + 1, this.keys(writer)));
      larger.set(marks);
      marks = larger;
      this.marks[writer] = marks;
    }
    marks[number] = mark;
  }

  /** Distinct keys, however many nodes showed the fault. */
  get lost(): number {
    return this.marked(lost);
  }

  get wrong(): number {
    return this.marked(wrong);
  }

  private marked(mark: number): number {
    assert(mark !== fine, "only faults are counted");
    let total = 0;
    for (const marks of this.marks) for (const value of marks) if (value === mark) total++;
    return total;
  }
}

/** Fixed width, so that keys are ordered as their numbers are. */
export function demoKey(writer: number, number: number): string {
  return `demo/${writer}/${number.toString().padStart(9, "0")}`;
}

/** The number in a key of `demoKey`. */
export function demoNumber(key: string): number {
  return Number(key.slice(key.lastIndexOf("/") + 1));
}

/** 48 bytes that follow from the key and fit no other. */
export function demoValue(writer: number, number: number): Uint8Array {
  const mixed = Math.imul(Math.imul(number ^ 0x9e3779b9, 0x85ebca6b) ^ (writer + 1), 0xc2b2ae35) >>> 0;
  const text = mixed.toString(16).padStart(8, "0");
  return utf8Encode(`"${writer}/${number.toString().padStart(9, "0")}/${text}${text}${text}${text}"`);
}
