import type { Controls } from "./controls.ts";

/** Whoever asks for the date is told the true one and the shift, which may change at any time. The monotonic clock stays as it is. */
export function shiftDate(controls: Controls): void {
  const TrueDate = Date;
  const trueNow = Date.now.bind(Date);
  class ShiftedDate extends TrueDate {
    constructor(...parts: readonly unknown[]) {
      super(...((parts.length === 0 ? [trueNow() + controls.wallShiftMs] : parts) as [number]));
    }
    static override now(): number {
      return trueNow() + controls.wallShiftMs;
    }
  }
  globalThis.Date = ShiftedDate as DateConstructor;
}
