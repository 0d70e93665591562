import { describe, expect, test } from "vitest";
import { latin1Decode, utf8Encode } from "../../base/index.ts";
import { byteString, keyBytes, keyString, keyText, prefixEnd, rangeOf } from "./keys.ts";

const bytes = (...values: number[]): Uint8Array => new Uint8Array(values);

describe("keys", () => {
  test("text becomes its UTF-8 bytes, one character each", () => {
    expect(keyString("", "a/b")).toBe("a/b");
    expect(keyString("", "ä")).toBe("\u00c3\u00a4");
    expect(keyString("", "𝄞")).toBe(latin1Decode(utf8Encode("𝄞")));
    expect(keyString("p/", bytes(0, 255))).toBe("p/\u0000\u00ff");
  });

  test("order is that of bytes, also above U+FFFF where JavaScript's order of strings differs", () => {
    const above = keyString("", "\u{10000}");
    const below = keyString("", "\uffff");
    expect("\u{10000}" < "\uffff").toBe(true);
    expect(below < above).toBe(true);
  });

  test.each([
    ["empty text", "", "empty"],
    ["empty bytes", bytes(), "empty"],
    ["half a surrogate pair", "a\ud800b", "surrogate"],
    ["too long", "x".repeat(4097), "4097 bytes"],
    ["a number", 7 as never, "string or bytes"],
    ["null", null as never, "null"],
  ])("%s is refused with INVALID_KEY", (_name, key, text) => {
    expect(() => keyString("", key)).toThrowError(expect.objectContaining({ code: "INVALID_KEY", message: expect.stringContaining(text) }));
  });

  test("the length counts the prefix", () => {
    expect(keyString("p".repeat(96), "x".repeat(4000))).toHaveLength(4096);
    expect(() => keyString("p".repeat(97), "x".repeat(4000))).toThrowError(/4097 bytes/);
  });

  test("what is no UTF-8 reads with replacement characters; its bytes are the truth", () => {
    expect(keyText("a\u00c3\u00a4")).toBe("aä");
    expect(keyText("a\u00ffb")).toBe("a\ufffdb");
    expect(keyText("\u00e4\u00bd")).toBe("\ufffd\ufffd");
    expect(keyText("\u00ff\u00f0\u009d\u0084\u009e")).toBe("\ufffd𝄞");
    expect(keyBytes("a\u00ff")).toEqual(bytes(97, 255));
  });
});

describe("ranges", () => {
  test("a prefix ends before the first key that does not begin with it", () => {
    expect(prefixEnd("a/")).toBe("a0");
    expect(prefixEnd("a\u00ff")).toBe("b");
    expect(prefixEnd("\u00ff\u00ff")).toBe("\0");
    expect(prefixEnd("")).toBe("\0");
    expect(rangeOf("", { prefix: "" })).toEqual({ key: "\0", end: "\0" });
    expect(rangeOf("x/", { prefix: "" })).toEqual({ key: "x/", end: "x0" });
  });

  test("from without to goes to the end of what the handle sees, not beyond its prefix", () => {
    expect(rangeOf("", { from: "b" })).toEqual({ key: "b", end: "\0" });
    expect(rangeOf("x/", { from: "b" })).toEqual({ key: "x/b", end: "x0" });
    expect(rangeOf("x/", { from: "", to: "c" })).toEqual({ key: "x/", end: "x/c" });
  });

  test("an end that is none, or means something else to the machine, is refused", () => {
    for (const range of [
      { from: "b", to: "b" },
      { from: "b", to: "a" },
      { from: "b", to: "" },
      { from: "", to: "\0" },
    ]) {
      expect(() => rangeOf("", range)).toThrowError(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    }
    expect(() => rangeOf("", "a" as never)).toThrowError(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  test("half a character may be a prefix, as bytes", () => {
    expect(byteString(bytes(0xc3), "p")).toBe("\u00c3");
  });
});
