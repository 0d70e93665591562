/**
 * What clients asked and what they were told, in the order in which it happened. Positions are
 * drawn from one counter, so "returned before" between two operations is exact, without clocks.
 */

/** Keys of two kinds, told apart by their first letter: registers ("r…") are written whole, lists ("l…") grow by `append`. */
export type Operation =
  | { readonly kind: "get"; readonly key: string; readonly stale: boolean }
  | {
      readonly kind: "put";
      readonly key: string;
      readonly value: string;
      /** 0: must not exist; undefined: no condition. */
      readonly ifRevision: number | undefined;
    }
  | { readonly kind: "delete"; readonly key: string; readonly ifRevision: number | undefined }
  /** Read, add `item` and ";" at the end, write back if nobody wrote between. */
  | { readonly kind: "append"; readonly key: string; readonly item: string }
  | { readonly kind: "range"; readonly prefix: string; readonly stale: boolean }
  /** All puts if every key is at its revision, else nothing. */
  | {
      readonly kind: "txn";
      readonly compare: readonly { readonly key: string; readonly revision: number }[];
      readonly puts: readonly { readonly key: string; readonly value: string }[];
    };

export interface Seen {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
}

export type Result =
  | { readonly kind: "entry"; readonly entry: Seen | undefined }
  /** `existed`, of a delete: whether there was something; else true. */
  | { readonly kind: "written"; readonly revision: number; readonly existed: boolean }
  /** The condition did not hold; nothing was written. */
  | { readonly kind: "conflict" }
  | { readonly kind: "page"; readonly revision: number; readonly entries: readonly Seen[] };

/**
 * `unknown`: it may have taken effect, or may still. `not-applied`: the client was told that it has
 * none and never will.
 */
export type Outcome = "pending" | "ok" | "not-applied" | "unknown";

export interface Call {
  readonly id: number;
  readonly client: string;
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
}

export interface SeenEvent {
  readonly key: string;
  /** Undefined: deleted. */
  readonly value: string | undefined;
}

/** One watch of one client, over all reconnections of its handle. */
export interface Watching {
  readonly client: string;
  readonly prefix: string;
  /** The first revision asked for; 0: the next one at the time. */
  readonly from: number;
  /** The first revision that it sees, once it was told. */
  started: number | undefined;
  /** What it was told was started must cover writes called after this position. */
  startedAt: number;
  readonly changes: SeenChange[];
  ended: "open" | "closed" | "compacted" | "failed";
  error: string;
}

export class History {
  readonly calls: Call[] = [];
  readonly watches: Watching[] = [];
  private position = 0;

  call(client: string, operation: Operation, nowMs: number): Call {
    const call: Call = {
      id: this.calls.length,
      client,
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

  watch(client: string, prefix: string, from: number): Watching {
    const watching: Watching = { client, prefix, from, started: undefined, startedAt: -1, changes: [], ended: "open", error: "" };
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

export function describeCall(call: Call): string {
  const when = `${call.calledMs.toFixed(1)}…${Number.isFinite(call.returnedMs) ? call.returnedMs.toFixed(1) : ""} ms`;
  return `#${call.id} ${call.client} ${describeOperation(call.operation)} → ${describeOutcome(call)} (${when})`;
}

function describeOperation(operation: Operation): string {
  switch (operation.kind) {
    case "get":
      return `get ${operation.key}${operation.stale ? " stale" : ""}`;
    case "put":
      return `put ${operation.key}=${operation.value}${condition(operation.ifRevision)}`;
    case "delete":
      return `delete ${operation.key}${condition(operation.ifRevision)}`;
    case "append":
      return `append ${operation.key}+${operation.item}`;
    case "range":
      return `range ${operation.prefix}*${operation.stale ? " stale" : ""}`;
    case "txn": {
      const compare = operation.compare.map(({ key, revision }) => `${key}@${revision}`).join(" ");
      return `txn if (${compare}) put (${operation.puts.map(({ key, value }) => `${key}=${value}`).join(" ")})`;
    }
  }
}

function condition(ifRevision: number | undefined): string {
  return ifRevision === undefined ? "" : ` if @${ifRevision}`;
}

function describeOutcome(call: Call): string {
  const { result } = call;
  if (result === undefined) return call.error === "" ? call.outcome : `${call.outcome}: ${call.error}`;
  switch (result.kind) {
    case "entry":
      return result.entry === undefined ? "nothing" : `${result.entry.value} @${result.entry.revision}`;
    case "written":
      return `@${result.revision}${result.existed ? "" : " nothing there"}`;
    case "conflict":
      return "conflict";
    case "page":
      return `@${result.revision} ${result.entries.map(({ key, value, revision }) => `${key}=${value}@${revision}`).join(" ")}`;
  }
}
