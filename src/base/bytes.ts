import { assert } from "./assert.ts";

/**
 * Bytes that came from outside (a socket, a file, another version of Unum) and do not mean what
 * their place says. Told apart from `AssertionFailure`: the world is wrong here, not our reasoning.
 */
export class MalformedBytes extends Error {
  override readonly name = "MalformedBytes";
}

export const emptyBytes: Uint8Array = new Uint8Array(0);
const emptyView = new DataView(emptyBytes.buffer);

const two32 = 0x1_0000_0000;

/** `cut()` hands out pieces of buffers of this size: a small typed array of its own costs ten times as much. */
const cutBytes = 64 * 1024;

/**
 * Appends little-endian values to a buffer that grows. `take()` hands the bytes out without a copy
 * and forgets them; the writer may be used again.
 */
export class Writer {
  private buffer: Uint8Array;
  private view: DataView;
  /** What was handed out by `cut` lies below. */
  private base = 0;
  private used = 0;
  /** Capacity of the next buffer, made when it is first needed: most writers are used once. */
  private nextCapacity = 64;

  constructor(capacity = 256) {
    this.buffer = new Uint8Array(capacity);
    this.view = new DataView(this.buffer.buffer);
  }

  get length(): number {
    return this.used - this.base;
  }

  /** Makes room for `extra` more bytes and returns where they begin. */
  private grow(extra: number): number {
    const start = this.used;
    const end = start + extra;
    if (end > this.buffer.length) return this.move(extra);
    this.used = end;
    return start;
  }

  /** `grow` into another buffer, which holds what was not handed out. */
  private move(extra: number): number {
    const start = this.length;
    const end = start + extra;
    let capacity = this.base > 0 ? cutBytes : Math.max(this.nextCapacity, this.buffer.length * 2);
    while (capacity < end) capacity *= 2;
    const next = new Uint8Array(capacity);
    next.set(this.buffer.subarray(this.base, this.used));
    this.buffer = next;
    this.view = new DataView(next.buffer);
    this.base = 0;
    this.used = end;
    return start;
  }

  u8(value: number): this {
    const at = this.grow(1);
    this.buffer[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.grow(2);
    this.view.setUint16(at, value, true);
    return this;
  }

  u32(value: number): this {
    const at = this.grow(4);
    this.view.setUint32(at, value, true);
    return this;
  }

  /** 64 bits on the wire, a number here: an integer from 0 to 2^53 - 1. */
  u64(value: number): this {
    assert(value >= 0, "u64 takes no negative number");
    assert(Number.isSafeInteger(value), "u64 takes a safe integer");
    const at = this.grow(8);
    this.view.setUint32(at, value % two32, true);
    this.view.setUint32(at + 4, Math.floor(value / two32), true);
    return this;
  }

  big64(value: bigint): this {
    const at = this.grow(8);
    this.view.setBigUint64(at, value, true);
    return this;
  }

  f64(value: number): this {
    const at = this.grow(8);
    this.view.setFloat64(at, value, true);
    return this;
  }

  raw(bytes: Uint8Array): this {
    const at = this.grow(bytes.length);
    this.buffer.set(bytes, at);
    return this;
  }

  /** A 32-bit length and the bytes. */
  blob(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  /** A 32-bit length and one byte per character. The string must be latin1 (every code ≤ 0xff). */
  latin1(text: string): this {
    this.u32(text.length);
    const at = this.grow(text.length);
    const buffer = this.buffer;
    let seen = 0;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      seen |= code;
      buffer[at + i] = code;
    }
    assert(seen <= 0xff, "latin1 takes one byte per character");
    return this;
  }

  /** A 32-bit length and the UTF-8 form. */
  text(text: string): this {
    return this.blob(utf8Encode(text));
  }

  /** Overwrites four bytes written before, e.g. a length known only now. */
  patchU32(at: number, value: number): void {
    assert(at + 4 <= this.length, "patch lies within what was written");
    this.view.setUint32(this.base + at, value, true);
  }

  patchU8(at: number, value: number): void {
    assert(at < this.length, "patch lies within what was written");
    this.buffer[this.base + at] = value;
  }

  /** The bytes so far, valid until the next write. */
  peek(): Uint8Array {
    return this.buffer.subarray(this.base, this.used);
  }

  /** Hands the bytes out and starts anew. The next buffer is about as large as what was taken, so that small frames keep no large ones alive. */
  take(): Uint8Array {
    const bytes = this.peek();
    let capacity = 64;
    while (capacity < bytes.length && capacity < 64 * 1024) capacity *= 2;
    this.nextCapacity = capacity;
    this.buffer = emptyBytes;
    this.view = emptyView;
    this.base = 0;
    this.used = 0;
    return bytes;
  }

  /**
   * Hands the bytes out without a copy and goes on behind them: for many small results that do not live
   * long. They share a buffer, which lives as long as any of them: copy what is kept.
   */
  cut(): Uint8Array {
    const bytes = this.peek();
    if (this.buffer.length > cutBytes) return this.take();
    this.base = this.used;
    return bytes;
  }

  /** A copy of exactly the bytes so far; the writer's buffer is kept for the next use. */
  copy(): Uint8Array {
    const bytes = this.buffer.slice(this.base, this.used);
    this.used = this.base;
    return bytes;
  }

  reset(): void {
    this.used = this.base;
  }
}

/** Reads what `Writer` wrote. Every method throws `MalformedBytes` when the bytes end too early. */
export class Reader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at: number;
  private readonly end: number;

  constructor(bytes: Uint8Array, at = 0, end: number = bytes.length) {
    assert(end <= bytes.length, "a reader ends within its bytes");
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
    this.end = end;
  }

