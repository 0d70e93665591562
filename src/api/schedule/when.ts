import { Cron } from "croner";
import { UnumError } from "../../base/index.ts";
import { durationMs } from "../duration.ts";
import type { Duration } from "../duration.ts";

/** When a schedule ticks, as it is written down for the others. */
export interface WhenText {
  /** A cron pattern, or "every 30000" with milliseconds. */
  readonly when: string;
  /** IANA name; empty: UTC. */
  readonly timezone: string;
}

const everyMsMin = 1_000;

/** INVALID_ARGUMENT for a pattern, a period or a time zone that is none. */
export function whenText(when: string | { readonly every: Duration }, timezone: string | undefined): WhenText {
  if (typeof when === "object" && when !== null) {
    const ms = durationMs(when.every, "every");
    if (!(ms >= everyMsMin) || !Number.isSafeInteger(ms))
      throw new UnumError("INVALID_ARGUMENT", `every is at least ${everyMsMin} ms in whole milliseconds, not ${ms}.`);
    if (timezone !== undefined) throw new UnumError("INVALID_ARGUMENT", "A period has no time zone; a cron pattern has.");
    return { when: `every ${ms}`, timezone: "" };
  }
  if (typeof when !== "string") throw new UnumError("INVALID_ARGUMENT", 'when is a cron pattern or { every: "5m" }.');
  const text = { when, timezone: timezone ?? "" };
  if (nextTick(text, 0) === undefined) throw new UnumError("INVALID_ARGUMENT", `The pattern "${when}" never comes true.`);
  return text;
}

/**
 * The first tick after `afterMs` (since 1970). Periods are counted from 1970, so that all nodes agree. Undefined: there is none.
 * INVALID_ARGUMENT for a text that is none.
 */
export function nextTick({ timezone, when }: WhenText, afterMs: number): number | undefined {
  const every = /^every (\d+)$/.exec(when)?.[1];
  if (every !== undefined) return (Math.floor(afterMs / Number(every)) + 1) * Number(every);
  try {
    // In UTC unless named, so that nodes in different zones agree.
    return new Cron(when, { paused: true, timezone: timezone === "" ? "Etc/UTC" : timezone }).nextRun(new Date(afterMs))?.getTime();
  } catch (cause) {
    throw new UnumError("INVALID_ARGUMENT", `"${when}"${timezone === "" ? "" : ` in ${timezone}`} is no schedule: ${String(cause)}`, {
      cause,
    });
  }
}

/** The last tick at or before `beforeMs` and after `afterMs`, and how many there are between; counts up to `countMax`. */
export function ticksBetween(text: WhenText, afterMs: number, beforeMs: number, countMax: number): readonly number[] {
  const ticks: number[] = [];
  let at = nextTick(text, afterMs);
  while (at !== undefined && at <= beforeMs && ticks.length < countMax) {
    ticks.push(at);
    at = nextTick(text, at);
  }
  return ticks;
}
