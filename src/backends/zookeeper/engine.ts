import type { HandleClock, HandleLogger } from "../../api/index.ts";
import { UnumError, isUnumError, unreachable } from "../../base/index.ts";
import type { Prng } from "../../base/index.ts";
import { formatAddress } from "../../ports/index.ts";
import type { Address, Stream } from "../../ports/index.ts";
import type { Command, Operation, OperationResult, Query, Reply, ReplyResult, WatchRequest } from "../../machine/commands/index.ts";
import type { Engine, EngineCall, EngineWatch, Reading, WatchSink } from "../engine.ts";
import { creatorAcl, digest, isZooKeeperError, openAcl } from "./client/index.ts";
import { Committer } from "./committer.ts";
import type { Intent } from "./committer.ts";
import { bytesOf, everything } from "./copy.ts";
import { evaluate, footprint } from "./evaluate.ts";
import { Refused, refusalIn, unavailable, unknownOutcome } from "./failure.ts";
import { Leases } from "./leases.ts";
import type { Copy } from "./copy.ts";
import type { Change } from "./layout.ts";
import { Store } from "./store.ts";
import { HistoryWatch } from "./watch.ts";

export interface ZooKeeperEngineOptions {
  readonly endpoints: readonly Address[];
  /** What the keyspace lies below: "/unum". It is created. */
  readonly root: string;
  /** A connection to a server, TLS where the caller wants it. */
  readonly dial: (address: Address, timeoutMs: number) => Promise<Stream>;
  readonly clock: HandleClock;
  readonly prng: Prng;
  readonly logger: HandleLogger;
  readonly credentials: { readonly user: string; readonly password: string } | undefined;
}

/** Of keys and values: each engine holds a copy. */
const dataBytesMax = 512 * 1024 * 1024;
/** What ends with one lease: it has to fit into one request, names of nodes and history with it. */
const leaseKeysMax = 1_000;
const leaseBytesMax = 400 * 1024;
const leaseKeyBytes = 150;
/** A reply leaves so long before nobody waits for it. */
const marginMs = 100;

/**
 * A ZooKeeper behind a handle: the keyspace lies in nodes below `root`, every write is one of its transactions, and the revision is that
 * transaction's number in the ensemble. See docs/adr/0019.
 *
 * Differences: an engine holds a copy of the keyspace; exactly-once ends with the call (what nobody knows the end of by then is
 * UNKNOWN_OUTCOME); one keyspace; a lease ends only while somebody is connected.
 */
export function openZooKeeperEngine(options: ZooKeeperEngineOptions): Engine {
  return new ZooKeeperEngine(options);
}

class ZooKeeperEngine implements Engine {
  readonly name: string;
  private readonly clock: HandleClock;
  private readonly store: Store;
  private readonly committer: Committer;
  private readonly leases: Leases;
  private readonly watches = new Set<HistoryWatch>();

  constructor({ clock, credentials, dial, endpoints, logger, prng, root }: ZooKeeperEngineOptions) {
    this.name = `ZooKeeper at ${endpoints.map(formatAddress).join(",")}${root}`;
    this.clock = clock;
    const auth = credentials === undefined ? undefined : [digest(credentials.user, credentials.password)];
    // Access lists are not inherited: each node has its own.
    const acl = auth === undefined ? openAcl : creatorAcl;
    this.store = new Store({ clock, dial, logger, prng: prng.fork("store") }, { servers: endpoints, root, auth, acl });
    this.committer = new Committer(this.store, clock, prng.fork("committer"));
    this.leases = new Leases(this.store, this.committer, clock, prng.fork("leases"));
    this.store.follow(this.leases);
    this.store.onAdvance(() => {
      for (const watch of this.watches) watch.advanced();
    });
    this.store.start();
  }

  command(command: Command, call: EngineCall): Promise<Reply> {
    return this.answer(this.change(command, call), true);
  }

  query(query: Query, reading: Reading, call: EngineCall): Promise<Reply> {
    return this.answer(this.within(call, this.read(query, reading)), false);
  }

  async keepAlive(lease: bigint, call: EngineCall): Promise<number> {
    try {
      return await this.within(call, this.leases.keepAlive(lease));
    } catch (error) {
      const refused = refusalIn(error);
      if (refused !== undefined) throw new UnumError(refused.code, refused.message);
      if (isUnumError(error, "LEASE_NOT_FOUND", "CLOSED")) throw error;
      throw unavailable(error instanceof Error ? error.message : String(error));
    }
  }

  watch(request: WatchRequest, sink: WatchSink): EngineWatch {
    const watch: HistoryWatch = new HistoryWatch(this.store, this.clock, request, sink, (over) => this.watches.delete(over));
    this.watches.add(watch);
    return watch;
  }

  async close(): Promise<void> {
    this.leases.close();
    for (const watch of [...this.watches]) watch.cancel();
    this.committer.close();
    await this.store.close();
  }

