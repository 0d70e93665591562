import { UnumError, isUnumError } from "../../base/index.ts";
import type { ErrorCode, Prng } from "../../base/index.ts";

/** What another node, or the same one a moment later, may answer differently. */
const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "NOT_LEADER",
  "NO_LEADER",
  "UNAVAILABLE",
  "NODE_STOPPED",
  "UNKNOWN_OUTCOME",
  "MACHINE_FAILED",
  "UPGRADE_REQUIRED",
  "DISK_FAILED",
  "REMOVED",
]);

/**
 * OVERLOADED is not among them: who repeats it at once makes it worse, so the caller hears of it.
 * What a node says of its own end (`NODE_STOPPED` …) is no word about the cluster.
 */
export function isPassing(code: ErrorCode): boolean {
  return passing.has(code);
}

const delayMsFirst = 10;
const delayMsMax = 500;

/** Doubles with each attempt from 10 to 500 ms; a random half of it, so that many handles do not come at once. */
export function retryDelayMs(attempts: number, prng: Prng): number {
  const full = Math.min(delayMsMax, delayMsFirst * 2 ** Math.min(10, Math.max(0, attempts - 1)));
  return full / 2 + (full / 2) * (prng.below(1024) / 1024);
}

const tokensMax = 16_384;
const tokensPerSecond = 1000;

/**
 * How many retries the handle may send: a burst as large as what may be in flight at all (a leader
 * died), then 1,000 a second. A retry over the budget waits for its turn rather than fail.
 */
export class RetryBudget {
  private tokens = tokensMax;
  private atMs: number;

  constructor(nowMs: number) {
    this.atMs = nowMs;
  }

  take(nowMs: number): boolean {
    if (this.tokens < 1) this.refill(nowMs);
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }

  private refill(nowMs: number): void {
    this.tokens = Math.min(tokensMax, this.tokens + ((nowMs - this.atMs) * tokensPerSecond) / 1000);
    this.atMs = nowMs;
  }
}

/** The same error, saying that an earlier copy of the request may have taken effect. */
export function withUnknownOutcome(error: UnumError): UnumError {
  if (error.outcome === "unknown") return error;
  return new UnumError(error.code, `${error.message} An earlier copy of the request may have been applied.`, {
    outcome: "unknown",
    retry: "maybe-applied",
    details: error.details,
    cause: error,
  });
}

/** The same error, for a request of which nothing was sent or that cannot have an effect. */
export function withoutEffect(error: UnumError): UnumError {
  if (error.outcome === "not-applied") return error;
  return new UnumError(error.code, error.message, {
    outcome: "not-applied",
    retry: error.retry === "never" ? "never" : "safe",
    details: error.details,
    cause: error.cause,
  });
}

/** What a call rejected with, as an error of ours. */
export function asError(error: unknown): UnumError {
  return isUnumError(error) ? error : new UnumError("UNKNOWN_OUTCOME", String(error), { cause: error });
}
