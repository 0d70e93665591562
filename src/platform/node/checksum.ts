import { crc32 } from "node:zlib";
import type { Checksum } from "../../ports/index.ts";

/** zlib's CRC-32, several times faster than `crc32` of base on more than a few bytes. */
export class NodeChecksum implements Checksum {
  crc32(bytes: Uint8Array, seed = 0): number {
    return crc32(bytes, seed);
  }
}
