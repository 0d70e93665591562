import { assert, limits } from "../base/index.ts";
import { fragmentHeaderBytes, fragmentedBytesMax, fragmentedFramesMax } from "./fragments.ts";
import { framePrefixBytes } from "./frames.ts";
import { putU32, u32At } from "./numbers.ts";
import { FrameType } from "./types.ts";

const chunkBytesMin = 4 * 1024;
const chunkBytesMax = 256 * 1024;

interface Split {
  readonly id: number;
  readonly lane: number;
  readonly frame: Uint8Array;
  sent: number;
}

/**
 * Which frames must keep their order: those of one request, stream, group or transfer (the 32-bit
 * id behind the type), within one family of types. Frames without such an id keep it by type.
 */
function laneOf(frame: Uint8Array): number {
  const type = frame[0] as number;
  if (type < FrameType.request || type === FrameType.push || frame.length < 5) return -type - 1;
  return (type >> 3) * 0x1_0000_0000 + u32At(frame, 1);
}

/**
 * Gathers the frames of a turn into few chunks of bytes, each of whole frames with their lengths.
 * A frame above the limit travels in pieces, which take turns with the pieces of other large frames
 * and never stand before a small frame, unless both are of one lane (above): lanes keep their order.
 *
 * Invariants: `splits` are frames being sent in pieces, at most `fragmentedFramesMax` of at most
 * `fragmentedBytesMax` together; `waiting` are large ones not begun; `behind` has a list for exactly
 * the lanes of both, of the frames that must not overtake them.
 */
export class FrameBatcher {
  private readonly splitBytes: number;
  private buffer: Uint8Array = new Uint8Array(0);
  private start = 0;
  private used = 0;
  private chunkBytes = chunkBytesMin;
  private readonly full: Uint8Array[] = [];
  private copiedBytes = 0;

  private splits: Split[] = [];
  private splitTotal = 0;
  private turn = 0;
  private nextId = 1;
  private waiting: Uint8Array[] = [];
  private readonly behind = new Map<number, Uint8Array[]>();
  private largeBytes = 0;

  constructor(splitBytes: number = limits.frameSplitBytes) {
    this.splitBytes = splitBytes;
  }

  /** Bytes pushed and not yet handed out. */
  get queuedBytes(): number {
    return this.copiedBytes + this.largeBytes;
  }

  /** Whether pieces of large frames are left that no `drain` has handed out. */
  get hasPieces(): boolean {
    return this.splits.length > 0;
  }

  /** Small frames are copied now; a large one is kept until its last piece is handed out. */
  push(frame: Uint8Array): void {
    const length = frame.length;
    assert(length > 0, "a frame has a type");
    assert(length <= limits.frameBytesMax, "a frame is within the limit");
    if (this.behind.size > 0) {
      const queue = this.behind.get(laneOf(frame));
      if (queue !== undefined) {
        queue.push(frame);
        this.largeBytes += length;
        return;
      }
    }
    if (length <= this.splitBytes) this.append(frame);
    else this.enqueue(frame);
  }

  /** Hands out all small frames, then pieces of large ones until `pieceBytes` of them are out. */
  drain(pieceBytes: number, write: (chunk: Uint8Array) => void): void {
    let left = pieceBytes;
    while (left > 0 && this.splits.length > 0) left -= this.appendPiece();
    const emitted = this.copiedBytes;
    if (emitted === 0) return;
    this.copiedBytes = 0;
    this.chunkBytes = Math.min(chunkBytesMax, Math.max(chunkBytesMin, emitted));
    for (const chunk of this.full) write(chunk);
    this.full.length = 0;
    if (this.used === this.start) return;
    const chunk = this.buffer.subarray(this.start, this.used);
    this.start = this.used;
    write(chunk);
  }

  /** Room for `length` bytes of frame behind their length, which is written; returns where they begin. */
  private reserve(length: number): number {
    const wanted = length + framePrefixBytes;
    if (this.used + wanted > this.buffer.length) {
      if (this.used > this.start) {
        this.full.push(this.buffer.subarray(this.start, this.used));
        this.chunkBytes = Math.min(chunkBytesMax, this.chunkBytes * 2);
      }
      this.buffer = new Uint8Array(Math.max(this.chunkBytes, wanted));
      this.start = 0;
      this.used = 0;
    }
    putU32(this.buffer, this.used, length);
    const at = this.used + framePrefixBytes;
    this.used = at + length;
    this.copiedBytes += wanted;
    return at;
  }

  private append(frame: Uint8Array): void {
    const at = this.reserve(frame.length);
    this.buffer.set(frame, at);
  }

  private enqueue(frame: Uint8Array): void {
    const lane = laneOf(frame);
    this.largeBytes += frame.length;
    this.behind.set(lane, []);
    if (this.waiting.length > 0 || !this.mayBegin(frame)) this.waiting.push(frame);
    else this.begin(frame, lane);
  }

  private mayBegin(frame: Uint8Array): boolean {
    return this.splits.length < fragmentedFramesMax && this.splitTotal + frame.length <= fragmentedBytesMax;
  }

  private begin(frame: Uint8Array, lane: number): void {
    this.splits.push({ id: this.nextId, lane, frame, sent: 0 });
    this.nextId = (this.nextId + 1) >>> 0;
    this.splitTotal += frame.length;
  }

  /** The next piece of the large frame whose turn it is; returns its bytes. */
  private appendPiece(): number {
    if (this.turn >= this.splits.length) this.turn = 0;
    const split = this.splits[this.turn] as Split;
    const length = Math.min(this.splitBytes, split.frame.length - split.sent);
    const at = this.reserve(fragmentHeaderBytes + length);
    this.buffer[at] = FrameType.fragment;
    putU32(this.buffer, at + 1, split.id);
    putU32(this.buffer, at + 5, split.frame.length);
    putU32(this.buffer, at + 9, split.sent);
    this.buffer.set(split.frame.subarray(split.sent, split.sent + length), at + fragmentHeaderBytes);
    split.sent += length;
    this.largeBytes -= length;
    if (split.sent < split.frame.length) this.turn++;
    else this.finish(split);
    return length;
  }

  private finish(split: Split): void {
    this.splits.splice(this.turn, 1);
    this.splitTotal -= split.frame.length;
    const queue = this.behind.get(split.lane) ?? [];
    this.behind.delete(split.lane);
    for (const frame of queue) {
      this.largeBytes -= frame.length;
      this.push(frame);
    }
    while (this.waiting.length > 0 && this.mayBegin(this.waiting[0] as Uint8Array)) {
      const frame = this.waiting.shift() as Uint8Array;
      this.begin(frame, laneOf(frame));
    }
  }
}
