import { limits } from "../base/index.ts";

/** One connection as it is now. */
export interface ConnectionView {
  /** Whole frames that came. */
  readonly frames: number;
  /** Of a frame that has not come whole; 0 while it is not read from. */
  readonly incomingBytes: number;
  /** Sent and not taken by the other side. */
  readonly bufferedBytes: number;
  /** All that was ever sent. */
  readonly sentBytes: number;
}

/** Time that passes between two looks counts up to this much: a node that was stopped itself blames nobody. */
const lookMsMax = 1_000;

/**
 * How long a connection has made no progress: in the middle of a frame, or with answers that its
 * reader does not take. Either would hold memory for as long as somebody likes.
 */
export class Patience {
  private lookedMs: number | undefined;
  private frames = 0;
  private silentMs = 0;
  private takenBytes = 0;
  private deafMs = 0;

  /** "silent": the rest of a frame does not come; "deaf": nothing is taken. */
  look(nowMs: number, { bufferedBytes, frames, incomingBytes, sentBytes }: ConnectionView): "silent" | "deaf" | undefined {
    const passedMs = Math.min(nowMs - (this.lookedMs ?? nowMs), lookMsMax);
    this.lookedMs = nowMs;
    this.silentMs = incomingBytes > 0 && frames === this.frames ? this.silentMs + passedMs : 0;
    this.frames = frames;
    const taken = sentBytes - bufferedBytes;
    if (bufferedBytes === 0 || taken > this.takenBytes) {
      this.takenBytes = taken;
      this.deafMs = 0;
    } else this.deafMs += passedMs;
    if (this.silentMs > limits.frameMsMax) return "silent";
    return this.deafMs > limits.outputMsMax ? "deaf" : undefined;
  }
}
