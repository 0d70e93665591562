import { crc32 as zlibCrc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import { utf8Encode } from "./bytes.ts";
import { crc32 } from "./crc.ts";
import { Prng } from "./prng.ts";

describe("crc32", () => {
  it("gives the check value of the standard", () => {
    expect(crc32(utf8Encode("123456789"))).toBe(0xcbf43926);
    expect(crc32(new Uint8Array(0))).toBe(0);
  });

  it("equals the platform's for every length around its step of eight, every alignment and any seed", () => {
    const random = new Prng("crc");
    for (let length = 0; length < 70; length++) {
      const bytes = random.bytes(length + 3).subarray(length % 4);
      const seed = random.u32();
      expect(crc32(bytes)).toBe(zlibCrc32(bytes));
      expect(crc32(bytes, seed)).toBe(zlibCrc32(bytes, seed));
    }
    const large = random.bytes(100_003);
    expect(crc32(large)).toBe(zlibCrc32(large));
  });

  it("continues: a checksum over parts is that of the whole, wherever it is cut", () => {
    const bytes = new Prng("parts").bytes(40);
    for (let cut = 0; cut <= bytes.length; cut++) expect(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut)))).toBe(crc32(bytes));
  });

  it("notices every flipped bit", () => {
    const bytes = new Prng("bits").bytes(24);
    const right = crc32(bytes);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(crc32(flipped)).not.toBe(right);
    }
  });
});
