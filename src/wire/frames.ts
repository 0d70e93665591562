import { MalformedBytes, limits } from "../base/index.ts";
import { u32At } from "./numbers.ts";

/** Bytes of the length that stands before a frame on a byte stream. */
export const framePrefixBytes = 4;

/** A cut frame of up to this size is gathered in one buffer that is used again for the next. */
const scratchBytesMax = 64 * 1024;

/**
 * Finds the frames ([u32 length][type u8][payload]) in a byte stream that may be cut anywhere.
 * A frame that lies whole within the pushed bytes is passed as a view of them, without a copy.
 *
 * Invariant: `wanted` is 0 exactly while no complete length has been read; then `prefixBytes` of it
 * are gathered in `prefix`. Otherwise `filled` < `wanted` bytes of the frame are in `partialFrame`.
 */
export class FrameDecoder {
  /** The largest frame accepted from now on. */
  maxBytes: number;
  private prefix = 0;
  private prefixBytes = 0;
  private wanted = 0;
  private filled = 0;
  private partialFrame: Uint8Array = new Uint8Array(0);
  private stopped = false;

  constructor(maxBytes: number = limits.frameBytesMax) {
    this.maxBytes = maxBytes;
  }

  /** Whether the stream, if it ended now, would end in the middle of a frame. */
  get partial(): boolean {
    return this.prefixBytes > 0 || this.wanted > 0;
  }

  /** Bytes held of a frame that has not come whole. */
  get heldBytes(): number {
    return this.partial ? framePrefixBytes + this.filled : 0;
  }

  /** No further frame is passed on, not even of the bytes being pushed now. */
  stop(): void {
    this.stopped = true;
  }

  /**
   * Frames are valid only during `onFrame`. Throws `MalformedBytes` for a length of 0 or above the
   * limit, before anything is allocated for it; after that the decoder passes nothing on.
   */
  push(bytes: Uint8Array, onFrame: (frame: Uint8Array) => void): void {
    const end = bytes.length;
    let at = this.partial ? this.resume(bytes, onFrame) : 0;
    while (!this.stopped && end - at >= framePrefixBytes) {
      const length = this.checked(u32At(bytes, at));
      if (end - at - framePrefixBytes < length) break;
      const start = at + framePrefixBytes;
      at = start + length;
      onFrame(bytes.subarray(start, at));
    }
    if (this.stopped || at === end) return;
    at = this.readPrefix(bytes, at);
    if (this.wanted > 0) this.fill(bytes, at);
  }

  private checked(length: number): number {
    if (length > 0 && length <= this.maxBytes) return length;
    this.stopped = true;
    throw new MalformedBytes(length === 0 ? "a frame without a type" : `a frame of ${length} bytes, ${this.maxBytes} allowed`);
  }

  /** Completes the frame that was cut, as far as `bytes` go; returns how many were used. */
  private resume(bytes: Uint8Array, onFrame: (frame: Uint8Array) => void): number {
    let at = 0;
    if (this.wanted === 0) at = this.readPrefix(bytes, at);
    if (this.wanted === 0 || this.stopped) return at;
    at = this.fill(bytes, at);
    if (this.filled < this.wanted) return at;
    const frame = this.partialFrame.subarray(0, this.wanted);
    this.wanted = 0;
    this.filled = 0;
    if (this.partialFrame.length > scratchBytesMax) this.partialFrame = new Uint8Array(0);
    onFrame(frame);
    return at;
  }

  private readPrefix(bytes: Uint8Array, from: number): number {
    let at = from;
    while (this.prefixBytes < framePrefixBytes && at < bytes.length) {
      this.prefix = (this.prefix | ((bytes[at++] as number) << (8 * this.prefixBytes))) >>> 0;
      this.prefixBytes++;
    }
    if (this.prefixBytes < framePrefixBytes) return at;
    const length = this.prefix;
    this.prefix = 0;
    this.prefixBytes = 0;
    this.wanted = this.checked(length);
    return at;
  }

  /** What is held grows with what has come, at most twice as fast: a length alone costs nothing. */
  private reserve(bytes: number): void {
    if (this.partialFrame.length >= bytes) return;
    const grown = new Uint8Array(Math.min(this.wanted, Math.max(2 * bytes, Math.min(4096, this.maxBytes))));
    grown.set(this.partialFrame.subarray(0, this.filled));
    this.partialFrame = grown;
  }

  private fill(bytes: Uint8Array, from: number): number {
    const length = Math.min(this.wanted - this.filled, bytes.length - from);
    this.reserve(this.filled + length);
    this.partialFrame.set(bytes.subarray(from, from + length), this.filled);
    this.filled += length;
    return from + length;
  }
}
