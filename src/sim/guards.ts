/** Simulated code asked for real time, chance or I/O: the run would not be reproducible. */
export class NotDeterministic extends Error {
  override readonly name = "NotDeterministic";
}

type Members = Record<string, unknown>;

/** What reaches for real time, chance or threads, by where it lives. Absent names are passed over. */
const forbidden: readonly (readonly [place: string | undefined, names: readonly string[]])[] = [
  [undefined, ["setTimeout", "setInterval", "setImmediate", "fetch", "WebSocket", "EventSource"]],
  ["Math", ["random"]],
  ["performance", ["now"]],
  ["process", ["hrtime", "uptime"]],
  ["Atomics", ["wait", "waitAsync"]],
  ["crypto", ["getRandomValues", "randomUUID"]],
];

/**
 * The same within the platform's own modules. `undefined`: every function of the module. Where a prototype is
 * named, whatever is built upon it (TLS, HTTP) ends there, too.
 */
const forbiddenInModules: readonly (readonly [module: string, names: readonly string[] | undefined])[] = [
  ["node:timers", ["setTimeout", "setInterval", "setImmediate"]],
  ["node:timers/promises", undefined],
  ["node:crypto", ["randomBytes", "randomInt", "randomUUID", "randomFill", "randomFillSync", "pbkdf2", "scrypt", "generateKeyPair"]],
  ["node:fs", undefined],
  ["node:fs/promises", undefined],
  ["node:net", ["connect", "createConnection", "createServer", "Socket.prototype.connect", "Server.prototype.listen"]],
  ["node:tls", ["connect", "createServer"]],
  ["node:http", ["request", "get", "createServer"]],
  ["node:https", ["request", "get", "createServer"]],
  ["node:http2", ["connect", "createServer", "createSecureServer"]],
  ["node:dgram", ["createSocket"]],
  ["node:dns", ["lookup", "resolve", "resolve4", "resolve6", "resolveSrv"]],
  ["node:dns/promises", ["lookup", "resolve", "resolve4", "resolve6", "resolveSrv"]],
  ["node:child_process", ["spawn", "spawnSync", "exec", "execSync", "execFile", "execFileSync", "fork"]],
  ["node:worker_threads", ["Worker"]],
  ["node:zlib", ["deflate", "inflate", "gzip", "gunzip", "brotliCompress", "brotliDecompress"]],
];

/**
 * Functions of `fs` that stay: the platform's own loader and stack traces read files with them at moments
 * that nobody chooses. A file that does not change reads the same in every run; what is written, or read
 * later, is refused.
 */
const kept = new Set([
  "readFileSync",
  "existsSync",
  "statSync",
  "lstatSync",
  "realpathSync",
  "fstatSync",
  "openSync",
  "closeSync",
  "readSync",
]);

interface Platform {
  getBuiltinModule?(name: string): Members | undefined;
}

/** Puts things in the place of others, and everything back. */
class Replacements {
  private readonly undo: (() => void)[] = [];

  put(owner: Members, name: string, value: unknown): void {
    const descriptor = Object.getOwnPropertyDescriptor(owner, name);
    if (descriptor?.configurable === false) return;
    Object.defineProperty(owner, name, { value, configurable: true, writable: true, enumerable: descriptor?.enumerable ?? false });
    this.undo.push(() => {
      if (descriptor === undefined) delete owner[name];
      else Object.defineProperty(owner, name, descriptor);
    });
  }

  end(): void {
    for (const step of this.undo.splice(0).reverse()) step();
  }
}

/**
 * Makes the global clock, timers, entropy and I/O throw `NotDeterministic` until the returned function is called.
 * They are patched for the whole process, since a context that follows asynchronous code would cost more than
 * the simulation; so one simulation runs at a time. `new Date(…)` with arguments stays: it is arithmetic.
 *
 * `onRefused` hears of each refusal: simulated code may swallow the error.
 */
export function installGuards(onRefused: (what: string) => void = () => undefined): () => void {
  const root = globalThis as unknown as Record<string, Members | undefined>;
  if ((root as { setTimeout?: { name?: string } }).setTimeout?.name === "refused") throw new Error("one simulation runs at a time");
  // What prints is loaded on first use, and would keep what it then finds for ever.
  for (const name of ["stdout", "stderr"]) void root["process"]?.[name];
  const replacements = new Replacements();
  const refuse = (what: string) =>
    // Not an arrow function: some of these are called with `new`.
    function refused(): never {
      onRefused(what);
      throw new NotDeterministic(`${what} was called within a simulation: use the ports`);
    };
  guardModules(replacements, refuse);
  for (const [place, names] of forbidden) {
    const owner = place === undefined ? (root as Members) : root[place];
    for (const name of names) {
      if (owner?.[name] !== undefined) replacements.put(owner, name, refuse(place === undefined ? name : `${place}.${name}`));
    }
  }
  replacements.put(root as Members, "Date", guardedDate(refuse));
  return () => {
    replacements.end();
    shareWithImports();
  };
}

function guardedDate(refuse: (what: string) => () => never): unknown {
  return new Proxy(Date, {
    get: (target, name, receiver) => (name === "now" ? refuse("Date.now") : Reflect.get(target, name, receiver)),
    construct: (target, args: unknown[], newTarget) =>
      args.length === 0 ? refuse("new Date()")() : Reflect.construct(target, args, newTarget),
    apply: () => refuse("Date()")(),
  });
}

/** Nothing where there is no such platform, as in a browser. */
function guardModules(replacements: Replacements, refuse: (what: string) => () => never): void {
  for (const [module, names] of forbiddenInModules) {
    const members = builtin(module);
    if (members === undefined) continue;
    for (const path of names ?? functionsOf(members)) {
      const parts = path.split(".");
      const name = parts.pop() as string;
      const owner = parts.reduce<Members | undefined>((at, part) => at?.[part] as Members | undefined, members);
      if (typeof owner?.[name] === "function") replacements.put(owner, name, refuse(`${module} ${path}`));
    }
  }
  shareWithImports();
}

/** Functions, and no classes: streams that exist already are instances of those. */
function functionsOf(members: Members): string[] {
  return Object.keys(members).filter((name) => typeof members[name] === "function" && /^[a-z]/.test(name) && !kept.has(name));
}

function builtin(module: string): Members | undefined {
  return (globalThis as { readonly process?: Platform }).process?.getBuiltinModule?.(module);
}

/** Lets `import { … }` of built-in modules see what their objects hold now. */
function shareWithImports(): void {
  (builtin("node:module")?.["syncBuiltinESMExports"] as (() => void) | undefined)?.();
}
