/**
 * What clients asked of one keyspace and what they were told, in the order in which it happened.
 * Positions are drawn from one counter, so "returned before" between two operations is exact, without clocks.
 */

export type Operation =
  | { readonly kind: "get"; readonly key: string; readonly stale: boolean }
  | {
      readonly kind: "put";
      readonly key: string;
      readonly value: string;
      /** 0: must not exist; undefined: no condition. */
      readonly ifRevision: number | undefined;
      /** The lease that the entry hangs on. */
      readonly lease?: string;
    }
  | { readonly kind: "delete"; readonly key: string; readonly ifRevision: number | undefined }
  /** Read, add `item` and ";" at the end, write back if nobody wrote between. */
  | { readonly kind: "append"; readonly key: string; readonly item: string }
  | { readonly kind: "range"; readonly prefix: string; readonly stale: boolean }
  /** One page of the keys from `from` on that begin with `prefix`, as they were at `revision`; 0: now. */
  | { readonly kind: "list"; readonly prefix: string; readonly from: string; readonly limit: number; readonly revision: number }
  /** If every key is at its revision: all writes, then `reads`. Else `elseReads` alone. */
  | {
      readonly kind: "txn";
      readonly compare: readonly { readonly key: string; readonly revision: number }[];
      readonly writes: readonly Write[];
      readonly reads: readonly string[];
      readonly elseReads: readonly string[];
    };

export interface Write {
  readonly key: string;
  /** Undefined: deletes. */
  readonly value: string | undefined;
}

export interface Seen {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
  readonly createRevision?: number;
  /** Writes since the key was created. */
  readonly version?: number;
}

/** Of a read within a transaction. */
export interface Read {
  readonly key: string;
  readonly entry: Seen | undefined;
}

export type Result =
  | { readonly kind: "entry"; readonly entry: Seen | undefined }
  /** `existed`, of a delete: whether there was something; else true. */
  | { readonly kind: "written"; readonly revision: number; readonly existed: boolean; readonly reads?: readonly Read[] }
  /** The condition did not hold; nothing was written. `found`: the key's revision, of a write of one key. */
  | { readonly kind: "conflict"; readonly found?: number; readonly revision?: number; readonly reads?: readonly Read[] }
  /** Of a transaction that only reads. */
  | { readonly kind: "reads"; readonly revision: number; readonly reads: readonly Read[] }
  | {
      readonly kind: "page";
      readonly revision: number;
      readonly entries: readonly Seen[];
      readonly more?: boolean;
      readonly count?: number;
    };

/**
 * `unknown`: it may have taken effect, or may still. `not-applied`: the client was told that it has
 * none and never will.
 */
export type Outcome = "pending" | "ok" | "not-applied" | "unknown";

export interface Call {
  readonly id: number;
  readonly client: string;
  /** On whose behalf it was made. */
  readonly workload: string;
  readonly operation: Operation;
  readonly calledAt: number;
  readonly calledMs: number;
  /** Infinity while it is pending, and for good when its outcome is unknown. */
  returnedAt: number;
  returnedMs: number;
  outcome: Outcome;
  result: Result | undefined;
  /** What the client was told, when it failed. */
  error: string;
}

/** One revision as a watch showed it. */
export interface SeenChange {
  readonly revision: number;
  readonly events: readonly SeenEvent[];
  /** Of the witness: when the first replica had it, in virtual time. */
  readonly atMs?: number;
}

export interface SeenEvent {
  readonly key: string;
  /** Undefined: deleted. */
  readonly value: string | undefined;
  /** The entry before it, where the watch asked for it. */
  readonly previous?: Seen;
}

/** One watch of one client, over all reconnections of its handle. */
export interface Watching {
  readonly client: string;
  /** Of the keys; or the one key, when `exact`. */
  readonly prefix: string;
  readonly exact: boolean;
  /** The first revision asked for; 0: the next one at the time. */
  readonly from: number;
  /** Each event shall come with the entry before it. */
  readonly previous: boolean;
  /** The first revision that it sees, once it was told. */
  started: number | undefined;
  /** What it was told was started must cover writes called after this position. */
  startedAt: number;
  readonly changes: SeenChange[];
  ended: "open" | "closed" | "compacted" | "failed";
  error: string;
}

/** A lease of one client, from the grant on. */
export interface Leasing {
  readonly client: string;
  readonly id: string;
  readonly ttlMs: number;
  /** What was put with it. */
  readonly keys: Set<string>;
  /** Whether its owner believes now that it has it; asked of the owner's own handle. Undefined: the owner's machine stands still. */
  readonly isHeld: () => boolean | undefined;
  /** The owner asked for its end, or does nothing for it any more, since this virtual time. */
  releasedMs: number;
  /** The owner asked for its end: from here on it may be gone. */
  revoked: boolean;
}

/** What a client that kept a copy of some keys had in it. */
export interface Copy {
  readonly client: string;
  readonly prefix: string;
  readonly revision: number;
  /** As `Chronicle.state` writes it. */
  readonly state: string;
}

export class History {
  readonly calls: Call[] = [];
  readonly watches: Watching[] = [];
  readonly leases: Leasing[] = [];
  readonly copies: Copy[] = [];
  /** Keys that begin so are places in line, which handles write and take away themselves. */
  readonly lines = new Set<string>();
  private position = 0;

