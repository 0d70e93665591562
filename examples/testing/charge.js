// A job that takes an amount from a balance, once per invoice, on whichever node gets there first.
import { setTimeout as sleep } from "node:timers/promises";
import { isUnumError, key, op } from "unum";

/**
 * Lock, look, write. It looks right, and charges twice: when the process stands still between looking and
 * writing for longer than the lease lasts, another node does the work, and this one goes on as if it still
 * held the lock.
 */
export function chargeNaively(unum, tax, invoice, amount) {
  return untilItHolds(async () => {
    await holding(unum, invoice, async () => {
      if ((await unum.kv.get(`paid/${invoice}`)) !== undefined) return;
      const total = amount + (await tax.quote(amount));
      const balance = (await unum.kv.get("balance")).value;
      await unum.kv.txn({ do: [op.put("balance", balance - total), op.put(`paid/${invoice}`, true)] });
    });
  });
}

/**
 * The same with a fence: the revision at which the lock was taken goes into the write, and the write is
 * refused once that lock is gone, however late it comes.
 */
export function chargeFenced(unum, tax, invoice, amount) {
  return untilItHolds(async () => {
    await holding(unum, invoice, async (fence) => {
      if ((await unum.kv.get(`paid/${invoice}`)) !== undefined) return;
      const total = amount + (await tax.quote(amount));
      const balance = await unum.kv.get("balance");
      await unum.kv.txn({
        if: [key(`locks/${invoice}`).createRevision(fence), key("balance").revision(balance.revision)],
        do: [op.put("balance", balance.value - total), op.put(`paid/${invoice}`, true)],
      });
      // Refused or not: whether it is paid is what the next round looks at.
      if ((await unum.kv.get(`paid/${invoice}`)) === undefined) throw new Busy();
    });
  });
}

class Busy extends Error {}

/** Takes the lock, which ends by itself with its lease, for as long as `work` takes. */
async function holding(unum, invoice, work) {
  const lease = await unum.lease("3s");
  try {
    const { revision } = await unum.kv.put(`locks/${invoice}`, "", { lease, ifRevision: 0 });
    await work(revision);
  } finally {
    await lease.close().catch(() => undefined);
  }
}

/** Nodes are lost and calls fail: the next round begins with looking again. */
async function untilItHolds(round) {
  for (;;) {
    try {
      return await round();
    } catch (error) {
      if (!isUnumError(error) && !(error instanceof Busy)) throw error;
      await sleep(200);
    }
  }
}
