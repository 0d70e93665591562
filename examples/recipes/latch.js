// A latch is closed until somebody opens it, and then open for good: for those who wait and for those who come later.
import { filled, patiently } from "./waiting.js";

/** `open` and `wait` take `{ signal, timeoutMs }` and reject with the reason of the abort; whether it opened is then unknown. */
export function latch(unum, name) {
  const key = `latch/${encodeURIComponent(name)}/open`;
  return {
    /** Opening twice is as opening once. */
    open: (options = {}) =>
      patiently(options, async (signal) => {
        await unum.kv.put(key, true, { signal });
      }),
    wait: (options = {}) => patiently(options, (signal) => filled(unum, key, 1, signal)),
  };
}
