import { UnumError } from "./errors.ts";
import { limits } from "./limits.ts";

/**
 * Every option of a node and of a handle, in one table. A value comes from what was given (an
 * argument, a flag), else from the `UNUM_*` variable, else from the default; flags, variables,
 * validation, help and the reference page all come from here.
 */
export type OptionKind = "text" | "address" | "addresses" | "seeds" | "integer" | "switch" | "duration" | "size" | "level";

/** Who takes the option: a node that starts, or a handle that connects. */
export type OptionScope = "node" | "client";

interface OptionShape {
  readonly scope: OptionScope;
  readonly kind: OptionKind;
  readonly environment: string;
  /** What stands for the value in help: "HOST:PORT". Empty for a switch. */
  readonly placeholder: string;
  /** As a user would write it; undefined when there is none. */
  readonly fallback: string | undefined;
  /** What happens without a value, where `fallback` does not say it. */
  readonly otherwise: string;
  readonly meaning: string;
  readonly min: number;
  readonly max: number;
  /** Only odd numbers: an even number of voters tolerates no more failures than one less. */
  readonly odd: boolean;
  /** The command line does not show it: the program gives it, or a variable does. */
  readonly hidden: boolean;
}

interface RowInput {
  readonly placeholder?: string;
  readonly fallback?: string;
  readonly otherwise?: string;
  readonly min?: number;
  readonly max?: number;
  readonly odd?: boolean;
  readonly hidden?: boolean;
}

function row<S extends OptionScope, K extends OptionKind>(
  scope: S,
  kind: K,
  environment: string,
  meaning: string,
  input: RowInput = {},
): OptionShape & { readonly scope: S; readonly kind: K } {
  return {
    scope,
    kind,
    environment,
    meaning,
    placeholder: input.placeholder ?? "",
    fallback: input.fallback,
    otherwise: input.otherwise ?? "",
    min: input.min ?? 0,
    max: input.max ?? Number.MAX_SAFE_INTEGER,
    odd: input.odd ?? false,
    hidden: input.hidden ?? false,
  };
}

// biome-ignore format: a table reads best with one row per line
export const optionTable = {
  name: row("node", "text", "UNUM_NAME", "The node's name, unique among the live members", { placeholder: "NAME", otherwise: "made from the node's id" }),
  data: row("node", "text", "UNUM_DATA", "Directory of the node's data", { placeholder: "DIR", fallback: ".unum/data" }),
  listen: row("node", "address", "UNUM_LISTEN", "Address to listen on; port 0 takes a free one", { placeholder: "HOST:PORT", fallback: "127.0.0.1:7400" }),
  advertise: row("node", "address", "UNUM_ADVERTISE", "Address that others reach this node at", { placeholder: "HOST:PORT", otherwise: "the address listened on" }),
  seeds: row("node", "seeds", "UNUM_SEEDS", "Addresses of nodes to form or join a cluster with, its own may be among them", {
    placeholder: "HOST:PORT,…|dns:NAME:PORT", otherwise: "a cluster of one",
  }),
  expect: row("node", "integer", "UNUM_EXPECT", "How many empty nodes form a new cluster", {
    placeholder: "N", otherwise: "the number of seeds", min: 1, max: limits.membersMax,
  }),
  etcd: row("node", "address", "UNUM_ETCD", "Address to answer etcd's clients at", { placeholder: "HOST:PORT", otherwise: "not answered" }),
  zone: row("node", "text", "UNUM_ZONE", "Failure domain; replicas are spread over zones", { placeholder: "ZONE", otherwise: "none" }),
  voters: row("node", "integer", "UNUM_VOTERS", "Voting replicas wanted per group; odd", { placeholder: "N", fallback: "3", min: 1, max: 9, odd: true }),
  ephemeral: row("node", "switch", "UNUM_EPHEMERAL", "The node has no lasting disk: it leaves the cluster when it closes"),
  insecure: row("node", "switch", "UNUM_INSECURE", "Listen beyond loopback without a secret or certificates"),
  maxBytes: row("node", "size", "UNUM_MAX_BYTES", "Bytes of data per keyspace; at the limit puts answer OVER_QUOTA", {
    placeholder: "SIZE", fallback: "2GiB", min: 1024 * 1024,
  }),
  memory: row("node", "size", "UNUM_MEMORY", "Memory for state, history, log and buffers; with less than a fifth of it left, growing writes answer OUT_OF_SPACE", {
    placeholder: "SIZE", otherwise: "60 % of the machine's or container's memory", min: 16 * 1024 * 1024,
  }),
  removeDeadAfter: row("node", "duration", "UNUM_REMOVE_DEAD_AFTER", "When a dead ephemeral node is removed", { placeholder: "TIME", fallback: "5m", min: 1000 }),
  isolate: row("node", "switch", "UNUM_ISOLATE", "The engine runs in a thread of its own, so that a blocked event loop is no dead node; the command line's nodes have no other code and do without", {
    fallback: "true", hidden: true,
  }),
  maxStall: row("node", "duration", "UNUM_MAX_STALL", "How long the program's thread may be blocked before its claims are let go", {
    placeholder: "TIME", fallback: "30s", min: 1000, max: limits.deadlineMsMax, hidden: true,
  }),
  log: row("node", "level", "UNUM_LOG", "What is written to stderr: debug, info, warn, error or silent", { placeholder: "LEVEL", fallback: "info" }),
  endpoint: row("client", "addresses", "UNUM_ENDPOINT", "Nodes to talk to", {
    placeholder: "HOST:PORT,…", otherwise: "those of .unum/dev.json, else 127.0.0.1:7400",
  }),
  timeout: row("client", "duration", "UNUM_TIMEOUT", "How long a call may take", { placeholder: "TIME", fallback: "10s", min: 1, max: limits.deadlineMsMax }),
} as const satisfies Record<string, OptionShape>;

