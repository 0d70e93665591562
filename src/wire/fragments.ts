import { MalformedBytes, limits } from "../base/index.ts";
import { u32At } from "./numbers.ts";
import { FrameType } from "./types.ts";

/** [type u8][u32 message id][u32 bytes of the whole][u32 offset of this piece], then the piece. */
export const fragmentHeaderBytes = 13;

/** Frames that are being sent in pieces at the same time on one connection: bounds what the other side gathers. */
export const fragmentedFramesMax = 16;
/** And their bytes together: two of the largest frames. */
export const fragmentedBytesMax: number = 2 * limits.frameBytesMax;

interface Partial {
  readonly frame: Uint8Array;
  filled: number;
}

export interface FragmentAssemblerOptions {
  /**
   * Pieces may be missing or repeated: a simulated network treats writes between nodes as messages.
   * A frame that misses a piece is then forgotten, as if it had been lost whole; otherwise it is malformed.
   */
  readonly lossy?: boolean;
  readonly frameBytesMax?: number;
}

/** Puts frames together that were split. Memory is bounded by the two limits above. */
export class FragmentAssembler {
  lossy: boolean;
  frameBytesMax: number;
  /** By message id, oldest first. */
  private readonly partials = new Map<number, Partial>();
  private bytes = 0;

  constructor(options: FragmentAssemblerOptions = {}) {
    this.lossy = options.lossy ?? false;
    this.frameBytesMax = options.frameBytesMax ?? limits.frameBytesMax;
  }

  /** Bytes held for frames that are not complete. */
  get heldBytes(): number {
    return this.bytes;
  }

  /** The whole frame, the receiver's own, when this piece was the last of it. Throws `MalformedBytes`. */
  push(fragment: Uint8Array): Uint8Array | undefined {
    if (fragment.length <= fragmentHeaderBytes) throw new MalformedBytes("a fragment without content");
    const id = u32At(fragment, 1);
    const total = u32At(fragment, 5);
    const offset = u32At(fragment, 9);
    const length = fragment.length - fragmentHeaderBytes;
    if (total > this.frameBytesMax) throw new MalformedBytes(`a split frame of ${total} bytes, ${this.frameBytesMax} allowed`);
    if (offset + length > total) throw new MalformedBytes("a fragment beyond the end of its frame");
    const partial = offset === 0 ? this.begin(id, total) : this.partials.get(id);
    if (partial === undefined || partial.filled !== offset || partial.frame.length !== total) return this.gap(id);
    partial.frame.set(fragment.subarray(fragmentHeaderBytes), offset);
    partial.filled += length;
    if (partial.filled < total) return undefined;
    this.forget(id);
    if (partial.frame[0] === FrameType.fragment) throw new MalformedBytes("a fragment within fragments");
    return partial.frame;
  }

  private begin(id: number, total: number): Partial {
    if (this.partials.has(id)) {
      if (!this.lossy) throw new MalformedBytes(`split frame ${id} begins twice`);
      this.forget(id);
    }
    while (this.partials.size >= fragmentedFramesMax || this.bytes + total > fragmentedBytesMax) {
      if (!this.lossy) throw new MalformedBytes("too many split frames at once");
      for (const oldest of this.partials.keys()) {
        this.forget(oldest);
        break;
      }
    }
    const partial: Partial = { frame: new Uint8Array(total), filled: 0 };
    this.partials.set(id, partial);
    this.bytes += total;
    return partial;
  }

  private gap(id: number): undefined {
    if (!this.lossy) throw new MalformedBytes(`split frame ${id} misses a piece`);
    this.forget(id);
    return undefined;
  }

  private forget(id: number): void {
    const partial = this.partials.get(id);
    if (partial === undefined) return;
    this.partials.delete(id);
    this.bytes -= partial.frame.length;
  }
}