  /** Rejects with a not-applied error shortly before the call's time is over. What is on its way by then goes on without it. */
  private within<T>(call: EngineCall, work: Promise<T>, late: () => Error = () => unavailable("no answer in time")): Promise<T> {
    return new Promise((resolve, reject) => {
      const leftMs = Math.max(0, call.deadlineMs - this.clock.now());
      const timer = this.clock.after(Math.max(0, leftMs - Math.min(marginMs, leftMs / 10)), () => reject(late()));
      call.onCancel(() => {
        timer.cancel();
        reject(unavailable("the call was given up"));
      });
      work.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  private async answer(work: Promise<Reply>, effect: boolean): Promise<Reply> {
    const { copy } = this.store;
    try {
      return await work;
    } catch (error) {
      const refused = refusalIn(error);
      if (refused !== undefined) return refused.reply(copy.revision);
      if (isUnumError(error, "CLOSED", "UNAVAILABLE")) throw error;
      const isDone = isUnumError(error) || isZooKeeperError(error) ? error.outcome === "not-applied" : false;
      if (effect && !isDone) return unknownOutcome(copy.revision);
      throw unavailable(error instanceof Error ? error.message : String(error));
    }
  }

  private async change(command: Command, call: EngineCall): Promise<Reply> {
    switch (command.kind) {
      case "put":
      case "delete":
      case "txn":
        return await this.committer.submit(intentOf(command), call);
      case "compact":
        return await this.committer.submit(compaction(command.revision), call);
      case "lease-grant": {
        const sent = { some: false };
        const late = (): Error => (sent.some ? new UnumError("UNKNOWN_OUTCOME") : unavailable("no answer in time"));
        const granted = await this.within(call, this.leases.grant(command.lease, command.ttlMs, sent), late);
        return this.accepted({ kind: "lease", ...granted, remainingMs: granted.ttlMs, keys: [] });
      }
      case "lease-revoke":
        return await this.leases.revoke(command.lease, call);
      case "guarded":
        throw new Refused("UNSUPPORTED", "A ZooKeeper has one keyspace: a claim guards the writes there, and no others.");
      case "lease-checkpoint":
      case "session-open":
      case "session-close":
      case "checkpoint":
      case "activate":
      case "configure":
        throw new Refused("UNSUPPORTED", `A ZooKeeper has no "${command.kind}".`);
      default:
        return unreachable(command);
    }
  }

  private accepted(result: ReplyResult): Reply {
    return { ok: true, revision: this.store.copy.revision, result };
  }

  /** At least from the revision asked for; what another handle was answered before is in it, unless `stale`. */
  private async read(query: Query, { revision, stale }: Reading): Promise<Reply> {
    const { copy } = this.store;
    await this.store.session();
    if (!stale || copy.revision < revision) await this.store.fresh();
    switch (query.kind) {
      case "range":
      case "txn":
        return this.accepted(only(evaluate(copy, [query]).results));
      case "lease": {
        const times = await this.leases.look(query.lease);
        return this.accepted({ kind: "lease", lease: query.lease, ...times, keys: query.keys ? copy.keysOf(query.lease) : [] });
      }
      case "leases":
        return this.accepted({ kind: "leases", leases: await this.leases.ids() });
      case "summary": {
        const unknown = {
          bytes: copy.dataBytes,
          maxBytes: dataBytesMax,
          leases: 0,
          sessions: 0,
          watchers: this.watches.size,
          featureLevel: 0,
        };
        const summary = { ...unknown, revision: copy.revision, compactRevision: copy.compactRevision, keys: copy.size };
        return this.accepted({ kind: "summary", summary });
      }
      case "hash":
        throw new Refused("UNSUPPORTED", "The hash of a ZooKeeper says nothing about Unum's machines.");
      default:
        return unreachable(query);
    }
  }
}

function only(results: readonly OperationResult[]): OperationResult {
  return results[0] as OperationResult;
}

function intentOf(operation: Operation): Intent {
  return {
    footprint: footprint([operation]),
    plan: (copy, ahead) => {
      const { changes, leases, results, stamp } = evaluate(copy, [operation]);
      if (changes.length === 0) return { answer: only(results) };
      checkSize(copy, changes, ahead);
      return { write: { changes, leases, stamp, result: () => only(results) } };
    },
  };
}

/** Throws `Refused`: every engine has to hold it all, and the keys of one lease have to end in one multi. */
function checkSize(copy: Copy, changes: readonly Change[], ahead: () => readonly Change[]): void {
  let growth = 0;
  const leases = new Set<bigint>();
  for (const { entry, previous } of changes) {
    growth += (entry === undefined ? 0 : bytesOf(entry)) - (previous === undefined ? 0 : bytesOf(previous));
    if (entry !== undefined && entry.lease !== 0n) leases.add(entry.lease);
  }
  if (growth > 0 && copy.dataBytes + growth > dataBytesMax)
    throw new Refused("OVER_QUOTA", `${copy.dataBytes} of ${dataBytesMax} bytes are used and ${growth} more are wanted`);
  if (leases.size === 0) return;
  const coming = [...ahead(), ...changes];
  const touched = new Set(coming.map(({ key }) => key));
  for (const lease of leases) {
    const kept = copy.keysOf(lease).flatMap((key) => (touched.has(key) ? [] : (copy.get(key) ?? [])));
    const all = [...kept, ...coming.flatMap(({ entry }) => (entry?.lease === lease ? [entry] : []))];
    const bytes = all.reduce((sum, { key, value }) => sum + 4 * key.length + value.length + leaseKeyBytes, 0);
    if (all.length > leaseKeysMax || bytes > leaseBytesMax)
      throw new Refused(
        "TOO_LARGE",
        `lease ${lease} would have ${all.length} keys of ${bytes} bytes; ${leaseKeysMax} and ${leaseBytesMax} are all`,
      );
  }
}

/** The history up to the revision goes; the state as of it can still be read. */
function compaction(revision: number): Intent {
  return {
    footprint: [everything],
    plan: (copy) => {
      const { compactRevision, revision: newest } = copy;
      if (revision > newest) throw new Refused("FUTURE_REVISION", `revision ${revision} is not there yet; the newest is ${newest}`);
      if (revision <= compactRevision)
        throw new Refused("COMPACTED", `revision ${revision} is compacted already; the oldest is ${compactRevision}`, { compactRevision });
      const compactTo = copy.numberFrom(revision + 1) - 1;
      return { write: { changes: [], leases: [], compactTo, stamp: () => undefined, result: () => ({ kind: "done" }) } };
    },
  };
}
