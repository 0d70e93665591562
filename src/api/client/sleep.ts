import type { AbortSignalLike } from "../signal.ts";
import type { HandleClock } from "../types.ts";

/** Fulfils after `delayMs`; rejects with the signal's reason when it aborts before. */
export function sleep(clock: HandleClock, delayMs: number, signal: AbortSignalLike | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason);
    const onAbort = (): void => {
      timer.cancel();
      signal?.removeEventListener("abort", onAbort);
      reject(signal?.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort);
  });
}
