import { createHash } from "node:crypto";
import type { Digest, Digests } from "../../ports/index.ts";

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
}
