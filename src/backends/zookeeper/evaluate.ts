import { compareBytes, emptyBytes, unreachable } from "../../base/index.ts";
import type {
  Compare,
  DeleteOperation,
  KeyRange,
  KeyValue,
  Operation,
  OperationResult,
  PutOperation,
  RangeOperation,
  TxnOperation,
} from "../../machine/commands/index.ts";
import { isInRange } from "./copy.ts";
import { duplicates } from "./duplicates.ts";
import { Refused } from "./failure.ts";
import { entryAfter } from "./layout.ts";
import type { Change } from "./layout.ts";

/** What is asked: the keyspace at one moment. */
export interface State {
  readonly revision: number;
  readonly compactRevision: number;
  get(key: string): KeyValue | undefined;
  /** In the order of their keys. */
  list(range: KeyRange): KeyValue[];
  /** As of a revision that is neither compacted nor to come. */
  listAt(range: KeyRange, revision: number): KeyValue[];
}

export interface Evaluated {
  readonly results: readonly OperationResult[];
  readonly changes: readonly Change[];
  /** Those that its puts name: they must exist. */
  readonly leases: ReadonlySet<bigint>;
  /** Gives everything that was written its revision, in results and changes. */
  stamp(revision: number): void;
}

/** The revision of what is written, until it is known: above all others. */
const unstamped = Number.MAX_SAFE_INTEGER;
/** What the ranges of one answer hold at most, about, as over Unum. */
const pageBytesMax = 4 * 1024 * 1024;

type Mutable = { -readonly [K in keyof KeyValue]: KeyValue[K] };

/** Everything that operations read or write: whether something else stands in their way. */
export function footprint(operations: readonly Operation[]): KeyRange[] {
  return operations.flatMap((operation): KeyRange[] => {
    switch (operation.kind) {
      case "put":
        return [{ key: operation.key, end: "" }];
      case "txn":
        return [...operation.compare, ...footprint(operation.success), ...footprint(operation.failure)];
      case "enqueue":
        return [];
      default:
        return [operation];
    }
  });
}

/**
 * What the operations come to, as etcd has it: comparisons, those of nested transactions included, are asked of the state before; what reads
 * sees the writes in front of it; all of it is one revision. Throws `Refused`: then nothing of it is to be done.
 */
export function evaluate(state: State, operations: readonly Operation[]): Evaluated {
  duplicates(operations);
  const paths = operations.map((operation) => choose(state, operation));
  for (const path of paths) checkWrites(state, path);
  for (const path of paths) checkReads(state, path);
  const run = new Run(state);
  const results = paths.map((path) => run.execute(path));
  return { results, changes: [...run.changes.values()], leases: run.leases, stamp: (revision) => run.stamp(revision) };
}

/** An operation whose branches are chosen. */
type Path =
  | { readonly operation: Exclude<Operation, TxnOperation>; readonly taken: undefined }
  | { readonly operation: TxnOperation; readonly succeeded: boolean; readonly taken: readonly Path[] };

function choose(state: State, operation: Operation): Path {
  if (operation.kind !== "txn") return { operation, taken: undefined };
  const succeeded = operation.compare.every((compare) => holds(state, compare));
  return { operation, succeeded, taken: (succeeded ? operation.success : operation.failure).map((inner) => choose(state, inner)) };
}

/** Every key of the range satisfies it; of an empty range, an entry of zeros that has no value. */
function holds(state: State, compare: Compare): boolean {
  const found = state.list(compare);
  return found.length === 0 ? satisfies(compare, undefined) : found.every((entry) => satisfies(compare, entry));
}

function satisfies(compare: Compare, entry: KeyValue | undefined): boolean {
  const { number, relation, target } = compare;
  switch (target) {
    case "version":
      return relate((entry?.version ?? 0) - number, relation);
    case "create":
      return relate((entry?.createRevision ?? 0) - number, relation);
    case "mod":
      return relate((entry?.modRevision ?? 0) - number, relation);
    case "lease": {
      const lease = entry?.lease ?? 0n;
      return relate(lease < compare.lease ? -1 : lease > compare.lease ? 1 : 0, relation);
    }
    case "value":
      return entry !== undefined && relate(compareBytes(entry.value, compare.value), relation);
    default:
      return unreachable(target);
  }
}

function relate(order: number, relation: Compare["relation"]): boolean {
  switch (relation) {
    case "equal":
      return order === 0;
    case "not-equal":
      return order !== 0;
    case "greater":
      return order > 0;
    default:
      return order < 0;
  }
}

function emptyKey(): Refused {
  return new Refused("INVALID_KEY", "the key is empty");
}

function checkWrites(state: State, { operation, taken }: Path): void {
  if (taken !== undefined) for (const path of taken) checkWrites(state, path);
  else if (operation.kind === "put") checkPut(state, operation);
  else if (operation.kind === "delete" && operation.key === "") throw emptyKey();
}

function checkPut(state: State, { ignoreLease, ignoreValue, key, lease, value }: PutOperation): void {
  if (key === "") throw emptyKey();
  if ((ignoreValue || ignoreLease) && state.get(key) === undefined)
    throw new Refused("NOT_FOUND", "the key whose value or lease is to be kept does not exist");
  if (ignoreValue && value.length > 0) throw new Refused("INVALID_ARGUMENT", "a value is given and to be ignored");
  if (ignoreLease && lease !== 0n) throw new Refused("INVALID_ARGUMENT", "a lease is given and to be ignored");
}

