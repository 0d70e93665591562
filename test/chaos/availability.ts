import type { Load } from "#dist/sim/index.js";

const windowMs = 250;

/**
 * How much of the time something was acknowledged to somebody: the share of windows of a quarter of a second with at
 * least one success, and the longest time without any.
 */
export class Availability {
  private readonly load: Load;
  private fromMs = 0;
  private toMs = 0;

  constructor(load: Load) {
    this.load = load;
  }

  begin(): void {
    this.fromMs = performance.now();
  }

  end(): void {
    this.toMs = performance.now();
  }

  private successes(): number[] {
    const times: number[] = [];
    for (const { history } of this.load.spaces.values())
      for (const { outcome, returnedMs } of history.calls)
        if (outcome === "ok" && returnedMs >= this.fromMs && returnedMs <= this.toMs) times.push(returnedMs);
    return times.sort((a, b) => a - b);
  }

  get ratio(): number {
    const windows = Math.max(1, Math.floor((this.toMs - this.fromMs) / windowMs));
    const served = new Set<number>();
    for (const ms of this.successes()) served.add(Math.min(windows - 1, Math.floor((ms - this.fromMs) / windowMs)));
    return served.size / windows;
  }

  get longestPauseMs(): number {
    let longest = 0;
    let last = this.fromMs;
    for (const ms of [...this.successes(), this.toMs]) {
      longest = Math.max(longest, ms - last);
      last = ms;
    }
    return Math.round(longest);
  }
}
