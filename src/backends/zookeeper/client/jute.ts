import { MalformedBytes, assert, emptyBytes, utf8Decode, utf8Encode } from "../../../base/index.ts";

/** What stands in place of a length for something that is not there: read as nothing, an empty text, no bytes, no elements. */
const absent = -1;

/** Appends values as ZooKeeper's record format has them: big-endian, each text, buffer and vector behind a 32-bit count. */
export class JuteWriter {
  private buffer: Uint8Array;
  private view: DataView;
  private used = 0;

  constructor(capacity = 128) {
    this.buffer = new Uint8Array(capacity);
    this.view = new DataView(this.buffer.buffer);
  }

  get length(): number {
    return this.used;
  }

  private grow(extra: number): number {
    const at = this.used;
    const end = at + extra;
    if (end > this.buffer.length) {
      const next = new Uint8Array(Math.max(end, this.buffer.length * 2));
      next.set(this.buffer.subarray(0, at));
      this.buffer = next;
      this.view = new DataView(next.buffer);
    }
    this.used = end;
    return at;
  }

  bool(value: boolean): this {
    const at = this.grow(1);
    this.buffer[at] = value ? 1 : 0;
    return this;
  }

  /** A signed 32-bit integer. */
  int(value: number): this {
    assert(Number.isInteger(value) && value >= -0x8000_0000 && value <= 0x7fff_ffff, "an int has 32 bits");
    const at = this.grow(4);
    this.view.setInt32(at, value);
    return this;
  }

  /** A signed 64-bit integer. */
  long(value: bigint): this {
    const at = this.grow(8);
    this.view.setBigInt64(at, value);
    return this;
  }

  buf(bytes: Uint8Array): this {
    return this.int(bytes.length).raw(bytes);
  }

  text(text: string): this {
    return this.buf(utf8Encode(text));
  }

  texts(texts: readonly string[]): this {
    this.int(texts.length);
    for (const text of texts) this.text(text);
    return this;
  }

  raw(bytes: Uint8Array): this {
    const at = this.grow(bytes.length);
    this.buffer.set(bytes, at);
    return this;
  }

  /** Hands the bytes out; the writer is not used afterwards. */
  take(): Uint8Array {
    const bytes = this.buffer.subarray(0, this.used);
    this.buffer = emptyBytes;
    return bytes;
  }
}

/** Reads what `JuteWriter` wrote. Throws `MalformedBytes` when the bytes end too early or say what cannot be; allocates no more than they hold. */
export class JuteReader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.bytes.length - this.at;
  }

  private advance(length: number): number {
    const at = this.at;
    if (length > this.bytes.length - at) throw new MalformedBytes(`${length} bytes wanted at ${at}, ${this.bytes.length - at} left`);
    this.at = at + length;
    return at;
  }

  bool(): boolean {
    const value = this.view.getUint8(this.advance(1));
    if (value > 1) throw new MalformedBytes(`${value} is no boolean`);
    return value === 1;
  }

  int(): number {
    return this.view.getInt32(this.advance(4));
  }

  long(): bigint {
    return this.view.getBigInt64(this.advance(8));
  }

  /** A 64-bit integer that is a time or a count: a number can hold it. */
  safeLong(): number {
    const value = Number(this.long());
    if (!Number.isSafeInteger(value)) throw new MalformedBytes(`${value} is beyond what a number holds`);
    return value;
  }

  /** How many follow, each of at least `bytesMin` bytes. */
  private count(bytesMin: number): number {
    const count = this.int();
    if (count === absent) return 0;
    if (count < 0 || count * bytesMin > this.remaining) throw new MalformedBytes(`a count of ${count}, and ${this.remaining} bytes left`);
    return count;
  }

  /** A view, valid as long as the bytes that are read. */
  private piece(): Uint8Array {
    const length = this.count(1);
    const at = this.advance(length);
    return this.bytes.subarray(at, at + length);
  }

  /** A copy. */
  buf(): Uint8Array {
    return this.piece().slice();
  }

  text(): string {
    return utf8Decode(this.piece());
  }

  texts(): string[] {
    const count = this.count(4);
    const texts: string[] = [];
    for (let i = 0; i < count; i++) texts.push(this.text());
    return texts;
  }
}
