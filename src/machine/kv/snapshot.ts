import { MalformedBytes, Writer, type MapCursor, type Reader } from "../../base/index.ts";
import { Hash } from "../hash.ts";
import { KeyReader } from "../keys.ts";
import { Section, type SectionSource } from "../snapshot.ts";
import { onceSource } from "../session/table.ts";
import type { History } from "./history.ts";
import type { Records } from "./records.ts";
import { writeEntry } from "./range.ts";
import type { KvState } from "./state.ts";

/**
 * A keyspace is written as what was visible just before the kept history (the base, in order of keys)
 * and the events of the history in their order: played back, they give the same entries, versions and
 * history. Each kept version is written once.
 */
export function freezeKv(state: KvState): { readonly sources: readonly SectionSource[]; readonly bytes: number; release(): void } {
  state.records.freeze();
  const history = state.history.freeze();
  const sum = new Hash();
  const base = new BaseSource(state, history, sum);
  const sources = [onceSource(Section.kvMeta, encodeMeta(state)), base, new EventSource(state, history, sum), new SumSource(sum)];
  let isReleased = false;
  const release = (): void => {
    if (!isReleased) state.records.thaw();
    isReleased = true;
  };
  return { sources, bytes: state.liveBytes, release };
}

function encodeMeta(state: KvState): Uint8Array {
  const { history, settings } = state;
  const writer = new Writer();
  for (const number of [state.revision, history.compactRevision, history.bytes, state.lastTimestamp]) writer.u64(number);
  for (const number of [settings.maxBytes, settings.historyMs, settings.historyBytes]) writer.u64(number);
  writer.u32(history.marks.length);
  for (const mark of history.marks) writer.u64(mark.timestamp).u64(mark.revision).u64(mark.bytes);
  return writer.take();
}

/** The newest version of each key that no event of the history made. */
class BaseSource implements SectionSource {
  readonly section: number = Section.kvBase;
  private readonly state: KvState;
  private readonly records: Records;
  private readonly history: History;
  private readonly cursors: readonly MapCursor<number>[];
  private readonly sum: Hash;

  constructor(state: KvState, history: History, sum: Hash) {
    this.state = state;
    this.records = state.records;
    this.history = history;
    this.cursors = [state.live.clone().cursor(""), state.dead.clone().cursor("")];
    this.sum = sum;
  }

  fill(writer: Writer, bytes: number): boolean {
    const start = writer.length;
    for (const cursor of this.cursors) {
      for (; cursor.key !== undefined && writer.length - start < bytes; cursor.next()) {
        const handle = this.baseOf(cursor.value as number);
        if (handle < 0) continue;
        writeEntry(writer, this.state, handle, false);
        this.sum.add(this.records.hashLow(handle), this.records.hashHigh(handle));
      }
    }
    return writer.length > start;
  }

  private baseOf(newest: number): number {
    const { records, history } = this;
    let handle = newest;
    while (handle >= 0 && records.modRevision(handle) >= history.compactRevision) handle = records.previous(handle);
    return handle >= 0 && !records.isTombstone(handle) ? handle : -1;
  }
}

class EventSource implements SectionSource {
  readonly section: number = Section.kvEvents;
  private readonly state: KvState;
  private readonly history: History;
  private readonly sum: Hash;
  private position: number;

  constructor(state: KvState, history: History, sum: Hash) {
    this.state = state;
    this.history = history;
    this.sum = sum;
    this.position = history.lowerBound(history.compactRevision);
  }

  fill(writer: Writer, bytes: number): boolean {
    const start = writer.length;
    while (this.position < this.history.end && writer.length - start < bytes) {
      const handle = this.history.at(this.position++);
      writeEntry(writer, this.state, handle, false);
      this.sum.add(this.state.records.hashLow(handle), this.state.records.hashHigh(handle));
    }
    return writer.length > start;
  }
}

/** The hash of all versions written, older ones included: the state's own hash knows the newest only. */
class SumSource implements SectionSource {
  readonly section: number = Section.kvSum;
  private readonly sum: Hash;
  private isWritten = false;

  constructor(sum: Hash) {
    this.sum = sum;
  }

  fill(writer: Writer): boolean {
    if (this.isWritten) return false;
    this.isWritten = true;
    writer.u32(this.sum.low).u32(this.sum.high);
    return true;
  }
}

/** create, mod, version: u64; lease: two u32; length of the value: u32. What stands behind a key. */
const numbersBytes = 36;

/** Plays the sections of a keyspace back into a state that is empty at first. */
export class KvRestorer {
  private readonly state: KvState;
  private readonly keys = new KeyReader();
  /** Of the versions restored so far. */
  private readonly sum = new Hash();

  constructor(state: KvState) {
    this.state = state;
  }

  /** False: the section is none of a keyspace's entries. */
  restore(section: number, reader: Reader): boolean {
    const { sum } = this;
    switch (section) {
      case Section.kvMeta:
        if (reader.remaining > 0) restoreMeta(this.state, reader);
        return true;
      case Section.kvBase:
        this.restoreEntries(reader.rest(), false);
        return true;
      case Section.kvEvents:
        this.restoreEntries(reader.rest(), true);
        return true;
      case Section.kvSum:
        if (reader.remaining > 0 && (reader.u32() !== sum.low || reader.u32() !== sum.high))
          throw new MalformedBytes("the versions of a snapshot are not those that were written");
        return true;
      default:
        return false;
    }
  }

  /** What `writeEntry` wrote, one behind the other. A start waits for a million of them: nothing is made per entry that does not stay. */
  private restoreEntries(bytes: Uint8Array, isEvent: boolean): void {
    const { state, keys, sum } = this;
    const { records } = state;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at < bytes.length; ) {
      const keyLength = at + 4 <= bytes.length ? view.getUint32(at, true) : Number.POSITIVE_INFINITY;
      const numbers = at + 4 + keyLength;
      const valueAt = numbers + numbersBytes;
      const end = valueAt <= bytes.length ? valueAt + view.getUint32(valueAt - 4, true) : Number.POSITIVE_INFINITY;
      if (end > bytes.length) throw new MalformedBytes(`the entry at ${at} of a block ends beyond it`);
      const key = keys.read(bytes, at + 4, keyLength);
      const create = u64At(view, numbers);
      const mod = u64At(view, numbers + 8);
      const version = u64At(view, numbers + 16);
      if (mod > state.revision || (!isEvent && version === 0))
        throw new MalformedBytes(`entry of revision ${mod} in a snapshot of ${state.revision}`);
      const low = view.getUint32(numbers + 24, true);
      const high = view.getUint32(numbers + 28, true);
      const handle = state.restore(key, create, mod, version, low, high, bytes.subarray(valueAt, end), isEvent);
      sum.add(records.hashLow(handle), records.hashHigh(handle));
      at = end;
    }
  }
}

function u64At(view: DataView, at: number): number {
  const high = view.getUint32(at + 4, true);
  if (high > 0x1f_ffff) throw new MalformedBytes(`64-bit number at ${at} of a block is beyond 2^53`);
  return high * 0x1_0000_0000 + view.getUint32(at, true);
}

function restoreMeta(state: KvState, reader: Reader): void {
  const { history, settings } = state;
  state.revision = reader.u64();
  history.compactRevision = reader.u64();
  history.bytes = reader.u64();
  state.restoreTime(reader.u64());
  settings.maxBytes = reader.u64();
  settings.historyMs = reader.u64();
  settings.historyBytes = reader.u64();
  const count = reader.u32();
  for (let i = 0; i < count; i++) history.marks.push({ timestamp: reader.u64(), revision: reader.u64(), bytes: reader.u64() });
}
