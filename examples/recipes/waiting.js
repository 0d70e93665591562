// What the recipes share: waiting for a range of keys to come to a state that it never leaves again.
import { setTimeout as sleep } from "node:timers/promises";
import { isUnumError } from "unum";

/** Errors that no patience mends: the handle is over, or the call is wrong. */
const final = new Set(["CLOSED", "NODE_STOPPED", "INVALID_ARGUMENT", "INVALID_VALUE"]);

/**
 * Runs `step` with a signal that aborts with the caller's or after `timeoutMs`, again after errors that pass. `step` must be
 * idempotent: an error does not say whether it took effect. Rejects with the reason of the abort.
 */
export async function patiently({ signal, timeoutMs }, step) {
  const deadline = new AbortController();
  const late = () => deadline.abort(new DOMException(`not within ${timeoutMs} ms`, "TimeoutError"));
  const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
  const either = signal === undefined ? deadline.signal : AbortSignal.any([signal, deadline.signal]);
  try {
    for (;;) {
      either.throwIfAborted();
      try {
        return await step(either);
      } catch (error) {
        either.throwIfAborted();
        if (!isUnumError(error) || final.has(error.code)) throw error;
        await sleep(100);
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Fulfils when at least `count` entries are under `prefix`. Right only for entries that are never deleted. */
export async function filled(unum, prefix, count, signal) {
  for (;;) {
    const page = await unum.kv.range({ prefix }, { limit: 1, signal });
    if (page.count >= count) return;
    // From the revision after the one that was read, so that no arrival falls between the two.
    for await (const _ of unum.kv.watch({ prefix }, { from: page.revision + 1, signal })) break;
    signal.throwIfAborted();
  }
}
