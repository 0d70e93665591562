import { compareBytes } from "../../base/index.ts";
import type {
  Command,
  Compare,
  KeyRange,
  KeyValue,
  Operation,
  OperationResult,
  RangeOperation,
  Reply,
  TxnOperation,
} from "../commands/index.ts";

/** One event, as a watch shows it. */
export interface ModelEvent {
  readonly kind: "put" | "delete";
  readonly entry: KeyValue;
}

type State = ReadonlyMap<string, KeyValue>;

const empty = new Uint8Array(0);

class Refused extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

function inRange(range: KeyRange, key: string): boolean {
  if (range.end === "") return key === range.key;
  return key >= range.key && (range.end === "\0" || key < range.end);
}

function sorted(state: State, range: KeyRange): KeyValue[] {
  return [...state.values()].filter((entry) => inRange(range, entry.key)).sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** The semantics of the keyspace, written down as plainly as possible: every revision's whole state is kept. */
export class KvModel {
  readonly states: Map<number, State> = new Map([[1, new Map()]]);
  readonly events: Map<number, ModelEvent[]> = new Map();
  revision = 1;
  compactRevision = 0;

  private get newest(): State {
    return this.states.get(this.revision) as State;
  }

  apply(
    command: Command,
  ):
    | (Pick<Extract<Reply, { ok: true }>, "revision"> & { readonly result: unknown })
    | { readonly code: string; readonly revision: number } {
    try {
      if (command.kind === "compact") {
        if (command.revision > this.revision) throw new Refused("FUTURE_REVISION");
        if (command.revision <= this.compactRevision) throw new Refused("COMPACTED");
        this.compactRevision = command.revision;
        return { revision: this.revision, result: { kind: "done" } };
      }
      if (command.kind !== "put" && command.kind !== "delete" && command.kind !== "txn") throw new Error(`no ${command.kind} here`);
      if (command.kind === "txn") this.checkDuplicates(command);
      const before = this.newest;
      const state = new Map(before);
      const events: ModelEvent[] = [];
      this.check(command, before);
      const result = this.execute(command, before, state, events);
      if (events.length > 0) {
        this.revision++;
        this.states.set(this.revision, state);
        this.events.set(this.revision, events);
      }
      return { revision: this.revision, result };
    } catch (error) {
      if (error instanceof Refused) return { revision: this.revision, code: error.code };
      throw error;
    }
  }

  query(range: RangeOperation): ReturnType<KvModel["apply"]> {
    try {
      this.check(range, this.newest);
      return { revision: this.revision, result: this.range(range, this.newest, false) };
    } catch (error) {
      if (error instanceof Refused) return { revision: this.revision, code: error.code };
      throw error;
    }
  }

  /** All writes of any path that can be taken together. */
  private checkDuplicates(txn: TxnOperation): void {
    interface Write {
      readonly range: KeyRange;
      readonly isPut: boolean;
    }
    const paths = (operations: readonly Operation[]): Write[][] => {
      let all: Write[][] = [[]];
      for (const operation of operations) {
        if (operation.kind === "txn") {
          const choices = [...paths(operation.success), ...paths(operation.failure)];
          all = all.flatMap((path) => choices.map((choice) => [...path, ...choice]));
        } else if (operation.kind === "put" || operation.kind === "delete") {
          const write = {
            range: { key: operation.key, end: operation.kind === "put" ? "" : operation.end },
            isPut: operation.kind === "put",
          };
          all = all.map((path) => [...path, write]);
        }
      }
      return all;
    };
    for (const path of [...paths(txn.success), ...paths(txn.failure)]) {
      path.forEach((write, at) => {
        if (write.isPut && path.some((other, index) => index !== at && inRange(other.range, write.range.key)))
          throw new Refused("DUPLICATE_KEY");
      });
    }
  }

  /** As in etcd: what writes is refused before what reads. */
  private check(operation: Operation, before: State): void {
    this.checkWrites(operation, before);
    this.checkReads(operation, before);
  }

  private checkWrites(operation: Operation, before: State): void {
    if (operation.kind === "txn") for (const inner of this.branch(operation, before)) this.checkWrites(inner, before);
    if (operation.kind !== "put" || before.has(operation.key)) return;
    if (operation.ignoreValue || operation.ignoreLease) throw new Refused("NOT_FOUND");
  }

  private checkReads(operation: Operation, before: State): void {
    if (operation.kind === "txn") for (const inner of this.branch(operation, before)) this.checkReads(inner, before);
    if (operation.kind !== "range") return;
    if (operation.revision > this.revision) throw new Refused("FUTURE_REVISION");
    if (operation.revision > 0 && operation.revision < this.compactRevision) throw new Refused("COMPACTED");
  }

  private branch(txn: TxnOperation, before: State): readonly Operation[] {
    return txn.compare.every((compare) => this.holds(compare, before)) ? txn.success : txn.failure;
  }

  private holds(compare: Compare, state: State): boolean {
    const entries = sorted(state, compare);
    const order = (entry: KeyValue | undefined): number => {
      if (compare.target === "value") return compareBytes(entry?.value ?? empty, compare.value);
      if (compare.target === "lease") return Number((entry?.lease ?? 0n) - compare.lease);
      const number = { version: entry?.version, create: entry?.createRevision, mod: entry?.modRevision }[compare.target] ?? 0;
      return number - compare.number;
    };
    const relate = (difference: number): boolean =>
      ({ equal: difference === 0, "not-equal": difference !== 0, greater: difference > 0, less: difference < 0 })[compare.relation];
    if (entries.length === 0) return compare.target !== "value" && relate(order(undefined));
    return entries.every((entry) => relate(order(entry)));
  }

  private execute(operation: Operation, before: State, state: Map<string, KeyValue>, events: ModelEvent[]): OperationResult {
    switch (operation.kind) {
      case "put": {
        const old = state.get(operation.key);
        const entry: KeyValue = {
          key: operation.key,
          value: operation.ignoreValue ? (old as KeyValue).value : operation.value,
          lease: operation.ignoreLease ? (old as KeyValue).lease : operation.lease,
          createRevision: old?.createRevision ?? this.revision + 1,
          modRevision: this.revision + 1,
          version: (old?.version ?? 0) + 1,
        };
        state.set(operation.key, entry);
        events.push({ kind: "put", entry });
        return { kind: "put", previous: operation.previous ? old : undefined };
      }
      case "delete": {
        const gone = sorted(state, operation);
        for (const { key } of gone) {
          state.delete(key);
          events.push({
            kind: "delete",
            entry: { key, value: empty, createRevision: 0, modRevision: this.revision + 1, version: 0, lease: 0n },
          });
        }
        return { kind: "delete", deleted: gone.length, previous: operation.previous ? gone : [] };
      }
      case "range":
        return this.range(operation, state, events.length > 0);
      case "txn": {
        const operations = this.branch(operation, before);
        const succeeded = operations === operation.success;
        return { kind: "txn", succeeded, results: operations.map((inner) => this.execute(inner, before, state, events)) };
      }
      default:
        throw new Error("enqueue");
    }
  }

  private range(range: RangeOperation, newest: State, _wrote: boolean): OperationResult {
    const all = sorted(range.revision > 0 ? (this.states.get(range.revision) as State) : newest, range);
    const count = all.length;
    if (range.countOnly) return { kind: "range", count, more: false, entries: [] };
    let kept = all.filter(
      (entry) =>
        entry.modRevision >= range.minModRevision &&
        entry.modRevision <= (range.maxModRevision || Infinity) &&
        entry.createRevision >= range.minCreateRevision &&
        entry.createRevision <= (range.maxCreateRevision || Infinity),
    );
    const { sort } = range;
    if (sort !== undefined) {
      const order = (a: KeyValue, b: KeyValue): number => {
        if (sort.target === "value") return compareBytes(a.value, b.value);
        if (sort.target === "key") return a.key < b.key ? -1 : 1;
        const field = { version: "version", create: "createRevision", mod: "modRevision" } as const;
        return a[field[sort.target]] - b[field[sort.target]];
      };
      kept = kept.sort((a, b) => (sort.descending ? order(b, a) : order(a, b)));
    }
    const more = range.limit > 0 && kept.length > range.limit;
    const entries = (more ? kept.slice(0, range.limit) : kept).map((entry) => (range.keysOnly ? { ...entry, value: empty } : entry));
    return { kind: "range", count, more, entries };
  }
}
