import type { Duration } from "./duration.ts";
import type { AbortSignalLike } from "./signal.ts";

export interface CallOptions {
  /** Rejects the call with `signal.reason`; whether it took effect is then unknown. */
  readonly signal?: AbortSignalLike | undefined;
  /** Default: the handle's. At most 10 min. */
  readonly timeout?: Duration | undefined;
}

export interface Handle extends AsyncDisposable {
  /** Idempotent. Never rejects. */
  close(): Promise<void>;
}

export interface Running extends Handle {
  readonly ready: Promise<void>;
  /** Fulfils after `close()`; rejects with the reason when it ended otherwise. */
  readonly closed: Promise<void>;
}