function checkReads(state: State, { operation, taken }: Path): void {
  if (taken !== undefined) for (const path of taken) checkReads(state, path);
  if (operation.kind !== "range") return;
  if (operation.key === "") throw emptyKey();
  const { revision } = operation;
  const { compactRevision } = state;
  if (revision > state.revision)
    throw new Refused("FUTURE_REVISION", `revision ${revision} is not there yet; the newest is ${state.revision}`, {
      revision: state.revision,
    });
  if (revision > 0 && revision < compactRevision)
    throw new Refused("COMPACTED", `revision ${revision} is no longer kept; the oldest is ${compactRevision}`, { compactRevision });
}

class Run {
  readonly changes = new Map<string, Change>();
  readonly leases = new Set<bigint>();
  private readonly state: State;
  private readonly written: Mutable[] = [];
  private bytesLeft = pageBytesMax;

  constructor(state: State) {
    this.state = state;
  }

  stamp(revision: number): void {
    for (const entry of this.written) {
      entry.modRevision = revision;
      if (entry.createRevision === unstamped) entry.createRevision = revision;
    }
  }

  execute({ operation, ...path }: Path): OperationResult {
    switch (operation.kind) {
      case "put":
        return this.put(operation);
      case "delete":
        return this.remove(operation);
      case "range":
        return this.range(operation);
      case "txn": {
        const { succeeded, taken } = path as Extract<Path, { readonly operation: TxnOperation }>;
        return { kind: "txn", succeeded, results: taken.map((inner) => this.execute(inner)) };
      }
      case "enqueue":
        throw new Refused("UNSUPPORTED", "A ZooKeeper has no queues of Unum's.");
      default:
        return unreachable(operation);
    }
  }

  private put(operation: PutOperation): OperationResult {
    const { key } = operation;
    const previous = this.state.get(key);
    const value = operation.ignoreValue ? (previous?.value ?? emptyBytes) : operation.value;
    const lease = operation.ignoreLease ? (previous?.lease ?? 0n) : operation.lease;
    if (lease !== 0n && !operation.ignoreLease) this.leases.add(lease);
    const entry = entryAfter(key, { value, lease }, previous, unstamped);
    this.written.push(entry);
    this.changes.set(key, { key, entry, previous });
    return { kind: "put", previous: operation.previous ? previous : undefined };
  }

  private remove(operation: DeleteOperation): OperationResult {
    const found = this.list(operation);
    // Written and deleted in one transaction cannot be: what is found was there before, or is deleted already.
    for (const previous of found) this.changes.set(previous.key, { key: previous.key, entry: undefined, previous });
    return { kind: "delete", deleted: found.length, previous: operation.previous ? found : [] };
  }

  private list(range: KeyRange): KeyValue[] {
    const before = this.state.list(range);
    const touched = [...this.changes.values()].filter(({ key }) => isInRange(range, key));
    if (touched.length === 0) return before;
    const found = before.filter(({ key }) => !this.changes.has(key));
    for (const { entry } of touched) if (entry !== undefined) found.push(entry);
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  private range(operation: RangeOperation): OperationResult {
    const { limit, revision, sort } = operation;
    const found = revision === 0 ? this.list(operation) : this.state.listAt(operation, revision);
    const count = found.length;
    if (operation.countOnly) return { kind: "range", entries: [], more: false, count };
    const kept = found.filter((entry) => passes(operation, entry));
    if (sort !== undefined) sortEntries(kept, sort);
    const entries: KeyValue[] = [];
    for (const entry of kept) {
      if ((limit > 0 && entries.length === limit) || (this.bytesLeft <= 0 && entries.length > 0)) break;
      entries.push(operation.keysOnly ? this.keyOnly(entry) : entry);
      this.bytesLeft -= entry.key.length + 48 + (operation.keysOnly ? 0 : entry.value.length);
    }
    return { kind: "range", entries, more: entries.length < kept.length, count };
  }

  private keyOnly(entry: KeyValue): KeyValue {
    const only: Mutable = { ...entry, value: emptyBytes };
    if (entry.modRevision === unstamped) this.written.push(only);
    return only;
  }
}

function passes({ maxCreateRevision, maxModRevision, minCreateRevision, minModRevision }: RangeOperation, entry: KeyValue): boolean {
  if (minModRevision > 0 && entry.modRevision < minModRevision) return false;
  if (maxModRevision > 0 && entry.modRevision > maxModRevision) return false;
  if (minCreateRevision > 0 && entry.createRevision < minCreateRevision) return false;
  return maxCreateRevision === 0 || entry.createRevision <= maxCreateRevision;
}

/** Equal ones stay in the order of their keys. */
function sortEntries(entries: KeyValue[], { descending, target }: NonNullable<RangeOperation["sort"]>): void {
  if (target === "key") {
    if (descending) entries.reverse();
    return;
  }
  const order = (a: KeyValue, b: KeyValue): number => {
    switch (target) {
      case "version":
        return a.version - b.version;
      case "create":
        return a.createRevision - b.createRevision;
      case "mod":
        return a.modRevision - b.modRevision;
      case "value":
        return compareBytes(a.value, b.value);
      default:
        return unreachable(target);
    }
  };
  entries.sort((a, b) => (descending ? order(b, a) : order(a, b)));
}
