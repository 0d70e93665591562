/**
 * Hands out small pieces of larger buffers: a typed array above 64 bytes of its own costs several
 * times what a view costs. A piece keeps its whole slab alive, so take only what is short-lived.
 */
export class Slab {
  private readonly slabBytes: number;
  private buffer: Uint8Array;
  private used = 0;

  constructor(slabBytes = 16 * 1024) {
    this.slabBytes = slabBytes;
    this.buffer = new Uint8Array(slabBytes);
  }

  /** `head` and, behind it, `body`, as bytes of their own. */
  join(head: Uint8Array, body: Uint8Array): Uint8Array {
    const joined = this.take(head.length + body.length);
    joined.set(head);
    joined.set(body, head.length);
    return joined;
  }

  /** Bytes that nobody else has; all zero. Large ones get a buffer of their own. */
  take(length: number): Uint8Array {
    if (length > this.slabBytes >> 2) return new Uint8Array(length);
    if (this.used + length > this.slabBytes) {
      this.buffer = new Uint8Array(this.slabBytes);
      this.used = 0;
    }
    const start = this.used;
    this.used = start + length;
    return this.buffer.subarray(start, start + length);
  }
}
