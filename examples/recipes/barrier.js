// Barriers: nobody goes on before the last has come.
import { filled, patiently } from "./waiting.js";

/**
 * Lets `count` participants through together, once: a further round is a further name. An arrival is kept when its process
 * crashes or its caller gives up, so a participant that comes again under the same `who` is counted once. One that never
 * comes holds the others up: give them a deadline.
 */
export const barrier = (unum, name, count) => at(unum, `barrier/${encodeURIComponent(name)}/`, count);

function at(unum, prefix, count) {
  return {
    /** Takes `{ signal, timeoutMs }`; rejects with the reason of the abort. */
    arrive: (who, options = {}) =>
      patiently(options, async (signal) => {
        await unum.kv.put(prefix + encodeURIComponent(who), true, { signal });
        await filled(unum, prefix, count, signal);
      }),
  };
}

/** Nobody begins before all have entered, and nobody leaves before all are done. Once per name, as `barrier`. */
export function doubleBarrier(unum, name, count) {
  const before = at(unum, `double-barrier/${encodeURIComponent(name)}/in/`, count);
  const after = at(unum, `double-barrier/${encodeURIComponent(name)}/out/`, count);
  return {
    enter: (who, options) => before.arrive(who, options),
    leave: (who, options) => after.arrive(who, options),
  };
}
