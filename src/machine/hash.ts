/**
 * The incremental hash of replicated state: every item (an entry, a lease, a reply) has a 64-bit
 * hash, and the state's is their sum, lane by lane, so that neither order nor history matters.
 * It tells replicas apart that should be equal; it is no defence against an adversary.
 */
export class Hash {
  low = 0;
  high = 0;

  add(low: number, high: number): void {
    this.low = (this.low + low) >>> 0;
    this.high = (this.high + high) >>> 0;
  }

  subtract(low: number, high: number): void {
    this.low = (this.low - low) >>> 0;
    this.high = (this.high - high) >>> 0;
  }

  /** 16 hex digits. */
  text(): string {
    return hashText(this.low, this.high);
  }
}

export function hashText(low: number, high: number): string {
  return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
}

/** Hashes one item, word by word; then `low` and `high` hold the result. Made to be reused. */
export class Mixer {
  low = 0;
  high = 0;

  begin(tag: number): void {
    this.low = Math.imul(tag + 1, 0x9e3779b1);
    this.high = Math.imul(tag + 1, 0x85ebca77);
  }

  word(word: number): void {
    const low = Math.imul(this.low ^ word, 0xcc9e2d51);
    this.low = (low << 15) | (low >>> 17);
    this.high = ((Math.imul(this.high + word, 0x1b873593) ^ low) + ((this.high << 7) | (this.high >>> 25))) | 0;
  }

  /** A safe integer. */
  number(value: number): void {
    this.word(value | 0);
    this.word(Math.floor(value / 0x1_0000_0000) | 0);
  }

  /** A latin1 string and its length. */
  text(text: string): void {
    const length = text.length;
    this.word(length);
    let at = 0;
    for (; at + 3 < length; at += 4) {
      this.word(text.charCodeAt(at) | (text.charCodeAt(at + 1) << 8) | (text.charCodeAt(at + 2) << 16) | (text.charCodeAt(at + 3) << 24));
    }
    let rest = 0;
    for (; at < length; at++) rest = (rest << 8) | text.charCodeAt(at);
    this.word(rest);
  }

  /** `length` bytes and their number; little-endian words whatever the machine. */
  bytes(view: DataView, from: number, length: number): void {
    let low = this.low;
    let high = this.high;
    const words = from + (length & ~3);
    let at = from;
    for (; at < words; at += 4) {
      const word = view.getInt32(at, true);
      low = Math.imul(low ^ word, 0xcc9e2d51);
      low = (low << 15) | (low >>> 17);
      high = ((Math.imul(high + word, 0x1b873593) ^ low) + ((high << 7) | (high >>> 25))) | 0;
    }
    this.low = low;
    this.high = high;
    let rest = 0;
    for (; at < from + length; at++) rest = (rest << 8) | view.getUint8(at);
    this.word(rest);
    this.word(length);
  }

  /** Spreads every bit over both lanes. Unsigned. */
  finish(): void {
    let low = this.low ^ (this.high >>> 16);
    let high = this.high ^ (this.low >>> 16);
    low = Math.imul(low ^ (low >>> 16), 0x85ebca6b);
    high = Math.imul(high ^ (high >>> 15), 0x2c1b3c6d);
    low = Math.imul(low ^ (high >>> 13), 0xc2b2ae35);
    high = Math.imul(high ^ (low >>> 12), 0x297a2d39);
    this.low = (low ^ (low >>> 16)) >>> 0;
    this.high = (high ^ (high >>> 15)) >>> 0;
  }
}
