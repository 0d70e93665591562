import { UnumError } from "../base/index.ts";
import type { Clock } from "../ports/index.ts";

/** Rejects with TIMEOUT, naming `who`, when the work takes longer; it goes on, and nobody waits for it any more. */
export function withTimeout<T>(clock: Clock, work: Promise<T>, timeoutMs: number, who: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(timeoutMs, () => reject(new UnumError("TIMEOUT", `${who} did not answer within ${timeoutMs} ms.`)));
    work.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error: unknown) => {
        timer.cancel();
        reject(error as Error);
      },
    );
  });
}
