/** A call of the program that was recorded, or an effect on something outside. */
export interface Operation {
  /** As the program named it, or "service.method" for effects. */
  readonly name: string;
  /** Who did it: "n1" and so on, or "test". */
  readonly process: string;
  readonly input: unknown;
  readonly output: unknown;
  /** `unknown`: it may have happened or not; so it is with a call that a crash cut off. */
  readonly outcome: "ok" | "failed" | "unknown";
  /** Position in one order of all beginnings and ends. */
  readonly called: number;
  /** Infinity while it has not ended. */
  readonly returned: number;
  readonly calledMs: number;
  readonly returnedMs: number;
}

/** Throws `HistoryViolation` when the history is not what it shall be. */
export type Checker = (history: History) => void;

/** What a checker found. */
export class HistoryViolation extends Error {
  override readonly name = "HistoryViolation";
}

/** Who is acting, and when: given by the world. */
export interface HistoryClock {
  nowMs(): number;
  process(): string;
  /** Whether the life that acts is still the present one of its node. */
  isAlive(): () => boolean;
  /** Whether a failure says for certain that nothing happened. */
  isCertain(error: unknown): boolean;
}

interface Draft {
  name: string;
  process: string;
  input: unknown;
  output: unknown;
  outcome: Operation["outcome"];
  called: number;
  returned: number;
  calledMs: number;
  returnedMs: number;
}

/**
 * Calls and effects in one order. Calls are made by the program through `call`; effects are what
 * really happened at a stand-in (`world.external`), whatever its caller heard of it.
 */
export class History {
  private readonly clock: HistoryClock;
  private readonly drafts: Draft[] = [];
  private readonly effectDrafts: Operation[] = [];
  private position = 0;

  constructor(clock: HistoryClock) {
    this.clock = clock;
  }

  /** In the order of their calls. */
  get calls(): readonly Operation[] {
    return this.drafts;
  }

  /** In the order in which they happened. */
  get effects(): readonly Operation[] {
    return this.effectDrafts;
  }

  /**
   * Records a call around `work`. A rejection that says for certain that nothing was applied counts as failed,
   * every other one as unknown.
   */
  async call<T>(name: string, input: unknown, work: () => T | Promise<T>): Promise<T> {
    const alive = this.clock.isAlive();
    const draft: Draft = {
      name,
      process: this.clock.process(),
      input,
      output: undefined,
      outcome: "unknown",
      called: this.position++,
      returned: Number.POSITIVE_INFINITY,
      calledMs: this.clock.nowMs(),
      returnedMs: Number.POSITIVE_INFINITY,
    };
    this.drafts.push(draft);
    try {
      const output = await work();
      if (alive()) this.end(draft, "ok", output);
      return output;
    } catch (error) {
      if (alive()) this.end(draft, this.clock.isCertain(error) ? "failed" : "unknown", undefined);
      throw error;
    }
  }

  private end(draft: Draft, outcome: Operation["outcome"], output: unknown): void {
    draft.outcome = outcome;
    draft.output = output;
    // A call whose effect is unknown may still take effect later.
    if (outcome !== "unknown") draft.returned = this.position++;
    draft.returnedMs = this.clock.nowMs();
  }

  /** The process died: what it was doing ended there, with an outcome that nobody knows. */
  cut(process: string): void {
    const nowMs = this.clock.nowMs();
    for (const draft of this.drafts) if (draft.process === process && !Number.isFinite(draft.returnedMs)) draft.returnedMs = nowMs;
  }

  /** Something happened now, in one moment. */
  effect(name: string, process: string, input: unknown, output: unknown): void {
    const called = this.position++;
    const nowMs = this.clock.nowMs();
    this.effectDrafts.push({
      name,
      process,
      input,
      output,
      outcome: "ok",
      called,
      returned: this.position++,
      calledMs: nowMs,
      returnedMs: nowMs,
    });
  }
}
