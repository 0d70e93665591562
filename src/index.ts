import type { EnginePart, EtcdPart, Unum, ZooKeeperPart } from "./api/index.ts";
import { resolveOptions } from "./base/index.ts";
import { readStartOptions } from "./start-options.ts";
import type { StartOptions } from "./start-options.ts";
import type { ConnectOptions } from "./remote.ts";

export { bytes, isUnumError, key, op, text, UnumError } from "./api/index.ts";
export type * from "./api/index.ts";
export type { ErrorCode, Outcome, Retry } from "./base/index.ts";
export type { StartOptions } from "./start-options.ts";
export type { ConnectOptions } from "./remote.ts";
export { version } from "./version.ts";

/** Set by `unum/testing` while a simulation runs: there `start` gives the simulated node's handle. */
const simulationMark: unique symbol = Symbol.for("unum.simulation") as never;

/**
 * Starts a node in this process and gives the handle to it. Fulfils when the node listens and its
 * disk is recovered; `ready` says when it is a member and its groups have leaders. What is left out
 * of `options` comes from `UNUM_*` variables, then from defaults: one durable node on loopback.
 *
 * Rejects with INVALID_ARGUMENT, INSECURE, DATA_DIR_LOCKED, DATA_DIR_FORMAT, CORRUPT, PORT_IN_USE,
 * REMOVED, UPGRADE_REQUIRED or DISK_FAILED.
 */
export async function start(options: StartOptions = {}): Promise<Unum> {
  const simulation = (globalThis as { [simulationMark]?: { start(): Unum } | undefined })[simulationMark];
  if (simulation !== undefined) return simulation.start();
  const read = readStartOptions(options);
  // The engine is loaded only by those who start one, and in the thread where it runs.
  if (read.values.isolate === true) return await (await import("./isolated.ts")).startIsolated(read);
  return (await (await import("./embedded.ts")).startEmbedded(options)).handle;
}

/**
 * Gives a handle to a cluster that runs elsewhere. Without `url`: `UNUM_ENDPOINT`, else
 * 127.0.0.1:7400. Several endpoints are an array; the handle learns of the other members by itself.
 * Fulfils without waiting for a connection: calls wait inside their own timeout.
 *
 * `etcd://[user:password@]host:port[,host:port…]` gives the same handle over an etcd v3, with the parts that it can honour. There
 * is no exactly-once: a write whose answer was lost is UNKNOWN_OUTCOME, and is not repeated.
 *
 * `zookeeper://[user:password@]host:port[,host:port…][/path]` gives it over a ZooKeeper from 3.6 on, its keys in nodes below the path, by default
 * /unum. A write whose answer was lost is looked up: it is applied once, or UNKNOWN_OUTCOME when the call's time ends first.
 *
 * Rejects with INVALID_ARGUMENT.
 */
export function connect(url: `etcd://${string}`, options?: ConnectOptions): Promise<Unum<EtcdPart>>;
export function connect(url: `zookeeper://${string}`, options?: ConnectOptions): Promise<Unum<ZooKeeperPart>>;
export function connect(url?: `unum://${string}` | readonly string[], options?: ConnectOptions): Promise<Unum>;
/** From a variable: what every engine offers. */
export function connect(url: string, options?: ConnectOptions): Promise<Unum<EnginePart>>;
export async function connect(url?: string | readonly string[], options: ConnectOptions = {}): Promise<Unum<EnginePart>> {
  const { endpoint } = resolveOptions("client", {}, process.env);
  const urls = url === undefined ? (endpoint ?? ["127.0.0.1:7400"]) : typeof url === "string" ? [url] : url;
  const [first = ""] = urls;
  if (urls.length === 1 && first.startsWith("etcd://")) return (await import("./engines.ts")).connectEtcd(first, options);
  if (urls.length === 1 && first.startsWith("zookeeper://")) return (await import("./engines.ts")).connectZooKeeper(first, options);
  return (await import("./remote.ts")).connectRemote(urls, options);
}
