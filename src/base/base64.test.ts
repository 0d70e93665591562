import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { base64Decode, base64Encode } from "./base64.ts";
import { MalformedBytes, equalBytes, utf8Encode } from "./bytes.ts";
import { hexDecode, hexEncode } from "./hex.ts";

describe("base64", () => {
  it("gives the vectors of RFC 4648", () => {
    const vectors = { "": "", f: "Zg==", fo: "Zm8=", foo: "Zm9v", foob: "Zm9vYg==", fooba: "Zm9vYmE=", foobar: "Zm9vYmFy" };
    for (const [text, encoded] of Object.entries(vectors)) {
      expect(base64Encode(utf8Encode(text))).toBe(encoded);
      expect(equalBytes(base64Decode(encoded), utf8Encode(text))).toBe(true);
    }
  });

  it("reads back any bytes, and equals the platform's form", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(base64Encode(bytes)).toBe(Buffer.from(bytes).toString("base64"));
        expect(equalBytes(base64Decode(base64Encode(bytes)), bytes)).toBe(true);
      }),
    );
  });

  it.each(["Z", "Zg", "Zg=", "====", "=AAA", "A=AA", "A=B=", "AA=A", "Zm9v\n", "Zm-_", "AAAA====", "Zg==Zg=="])("refuses %j", (text) => {
    expect(() => base64Decode(text)).toThrow(MalformedBytes);
  });
});

describe("hex", () => {
  it("reads back any bytes, in either case", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = hexEncode(bytes);
        expect(text).toBe(Buffer.from(bytes).toString("hex"));
        expect(equalBytes(hexDecode(text.toUpperCase()), bytes)).toBe(true);
      }),
    );
  });

  it.each(["0", "0g", "0x00", " 00", "00 "])("refuses %j", (text) => {
    expect(() => hexDecode(text)).toThrow(MalformedBytes);
  });
});
