import { describe, expect, it } from "vitest";
import { UnumError, errorTable, isErrorCode, isUnumError } from "./errors.ts";
import type { ErrorCode } from "./errors.ts";

const codes = Object.keys(errorTable) as ErrorCode[];

describe("the error table", () => {
  it("has bare words in order, each with a sentence for the meaning and one for the remedy", () => {
    expect(codes).toEqual([...codes].sort());
    for (const code of codes) {
      expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
      expect(errorTable[code].meaning).toMatch(/^[A-Z].*\.$/);
      expect(errorTable[code].remedy).toMatch(/^[A-Z].*\.$/);
    }
  });

  it("never calls a retry safe when the operation may have been applied", () => {
    for (const code of codes) {
      const { outcome, retry } = errorTable[code];
      expect([code, outcome === "unknown" && retry === "safe"]).toEqual([code, false]);
      expect([code, outcome === "not-applied" && retry === "maybe-applied"]).toEqual([code, false]);
    }
  });
});

describe("UnumError", () => {
  it("takes text, outcome and retry from the table, unless the site knows better", () => {
    const plain = new UnumError("OVERLOADED");
    expect([plain.name, plain.outcome, plain.retry, plain.details]).toEqual(["UnumError", "not-applied", "safe", {}]);
    expect(plain.message).toBe(`${errorTable.OVERLOADED.meaning} ${errorTable.OVERLOADED.remedy}`);
    expect("cause" in plain).toBe(false);
    const cause = new Error("reset");
    const known = new UnumError("TIMEOUT", "not sent", { outcome: "not-applied", retry: "safe", details: { key: "a" }, cause });
    expect([known.message, known.outcome, known.retry, known.details, known.cause]).toEqual([
      "not sent",
      "not-applied",
      "safe",
      { key: "a" },
      cause,
    ]);
  });

  it("is told by its brand, so that a second copy of the package is recognised", () => {
    const foreign = Object.assign(new Error("x"), { brand: "unum.error", code: "FENCED" });
    expect([
      isUnumError(foreign),
      isUnumError(foreign, "FENCED"),
      isUnumError(foreign, "CLOSED", "FENCED"),
      isUnumError(foreign, "CLOSED"),
    ]).toEqual([true, true, true, false]);
    for (const other of [undefined, null, "FENCED", { code: "FENCED" }, new Error("FENCED")]) expect(isUnumError(other)).toBe(false);
  });

  it("takes no inherited name for a code", () => {
    expect([isErrorCode("FENCED"), isErrorCode("fenced"), isErrorCode("toString"), isErrorCode("__proto__")]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });
});
