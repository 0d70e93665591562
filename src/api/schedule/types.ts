import type { CallOptions, Running } from "../basics.ts";
import type { Claim } from "../claims/index.ts";
import type { Duration } from "../duration.ts";
import type { AbortSignalLike } from "../signal.ts";

/** One attempt at one tick. */
export interface Tick {
  /** When it was due. */
  readonly at: Date;
  /** 1, or more after an attempt that a crash cut off. */
  readonly attempt: number;
  /** Its fence is larger than that of every earlier attempt's claim that has ended; put it into every write. */
  readonly claim: Claim;
}

export interface ScheduleOptions {
  /** For cron patterns: an IANA name. Default UTC. */
  readonly timezone?: string | undefined;
  /** Each run begins up to so much later, at random. Default none. */
  readonly jitter?: Duration | undefined;
  /** A tick that comes while the run before it goes on: dropped ("skip", the default) or run right after ("wait"). */
  readonly overlap?: "skip" | "wait" | undefined;
  /** Ticks that nobody was there for: dropped ("skip", the default), the last one run ("last"), or all of them, up to 1,000 ("all"). */
  readonly missed?: "skip" | "last" | "all" | undefined;
  /** An attempt that a crash cut off: repeated ("retry", the default: at least once) or not ("skip": at most once). */
  readonly interrupted?: "retry" | "skip" | undefined;
  /** How long after a crash another node takes over. Default 10 s. */
  readonly ttl?: Duration | undefined;
  readonly signal?: AbortSignalLike | undefined;
  /** Told of what `run` rejects with. Default: the logger. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

export interface PastTick {
  readonly at: Date;
  readonly attempt: number;
  readonly outcome: "completed" | "failed" | "interrupted" | "skipped" | "missed";
  /** Milliseconds that it ran; 0 for one that did not. */
  readonly ranMs: number;
}

/** What the cluster knows of a schedule. */
export interface ScheduleStatus {
  readonly name: string;
  /** The pattern or period that holds: the newest registration's. */
  readonly when: string;
  readonly timezone: string;
  /** Other patterns that participants registered: they should agree. */
  readonly disagreement: readonly string[];
  readonly participants: number;
  /** Undefined: nobody takes part, or it never comes again. */
  readonly next: Date | undefined;
  /** Newest first, up to 20. */
  readonly history: readonly PastTick[];
}

/** A registration: this handle takes part in running the schedule until it is closed. */
export interface Schedule extends Running {
  /** Undefined until the cluster was asked, or when there is none. */
  next(options?: CallOptions): Promise<Date | undefined>;
  history(options?: CallOptions): Promise<readonly PastTick[]>;
  /** Lets it run once now, on whichever participant runs it. Fulfils when the cluster knows. */
  trigger(options?: CallOptions): Promise<void>;
}
