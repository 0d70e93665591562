import type { Seen, SeenChange } from "../history.ts";

/** One write of one key. */
export interface KeyWrite {
  readonly revision: number;
  /** Undefined: it was deleted. */
  readonly value: string | undefined;
  /** Of the life of the key that it belongs to; of a deletion, of the life that it ends. */
  readonly createRevision: number;
  /** Writes in that life so far. */
  readonly version: number;
  /** When a replica had it first, in virtual time; 0 where nobody said. */
  readonly atMs: number;
}

function follow(before: KeyWrite | undefined, revision: number, value: string | undefined, atMs = 0): KeyWrite {
  if (before === undefined || before.value === undefined) return { revision, value, createRevision: revision, version: 1, atMs };
  const { createRevision, version } = before;
  return { revision, value, createRevision, version: value === undefined ? version : version + 1, atMs };
}

/** The revision, and creation and version where it names them, of an entry that was read. */
export function agrees(seen: Seen, write: KeyWrite | undefined): boolean {
  if (write?.value !== seen.value) return false;
  return (
    (seen.createRevision === undefined || seen.createRevision === write.createRevision) &&
    (seen.version === undefined || seen.version === write.version)
  );
}

/**
 * All that ever happened to a keyspace, revision by revision, as the replicas' own machines told it entry by entry. The other checkers compare with it; whether it is
 * itself whole is `checkRevisions`' first question.
 */
export class Chronicle {
  readonly changes: readonly SeenChange[];
  readonly lastRevision: number;
  /** Each key's writes, in order of revision. */
  private readonly byKey = new Map<string, KeyWrite[]>();
  private readonly ordered: readonly string[];

  constructor(changes: readonly SeenChange[]) {
    this.changes = changes;
    this.lastRevision = changes.at(-1)?.revision ?? 1;
    for (const { atMs, events, revision } of changes) {
      for (const { key, value } of events) {
        const list = this.byKey.get(key) ?? [];
        this.byKey.set(key, list);
        list.push(follow(list.at(-1), revision, value, atMs));
      }
    }
    this.ordered = [...this.byKey.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  keys(): readonly string[] {
    return this.ordered;
  }

  writes(key: string): readonly KeyWrite[] {
    return this.byKey.get(key) ?? [];
  }

  /** The last write of `key` at or before `revision`. */
  at(key: string, revision: number): KeyWrite | undefined {
    const writes = this.writes(key);
    let low = 0;
    for (let high = writes.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((writes[middle] as { revision: number }).revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : writes[low - 1];
  }

  /** What was written at exactly `revision`; undefined: nothing, which is not the same as a deletion. */
  writtenAt(key: string, revision: number): KeyWrite | undefined {
    const write = this.at(key, revision);
    return write?.revision === revision ? write : undefined;
  }

  /** The first revision after `revision` that changed `key`; Infinity: none did. */
  changedAfter(key: string, revision: number): number {
    for (const write of this.writes(key)) if (write.revision > revision) return write.revision;
    return Number.POSITIVE_INFINITY;
  }

  /** The entries below `prefix` from key `from` on, as they were at `revision`, in order of keys. */
  entries(prefix: string, from: string, revision: number): { readonly key: string; readonly write: KeyWrite }[] {
    const found: { readonly key: string; readonly write: KeyWrite }[] = [];
    for (const key of this.keys()) {
      if (!key.startsWith(prefix) || key < from) continue;
      const write = this.at(key, revision);
      if (write?.value !== undefined) found.push({ key, write });
    }
    return found;
  }

  /** Text of all entries below `prefix` as they were at `revision`: equal texts are equal states. */
  state(prefix: string, revision: number): string {
    return this.entries(prefix, "", revision)
      .map(({ key, write }) => `${key}=${write.value}@${write.revision}`)
      .join(" ");
  }
}
