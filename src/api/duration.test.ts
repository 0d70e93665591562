import { expect, test } from "vitest";
import { durationMs, timeoutMs } from "./duration.ts";

test("durations are milliseconds or carry their unit", () => {
  expect([
    durationMs(5, "t"),
    durationMs("250ms", "t"),
    durationMs("10s", "t"),
    durationMs("5m", "t"),
    durationMs("1.5h", "t"),
    durationMs("2d", "t"),
  ]).toEqual([5, 250, 10_000, 300_000, 5_400_000, 172_800_000]);
});

test.each(["", "5 minutes", "-1s", "s", Number.NaN, -1, Number.POSITIVE_INFINITY, null, {}])("%s is INVALID_ARGUMENT", (value) => {
  expect(() => durationMs(value as never, "timeout")).toThrowError(
    expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringContaining("timeout") }),
  );
});

test("a call's time has an end: at most 10 minutes", () => {
  expect(timeoutMs("10m")).toBe(600_000);
  expect(() => timeoutMs("11m")).toThrowError(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
});
