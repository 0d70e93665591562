/** Cryptographic hashes. */
export interface Digests {
  sha256(): Digest;
  /**
   * A key of 32 bytes from a password, made so that trying passwords is slow: scrypt with N = 2^(cost + 4), r = 8, p = 1, that is, 2^(cost + 14) bytes of
   * memory. Calls back once, in a later turn; meanwhile the loop goes on.
   */
  stretch(password: Uint8Array, salt: Uint8Array, cost: number, done: (key: Uint8Array | Error) => void): void;
}

/** A hash over bytes that come in pieces. */
export interface Digest {
  update(bytes: Uint8Array): void;
  /** 32 bytes. Nothing may be added afterwards. */
  finish(): Uint8Array;
}
