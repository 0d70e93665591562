/** The platform's own scheduling functions, taken before a guard can replace them. */
const globals = globalThis as unknown as { readonly setImmediate?: (callback: () => void) => unknown };
const macrotask = globals.setImmediate;

/**
 * Fulfils when every promise reaction that can run has run.
 *
 * Why this is deterministic: a host runs the reactions in the order in which they became due, all of
 * them, before the next macrotask; simulated code has no other source of progress than the events of
 * the scheduler, since nothing in it waits for a real timer, file or socket (the guards see to that).
 * So the order of reactions between two events depends on the events alone.
 */
export function drainReactions(): Promise<void> {
  return new Promise((resolve) => {
    if (macrotask === undefined) throw new Error("the simulator runs where there is setImmediate");
    macrotask(resolve);
  });
}
