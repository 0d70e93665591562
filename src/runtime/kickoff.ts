import type { Prng } from "../base/index.ts";
import type { Clock, Timer } from "../ports/index.ts";
import type { Replica } from "../replica/index.ts";

const firstMsMin = 60;
const firstMsMax = 180;
const againMs = 200;
const attemptsMax = 8;

/**
 * A replica that was just opened and hears of no leader need not wait for a whole election timeout:
 * after a cold start of all nodes nobody leads. A pre-vote asks first, so that a replica which comes
 * back to a living group disturbs nobody.
 */
export class Kickoff {
  private readonly clock: Clock;
  private readonly prng: Prng;
  private readonly timers = new Set<Timer>();

  constructor(clock: Clock, prng: Prng) {
    this.clock = clock;
    this.prng = prng;
  }

  /** `first`: it was chosen to stand first for a new group. */
  opened(replica: Replica, first: boolean): void {
    if (first) replica.campaign();
    this.later(replica, firstMsMin + this.prng.below(firstMsMax - firstMsMin), 1);
  }

  private later(replica: Replica, delayMs: number, attempt: number): void {
    const timer = this.clock.after(delayMs, () => {
      this.timers.delete(timer);
      if (replica.leader !== 0 || replica.failure !== undefined) return;
      replica.campaign();
      if (attempt < attemptsMax) this.later(replica, againMs + this.prng.below(againMs), attempt + 1);
    });
    this.timers.add(timer);
  }

  close(): void {
    for (const timer of this.timers) timer.cancel();
    this.timers.clear();
  }
}
