import type { HandleClock } from "../types.ts";

interface Timer {
  readonly dueMs: number;
  readonly number: number;
  readonly callback: () => void;
}

/** Time that stands still until a test moves it, or waits for something: then it jumps from timer to timer. */
export class VirtualClock implements HandleClock {
  private nowMs = 1000;
  private wallShiftMs = 1_700_000_000_000;
  private numbers = 0;
  private timers: Timer[] = [];
  private deferred: (() => void)[] = [];

  now(): number {
    return this.nowMs;
  }

  wall(): number {
    return this.wallShiftMs + this.nowMs;
  }

  /** The machine slept: only the wall clock went on. */
  sleepMachine(ms: number): void {
    this.wallShiftMs += ms;
  }

  after(delayMs: number, callback: () => void): { cancel(): void } {
    const timer = { dueMs: this.nowMs + Math.max(0, delayMs), number: this.numbers++, callback };
    this.timers.push(timer);
    return {
      cancel: () => {
        this.timers = this.timers.filter((other) => other !== timer);
      },
    };
  }

  defer(callback: () => void): void {
    this.deferred.push(callback);
  }

  get timerCount(): number {
    return this.timers.length;
  }

  /** Runs whatever can run without time passing. */
  async drain(): Promise<void> {
    for (;;) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      const callbacks = this.deferred;
      this.deferred = [];
      for (const callback of callbacks) callback();
      if (callbacks.length === 0) return;
    }
  }

  async advance(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    for (;;) {
      await this.drain();
      const next = this.next();
      if (next === undefined || next.dueMs > endMs) break;
      this.fire(next);
    }
    this.nowMs = endMs;
    await this.drain();
  }

  /** Lets time pass until the promise has settled; fails when nothing is left that could settle it. */
  async settle<T>(promise: Promise<T>, limitMs = 3_600_000): Promise<T> {
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    promise.then(mark, mark);
    const endMs = this.nowMs + limitMs;
    for (;;) {
      await this.drain();
      if (settled) return await promise;
      const next = this.next();
      if (next === undefined || next.dueMs > endMs) throw new Error(`nothing settles the promise by ${endMs} ms`);
      this.fire(next);
    }
  }

  private next(): Timer | undefined {
    return this.timers.reduce<Timer | undefined>(
      (first, timer) =>
        first === undefined || timer.dueMs < first.dueMs || (timer.dueMs === first.dueMs && timer.number < first.number) ? timer : first,
      undefined,
    );
  }

  private fire(timer: Timer): void {
    this.timers = this.timers.filter((other) => other !== timer);
    this.nowMs = Math.max(this.nowMs, timer.dueMs);
    timer.callback();
  }
}
