import type { Clock } from "../ports/index.ts";

export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}

/** What `promise` gives, or undefined when the time is over first. */
export async function within<T>(clock: Clock, ms: number, promise: Promise<T>): Promise<T | undefined> {
  let cancel = (): void => undefined;
  const late = new Promise<undefined>((resolve) => {
    const timer = clock.after(ms, () => resolve(undefined));
    cancel = () => timer.cancel();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    cancel();
  }
}

/** Asks again and again until the answer is something, or the time is over. */
export async function until<T>(
  clock: Clock,
  patienceMs: number,
  everyMs: number,
  ask: () => Promise<T | undefined>,
): Promise<T | undefined> {
  const deadline = clock.now() + patienceMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined || clock.now() >= deadline) return answer;
    await sleep(clock, everyMs);
  }
}
