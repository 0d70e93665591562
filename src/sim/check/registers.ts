import { describeCall, writesOf } from "../history.ts";
import type { Call, History, Operation, Read, Result, Seen } from "../history.ts";
import { checkLinearizable } from "./linearizability.ts";
import type { Interval, SequentialModel } from "./linearizability.ts";

/** What one key is asked. Revisions stand here as the values that they name: each write has a value of its own. */
export type RegisterInput =
  | { readonly kind: "get" }
  | { readonly kind: "put"; readonly value: string }
  | { readonly kind: "delete" }
  | { readonly kind: "append"; readonly item: string }
  /** Writes (undefined: deletes) only if `expected` is what is there. */
  | { readonly kind: "swap"; readonly expected: Held; readonly value: Held };

/** Undefined: there is no entry. */
export type Held = string | undefined;

export type RegisterOutput =
  | { readonly kind: "value"; readonly value: Held }
  | { readonly kind: "written" }
  | { readonly kind: "deleted"; readonly existed: boolean }
  /** `read`: what was there afterwards. */
  | { readonly kind: "swapped"; readonly swapped: boolean; readonly read?: { readonly value: Held } };

export const registerModel: SequentialModel<Held, RegisterInput, RegisterOutput> = {
  initial: undefined,
  key: (state) => (state === undefined ? "-" : `=${state}`),
  step(state, input, output) {
    switch (input.kind) {
      case "get":
        return output === undefined || (output.kind === "value" && output.value === state) ? { state } : undefined;
      case "put":
        return { state: input.value };
      case "delete":
        return output === undefined || (output.kind === "deleted" && output.existed === (state !== undefined))
          ? { state: undefined }
          : undefined;
      case "append": {
        const next = `${state ?? ""}${input.item};`;
        return output === undefined || (output.kind === "value" && output.value === next) ? { state: next } : undefined;
      }
      case "swap": {
        const holds = state === input.expected;
        const after = holds ? input.value : state;
        if (output === undefined) return { state: after };
        if (output.kind !== "swapped" || output.swapped !== holds) return undefined;
        return output.read === undefined || output.read.value === after ? { state: after } : undefined;
      }
    }
  },
};

export interface RegisterReport {
  readonly violations: readonly string[];
  readonly illegal: readonly IllegalKey[];
  /** Keys whose check ran out of budget. */
  readonly undecided: readonly string[];
  readonly steps: number;
}

/** A key that cannot be put in order, with everything to look at it by. */
export interface IllegalKey {
  readonly key: string;
  readonly calls: readonly Call[];
  /** The longest order that was found, as positions in `calls`. */
  readonly longest: readonly number[];
}

/** Checks each key by itself: linearizability is local. Transactions are checked key by key here and as a whole by `checkRevisions`. */
export function checkRegisters(history: History, stepsMax = 200_000): RegisterReport {
  const violations: string[] = [];
  const illegal: IllegalKey[] = [];
  const undecided: string[] = [];
  let steps = 0;
  const seen = seenByKey(history);
  for (const [key, calls] of [...partition(history)].sort((a, b) => (a[0] < b[0] ? -1 : 1))) {
    const names = new Names(key, seen.get(key) ?? []);
    const kept: { readonly call: Call; readonly interval: Interval<RegisterInput, RegisterOutput> }[] = [];
    for (const call of calls) {
      const interval = names.interval(call);
      if (interval !== undefined) kept.push({ call, interval });
    }
    violations.push(...names.contradictions);
    const result = checkLinearizable(registerModel, [...kept.map(({ interval }) => interval), ...expiries(key, calls)], { stepsMax });
    steps += result.steps;
    if (result.verdict === "unknown") undecided.push(key);
    if (result.verdict === "illegal") {
      const found = { key, calls: kept.map(({ call }) => call), longest: result.longest.filter((index) => index < kept.length) };
      illegal.push(found);
      violations.push(explain(found));
    }
  }
  return { violations, illegal, undecided, steps };
}

