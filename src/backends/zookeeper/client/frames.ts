import { MalformedBytes } from "../../../base/index.ts";

/** A frame that is larger than this side takes. */
export class OversizeFrame extends Error {
  override readonly name = "OversizeFrame";
  readonly bytes: number;
  /** The first four bytes of its body: which request is answered so. */
  readonly xid: number;

  constructor(bytes: number, xid: number) {
    super(`a frame of ${bytes} bytes`);
    this.bytes = bytes;
    this.xid = xid;
  }
}

const headBytes = 4;

/** Cuts a stream of bytes into frames, each behind its 32-bit length. Memory is taken as bytes arrive, never for a length that was only promised. */
export class FrameSplitter {
  private readonly bytesMax: number;
  private readonly take: (body: Uint8Array) => void;
  private held: Uint8Array;
  private used = 0;

  /** `take` is given each body; it is valid during the call only. */
  constructor(bytesMax: number, take: (body: Uint8Array) => void) {
    this.bytesMax = bytesMax;
    this.take = take;
    this.held = new Uint8Array(0);
  }

  /** Throws `MalformedBytes` for a length that cannot be, `OversizeFrame` for one above the limit; then the stream cannot go on. */
  push(bytes: Uint8Array): void {
    if (this.used === 0) return this.keep(bytes.subarray(this.split(bytes)));
    this.keep(bytes);
    const all = this.held.subarray(0, this.used);
    const taken = this.split(all);
    if (taken === 0) return;
    this.held.copyWithin(0, taken, this.used);
    this.used -= taken;
    if (this.used === 0) this.held = new Uint8Array(0);
  }

  private keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const end = this.used + bytes.length;
    if (end > this.held.length) {
      const next = new Uint8Array(Math.max(end, Math.min(this.held.length * 2, this.bytesMax + headBytes)));
      next.set(this.held.subarray(0, this.used));
      this.held = next;
    }
    this.held.set(bytes, this.used);
    this.used = end;
  }

  /** How many bytes were whole frames. */
  private split(bytes: Uint8Array): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    while (bytes.length - at >= headBytes) {
      const length = view.getInt32(at);
      if (length < 0) throw new MalformedBytes(`a frame of ${length} bytes`);
      if (length > this.bytesMax) {
        if (bytes.length - at < 2 * headBytes) break;
        throw new OversizeFrame(length, view.getInt32(at + headBytes));
      }
      if (bytes.length - at - headBytes < length) break;
      this.take(bytes.subarray(at + headBytes, at + headBytes + length));
      at += headBytes + length;
    }
    return at;
  }
}
