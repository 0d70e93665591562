import { describe, expect, test } from "vitest";
import { utf8Decode, utf8Encode } from "../../base/index.ts";
import type { StandardSchemaV1 } from "../schema.ts";
import { bytes, codecOf, decodeValue, encodeValue, json, text } from "./codec.ts";

const selfContaining = (): unknown => {
  const a: { b: { c: unknown }[] } = { b: [] };
  a.b.push({ c: a });
  return a;
};

describe("JSON", () => {
  test("values that JSON brings back are stored as plain text without a tag", () => {
    const shared = { x: 1 };
    for (const value of [
      null,
      true,
      0,
      -1.5,
      1e300,
      "",
      "ä𝄞\u2028",
      [],
      {},
      [1, [2, { a: null }]],
      { a: { b: [shared, shared] } },
      { toJSON: 1 },
    ]) {
      const stored = encodeValue(json as never, value);
      expect(utf8Decode(stored)).toBe(JSON.stringify(value));
      expect(decodeValue(json as never, stored, "k")).toEqual(value);
    }
    expect(utf8Decode(encodeValue(json as never, Object.assign(Object.create(null), { a: 1 })))).toBe('{"a":1}');
  });

  test("half a surrogate pair in a text comes back as it was", () => {
    expect(decodeValue(json as never, encodeValue(json as never, "a\ud800"), "k")).toBe("a\ud800");
  });

  test.each([
    ["undefined", undefined, ""],
    ["undefined inside", { a: [{ b: undefined }] }, "a[0].b"],
    ["a hole", new Array(1), "[0]"],
    ["NaN", { a: Number.NaN }, "a"],
    ["Infinity", [1, Number.POSITIVE_INFINITY], "[1]"],
    ["bigint", { "x y": 1n }, '["x y"]'],
    ["Uint8Array", { a: new Uint8Array(1) }, "a"],
    ["Map", { m: new Map() }, "m"],
    ["Set", new Set(), ""],
    ["Date, which comes back as a text", { at: new Date(0) }, "at"],
    ["function", { f: () => 1 }, "f"],
    ["toJSON", { toJSON: () => 1 }, "toJSON"],
    ["symbol", [Symbol("s")], "[0]"],
    ["symbol as a key", { a: { [Symbol("s")]: 1 } }, "a"],
    [
      "a class's instance",
      {
        a: new (class Point {
          x = 1;
        })(),
      },
      "a",
    ],
    ["a boxed number", { a: Object(1) as unknown }, "a"],
    ["a promise", Promise.resolve(1), ""],
    ["a cycle", selfContaining(), "b[0].c"],
  ])("%s is refused with INVALID_VALUE and its path", (_name, value, path) => {
    expect(() => encodeValue(json as never, value)).toThrowError(
      expect.objectContaining({ code: "INVALID_VALUE", outcome: "not-applied", details: { path } }),
    );
  });

  test("bytes that are no JSON are DECODE_FAILED, naming the key and the remedy", () => {
    for (const stored of [utf8Encode("{"), new Uint8Array([0xff]), new Uint8Array(0)]) {
      expect(() => decodeValue(json as never, stored, "k\u00c3\u00a4")).toThrowError(
        expect.objectContaining({ code: "DECODE_FAILED", details: { key: "kä" }, message: expect.stringContaining("kv.with(bytes)") }),
      );
    }
  });
});

describe("text and bytes", () => {
  test("text is UTF-8", () => {
    expect(encodeValue(text as never, "ä")).toEqual(utf8Encode("ä"));
    expect(decodeValue(text as never, utf8Encode("ä𝄞"), "k")).toBe("ä𝄞");
    expect(() => encodeValue(text as never, "\udc00")).toThrowError(/surrogate/);
    expect(() => encodeValue(text as never, 1)).toThrowError(/takes text, not number/);
    expect(() => decodeValue(text as never, new Uint8Array([0xc3]), "k")).toThrowError(expect.objectContaining({ code: "DECODE_FAILED" }));
  });

  test("bytes that are read are the caller's own, not a view of a received frame", () => {
    const frame = new Uint8Array([1, 2, 3, 4]);
    const read = decodeValue(bytes as never, frame.subarray(1, 3), "k") as Uint8Array;
    frame.fill(9);
    expect(read).toEqual(new Uint8Array([2, 3]));
    expect(() => encodeValue(bytes as never, "x")).toThrowError(expect.objectContaining({ code: "INVALID_VALUE" }));
  });

  test("a codec's own exception becomes the cause", () => {
    const cause = new Error("no");
    const bad = {
      encode: () => {
        throw cause;
      },
      decode: () => {
        throw cause;
      },
    };
    expect(() => encodeValue(bad as never, 1)).toThrowError(expect.objectContaining({ code: "INVALID_VALUE", cause }));
    expect(() => decodeValue(bad as never, new Uint8Array(1), "k")).toThrowError(expect.objectContaining({ code: "DECODE_FAILED", cause }));
    expect(() => codecOf({} as never)).toThrowError(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
});

describe("a Standard Schema", () => {
  /** Takes a number or its text, gives the number. */
  const schema: StandardSchemaV1<number | string, number> = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) =>
        Number.isFinite(Number(value)) ? { value: Number(value) } : { issues: [{ message: "no number", path: ["a", { key: 1 }] }] },
    },
  };

  test("checks the input on write, stores it as given, parses on read", () => {
    const codec = codecOf(schema as StandardSchemaV1);
    const stored = encodeValue(codec as never, "7");
    expect(utf8Decode(stored)).toBe('"7"');
    expect(decodeValue(codec as never, stored, "k")).toBe(7);
    expect(() => encodeValue(codec as never, "x")).toThrowError(
      expect.objectContaining({ code: "INVALID_VALUE", message: expect.stringContaining("a.1") }),
    );
    expect(() => decodeValue(codec as never, utf8Encode('"x"'), "k")).toThrowError(expect.objectContaining({ code: "DECODE_FAILED" }));
  });

  test("one that answers later is refused, and its rejection is nobody's", () => {
    const later = codecOf({ "~standard": { version: 1, vendor: "slow", validate: () => Promise.reject(new Error("late")) } });
    expect(() => encodeValue(later as never, 1)).toThrowError(
      expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringContaining("slow") }),
    );
  });
});
