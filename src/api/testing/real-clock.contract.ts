import type { HandleClock } from "../types.ts";

/** The machine's own clock, for suites that also run over real carriers. */
export class RealClock implements HandleClock {
  now(): number {
    return performance.now();
  }

  wall(): number {
    return Date.now();
  }

  after(delayMs: number, callback: () => void): { cancel(): void } {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  }

  defer(callback: () => void): void {
    setImmediate(callback);
  }
}
