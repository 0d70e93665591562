import { createHash, scrypt } from "node:crypto";
import type { Digest, Digests } from "../../ports/index.ts";

const blockSize = 8;

export class NodeDigests implements Digests {
  sha256(): Digest {
    const hash = createHash("sha256");
    return {
      update: (bytes) => {
        hash.update(bytes);
      },
      finish: () => new Uint8Array(hash.digest()),
    };
  }

  stretch(password: Uint8Array, salt: Uint8Array, cost: number, done: (key: Uint8Array | Error) => void): void {
    const N = 2 ** (cost + 4);
    // What it needs and a little more: Node.js refuses where this is exceeded.
    const options = { N, r: blockSize, p: 1, maxmem: 2 * 128 * N * blockSize };
    scrypt(password, salt, 32, options, (error, key) => done(error ?? new Uint8Array(key)));
  }
}
