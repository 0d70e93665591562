import type { LogLevel } from "../base/index.ts";
import type { Clock, Logger, Output } from "../ports/index.ts";

const order: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 };

/** Lines on standard error: time, level, message, fields as key=value. */
export function outputLogger(output: Output, clock: Clock, level: LogLevel): Logger {
  const say = (at: Exclude<LogLevel, "silent">, message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    if (order[at] < order[level]) return;
    const parts = Object.entries(fields).map(([name, value]) => `${name}=${fieldText(value)}`);
    output.write(`${[new Date(clock.wall()).toISOString(), at.padEnd(5), message, ...parts].join(" ")}\n`);
  };
  return {
    debug: (message, fields) => say("debug", message, fields),
    info: (message, fields) => say("info", message, fields),
    warn: (message, fields) => say("warn", message, fields),
    error: (message, fields) => say("error", message, fields),
  };
}

/** One JSON object per line, with the names that etcd's logger uses. */
export function jsonLogger(output: Output, clock: Clock, level: LogLevel): Logger {
  const say = (at: Exclude<LogLevel, "silent">, message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    if (order[at] < order[level]) return;
    const named = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, jsonValue(value)]));
    output.write(`${JSON.stringify({ level: at, ts: new Date(clock.wall()).toISOString(), caller: "unum", msg: message, ...named })}\n`);
  };
  return {
    debug: (message, fields) => say("debug", message, fields),
    info: (message, fields) => say("info", message, fields),
    warn: (message, fields) => say("warn", message, fields),
    error: (message, fields) => say("error", message, fields),
  };
}

function jsonValue(value: unknown): unknown {
  if (typeof value === "number" || typeof value === "boolean") return value;
  return typeof value === "string" ? value : fieldText(value);
}

function fieldText(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string" && /^[\w.:/@+-]+$/.test(value)) return value;
  return JSON.stringify(value) ?? "undefined";
}