/** An entry on a lease may go at any time after it was put, once for each lease; when it may is the lease check's question. */
function expiries(key: string, calls: readonly Call[]): Interval<RegisterInput, RegisterOutput>[] {
  const first = new Map<string, number>();
  for (const { calledAt, operation } of calls)
    if (operation.kind === "put" && operation.key === key && operation.lease !== undefined && !first.has(operation.lease))
      first.set(operation.lease, calledAt);
  return [...first.values()].map((called) => ({
    input: { kind: "delete" },
    output: undefined,
    called: called + 0.5,
    returned: Number.POSITIVE_INFINITY,
  }));
}

/** Calls that were answered and fit nowhere behind the longest order. */
export function stuckCalls({ calls, longest }: IllegalKey): Call[] {
  const taken = new Set(longest);
  return calls.filter((call, index) => !taken.has(index) && call.outcome === "ok");
}

function explain(found: IllegalKey): string {
  const { calls, key, longest } = found;
  const stuck = stuckCalls(found).slice(0, 6);
  const last = longest.slice(-4).map((index) => describeCall(calls[index] as Call));
  return [
    `key ${key} is not linearizable: the longest order has ${longest.length} of ${calls.length} operations and ends with`,
    ...last.map((line) => `    ${line}`),
    "  after which none of these can come first",
    ...stuck.map((call) => `    ${describeCall(call)}`),
  ].join("\n");
}

function partition(history: History): Map<string, Call[]> {
  const byKey = new Map<string, Call[]>();
  for (const call of history.calls) {
    if (call.outcome === "not-applied") continue;
    for (const key of keysOf(call.operation)) {
      const list = byKey.get(key);
      if (list === undefined) byKey.set(key, [call]);
      else list.push(call);
    }
  }
  return byKey;
}

export function keysOf(operation: Operation): string[] {
  switch (operation.kind) {
    case "range":
    case "list":
      return [];
    case "txn": {
      const { compare, elseReads, reads, writes } = operation;
      return [...new Set([...compare.map(({ key }) => key), ...writes.map(({ key }) => key), ...reads, ...elseReads])];
    }
    default:
      return [operation.key];
  }
}

/** From every answer, range reads included: that is where clients have their revisions from. */
function seenByKey(history: History): Map<string, Seen[]> {
  const byKey = new Map<string, Seen[]>();
  for (const call of history.calls) {
    for (const seen of told(call)) {
      const list = byKey.get(seen.key);
      if (list === undefined) byKey.set(seen.key, [seen]);
      else list.push(seen);
    }
  }
  return byKey;
}

/** Which value each revision of one key names, from everything that clients were told. */
class Names {
  readonly contradictions: string[] = [];
  private readonly key: string;
  private readonly values = new Map<number, string>();

  constructor(key: string, everythingSeen: readonly Seen[]) {
    this.key = key;
    for (const seen of everythingSeen) {
      const before = this.values.get(seen.revision);
      if (before === undefined) this.values.set(seen.revision, seen.value);
      else if (before !== seen.value)
        this.contradictions.push(`key ${key} has two values at revision ${seen.revision}: ${before} and ${seen.value}`);
    }
  }

  /** A revision that nobody was told names a value that no write has. */
  private valueAt(revision: number): Held {
    return revision === 0 ? undefined : (this.values.get(revision) ?? `\0revision ${revision}`);
  }

  /** Undefined: it says nothing of this key's order (a stale read, a read without an answer). */
  interval(call: Call): Interval<RegisterInput, RegisterOutput> | undefined {
    const made = this.translate(call);
    if (made === undefined) return undefined;
    const { input, output } = made;
    if (output === undefined && input.kind === "get") return undefined;
    return { input, output, called: call.calledAt, returned: output === undefined ? Number.POSITIVE_INFINITY : call.returnedAt };
  }

