import { ConnectionFailure, ErrorCode } from "./frames.ts";

const resetWindowMs = 10_000;
/** Frames of no use (empty data, settings, pings) between two requests before the connection is closed. */
const idleFramesMax = 10_000;

/** Counts what costs us work and a client nothing; throws the end of the connection when it is too much. */
export class Guard {
  private readonly now: () => number;
  private readonly resetsMax: number;
  private resets = 0;
  private resetsSinceMs = 0;
  private idleFrames = 0;

  constructor(now: () => number, resetsMax: number) {
    this.now = now;
    this.resetsMax = resetsMax;
  }

  /** A client that opens streams only to reset them makes us work for nothing. */
  countReset(): void {
    const nowMs = this.now();
    if (nowMs - this.resetsSinceMs > resetWindowMs) {
      this.resetsSinceMs = nowMs;
      this.resets = 0;
    }
    if (++this.resets > this.resetsMax) throw new ConnectionFailure(ErrorCode.calm, "streams are opened only to be reset");
  }

  countIdle(): void {
    if (++this.idleFrames > idleFramesMax) throw new ConnectionFailure(ErrorCode.calm, "frames of no use");
  }

  countRequest(): void {
    this.idleFrames = 0;
  }
}
