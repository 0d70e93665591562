import { assert, emptyBytes, limits } from "../base/index.ts";
import { fragmentHeaderBytes, fragmentedBytesMax, fragmentedFramesMax } from "./fragments.ts";
import { framePrefixBytes } from "./frames.ts";
import { putU32, u32At } from "./numbers.ts";
import { FrameType } from "./types.ts";

const chunkBytesMin = 4 * 1024;
const chunkBytesMax = 256 * 1024;

/** A frame in two parts, so that a large body need not be copied to stand behind its head. */
interface Frame {
  readonly head: Uint8Array;
  readonly body: Uint8Array;
}

interface Split extends Frame {
  readonly id: number;
  readonly lane: number;
  readonly length: number;
  sent: number;
}

/** Copies `length` bytes of the frame, from `from` on, to `at` of the target. */
function copyPart({ head, body }: Frame, from: number, length: number, target: Uint8Array, at: number): void {
  const ofHead = Math.max(0, Math.min(length, head.length - from));
  if (ofHead > 0) target.set(head.subarray(from, from + ofHead), at);
  const start = from + ofHead - head.length;
  if (length > ofHead) target.set(body.subarray(start, start + length - ofHead), at + ofHead);
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
  private waiting: Frame[] = [];
  private readonly behind = new Map<number, Frame[]>();
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

  /** Small frames are copied now; a large one, but for a head in front of a body, is kept until its last piece is handed out. */
  push(frame: Uint8Array, body: Uint8Array = emptyBytes): void {
    const length = frame.length + body.length;
    assert(frame.length > 0, "a frame has a type");
    assert(length <= limits.frameBytesMax, "a frame is within the limit");
    if (this.behind.size > 0) {
      const queue = this.behind.get(laneOf(frame));
      if (queue !== undefined) {
        queue.push(kept(frame, body));
        this.largeBytes += length;
        return;
      }
    }
    if (length > this.splitBytes) this.enqueue(kept(frame, body));
    else {
      const at = this.reserve(length);
      this.buffer.set(frame, at);
      if (body.length > 0) this.buffer.set(body, at + frame.length);
    }
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

  /** What was handed out has been taken: the buffer begins anew. */
  reuse(): void {
    if (this.copiedBytes > 0) return;
    this.start = 0;
    this.used = 0;
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

  private enqueue(frame: Frame): void {
    const lane = laneOf(frame.head);
    this.largeBytes += lengthOf(frame);
    this.behind.set(lane, []);
    if (this.waiting.length > 0 || !this.mayBegin(frame)) this.waiting.push(frame);
    else this.begin(frame, lane);
  }

  private mayBegin(frame: Frame): boolean {
    return this.splits.length < fragmentedFramesMax && this.splitTotal + lengthOf(frame) <= fragmentedBytesMax;
  }

  private begin({ head, body }: Frame, lane: number): void {
    const length = head.length + body.length;
    this.splits.push({ id: this.nextId, lane, head, body, length, sent: 0 });
    this.nextId = (this.nextId + 1) >>> 0;
    this.splitTotal += length;
  }

  /** The next piece of the large frame whose turn it is; returns its bytes. */
  private appendPiece(): number {
    if (this.turn >= this.splits.length) this.turn = 0;
    const split = this.splits[this.turn] as Split;
    const length = Math.min(this.splitBytes, split.length - split.sent);
    const at = this.reserve(fragmentHeaderBytes + length);
    this.buffer[at] = FrameType.fragment;
    putU32(this.buffer, at + 1, split.id);
    putU32(this.buffer, at + 5, split.length);
    putU32(this.buffer, at + 9, split.sent);
    copyPart(split, split.sent, length, this.buffer, at + fragmentHeaderBytes);
    split.sent += length;
    this.largeBytes -= length;
    if (split.sent < split.length) this.turn++;
    else this.finish(split);
    return length;
  }

  private finish(split: Split): void {
    this.splits.splice(this.turn, 1);
    this.splitTotal -= split.length;
    const queue = this.behind.get(split.lane) ?? [];
    this.behind.delete(split.lane);
    for (const frame of queue) {
      this.largeBytes -= lengthOf(frame);
      this.push(frame.head, frame.body);
    }
    while (this.waiting.length > 0 && this.mayBegin(this.waiting[0] as Frame)) {
      const frame = this.waiting.shift() as Frame;
      this.begin(frame, laneOf(frame.head));
    }
  }
}

function lengthOf({ head, body }: Frame): number {
  return head.length + body.length;
}

/** A head in front of a body may be used again by the caller: it is copied. */
function kept(head: Uint8Array, body: Uint8Array): Frame {
  return { head: body.length === 0 ? head : head.slice(), body };
}
