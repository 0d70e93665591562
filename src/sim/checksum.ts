import { crc32 } from "../base/index.ts";
import type { Checksum } from "../ports/index.ts";

export class SimChecksum implements Checksum {
  crc32(bytes: Uint8Array, seed = 0): number {
    return crc32(bytes, seed);
  }
}
