/** Acknowledgements over time: how many, and the longest silence since a moment. */
export class Meter {
  private last: number;
  private longest = 0;
  private longestEnd = 0;
  private total = 0;
  private highestRevision = 0;

  constructor(nowMs: number) {
    this.last = nowMs;
  }

  get acknowledged(): number {
    return this.total;
  }

  /** The highest revision that any writer was told: a read that begins later must not be older. */
  get revision(): number {
    return this.highestRevision;
  }

  record(nowMs: number, revision: number): void {
    const gap = nowMs - this.last;
    if (gap > this.longest) {
      this.longest = gap;
      this.longestEnd = nowMs;
    }
    this.last = nowMs;
    this.total++;
    if (revision > this.highestRevision) this.highestRevision = revision;
  }

  /** Begins a new observation: the silence counts from now. */
  reset(nowMs: number): void {
    this.last = nowMs;
    this.longest = 0;
    this.longestEnd = nowMs;
  }

  /** When the longest silence ended. */
  get resumedMs(): number {
    return this.longestEnd;
  }

  /** The longest time without an acknowledgement since `reset`, the present one included. */
  longestPauseMs(nowMs: number): number {
    return Math.max(this.longest, nowMs - this.last);
  }
}
