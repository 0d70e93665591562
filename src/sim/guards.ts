/** What reaches for real time or entropy, by where it lives. Absent names are passed over. */
const forbidden: readonly (readonly [string | undefined, string])[] = [
  [undefined, "setTimeout"],
  [undefined, "setInterval"],
  [undefined, "setImmediate"],
  ["Math", "random"],
  ["performance", "now"],
  ["crypto", "getRandomValues"],
  ["crypto", "randomUUID"],
];

/** Simulated code asked for real time or entropy: the run would not be reproducible. */
export class NotDeterministic extends Error {
  override readonly name = "NotDeterministic";
}

function refuse(what: string): () => never {
  return () => {
    throw new NotDeterministic(`${what} was called within a simulation: use the clock or random port`);
  };
}

/**
 * Makes the global clock, timers and entropy throw until the returned function is called. `new Date(…)`
 * with arguments stays: it is arithmetic.
 */
export function installGuards(): () => void {
  const root = globalThis as unknown as Record<string, Record<string, unknown> | undefined>;
  const undo: (() => void)[] = [];
  const replace = (owner: Record<string, unknown>, name: string, value: unknown): void => {
    const descriptor = Object.getOwnPropertyDescriptor(owner, name);
    Object.defineProperty(owner, name, { value, configurable: true, writable: true, enumerable: descriptor?.enumerable ?? false });
    undo.push(() => {
      if (descriptor === undefined) delete owner[name];
      else Object.defineProperty(owner, name, descriptor);
    });
  };
  for (const [place, name] of forbidden) {
    const owner = place === undefined ? root : root[place];
    if (owner?.[name] === undefined) continue;
    replace(owner, name, refuse(place === undefined ? name : `${place}.${name}`));
  }
  const RealDate = Date;
  replace(
    root,
    "Date",
    new Proxy(RealDate, {
      get: (target, name, receiver) => (name === "now" ? refuse("Date.now") : Reflect.get(target, name, receiver)),
      construct: (target, args: unknown[], newTarget) =>
        args.length === 0 ? refuse("new Date()")() : Reflect.construct(target, args, newTarget),
      apply: () => refuse("Date()")(),
    }),
  );
  return () => {
    for (const step of undo.splice(0).reverse()) step();
  };
}
