import type { Prng } from "../base/index.ts";
import type { Random } from "../ports/index.ts";

/** Entropy that the seed decides. */
export class SimRandom implements Random {
  private readonly prng: Prng;

  constructor(prng: Prng) {
    this.prng = prng;
  }

  bytes(length: number): Uint8Array {
    return this.prng.bytes(length);
  }
}
