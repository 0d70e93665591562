import { describe, expect, it } from "vitest";
import { Prng, crc32, utf8Encode } from "../base/index.ts";
import type { Checksum } from "./checksum.ts";

/** What every checksum promises: the numbers of `crc32` of base; see `checksum.ts`. */
export function checksumContract(name: string, make: () => Checksum): void {
  describe(`${name} keeps the checksum's promises`, () => {
    it("gives the check value of CRC-32", () => {
      expect(make().crc32(utf8Encode("123456789"))).toBe(0xcbf43926);
      expect(make().crc32(new Uint8Array(0))).toBe(0);
    });

    it("equals base's, at any length and offset, as an unsigned number", () => {
      const checksum = make();
      const bytes = new Prng(1).bytes(4096);
      for (let length = 0; length < 300; length++) {
        const part = bytes.subarray(length % 7, (length % 7) + length);
        expect(checksum.crc32(part)).toBe(crc32(part));
      }
      expect(checksum.crc32(bytes)).toBe(crc32(bytes));
      expect(checksum.crc32(bytes)).toBeGreaterThanOrEqual(0);
    });

    it("continues from a seed as if the parts were one", () => {
      const checksum = make();
      const bytes = new Prng(2).bytes(1000);
      for (const cut of [0, 1, 8, 500, 999, 1000]) {
        expect(checksum.crc32(bytes.subarray(cut), checksum.crc32(bytes.subarray(0, cut)))).toBe(checksum.crc32(bytes));
      }
    });
  });
}