export type OptionName = keyof typeof optionTable;
export type OptionRow = OptionShape;

interface KindValues {
  readonly text: string;
  readonly address: string;
  readonly addresses: readonly string[];
  readonly seeds: readonly string[];
  readonly integer: number;
  readonly switch: boolean;
  /** Milliseconds. */
  readonly duration: number;
  /** Bytes. */
  readonly size: number;
  readonly level: LogLevel;
}

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** What an option is once it is read: durations in milliseconds, sizes in bytes. */
export type OptionValue<N extends OptionName> = KindValues[(typeof optionTable)[N]["kind"]];

/** Values as a caller may give them; a switch, number or list may also come as text. */
export type OptionInput = { readonly [N in OptionName]?: OptionValue<N> | string | undefined };

/** Values after variables and defaults; undefined where there is no default. */
export type OptionValues<S extends OptionScope> = {
  readonly [N in OptionName as (typeof optionTable)[N]["scope"] extends S ? N : never]: OptionValue<N> | undefined;
};

/** The flag on the command line: `removeDeadAfter` is `--remove-dead-after`. */
export function optionFlag(name: OptionName): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** The names of one scope, in the table's order. */
export function optionNames(scope: OptionScope): readonly OptionName[] {
  return (Object.keys(optionTable) as OptionName[]).filter((name) => optionTable[name].scope === scope);
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const unitBytes: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
};

/** "250ms", "10s", "5m", "1h", "2d" or a number of milliseconds; undefined when it is none. */
export function parseDurationMs(text: string | number): number | undefined {
  if (typeof text === "number") return Number.isFinite(text) && text >= 0 ? text : undefined;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text.trim());
  if (match === null) return undefined;
  return Number(match[1]) * (unitMs[match[2] ?? "ms"] ?? 1);
}

/** "64MiB", "2GB", "4096"; undefined when it is none. */
export function parseSizeBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]i?b|b)?$/i.exec(text.trim());
  if (match === null) return undefined;
  return Math.floor(Number(match[1]) * (unitBytes[(match[2] ?? "").toLowerCase()] ?? 1));
}

/** A `host:port` of our own: "[v6]:port" and ":port" too. */
export function isAddressText(text: string): boolean {
  const match = /^(?:\[[0-9a-fA-F:.]+\]|[^:[\]\s/]*):(\d{1,5})$/.exec(text);
  return match !== null && Number(match[1]) <= 65_535;
}

