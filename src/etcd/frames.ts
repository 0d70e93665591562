import { emptyBytes } from "../base/index.ts";
import { Code, GrpcError } from "./status.ts";

/** [compressed u8][length u32, big-endian] stands before each message. */
export const framePrefixBytes = 5;

/** Where a message's bytes go in a new frame: behind the prefix, which is written here. */
export function frameFor(length: number): Uint8Array {
  const frame = new Uint8Array(framePrefixBytes + length);
  frame[1] = length >>> 24;
  frame[2] = length >>> 16;
  frame[3] = length >>> 8;
  frame[4] = length;
  return frame;
}

export function frameOf(message: Uint8Array): Uint8Array {
  const frame = frameFor(message.length);
  frame.set(message, framePrefixBytes);
  return frame;
}

/**
 * Cuts a byte stream into messages. Nothing is kept for a message over the limit, and for one that comes in small pieces never more than
 * twice what has come.
 */
export class FrameReader {
  private readonly messageBytesMax: number;
  /** What has come and is not read lies from `from` to `to`; what stands before belongs to those who have it, what follows is free. */
  private buffer: Uint8Array = emptyBytes;
  private from = 0;
  private to = 0;

  constructor(messageBytesMax: number) {
    this.messageBytesMax = messageBytesMax;
  }

  /** Bytes that have come of a message that is not whole. */
  get pendingBytes(): number {
    return this.to - this.from;
  }

  /** Memory that they take. */
  get heldBytes(): number {
    return this.pendingBytes === 0 ? 0 : this.buffer.length;
  }

  /** The bytes are valid only now: what is kept is copied. */
  push(bytes: Uint8Array): void {
    const pending = this.to - this.from;
    if (pending === 0) {
      this.buffer = bytes.slice();
      this.from = 0;
      this.to = bytes.length;
      return;
    }
    if (this.to + bytes.length > this.buffer.length) this.grow(pending + bytes.length);
    this.buffer.set(bytes, this.to);
    this.to += bytes.length;
  }

  /** The next whole message, the caller's own; undefined when more bytes are needed. Throws `GrpcError`. */
  next(): Uint8Array | undefined {
    const length = this.messageLength();
    if (length === undefined || this.pendingBytes < framePrefixBytes + length) return undefined;
    const begin = this.from + framePrefixBytes;
    this.from = begin + length;
    return this.buffer.subarray(begin, this.from);
  }

  /** Of the message that has begun; undefined while even that is unknown. */
  private messageLength(): number | undefined {
    const { buffer, from } = this;
    if (this.to - from < framePrefixBytes) return undefined;
    if (buffer[from] !== 0)
      throw new GrpcError(Code.unimplemented, "grpc: compressed messages are not accepted; send grpc-encoding: identity");
    const length =
      (((buffer[from + 1] as number) << 24) |
        ((buffer[from + 2] as number) << 16) |
        ((buffer[from + 3] as number) << 8) |
        (buffer[from + 4] as number)) >>>
      0;
    if (length > this.messageBytesMax) {
      throw new GrpcError(Code.resourceExhausted, `grpc: received message larger than max (${length} vs. ${this.messageBytesMax})`);
    }
    return length;
  }

  /** A new buffer: as large as the whole message once a good part of it has come, and else twice what is needed. */
  private grow(needed: number): void {
    const whole = framePrefixBytes + (this.messageLength() ?? 0);
    const larger = new Uint8Array(needed <= whole ? Math.min(whole, needed * 2) : needed);
    larger.set(this.buffer.subarray(this.from, this.to));
    this.buffer = larger;
    this.to -= this.from;
    this.from = 0;
  }
}
