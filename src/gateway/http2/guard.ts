import { ConnectionFailure, ErrorCode } from "./frames.ts";

const windowMs = 10_000;
/** Frames of no use (empty data, settings, pings) within the window, beyond those that answer what we sent. */
const idleFramesMax = 10_000;

/** Counts what costs us work and a client nothing; throws the end of the connection when it is too much. */
export class Guard {
  private readonly now: () => number;
  private readonly resetsMax: number;
  private resets = 0;
  private idleFrames = 0;
  private sinceMs = 0;

  constructor(now: () => number, resetsMax: number) {
    this.now = now;
    this.resetsMax = resetsMax;
  }

  /** A client that opens streams only to reset them makes us work for nothing. */
  countReset(): void {
    this.turn();
    if (++this.resets > this.resetsMax) throw new ConnectionFailure(ErrorCode.calm, "streams are opened only to be reset");
  }

  /** `weight`: how much work it is. */
  countIdle(weight = 1): void {
    this.turn();
    this.idleFrames += weight;
    if (this.idleFrames > idleFramesMax) throw new ConnectionFailure(ErrorCode.calm, "frames of no use");
  }

  /** A client may answer each piece of data with a ping: many measure their window so. */
  countData(): void {
    if (this.idleFrames > 0) this.idleFrames--;
  }

  private turn(): void {
    const nowMs = this.now();
    if (nowMs - this.sinceMs <= windowMs) return;
    this.sinceMs = nowMs;
    this.resets = 0;
    this.idleFrames = 0;
  }
}
