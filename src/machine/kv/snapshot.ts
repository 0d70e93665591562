import { MalformedBytes, Writer, type MapCursor, type OrderedMap, type Reader } from "../../base/index.ts";
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
  const base = new BaseSource(state, history, state.live.clone(), state.dead.clone());
  const sources = [onceSource(Section.kvMeta, encodeMeta(state)), base, new EventSource(state, history)];
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

  constructor(state: KvState, history: History, live: OrderedMap<number>, dead: OrderedMap<number>) {
    this.state = state;
    this.records = state.records;
    this.history = history;
    this.cursors = [live.cursor(""), dead.cursor("")];
  }

  fill(writer: Writer, bytes: number): boolean {
    const start = writer.length;
    for (const cursor of this.cursors) {
      for (; cursor.key !== undefined && writer.length - start < bytes; cursor.next()) {
        const handle = this.baseOf(cursor.value as number);
        if (handle >= 0) writeEntry(writer, this.state, handle, false);
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
  private position: number;

  constructor(state: KvState, history: History) {
    this.state = state;
    this.history = history;
    this.position = history.lowerBound(history.compactRevision);
  }

  fill(writer: Writer, bytes: number): boolean {
    const start = writer.length;
    while (this.position < this.history.end && writer.length - start < bytes) {
      writeEntry(writer, this.state, this.history.at(this.position++), false);
    }
    return writer.length > start;
  }
}

export function restoreKv(state: KvState, section: number, reader: Reader): boolean {
  switch (section) {
    case Section.kvMeta:
      if (reader.remaining > 0) restoreMeta(state, reader);
      return true;
    case Section.kvBase:
      while (reader.remaining > 0) restoreEntry(state, reader, false);
      return true;
    case Section.kvEvents:
      while (reader.remaining > 0) restoreEntry(state, reader, true);
      return true;
    default:
      return false;
  }
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

function restoreEntry(state: KvState, reader: Reader, isEvent: boolean): void {
  const key = reader.latin1();
  const create = reader.u64();
  const mod = reader.u64();
  const version = reader.u64();
  const low = reader.u32();
  const high = reader.u32();
  if (mod > state.revision || (!isEvent && version === 0)) throw new MalformedBytes(`entry of revision ${mod} in a snapshot of ${state.revision}`);
  state.restore(key, create, mod, version, low, high, reader.blob(), isEvent);
}