  get offset(): number {
    return this.at;
  }

  get remaining(): number {
    return this.end - this.at;
  }

  private advance(length: number): number {
    const at = this.at;
    if (!(length >= 0 && length <= this.end - at)) throw new MalformedBytes(`${length} bytes wanted at ${at}, ${this.end - at} left`);
    this.at = at + length;
    return at;
  }

  u8(): number {
    return this.view.getUint8(this.advance(1));
  }

  u16(): number {
    return this.view.getUint16(this.advance(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.advance(4), true);
  }

  u64(): number {
    const at = this.advance(8);
    const high = this.view.getUint32(at + 4, true);
    if (high > 0x1f_ffff) throw new MalformedBytes(`64-bit number at ${at} is beyond 2^53`);
    return high * two32 + this.view.getUint32(at, true);
  }

  big64(): bigint {
    return this.view.getBigUint64(this.advance(8), true);
  }

  f64(): number {
    return this.view.getFloat64(this.advance(8), true);
  }

  /** A view of the next bytes, not a copy: copy what outlives the frame. */
  raw(length: number): Uint8Array {
    const at = this.advance(length);
    return this.bytes.subarray(at, at + length);
  }

  blob(): Uint8Array {
    return this.raw(this.u32());
  }

  latin1(): string {
    return latin1Decode(this.blob());
  }

  text(): string {
    return utf8Decode(this.blob());
  }

  rest(): Uint8Array {
    return this.raw(this.remaining);
  }

  /** Everything must have been read: trailing bytes mean another format than ours. */
  finish(): void {
    if (this.at !== this.end) throw new MalformedBytes(`${this.end - this.at} bytes left over`);
  }
}

export function concatBytes(chunks: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const chunk of chunks) length += chunk.length;
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Unsigned byte order: the order of keys everywhere. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

const chunkSize = 8192;

/** One character per byte, so that JavaScript's string order is the unsigned byte order. */
export function latin1Decode(bytes: Uint8Array): string {
  const length = bytes.length;
  if (length <= chunkSize) return String.fromCharCode.apply(null, bytes as unknown as number[]);
  let text = "";
  for (let at = 0; at < length; at += chunkSize) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, at + chunkSize) as unknown as number[]);
  }
  return text;
}

/** The string must be latin1: every character is one byte. */
export function latin1Encode(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  let seen = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    seen |= code;
    bytes[i] = code;
  }
  assert(seen <= 0xff, "latin1 takes one byte per character");
  return bytes;
}

/** Whether a JavaScript string is well-formed UTF-16: a lone surrogate has no UTF-8 form. */
export function isWellFormed(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0xd800 || unit > 0xdfff) continue;
    const next = text.charCodeAt(i + 1);
    if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return false;
    i++;
  }
  return true;
}

/** UTF-8 without `TextEncoder`, which the pure layers do not have. A lone surrogate becomes U+FFFD. */
export function utf8Encode(text: string): Uint8Array {
  let bytes = new Uint8Array(text.length + (text.length >> 1) + 3);
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if (code >= 0xd800 && code <= 0xdfff) {
      const next = text.charCodeAt(i + 1);
      if (code <= 0xdbff && next >= 0xdc00 && next <= 0xdfff) {
        code = 0x10000 + ((code - 0xd800) << 10) + (next - 0xdc00);
        i++;
      } else code = 0xfffd;
    }
    if (at + 4 > bytes.length) {
      const larger = new Uint8Array(bytes.length * 2);
      larger.set(bytes);
      bytes = larger;
    }
    if (code < 0x80) bytes[at++] = code;
    else if (code < 0x800) {
      bytes[at++] = 0xc0 | (code >> 6);
      bytes[at++] = 0x80 | (code & 0x3f);
    } else if (code < 0x10000) {
      bytes[at++] = 0xe0 | (code >> 12);
      bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
      bytes[at++] = 0x80 | (code & 0x3f);
    } else {
      bytes[at++] = 0xf0 | (code >> 18);
      bytes[at++] = 0x80 | ((code >> 12) & 0x3f);
      bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
      bytes[at++] = 0x80 | (code & 0x3f);
    }
  }
  return bytes.subarray(0, at);
}

const smallestOfLength = [0, 0, 0x80, 0x800, 0x10000];

/** The text of UTF-8 bytes, or undefined when they are not UTF-8 (overlong forms and surrogates included). */
export function utf8TryDecode(bytes: Uint8Array): string | undefined {
  const units: number[] = [];
  let text = "";
  for (let i = 0; i < bytes.length; ) {
    const first = bytes[i++] ?? 0;
    if (first < 0x80) units.push(first);
    else {
      const length = first >= 0xf8 ? 0 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
      if (length === 0 || i + length - 1 > bytes.length) return undefined;
      let code = first & (0x7f >> length);
      for (let n = 1; n < length; n++) {
        const next = bytes[i++] ?? 0;
        if ((next & 0xc0) !== 0x80) return undefined;
        code = (code << 6) | (next & 0x3f);
      }
      if (code < (smallestOfLength[length] ?? 0) || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return undefined;
      if (code < 0x10000) units.push(code);
      else units.push(0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
    }
    if (units.length >= chunkSize) {
      text += String.fromCharCode.apply(null, units);
      units.length = 0;
    }
  }
  return text + String.fromCharCode.apply(null, units);
}

export function utf8Decode(bytes: Uint8Array): string {
  const text = utf8TryDecode(bytes);
  if (text === undefined) throw new MalformedBytes("text is not UTF-8");
  return text;
}
