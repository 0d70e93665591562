import type { Call, History, Operation, Seen } from "../history.ts";
import { describeCall } from "../history.ts";
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
  | { readonly kind: "swapped"; readonly swapped: boolean };

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
        if (output !== undefined && !(output.kind === "swapped" && output.swapped === holds)) return undefined;
        return { state: holds ? input.value : state };
      }
    }
  },
};

export interface RegisterReport {
  readonly violations: readonly string[];
  /** Keys whose check ran out of budget. */
  readonly undecided: readonly string[];
  readonly steps: number;
}

/** Checks each key by itself: linearizability is local. Transactions are checked key by key here and as a whole by `checkRevisions`. */
export function checkRegisters(history: History, stepsMax = 400_000): RegisterReport {
  const violations: string[] = [];
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
    const result = checkLinearizable(
      registerModel,
      kept.map(({ interval }) => interval),
      stepsMax,
    );
    steps += result.steps;
    if (result.verdict === "unknown") undecided.push(key);
    if (result.verdict === "illegal")
      violations.push(
        explain(
          key,
          kept.map(({ call }) => call),
          result.longest,
        ),
      );
  }
  return { violations, undecided, steps };
}

function explain(key: string, calls: readonly Call[], longest: readonly number[]): string {
  const taken = new Set(longest);
  const stuck = calls.filter((call, index) => !taken.has(index) && call.outcome === "ok").slice(0, 6);
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

function keysOf(operation: Operation): string[] {
  switch (operation.kind) {
    case "range":
      return [];
    case "txn":
      return [...new Set([...operation.compare, ...operation.puts].map(({ key }) => key))];
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
    const input = call.operation.kind === "txn" ? this.projected(call, call.operation) : this.input(call.operation);
    if (input === undefined) return undefined;
    const output = call.outcome === "ok" ? this.output(call) : undefined;
    if (output === undefined && input.kind === "get") return undefined;
    return { input, output, called: call.calledAt, returned: output === undefined ? Number.POSITIVE_INFINITY : call.returnedAt };
  }

  private input(operation: Operation): RegisterInput | undefined {
    switch (operation.kind) {
      case "get":
        return operation.stale ? undefined : { kind: "get" };
      case "put":
        if (operation.ifRevision === undefined) return { kind: "put", value: operation.value };
        return { kind: "swap", expected: this.valueAt(operation.ifRevision), value: operation.value };
      case "delete":
        if (operation.ifRevision === undefined) return { kind: "delete" };
        return { kind: "swap", expected: this.valueAt(operation.ifRevision), value: undefined };
      case "append":
        return { kind: "append", item: operation.item };
      case "txn":
      case "range":
        return undefined;
    }
  }

  /** The part of a transaction that is about this key. A conflict says something only if no other key can be its cause. */
  private projected(call: Call, operation: Extract<Operation, { kind: "txn" }>): RegisterInput | undefined {
    const compare = operation.compare.find(({ key }) => key === this.key);
    const put = operation.puts.find(({ key }) => key === this.key);
    if (call.result?.kind === "conflict" && (compare === undefined || operation.compare.length > 1)) return undefined;
    if (compare === undefined) return put === undefined ? undefined : { kind: "put", value: put.value };
    const expected = this.valueAt(compare.revision);
    return { kind: "swap", expected, value: put === undefined ? expected : put.value };
  }

  private output(call: Call): RegisterOutput | undefined {
    const { operation, result } = call;
    if (result === undefined) return undefined;
    switch (result.kind) {
      case "entry":
        return { kind: "value", value: result.entry?.value };
      case "conflict":
        return { kind: "swapped", swapped: false };
      case "written": {
        if (operation.kind === "delete" && operation.ifRevision === undefined) return { kind: "deleted", existed: result.existed };
        const conditional =
          operation.kind === "txn"
            ? operation.compare.some(({ key }) => key === this.key)
            : "ifRevision" in operation && operation.ifRevision !== undefined;
        return conditional ? { kind: "swapped", swapped: true } : { kind: "written" };
      }
      case "page":
        return undefined;
    }
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
      return [];
    case "written":
      if (operation.kind === "put") return [{ key: operation.key, value: operation.value, revision: result.revision }];
      if (operation.kind === "txn") return operation.puts.map(({ key, value }) => ({ key, value, revision: result.revision }));
      return [];
  }
}
