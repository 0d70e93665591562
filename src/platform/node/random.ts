import { randomFillSync } from "node:crypto";
import type { Random } from "../../ports/index.ts";

/** Entropy of the operating system, fit for keys and ids. */
export class NodeRandom implements Random {
  bytes(length: number): Uint8Array {
    return randomFillSync(new Uint8Array(length));
  }
}
