/** Entropy. Seeds the generators (`Prng`) that are passed to everything else. */
export interface Random {
  bytes(length: number): Uint8Array;
}
