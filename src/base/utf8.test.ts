import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MalformedBytes, equalBytes, utf8Decode, utf8Encode, utf8TryDecode } from "./bytes.ts";

const platformEncoder = new TextEncoder();
const platformDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function platformDecode(bytes: Uint8Array): string | undefined {
  try {
    return platformDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Bytes that are nearly UTF-8: valid text with a few bytes changed, or arbitrary ones. */
const nearlyUtf8 = fc.oneof(
  fc.uint8Array({ maxLength: 12 }),
  fc.tuple(fc.string({ unit: "binary" }), fc.nat(), fc.integer({ min: 0, max: 255 })).map(([text, at, byte]) => {
    const bytes = platformEncoder.encode(text);
    if (bytes.length > 0) bytes[at % bytes.length] = byte;
    return bytes;
  }),
);

describe("UTF-8", () => {
  it("encodes as the platform does, lone surrogates as U+FFFD included", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: "binary" }),
          fc.string({ unit: fc.integer({ min: 0xd700, max: 0xe000 }).map((c) => String.fromCharCode(c)) }),
        ),
        (text) => {
          expect(equalBytes(utf8Encode(text), platformEncoder.encode(text))).toBe(true);
        },
      ),
    );
  });

  it("encodes text of one width as long as its buffer must grow", () => {
    for (const character of ["a", "é", "€", "𝄞"]) {
      for (const length of [0, 1, 2, 3, 100, 10_000]) {
        const text = character.repeat(length);
        expect(equalBytes(utf8Encode(text), platformEncoder.encode(text))).toBe(true);
        expect(utf8Decode(utf8Encode(text))).toBe(text);
      }
    }
  });

  it("accepts and refuses exactly what the platform's fatal decoder does", () => {
    fc.assert(
      fc.property(nearlyUtf8, (bytes) => {
        expect(utf8TryDecode(bytes)).toBe(platformDecode(bytes));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ["a lone continuation byte", [0x80]],
    ["an overlong slash", [0xc0, 0xaf]],
    ["an overlong slash of three bytes", [0xe0, 0x80, 0xaf]],
    ["an overlong slash of four bytes", [0xf0, 0x80, 0x80, 0xaf]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["a code point beyond U+10FFFF", [0xf4, 0x90, 0x80, 0x80]],
    ["a byte that never occurs", [0xff]],
    ["a cut character", [0xe2, 0x82]],
    ["a character interrupted by another", [0xe2, 0x41, 0x42]],
  ])("refuses %s", (_, bytes) => {
    expect(utf8TryDecode(Uint8Array.from(bytes))).toBeUndefined();
    expect(() => utf8Decode(Uint8Array.from(bytes))).toThrow(MalformedBytes);
  });

  it("keeps a byte order mark: it is the user's", () => {
    expect(utf8Decode(utf8Encode("\ufeffa"))).toBe("\ufeffa");
  });

  it("keeps characters that lie across a chunk of its decoder", () => {
    for (const lead of [8190, 8191, 8192]) {
      const text = `${"a".repeat(lead)}𝄞𝄞€`;
      expect(utf8Decode(utf8Encode(text))).toBe(text);
    }
  });
});
