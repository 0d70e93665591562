import type { Timer } from "./clock.ts";

/** Knows, through awaits, timers and callbacks, on whose behalf code runs. */
export interface Scope<T extends object> {
  run<R>(value: T, work: () => R): R;
  current(): T | undefined;
}

/** What stands in for the platform's own time, entropy and I/O while some code runs. */
export interface Surroundings {
  /** Monotonic milliseconds from an arbitrary origin. */
  now(): number;
  /** Milliseconds since 1970. */
  wall(): number;
  after(delayMs: number, callback: () => void): Timer;
  /** At least 0, below 1. */
  random(): number;
  bytes(length: number): Uint8Array;
  /** Something was reached for that has no stand-in: the error to throw. */
  refusal(what: string): Error;
}
