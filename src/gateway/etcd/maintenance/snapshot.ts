import { isUnumError } from "../../../base/index.ts";
import type { Answers } from "../grpc/index.ts";
import type { Ground } from "../service.ts";

const chunkBytes = 32 * 1024;
/** etcdctl refuses a file whose length is not a multiple of this, and a hash behind it. */
const blockBytes = 512;
/** Beyond this the client counts as slow, and the backup waits. */
const bufferedBytesMax = 1024 * 1024;

/** How long the first bytes of a backup may take. */
const beginMs = 5_000;

type Blob = { readonly blob: Uint8Array; readonly remainingBytes: bigint };

/**
 * A backup of the whole cluster in the form that etcd's clients check: blocks of 512 bytes, filled up with zeros, and the
 * SHA-256 of all of them. `unum snapshot restore` reads it as it is, since a backup says where it ends.
 */
export async function sendSnapshot(ground: Ground, answers: Answers<Blob>): Promise<void> {
  const hash = ground.digests.sha256();
  let bytes = 0;
  const send = (blob: Uint8Array): void => {
    hash.update(blob);
    bytes += blob.length;
    // How much is left is not known before the end: clients read until then.
    answers.send({ blob, remainingBytes: 1n });
  };
  for await (const chunk of await begin(ground)) {
    for (let at = 0; at < chunk.length; at += chunkBytes) send(chunk.subarray(at, at + chunkBytes));
    while (answers.bufferedBytes > bufferedBytesMax && !answers.call.isOver) await pause(ground, 5);
    if (answers.call.isOver) return;
  }
  const rest = bytes % blockBytes;
  if (rest > 0) send(new Uint8Array(blockBytes - rest));
  answers.send({ blob: hash.finish(), remainingBytes: 0n });
  answers.end();
}

/** A keyspace that is being made, or has no leader now, cannot be saved yet: until the first bytes have come it is tried again. */
async function begin(ground: Ground): Promise<AsyncIterable<Uint8Array>> {
  const endMs = ground.clock.now() + beginMs;
  for (;;) {
    const chunks = ground.handle.snapshotSave();
    try {
      const first = await chunks.next();
      return first.done === true ? chunks : joined(first.value, chunks);
    } catch (error) {
      if (!isUnumError(error, "UNAVAILABLE", "NO_LEADER", "NOT_LEADER") || ground.clock.now() > endMs) throw error;
      await pause(ground, 50);
    }
  }
}

async function* joined(first: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first;
  yield* rest;
}

function pause(ground: Ground, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    ground.clock.after(delayMs, resolve);
  });
}
