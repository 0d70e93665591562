/** A timer that fires at most once; `cancel` after firing does nothing. */
export interface Timer {
  cancel(): void;
}

/**
 * Time. Nothing else in Unum knows it: no `Date`, no `performance`, no `setTimeout`.
 *
 * Guarantees: `now` never goes back and stands still only while the process or machine is paused;
 * `wall` may jump in any direction; a timer fires no earlier than its delay, in the order of due
 * times, and may fire arbitrarily late; `defer` runs callbacks in order, after all input that is
 * ready in this turn of the loop and before any timer of a later turn: it is where a turn's work is
 * gathered into one batch; `deferLast` runs callbacks behind those that were deferred until then, in the
 * same turn: it is where what the work has produced leaves.
 */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary origin, with fractions. */
  now(): number;
  /** Milliseconds since 1970, as this machine believes. */
  wall(): number;
  after(delayMs: number, callback: () => void): Timer;
  defer(callback: () => void): void;
  deferLast(callback: () => void): void;
}
