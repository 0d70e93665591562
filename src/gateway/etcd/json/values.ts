import { emptyBytes } from "../../../base/index.ts";
import { Code, GrpcError } from "../../../etcd/index.ts";

const quote = 0x22;
const backslash = 0x5c;
const open = 0x7b;
const close = 0x7d;
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/** Cuts a byte stream into JSON objects, which may follow each other with or without space between them. */
export class JsonReader {
  private readonly bytesMax: number;
  /** What has come and is not read lies from `from` to `to`; what stands before belongs to those who have it, what follows is free. */
  private buffer: Uint8Array = emptyBytes;
  private from = 0;
  private to = 0;
  /** Up to here it was looked at. */
  private at = 0;
  private depth = 0;
  private quoted = false;
  private escaped = false;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** Something was begun and not finished. */
  get isPartial(): boolean {
    return this.buffer.subarray(this.from, this.to).some((byte) => !isSpace(byte));
  }

  /** Memory that is kept for it. */
  get heldBytes(): number {
    return this.to === this.from ? 0 : this.buffer.length;
  }

  /** What is kept is copied; each byte but a few times, in however small pieces they come. Throws when an object is over the limit. */
  push(bytes: Uint8Array): void {
    const needed = this.to - this.from + bytes.length;
    if (needed > this.bytesMax) throw new GrpcError(Code.resourceExhausted, `the request is larger than ${this.bytesMax} bytes`);
    if (this.to + bytes.length > this.buffer.length) this.grow(needed);
    this.buffer.set(bytes, this.to);
    this.to += bytes.length;
  }

  /** The bytes of the next whole object. What does not begin as one is given whole, for the parser to refuse. */
  next(): Uint8Array | undefined {
    const { buffer, to } = this;
    for (; this.at < to; this.at++) {
      const byte = buffer[this.at] as number;
      if (this.escaped) this.escaped = false;
      else if (this.quoted) {
        if (byte === backslash) this.escaped = true;
        else if (byte === quote) this.quoted = false;
      } else if (byte === quote) this.quoted = true;
      else if (byte === open) this.depth++;
      else if (byte === close && --this.depth <= 0) return this.cut(this.at + 1);
      else if (this.depth === 0 && !isSpace(byte)) return this.cut(to);
    }
    return undefined;
  }

  private cut(end: number): Uint8Array {
    const object = this.buffer.subarray(this.from, end);
    this.from = end;
    this.at = end;
    this.depth = 0;
    this.quoted = false;
    return object;
  }

  private grow(needed: number): void {
    const larger = new Uint8Array(this.to === this.from ? needed : Math.min(needed * 2, this.bytesMax));
    larger.set(this.buffer.subarray(this.from, this.to));
    this.buffer = larger;
    this.to -= this.from;
    this.at -= this.from;
    this.from = 0;
  }
}
