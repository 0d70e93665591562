import { UnumError, limits, parseDurationMs } from "../base/index.ts";

/** Milliseconds, or a number with its unit. */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

/** Milliseconds of a duration. INVALID_ARGUMENT, naming `what`, when it is none. */
export function durationMs(value: Duration, what: string): number {
  const ms = typeof value === "number" || typeof value === "string" ? parseDurationMs(value) : undefined;
  if (ms !== undefined) return ms;
  throw new UnumError(
    "INVALID_ARGUMENT",
    `${what} takes milliseconds or a time such as "250ms", "10s" or "5m", not ${JSON.stringify(value)}.`,
  );
}

/** As `durationMs`, within what a call may take: every call has a deadline. */
export function timeoutMs(value: Duration): number {
  const ms = durationMs(value, "timeout");
  if (ms <= limits.deadlineMsMax) return ms;
  throw new UnumError("INVALID_ARGUMENT", `timeout is at most ${limits.deadlineMsMax} ms, not ${ms}.`);
}
