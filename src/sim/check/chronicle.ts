import type { SeenChange } from "../history.ts";

/**
 * All that ever happened to a keyspace, revision by revision, as one watch from the beginning to the
 * end told it after the faults were over. The other checkers compare with it; whether it is
 * itself whole is `checkRevisions`' first question.
 */
export class Chronicle {
  readonly changes: readonly SeenChange[];
  readonly lastRevision: number;
  /** Each key's writes, in order of revision. */
  private readonly byKey = new Map<string, { readonly revision: number; readonly value: string | undefined }[]>();

  constructor(changes: readonly SeenChange[]) {
    this.changes = changes;
    this.lastRevision = changes.at(-1)?.revision ?? 1;
    for (const { revision, events } of changes) {
      for (const { key, value } of events) {
        const list = this.byKey.get(key);
        if (list === undefined) this.byKey.set(key, [{ revision, value }]);
        else list.push({ revision, value });
      }
    }
  }

  keys(): string[] {
    return [...this.byKey.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  writes(key: string): readonly { readonly revision: number; readonly value: string | undefined }[] {
    return this.byKey.get(key) ?? [];
  }

  /** The last write of `key` at or before `revision`. */
  at(key: string, revision: number): { readonly revision: number; readonly value: string | undefined } | undefined {
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
  writtenAt(key: string, revision: number): { readonly value: string | undefined } | undefined {
    const write = this.at(key, revision);
    return write?.revision === revision ? write : undefined;
  }

  /** The first revision after `revision` that changed `key`; Infinity: none did. */
  changedAfter(key: string, revision: number): number {
    for (const write of this.writes(key)) if (write.revision > revision) return write.revision;
    return Number.POSITIVE_INFINITY;
  }

  /** Text of all entries below `prefix` as they were at `revision`: equal texts are equal states. */
  state(prefix: string, revision: number): string {
    const parts: string[] = [];
    for (const key of this.keys()) {
      if (!key.startsWith(prefix)) continue;
      const write = this.at(key, revision);
      if (write?.value !== undefined) parts.push(`${key}=${write.value}@${write.revision}`);
    }
    return parts.join(" ");
  }
}
