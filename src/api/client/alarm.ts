import type { HandleClock } from "../types.ts";

/**
 * One timer for many dues: it is set to the earliest of them, and whoever rings looks for what is
 * due and sets it again. So a call costs a comparison here, not a timer.
 */
export class Alarm {
  private readonly clock: HandleClock;
  private readonly ring: () => void;
  private timer: { cancel(): void } | undefined;
  private dueMs = Number.POSITIVE_INFINITY;

  constructor(clock: HandleClock, ring: () => void) {
    this.clock = clock;
    this.ring = ring;
  }

  /** Rings at `dueMs` of the monotonic clock, or earlier if it is set to earlier already. */
  set(dueMs: number): void {
    if (dueMs >= this.dueMs) return;
    this.timer?.cancel();
    this.dueMs = dueMs;
    this.timer = this.clock.after(Math.max(0, dueMs - this.clock.now()), () => {
      this.timer = undefined;
      this.dueMs = Number.POSITIVE_INFINITY;
      this.ring();
    });
  }

  cancel(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.dueMs = Number.POSITIVE_INFINITY;
  }
}
