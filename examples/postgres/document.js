// A document in Postgres, changed by one process at a time: a lock for the order, the fence for the process that stood still.

/** Before anything else: from here on the row refuses whoever held the lock earlier. Gives the document as it is then. */
export const seize = "UPDATE documents SET fence = $1 WHERE id = $2 AND fence <= $1 RETURNING body";

export const write = "UPDATE documents SET body = $3 WHERE id = $2 AND fence = $1";

/** `query(text, values)` is that of a `pg` pool. Rejects when the claim ended before the write, and then nothing was written. */
export function change(unum, query, id, edit) {
  return unum.lock(`documents/${id}`).using(async (claim) => {
    const fence = String(claim.fence);
    const { rows } = await query(seize, [fence, id]);
    if (rows.length === 0) throw new Error(`${id} is gone, or a later holder has it`);
    const body = await edit(rows[0].body, claim);
    const { rowCount } = await query(write, [fence, id, body]);
    if (rowCount === 0) throw new Error(`${id}: a later holder has it`);
  });
}