  private translate(call: Call): { readonly input: RegisterInput; readonly output: RegisterOutput | undefined } | undefined {
    const { operation } = call;
    const result = call.outcome === "ok" ? call.result : undefined;
    switch (operation.kind) {
      case "get":
        if (operation.stale || result?.kind !== "entry") return undefined;
        return { input: { kind: "get" }, output: { kind: "value", value: result.entry?.value } };
      case "put": {
        if (operation.ifRevision !== undefined) return this.swap(operation.ifRevision, { value: operation.value }, result);
        return { input: { kind: "put", value: operation.value }, output: result && { kind: "written" } };
      }
      case "delete": {
        if (operation.ifRevision !== undefined) return this.swap(operation.ifRevision, { value: undefined }, result);
        return { input: { kind: "delete" }, output: result?.kind === "written" ? { kind: "deleted", existed: result.existed } : undefined };
      }
      case "append":
        return {
          input: { kind: "append", item: operation.item },
          output: result?.kind === "entry" ? { kind: "value", value: result.entry?.value } : undefined,
        };
      case "txn":
        return this.projected(operation, result);
      case "list":
      case "range":
        return undefined;
    }
  }

  /** The part of a transaction that is about this key. A conflict says something of it only where it was read, or if no other key can be the cause. */
  private projected(
    operation: Extract<Operation, { kind: "txn" }>,
    result: Result | undefined,
  ): { readonly input: RegisterInput; readonly output: RegisterOutput | undefined } | undefined {
    const compare = operation.compare.find(({ key }) => key === this.key);
    const write = operation.writes.find(({ key }) => key === this.key);
    const read = result !== undefined && "reads" in result ? result.reads?.find(({ key }) => key === this.key) : undefined;
    const got = read === undefined ? undefined : ({ kind: "value", value: read.entry?.value } as const);
    if (result?.kind === "conflict" && (compare === undefined || operation.compare.length > 1)) {
      return got && { input: { kind: "get" }, output: got };
    }
    if (compare !== undefined) return this.swap(compare.revision, write, result, read);
    if (write === undefined) return got && { input: { kind: "get" }, output: got };
    if (write.value !== undefined) return { input: { kind: "put", value: write.value }, output: result && { kind: "written" } };
    // Whether there was something to delete, a transaction's answer does not say.
    return { input: { kind: "delete" }, output: undefined };
  }

  /** A write, or with `write` undefined none, that happens only at a revision. */
  private swap(
    revision: number,
    write: { readonly value: string | undefined } | undefined,
    result: Result | undefined,
    read?: { readonly entry: Seen | undefined },
  ): { readonly input: RegisterInput; readonly output: RegisterOutput | undefined } {
    const expected = this.valueAt(revision);
    const input = { kind: "swap", expected, value: write === undefined ? expected : write.value } as const;
    if (result === undefined) return { input, output: undefined };
    const known = read === undefined ? this.foundBy(result) : { value: read.entry?.value };
    return { input, output: { kind: "swapped", swapped: result.kind !== "conflict", ...(known === undefined ? {} : { read: known }) } };
  }

  /** A conflict names the revision that it met; one that nobody else was told says nothing. */
  private foundBy(result: Result): { readonly value: Held } | undefined {
    if (result.kind !== "conflict" || result.found === undefined) return undefined;
    return result.found === 0 || this.values.has(result.found) ? { value: this.valueAt(result.found) } : undefined;
  }
}

/** The pairs of value and revision that a call's answer names. */
export function told(call: Call): Seen[] {
  const { operation, result } = call;
  if (call.outcome !== "ok" || result === undefined) return [];
  switch (result.kind) {
    case "entry":
      return result.entry === undefined ? [] : [result.entry];
    case "page":
      return [...result.entries];
    case "conflict":
    case "reads":
      return read(result.reads);
    case "written": {
      const { revision } = result;
      const written = result.existed ? writesOf(operation) : [];
      return [...written.flatMap(({ key, value }) => (value === undefined ? [] : [{ key, value, revision }])), ...read(result.reads)];
    }
  }
}

function read(reads: readonly Read[] | undefined): Seen[] {
  return (reads ?? []).flatMap(({ entry }) => (entry === undefined ? [] : [entry]));
}
