import { writesOf } from "../history.ts";
import type { Call, History } from "../history.ts";
import { keysOf } from "../check/index.ts";

/** What became of the calls of one kind. */
export interface Outcomes {
  ok: number;
  /** Answered, and the answer was that the condition did not hold. */
  conflict: number;
  refused: number;
  unknown: number;
}

/** What a workload really did in a run: the audit of its generator. */
export interface Mix {
  readonly workload: string;
  readonly kinds: ReadonlyMap<string, Outcomes>;
  /** Conditional writes that were answered, and those of them that wrote. */
  readonly conditional: number;
  readonly conditionalWon: number;
  /** Reads that were answered, those of them of keys that somebody was writing meanwhile, and stale ones. */
  readonly reads: number;
  readonly readsContended: number;
  readonly readsStale: number;
  /** Writes that somebody else's write of the same key overlapped. */
  readonly writes: number;
  readonly writesContended: number;
  /** Keys that were written more than once. */
  readonly keysWrittenAgain: number;
  /** Beside operations: watches, leases, copies. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Of the calls made on behalf of `workload`. */
export function mixOf(history: History, workload: string, counts: ReadonlyMap<string, number>): Mix {
  const calls = history.calls.filter((call) => call.workload === workload);
  const kinds = new Map<string, Outcomes>();
  const writers = new Map<string, Call[]>();
  const mix = { conditional: 0, conditionalWon: 0, reads: 0, readsContended: 0, readsStale: 0, writes: 0, writesContended: 0 };
  for (const call of calls) {
    const name = kindOf(call);
    const outcomes = kinds.get(name) ?? { ok: 0, conflict: 0, refused: 0, unknown: 0 };
    kinds.set(name, outcomes);
    if (call.outcome === "ok") outcomes[call.result?.kind === "conflict" ? "conflict" : "ok"]++;
    else outcomes[call.outcome === "not-applied" ? "refused" : "unknown"]++;
    for (const key of writtenKeys(call)) {
      const list = writers.get(key) ?? [];
      list.push(call);
      writers.set(key, list);
    }
  }
  for (const call of calls) {
    if (call.outcome !== "ok") continue;
    const { operation, result } = call;
    if (isConditional(call)) {
      mix.conditional++;
      if (result?.kind !== "conflict") mix.conditionalWon++;
    }
    const written = writtenKeys(call);
    if (written.length > 0) {
      mix.writes++;
      if (isContended(call, written, writers)) mix.writesContended++;
      continue;
    }
    mix.reads++;
    if ("stale" in operation && operation.stale) mix.readsStale++;
    const keys = operation.kind === "range" || operation.kind === "list" ? below(writers, operation.prefix) : keysOf(operation);
    if (isContended(call, keys, writers)) mix.readsContended++;
  }
  const keysWrittenAgain = [...writers.values()].filter((list) => list.length > 1).length;
  return { workload, kinds, ...mix, keysWrittenAgain, counts };
}

/** Operations in all. */
export function operationsOf({ kinds }: Mix): number {
  let count = 0;
  for (const { conflict, ok, refused, unknown } of kinds.values()) count += ok + conflict + refused + unknown;
  return count;
}

export function describeMix(mix: Mix): string {
  const kinds = [...mix.kinds].map(([kind, { conflict, ok, refused, unknown }]) => {
    const rest = [
      [conflict, "conflict"],
      [refused, "refused"],
      [unknown, "unknown"],
    ] as const;
    return `${kind} ${ok}${rest.flatMap(([count, word]) => (count === 0 ? [] : [` +${count} ${word}`])).join("")}`;
  });
  const share = (part: number, whole: number): string => (whole === 0 ? "none" : `${Math.round((100 * part) / whole)} % of ${whole}`);
  const counts = [...mix.counts].map(([name, count]) => `${name} ${count}`);
  return (
    `${mix.workload}: ${kinds.join(", ")}; conditions held ${share(mix.conditionalWon, mix.conditional)}, ` +
    `reads beside a write ${share(mix.readsContended, mix.reads)}, stale ${mix.readsStale}, writes beside a write ${share(mix.writesContended, mix.writes)}, ` +
    `${mix.keysWrittenAgain} keys written again${counts.length === 0 ? "" : `; ${counts.join(", ")}`}`
  );
}

function kindOf({ operation }: Call): string {
  if (operation.kind === "txn") return operation.writes.length === 0 ? "read txn" : "txn";
  return isConditionalOperation(operation) ? `${operation.kind} if` : operation.kind;
}

function isConditionalOperation(operation: Call["operation"]): boolean {
  return (operation.kind === "put" || operation.kind === "delete") && operation.ifRevision !== undefined;
}

function isConditional({ operation }: Call): boolean {
  return isConditionalOperation(operation) || (operation.kind === "txn" && operation.compare.length > 0 && operation.writes.length > 0);
}

function writtenKeys({ operation }: Call): readonly string[] {
  return operation.kind === "append" ? [operation.key] : writesOf(operation).map(({ key }) => key);
}

function below(writers: ReadonlyMap<string, readonly Call[]>, prefix: string): string[] {
  return [...writers.keys()].filter((key) => key.startsWith(prefix));
}

/** Somebody else was writing one of the keys while the call went on. */
function isContended(call: Call, keys: readonly string[], writers: ReadonlyMap<string, readonly Call[]>): boolean {
  return keys.some((key) =>
    (writers.get(key) ?? []).some(
      (other) => other !== call && other.outcome !== "not-applied" && other.calledAt < call.returnedAt && other.returnedAt > call.calledAt,
    ),
  );
}
