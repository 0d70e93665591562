import { isUnumError } from "../../base/index.ts";
import type { Prng } from "../../base/index.ts";
import { key, op, text } from "../../api/index.ts";
import type { CallOptions, Claim, Entry, KV, Lease, Op, UnumHandle } from "../../api/index.ts";
import type { Clock } from "../../ports/index.ts";
import type { LeaseGuard } from "../check/index.ts";
import type { Call, History, Operation, Read, Result, Write } from "../history.ts";
import { pad, toSeen } from "./values.ts";

/** What a client needs of the machine that it runs on. */
export interface ClientHost {
  readonly name: string;
  readonly prng: Prng;
  /** Its own, which may be faster or slower than others. */
  readonly clock: Clock;
  /** Virtual time, for reading. */
  nowMs(): number;
  sleep(ms: number): Promise<void>;
  /** Whether its code runs: not while the machine is stopped or asleep. */
  isUp(): boolean;
}

/** A keyspace and all that is recorded of it. */
export interface Space {
  /** "default", or a keyspace's name. */
  readonly name: string;
  readonly history: History;
  readonly guard: LeaseGuard;
}

/** What all clients of a run have in common. */
export interface Manners {
  readonly timeoutMs: number;
  /** Stale reads among the reads, of 100. */
  readonly stalePercent: number;
  /** How large a value may be; most are small. */
  readonly valueBytesMax: number;
}

/** One client's hands on one keyspace: does single operations and writes each into the history, from call to answer. */
export class Client {
  readonly host: ClientHost;
  readonly handle: UnumHandle;
  readonly space: Space;
  readonly kv: KV<string>;
  readonly manners: Manners;
  /** Nothing new is begun. */
  stopped = false;
  private readonly violation: (text: string) => void;
  /** Revisions that this client saw lately, per key, for conditions that sometimes hold. */
  private readonly seen = new Map<string, number>();
  private highest = 0;
  private made = 0;

  constructor(host: ClientHost, handle: UnumHandle, space: Space, manners: Manners, violation: (text: string) => void) {
    this.host = host;
    this.handle = handle;
    this.space = space;
    this.manners = manners;
    this.violation = violation;
    this.kv = (space.name === "default" ? handle.kv : handle.keyspace(space.name)).with(text);
  }

  get history(): History {
    return this.space.history;
  }

  get name(): string {
    return this.host.name;
  }

  /** The newest revision that it was told of. */
  get revision(): number {
    return this.highest;
  }

  report(text: string): void {
    this.violation(`${this.name}: ${text}`);
  }

  /** Never given twice in a run, to no client. */
  fresh(): string {
    return `${this.name}.${this.made++}`;
  }

  /** A value of its own for each write; its length is part of it, so that what comes back can be checked to the last byte. */
  value(prng: Prng): string {
    const { valueBytesMax } = this.manners;
    const bytes = valueBytesMax > 0 && prng.chance(1, 4) ? prng.below(valueBytesMax) : 0;
    return `${this.fresh()}/${bytes}`;
  }

  isStale(prng: Prng): boolean {
    return prng.chance(this.manners.stalePercent, 100);
  }

  /** What it saw of the key last; 0: nothing there. */
  seenRevision(name: string): number {
    return this.seen.get(name) ?? 0;
  }

  /** One operation, from call to answer. `workload`: on whose behalf; `under`: for a put, what it hangs on. */
  async run(operation: Operation, workload = "", under: { readonly lease?: Lease; readonly fence?: Claim } = {}): Promise<Call> {
    const call = this.history.call(this.name, operation, this.host.nowMs(), workload);
    try {
      const result = await this.perform(operation, { timeout: this.manners.timeoutMs, ...under });
      this.history.ok(call, result, this.host.nowMs());
      this.remember(operation, result);
    } catch (error) {
      this.failed(call, error);
    }
    return call;
  }

  private failed(call: Call, error: unknown): void {
    const nowMs = this.host.nowMs();
    if (!isUnumError(error)) {
      this.report(`an error that is not ours: ${error instanceof Error ? error.stack : String(error)}`);
      this.history.failed(call, "unknown", String(error), nowMs);
    } else if (error.code === "CONFLICT") {
      const { revision } = error.details as { readonly revision?: unknown };
      this.history.ok(call, { kind: "conflict", ...(typeof revision === "number" ? { found: revision } : {}) }, nowMs);
    } else this.history.failed(call, onlyReads(call.operation) ? "not-applied" : error.outcome, `${error.code}: ${error.message}`, nowMs);
  }

