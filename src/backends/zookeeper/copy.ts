import { OrderedMap } from "../../base/index.ts";
import type { KeyRange, KeyValue } from "../../machine/commands/index.ts";
import type { Change, Head, HistoryRecord } from "./layout.ts";

export function isInRange({ end, key: from }: KeyRange, key: string): boolean {
  if (end === "") return key === from;
  return key >= from && (end === "\0" || key < end);
}

export function bytesOf({ key, value }: KeyValue): number {
  return key.length + value.length;
}

export const everything: KeyRange = { key: "\0", end: "\0" };

/**
 * The keyspace as of one number of its history, and the history that is kept. It moves forward one record at a time, so what it shows was
 * the state of one moment.
 */
export class Copy {
  private entries = new OrderedMap<KeyValue>();
  private leases = new Map<bigint, Set<string>>();
  /** Of the numbers from `oldest` to `number`, without holes. */
  private records: HistoryRecord[] = [];
  private bytes = 0;
  private liveBytes = 0;
  private compacted = 0;
  private last = 0;
  private lastRevision = 0;

  /** The last transaction in it. */
  get number(): number {
    return this.last;
  }

  get revision(): number {
    return this.lastRevision;
  }

  get compactRevision(): number {
    return this.compacted;
  }

  /** The first number that is kept; one more than the last when none is. */
  get oldest(): number {
    return this.last - this.records.length + 1;
  }

  get size(): number {
    return this.entries.size;
  }

  /** Of keys and values. */
  get dataBytes(): number {
    return this.liveBytes;
  }

  get historyBytes(): number {
    return this.bytes;
  }

  /** Another state in place of this one. `records` end with `number`. */
  reset(
    entries: Iterable<KeyValue>,
    records: readonly HistoryRecord[],
    at: { readonly number: number; readonly revision: number; readonly compactRevision: number },
  ): void {
    this.entries = new OrderedMap();
    this.leases = new Map();
    this.liveBytes = 0;
    for (const entry of entries) this.put(entry);
    this.records = [...records];
    this.bytes = records.reduce((sum, record) => sum + record.bytes, 0);
    this.last = at.number;
    this.lastRevision = at.revision;
    this.compacted = at.compactRevision;
  }

  /** False: it is in already, or one before it is missing. */
  apply(record: HistoryRecord): boolean {
    if (record.number !== this.last + 1) return false;
    for (const { entry, key } of record.changes) {
      this.remove(key);
      if (entry !== undefined) this.put(entry);
    }
    this.records.push(record);
    this.bytes += record.bytes;
    this.last = record.number;
    this.lastRevision = record.revision;
    return true;
  }

  /** Forgets the history before `oldest`. */
  trim({ compactRevision, oldest }: Head): void {
    const count = Math.min(oldest - this.oldest, this.records.length);
    if (count <= 0) return;
    for (const record of this.records.splice(0, count)) this.bytes -= record.bytes;
    this.compacted = Math.max(this.compacted, compactRevision);
  }

  private put(entry: KeyValue): void {
    this.entries.set(entry.key, entry);
    this.liveBytes += bytesOf(entry);
    if (entry.lease === 0n) return;
    const keys = this.leases.get(entry.lease);
    if (keys === undefined) this.leases.set(entry.lease, new Set([entry.key]));
    else keys.add(entry.key);
  }

  private remove(key: string): void {
    const entry = this.entries.delete(key);
    if (entry === undefined) return;
    this.liveBytes -= bytesOf(entry);
    if (entry.lease === 0n) return;
    const keys = this.leases.get(entry.lease);
    keys?.delete(key);
    if (keys?.size === 0) this.leases.delete(entry.lease);
  }

  get(key: string): KeyValue | undefined {
    return this.entries.get(key);
  }

  /** In the order of their keys. */
  list(range: KeyRange): KeyValue[] {
    if (range.end === "") {
      const entry = this.entries.get(range.key);
      return entry === undefined ? [] : [entry];
    }
    const found: KeyValue[] = [];
    for (const cursor = this.entries.cursor(range.key); cursor.key !== undefined && isInRange(range, cursor.key); cursor.next())
      found.push(cursor.value as KeyValue);
    return found;
  }

  /** The state of now with what came after `revision` undone. That revision is neither compacted nor to come. */
  listAt(range: KeyRange, revision: number): KeyValue[] {
    const undone = new Map<string, KeyValue | undefined>();
    for (let at = this.records.length - 1; at >= 0; at--) {
      const record = this.records[at] as HistoryRecord;
      if (record.revision <= revision) break;
      for (const { key, previous } of record.changes) if (isInRange(range, key)) undone.set(key, previous);
    }
    if (undone.size === 0) return this.list(range);
    const found = this.list(range).filter(({ key }) => !undone.has(key));
    for (const previous of undone.values()) if (previous !== undefined) found.push(previous);
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  keysOf(lease: bigint): string[] {
    return [...(this.leases.get(lease) ?? [])].sort();
  }

  /** Undefined: it is not kept, or still to come. */
  record(number: number): HistoryRecord | undefined {
    return this.records[number - this.oldest];
  }

  /** The first number whose revision is not below; one more than the last when there is none. */
  numberFrom(revision: number): number {
    let [low, high] = [0, this.records.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.records[middle] as HistoryRecord).revision < revision) low = middle + 1;
      else high = middle;
    }
    return this.oldest + low;
  }
}

/**
 * Entries that were read one by one while writes went on, made one state: `records` are those from when the reading began to the moment that is
 * wanted, and what an entry shows already is not done to it again.
 */
export function settle(read: readonly KeyValue[], records: readonly HistoryRecord[]): Iterable<KeyValue> {
  const entries = new Map(read.map((entry) => [entry.key, entry]));
  for (const { changes, revision } of records)
    for (const change of changes) {
      if ((entries.get(change.key)?.modRevision ?? 0) < revision) settleOne(entries, change);
    }
  return entries.values();
}

function settleOne(entries: Map<string, KeyValue>, { entry, key }: Change): void {
  if (entry === undefined) entries.delete(key);
  else entries.set(key, entry);
}
