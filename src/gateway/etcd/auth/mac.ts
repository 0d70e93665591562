import type { Digests } from "../../../ports/index.ts";

const blockBytes = 64;

/** HMAC-SHA-256 (RFC 2104) of a key of at most 64 bytes. */
export function macOf(digests: Digests, key: Uint8Array, bytes: Uint8Array): Uint8Array {
  return hash(digests, padded(key, 0x5c), hash(digests, padded(key, 0x36), bytes));
}

/** Whether they are equal, in a time that does not tell where they differ. */
export function isEqualSlowly(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let different = 0;
  for (let i = 0; i < a.length; i++) different |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return different === 0;
}

function padded(key: Uint8Array, pad: number): Uint8Array {
  const block = new Uint8Array(blockBytes).fill(pad);
  for (let i = 0; i < key.length; i++) block[i] = pad ^ (key[i] ?? 0);
  return block;
}

function hash(digests: Digests, first: Uint8Array, second: Uint8Array): Uint8Array {
  const digest = digests.sha256();
  digest.update(first);
  digest.update(second);
  return digest.finish();
}