  protected async perform(
    operation: Operation,
    options: CallOptions & { readonly lease?: Lease; readonly fence?: Claim },
  ): Promise<Result> {
    const { kv } = this;
    switch (operation.kind) {
      case "get": {
        const entry = await kv.get<string>(operation.key, { ...options, consistency: operation.stale ? "stale" : "linearizable" });
        return { kind: "entry", entry: entry && toSeen(entry) };
      }
      case "put": {
        const guard = operation.ifRevision === undefined ? {} : { ifRevision: operation.ifRevision };
        const { revision } = await kv.put(operation.key, pad(operation.value), { ...options, ...guard });
        return { kind: "written", revision, existed: true };
      }
      case "delete": {
        const guard = operation.ifRevision === undefined ? {} : { ifRevision: operation.ifRevision };
        const { revision, deleted } = await kv.delete(operation.key, { ...options, ...guard });
        return { kind: "written", revision, existed: deleted > 0 };
      }
      case "append": {
        const entry = await kv.update<string>(operation.key, (value) => `${value ?? ""}${operation.item};`, options);
        return { kind: "entry", entry: entry && toSeen(entry) };
      }
      case "range": {
        const consistency = operation.stale ? "stale" : "linearizable";
        const page = await kv.range<string>({ prefix: operation.prefix }, { ...options, consistency, limit: 10_000 });
        return { kind: "page", revision: page.revision, entries: page.entries.map(toSeen), more: page.more, count: page.count };
      }
      case "list": {
        const { from, limit, prefix, revision } = operation;
        const range = { from, to: endOf(prefix) };
        const page = await kv.range<string>(range, { ...options, limit, ...(revision === 0 ? {} : { revision }) });
        return { kind: "page", revision: page.revision, entries: page.entries.map(toSeen), more: page.more, count: page.count };
      }
      case "txn":
        return await this.transact(operation, options);
    }
  }

  private async transact(operation: Extract<Operation, { kind: "txn" }>, options: CallOptions): Promise<Result> {
    const { compare, elseReads, reads, writes } = operation;
    const answer = await this.kv.txn(
      {
        if: compare.map((one) => (one.revision === 0 ? key(one.key).missing() : key(one.key).revision(one.revision))),
        do: [...writes.map(toOp), ...reads.map((name) => op.get(name))],
        else: elseReads.map((name) => op.get(name)),
      },
      options,
    );
    const results = answer.results as readonly unknown[];
    const take = (names: readonly string[], from: number): Read[] =>
      names.map((name, at) => {
        const entry = results[from + at] as Entry<string> | undefined;
        return { key: name, entry: entry && toSeen(entry) };
      });
    const { revision } = answer;
    if (!answer.ok) return { kind: "conflict", revision, reads: take(elseReads, 0) };
    if (writes.length === 0) return { kind: "reads", revision, reads: take(reads, 0) };
    return { kind: "written", revision, existed: true, reads: take(reads, writes.length) };
  }

  private remember(operation: Operation, result: Result): void {
    const note = (name: string, revision: number): void => void this.seen.set(name, revision);
    if ("revision" in result && result.revision !== undefined && operation.kind !== "list")
      this.highest = Math.max(this.highest, result.revision);
    if ("reads" in result) for (const { entry, key: name } of result.reads ?? []) note(name, entry?.revision ?? 0);
    switch (result.kind) {
      case "entry":
        if ("key" in operation) note(operation.key, result.entry?.revision ?? 0);
        this.highest = Math.max(this.highest, result.entry?.revision ?? 0);
        return;
      case "page":
        for (const entry of result.entries) note(entry.key, entry.revision);
        return;
      case "written":
        if (operation.kind === "put") note(operation.key, result.revision);
        if (operation.kind === "delete") note(operation.key, 0);
        if (operation.kind === "txn")
          for (const { key: name, value } of operation.writes) note(name, value === undefined ? 0 : result.revision);
        return;
      default:
    }
  }
}

function toOp({ key: name, value }: Write): Op {
  return value === undefined ? op.delete(name) : op.put(name, pad(value));
}

/** The first key beyond all that begin with `prefix`, which is ASCII. */
export function endOf(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

function onlyReads(operation: Operation): boolean {
  const { kind } = operation;
  return kind === "get" || kind === "range" || kind === "list" || (kind === "txn" && operation.writes.length === 0);
}
