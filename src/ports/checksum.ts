/** CRC-32 (IEEE), continued from `seed`; equal to `crc32` of base, faster where the platform has one. */
export interface Checksum {
  crc32(bytes: Uint8Array, seed?: number): number;
}
