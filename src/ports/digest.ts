/** Cryptographic hashes. */
export interface Digests {
  sha256(): Digest;
}

/** A hash over bytes that come in pieces. */
export interface Digest {
  update(bytes: Uint8Array): void;
  /** 32 bytes. Nothing may be added afterwards. */
  finish(): Uint8Array;
}
