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

/** Cuts a byte stream into messages. Nothing is kept for a message over the limit. */
export class FrameReader {
  private readonly messageBytesMax: number;
  private chunks: Uint8Array[] = [];
  private length = 0;

  constructor(messageBytesMax: number) {
    this.messageBytesMax = messageBytesMax;
  }

  /** Bytes kept for messages that are not whole. */
  get pendingBytes(): number {
    return this.length;
  }

  /** The bytes are valid only now: what is kept is copied. */
  push(bytes: Uint8Array): void {
    this.chunks.push(bytes.slice());
    this.length += bytes.length;
  }

  /** The next whole message, the caller's own; undefined when more bytes are needed. Throws `GrpcError`. */
  next(): Uint8Array | undefined {
    if (this.length < framePrefixBytes) return undefined;
    const all = this.joined();
    const length = ((all[1] as number) << 24) | ((all[2] as number) << 16) | ((all[3] as number) << 8) | (all[4] as number);
    if (all[0] !== 0) throw new GrpcError(Code.unimplemented, "grpc: compressed messages are not accepted; send grpc-encoding: identity");
    const unsigned = length >>> 0;
    if (unsigned > this.messageBytesMax) {
      throw new GrpcError(Code.resourceExhausted, `grpc: received message larger than max (${unsigned} vs. ${this.messageBytesMax})`);
    }
    const end = framePrefixBytes + unsigned;
    if (all.length < end) return undefined;
    this.chunks = all.length === end ? [] : [all.subarray(end)];
    this.length = all.length - end;
    return all.subarray(framePrefixBytes, end);
  }

  private joined(): Uint8Array {
    const first = this.chunks[0];
    if (first !== undefined && this.chunks.length === 1) return first;
    // While a large message comes in, its pieces are joined once, when it is whole.
    const head = first as Uint8Array;
    if (head.length >= framePrefixBytes) {
      const wanted =
        framePrefixBytes +
        ((((head[1] as number) << 24) | ((head[2] as number) << 16) | ((head[3] as number) << 8) | (head[4] as number)) >>> 0);
      if (this.length < wanted && wanted <= this.messageBytesMax) return head;
    }
    const all = new Uint8Array(this.length);
    let at = 0;
    for (const chunk of this.chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    this.chunks = [all];
    return all;
  }
}
