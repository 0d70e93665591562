// A copy of a prefix in memory, kept by a watch: reads cost nothing and are a little behind at most.
import { setTimeout as sleep } from "node:timers/promises";
import { isUnumError } from "unum";

/** Fills `copy` (a Map) with what is under `prefix` and keeps it so, until the signal aborts. */
export async function keep(unum, prefix, copy, signal) {
  while (!signal.aborted) {
    try {
      const { entries, revision } = await unum.kv.range({ prefix });
      copy.clear();
      for (const entry of entries) copy.set(entry.key, entry.value);
      // From the revision after the one that was read: nothing is missed and nothing comes twice.
      for await (const { events } of unum.kv.watch({ prefix }, { from: revision + 1, signal })) {
        for (const event of events) {
          if (event.kind === "put") copy.set(event.entry.key, event.entry.value);
          else copy.delete(event.key);
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      // The node is stopping, or the watch fell behind what is kept: begin again with a range.
      if (!isUnumError(error)) throw error;
      await sleep(100);
    }
  }
}