  call(client: string, operation: Operation, nowMs: number, workload = ""): Call {
    const call: Call = {
      id: this.calls.length,
      client,
      workload,
      operation,
      calledAt: this.position++,
      calledMs: nowMs,
      returnedAt: Number.POSITIVE_INFINITY,
      returnedMs: Number.POSITIVE_INFINITY,
      outcome: "pending",
      result: undefined,
      error: "",
    };
    this.calls.push(call);
    return call;
  }

  ok(call: Call, result: Result, nowMs: number): void {
    this.settle(call, "ok", nowMs);
    call.result = result;
  }

  failed(call: Call, outcome: "not-applied" | "unknown", error: string, nowMs: number): void {
    this.settle(call, outcome, nowMs);
    call.error = error;
    if (outcome === "unknown") call.returnedAt = Number.POSITIVE_INFINITY;
  }

  private settle(call: Call, outcome: Outcome, nowMs: number): void {
    if (call.outcome !== "pending") throw new Error(`call ${call.id} is settled twice`);
    call.outcome = outcome;
    call.returnedAt = this.position++;
    call.returnedMs = nowMs;
  }

  watch(client: string, prefix: string, from: number, { exact, previous } = { exact: false, previous: false }): Watching {
    const watching: Watching = {
      client,
      prefix,
      exact,
      from,
      previous,
      started: undefined,
      startedAt: -1,
      changes: [],
      ended: "open",
      error: "",
    };
    this.watches.push(watching);
    return watching;
  }

  started(watching: Watching, revision: number): void {
    watching.started = revision;
    watching.startedAt = this.position++;
  }

  /** Nobody is left to serve those that are open: what they saw must be right as far as it goes. */
  abandonWatches(): void {
    for (const watching of this.watches) if (watching.ended === "open") watching.ended = "closed";
  }

  count(outcome: Outcome): number {
    let count = 0;
    for (const call of this.calls) if (call.outcome === outcome) count++;
    return count;
  }

  pending(): Call[] {
    return this.calls.filter((call) => call.outcome === "pending");
  }
}

/** Whether a watch is about the key. */
export function isWatched({ exact, prefix }: Watching, key: string): boolean {
  return exact ? key === prefix : key.startsWith(prefix);
}

/** What the call would write if it took effect. `value` undefined: a deletion. Not of `append`, whose value depends on what is there. */
export function writesOf(operation: Operation): readonly Write[] {
  switch (operation.kind) {
    case "put":
      return [{ key: operation.key, value: operation.value }];
    case "delete":
      return [{ key: operation.key, value: undefined }];
    case "txn":
      return operation.writes;
    default:
      return [];
  }
}

export function describeCall(call: Call): string {
  const when = `${call.calledMs.toFixed(1)}…${Number.isFinite(call.returnedMs) ? call.returnedMs.toFixed(1) : ""} ms`;
  return `#${call.id} ${call.client} ${describeOperation(call.operation)} → ${describeOutcome(call)} (${when})`;
}

export function describeOperation(operation: Operation): string {
  switch (operation.kind) {
    case "get":
      return `get ${operation.key}${operation.stale ? " stale" : ""}`;
    case "put":
      return `put ${operation.key}=${operation.value}${condition(operation.ifRevision)}${operation.lease === undefined ? "" : ` on lease ${operation.lease}`}`;
    case "delete":
      return `delete ${operation.key}${condition(operation.ifRevision)}`;
    case "append":
      return `append ${operation.key}+${operation.item}`;
    case "range":
      return `range ${operation.prefix}*${operation.stale ? " stale" : ""}`;
    case "list":
      return `list ${operation.prefix}* from ${operation.from}, ${operation.limit} at ${operation.revision}`;
    case "txn": {
      const compare = operation.compare.map(({ key, revision }) => `${key}@${revision}`).join(" ");
      const writes = operation.writes.map(describeWrite).join(" ");
      const reads = operation.reads.length === 0 ? "" : ` get (${operation.reads.join(" ")})`;
      return `txn if (${compare}) do (${writes})${reads}${operation.elseReads.length === 0 ? "" : ` else get (${operation.elseReads.join(" ")})`}`;
    }
  }
}

function describeWrite({ key, value }: Write): string {
  return value === undefined ? `-${key}` : `${key}=${value}`;
}

function condition(ifRevision: number | undefined): string {
  return ifRevision === undefined ? "" : ` if @${ifRevision}`;
}

export function describeOutcome(call: Call): string {
  const { result } = call;
  if (result === undefined) return call.error === "" ? call.outcome : `${call.outcome}: ${call.error}`;
  switch (result.kind) {
    case "entry":
      return describeEntry(result.entry);
    case "written":
      return `@${result.revision}${result.existed ? "" : " nothing there"}${describeReads(result.reads)}`;
    case "conflict":
      return `conflict${result.found === undefined ? "" : ` with @${result.found}`}${describeReads(result.reads)}`;
    case "reads":
      return `@${result.revision}${describeReads(result.reads)}`;
    case "page":
      return `@${result.revision} ${result.entries.map(({ key, value, revision }) => `${key}=${value}@${revision}`).join(" ")}`;
  }
}

function describeReads(reads: readonly Read[] | undefined): string {
  return (reads ?? []).map(({ entry, key }) => ` ${key}: ${describeEntry(entry)}`).join(",");
}

function describeEntry(entry: Seen | undefined): string {
  return entry === undefined ? "nothing" : `${entry.value} @${entry.revision}`;
}
