import { describe, expect, it } from "vitest";
import { AssertionFailure, assert, defined, unreachable } from "./assert.ts";
import { hexId, isNodeId } from "./ids.ts";

describe("ids", () => {
  it("are sixteen lower-case hex digits of eight bytes", () => {
    const id = hexId(Uint8Array.from([0, 1, 2, 0xab, 0xff, 0x10, 0, 0x0f]));
    expect([id, isNodeId(id)]).toEqual(["000102abff10000f", true]);
    for (const bad of ["", "000102ABFF10000F", "000102abff10000", "000102abff10000f0", "000102abff10000f\n"])
      expect(isNodeId(bad)).toBe(false);
  });

  it("are never made of fewer bytes than an id has", () => {
    expect(() => hexId(new Uint8Array(7))).toThrow(AssertionFailure);
  });
});

describe("assertions", () => {
  it("name what failed", () => {
    expect(() => assert(false, "the term grows")).toThrow(new AssertionFailure("the term grows"));
    expect(() => defined(undefined, "the leader")).toThrow("the leader is missing");
    expect(() => unreachable("odd" as never)).toThrow("unreachable: odd");
    expect([defined(0, "zero"), defined("", "text")]).toEqual([0, ""]);
  });
});
