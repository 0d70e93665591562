import { concatBytes, emptyBytes } from "../../../base/index.ts";
import { Code, GrpcError } from "../grpc/index.ts";

const quote = 0x22;
const backslash = 0x5c;
const open = 0x7b;
const close = 0x7d;
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/** Cuts a byte stream into JSON objects, which may follow each other with or without space between them. */
export class JsonReader {
  private readonly bytesMax: number;
  private held: Uint8Array = emptyBytes;
  /** Up to here `held` was looked at. */
  private at = 0;
  private depth = 0;
  private quoted = false;
  private escaped = false;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** Something was begun and not finished. */
  get isPartial(): boolean {
    return this.held.some((byte) => !isSpace(byte));
  }

  /** What is kept is copied. Throws when an object is over the limit. */
  push(bytes: Uint8Array): void {
    this.held = concatBytes([this.held, bytes]);
    if (this.held.length > this.bytesMax) throw new GrpcError(Code.resourceExhausted, `the request is larger than ${this.bytesMax} bytes`);
  }

  /** The bytes of the next whole object. What does not begin as one is given whole, for the parser to refuse. */
  next(): Uint8Array | undefined {
    const { held } = this;
    for (; this.at < held.length; this.at++) {
      const byte = held[this.at] as number;
      if (this.escaped) this.escaped = false;
      else if (this.quoted) {
        if (byte === backslash) this.escaped = true;
        else if (byte === quote) this.quoted = false;
      } else if (byte === quote) this.quoted = true;
      else if (byte === open) this.depth++;
      else if (byte === close && --this.depth <= 0) return this.cut(this.at + 1);
      else if (this.depth === 0 && !isSpace(byte)) return this.cut(held.length);
    }
    return undefined;
  }

  private cut(end: number): Uint8Array {
    const object = this.held.subarray(0, end);
    this.held = this.held.subarray(end);
    this.at = 0;
    this.depth = 0;
    this.quoted = false;
    return object;
  }
}
