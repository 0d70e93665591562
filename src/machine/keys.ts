import { latin1Decode } from "../base/index.ts";

/** Longer keys are rare; a scratch array for each of their lengths would not pay. */
const scratchMax = 128;

/**
 * Reads keys out of commands: twice as fast as a view and `latin1Decode`, and the strings are flat, so
 * that they take the least memory. An array of each length is kept, since its length is the key's.
 */
export class KeyReader {
  private readonly scratch: (number[] | undefined)[] = [];

  read(bytes: Uint8Array, at: number, length: number): string {
    if (length > scratchMax) return latin1Decode(bytes.subarray(at, at + length));
    let scratch = this.scratch[length];
    if (scratch === undefined) {
      scratch = new Array<number>(length).fill(0);
      this.scratch[length] = scratch;
    }
    for (let i = 0; i < length; i++) scratch[i] = bytes[at + i] as number;
    return String.fromCharCode.apply(null, scratch);
  }
}

/** A little-endian number of four bytes that are there. */
export function u32At(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24)) >>> 0
  );
}