function listOf(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

const levels: readonly string[] = ["debug", "info", "warn", "error", "silent"];

function readNumber(value: number | undefined, text: string, shape: OptionShape, wanted: string): number | string {
  if (value === undefined || !Number.isFinite(value)) return `takes ${wanted}, not "${text}"`;
  if (value < shape.min) return `is at least ${shape.min}, not "${text}"`;
  if (value > shape.max) return `is at most ${shape.max}, not "${text}"`;
  if (shape.odd && value % 2 === 0) return `is odd, not "${text}"`;
  return value;
}

type Read = { readonly value: unknown } | { readonly fault: string };
const numberRead = (result: number | string): Read => (typeof result === "number" ? { value: result } : { fault: result });

function readAddresses(text: string, dnsAllowed: boolean): Read {
  const list = listOf(text);
  if (list.length === 0) return { fault: "takes at least one host:port" };
  for (const item of list) {
    const dns = dnsAllowed && item.startsWith("dns:");
    if (dns && list.length > 1) return { fault: "takes either one dns:name:port or a list of host:port" };
    const address = dns ? item.slice(4) : item;
    if (!isAddressText(address) || (dns && address.startsWith(":")))
      return { fault: `takes host:port${dnsAllowed ? " or dns:name:port" : ""}, not "${item}"` };
  }
  return { value: list };
}

function readText(shape: OptionShape, text: string): Read {
  switch (shape.kind) {
    case "text":
      return text === "" ? { fault: "is empty" } : { value: text };
    case "address":
      return isAddressText(text) ? { value: text } : { fault: `takes host:port, not "${text}"` };
    case "addresses":
      return readAddresses(text, false);
    case "seeds":
      return readAddresses(text, true);
    case "integer":
      return numberRead(readNumber(/^\d+$/.test(text) ? Number(text) : undefined, text, shape, "a whole number"));
    case "duration":
      return numberRead(readNumber(parseDurationMs(text), text, shape, 'a time such as "250ms", "10s" or "5m"'));
    case "size":
      return numberRead(readNumber(parseSizeBytes(text), text, shape, 'a size such as "64MiB" or "2GiB"'));
    case "switch":
      if (["1", "true", "yes", "on"].includes(text.toLowerCase())) return { value: true };
      if (["0", "false", "no", "off", ""].includes(text.toLowerCase())) return { value: false };
      return { fault: `takes true or false, not "${text}"` };
    case "level":
      return levels.includes(text) ? { value: text } : { fault: `takes one of ${levels.join(", ")}, not "${text}"` };
  }
}

function asText(value: unknown): string {
  return Array.isArray(value) ? value.join(",") : String(value);
}

/**
 * Reads one value. `source` names where it came from in the message: the flag, the variable, the option.
 * Throws INVALID_ARGUMENT.
 */
export function readOption<N extends OptionName>(name: N, value: unknown, source: string = optionFlag(name)): OptionValue<N> {
  const result = readText(optionTable[name], asText(value));
  if ("fault" in result) throw new UnumError("INVALID_ARGUMENT", `${source} ${result.fault}`, { details: { option: name } });
  return result.value as OptionValue<N>;
}

/**
 * All options of a scope: given, else from the environment, else the default. An empty variable
 * counts as not set. Throws INVALID_ARGUMENT for the first value that cannot be read.
 */
export function resolveOptions<S extends OptionScope>(
  scope: S,
  given: OptionInput,
  environment: Readonly<Record<string, string | undefined>>,
): OptionValues<S> {
  const values: Partial<Record<OptionName, unknown>> = {};
  for (const name of optionNames(scope)) {
    const shape: OptionShape = optionTable[name];
    const variable = environment[shape.environment];
    if (given[name] !== undefined) values[name] = readOption(name, given[name], `option ${name}`);
    else if (variable !== undefined && variable !== "") values[name] = readOption(name, variable, shape.environment);
    else if (shape.fallback !== undefined) values[name] = readOption(name, shape.fallback);
    else values[name] = shape.kind === "switch" ? false : undefined;
  }
  return values as OptionValues<S>;
}
