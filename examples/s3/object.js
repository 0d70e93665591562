// An object in S3, changed by one process at a time: a lock for the order, the fence in its metadata for the process that stood still.

/**
 * `get()` gives `{ body, fence, etag }` (an object that is not there: body "", fence 0, etag undefined); `put(body, fence, etag)` writes only
 * over that version (`If-Match: etag`, or `If-None-Match: *` without one) and gives the new etag, or undefined when another version is there
 * (412). Rejects when the claim ended before the write; then nothing was written, unless the answer to the write itself was lost.
 */
export function change(unum, name, { get, put }, edit) {
  return unum.lock(`objects/${name}`).using(async (claim) => {
    const seized = await seize(claim.fence, get, put);
    const body = await edit(seized.body, claim);
    if ((await put(body, claim.fence, seized.etag)) === undefined) throw new Error(`${name}: a later holder has it`);
  });
}

/** Before anything else the object gets this fence: from here on whoever held the lock earlier has an etag that is not there any more. */
async function seize(fence, get, put) {
  for (;;) {
    const { body, etag, fence: newest } = await get();
    if (newest > fence) throw new Error("a later holder has it");
    const seized = await put(body, fence, etag);
    // Somebody who held it earlier was just writing: once more, over what he wrote.
    if (seized !== undefined) return { body, etag: seized };
  }
}
