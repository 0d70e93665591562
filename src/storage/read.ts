import { UnumError } from "../base/index.ts";
import type { Checksum } from "../ports/index.ts";
import type { Entry, EntryKind } from "../raft/types.ts";
import type { Files } from "./files.ts";
import { RecordKind, align8, readRecordPayload, recordHeaderBytes, viewOf } from "./format.ts";
import type { LogIndex } from "./log-index.ts";
import type { LogState } from "./log-state.ts";

/** One read fetches at most this much, and skips at most `gapBytes` of other groups' records. */
const windowBytes = 1024 * 1024;
const gapBytes = 64 * 1024;

interface Window {
  readonly file: number;
  readonly from: number;
  readonly to: number;
  readonly start: number;
  readonly end: number;
}

function endOf(offset: number, length: number): number {
  return offset + recordHeaderBytes + align8(length);
}

/** The longest run from `from` that one read of one file covers. */
function windowAt(index: LogIndex, from: number, to: number): Window {
  const { file, offset, length } = index.placeAt(from);
  let last = from;
  let end = endOf(offset, length);
  for (let next = from + 1; next <= to; next++) {
    const place = index.placeAt(next);
    if (place.file !== file || place.offset < end || place.offset - end > gapBytes) break;
    const nextEnd = endOf(place.offset, place.length);
    if (nextEnd - offset > windowBytes) break;
    end = nextEnd;
    last = next;
  }
  return { file, from, to: last, start: offset, end };
}

/**
 * Entries `from` to `to`, both included, as far as `maxBytes` of data reach; at least one. Rejects with
 * COMPACTED when they are released and with CORRUPT when what lies there is not what was written.
 */
export async function readEntries(
  files: Files,
  checksum: Checksum,
  state: LogState,
  from: number,
  to: number,
  maxBytes: number,
): Promise<Entry[]> {
  const { index } = state;
  if (!index.has(from))
    throw new UnumError("COMPACTED", `Group ${state.group} keeps entries ${index.first} to ${index.last}, not ${from}.`);
  const entries: Entry[] = [];
  let taken = 0;
  for (let at = from; at <= Math.min(to, index.last); ) {
    let last = at;
    let planned = taken + index.placeAt(at).length;
    while (last < Math.min(to, index.last) && planned + index.placeAt(last + 1).length <= maxBytes) planned += index.placeAt(++last).length;
    if (at > from && planned > maxBytes) break;
    const window = windowAt(index, at, last);
    const bytes = await readWindow(files, state, window);
    if (!decodeWindow(bytes, window, state, checksum, entries)) {
      // Moved to another file while it was read: the places tell where.
      if (index.has(at) && files.has(index.fileAt(at)) && index.fileAt(at) !== window.file) continue;
      throw damaged(state, at);
    }
    taken = 0;
    for (const entry of entries) taken += entry.data.length;
    at = from + entries.length;
    if (taken >= maxBytes) break;
  }
  return entries;
}

function damaged(state: LogState, index: number): UnumError {
  return new UnumError("CORRUPT", `Entry ${index} of group ${state.group} does not match its checksum.`);
}

async function readWindow(files: Files, state: LogState, window: Window): Promise<Uint8Array | undefined> {
  if (!files.has(window.file)) return undefined;
  try {
    return await files.read(window.file, window.start, window.end - window.start);
  } catch (error) {
    if (!files.has(window.file)) return undefined;
    throw new UnumError("DISK_FAILED", `Entries of group ${state.group} could not be read from ${files.pathOf(window.file)}.`, {
      cause: error,
    });
  }
}

function decodeWindow(bytes: Uint8Array | undefined, window: Window, state: LogState, checksum: Checksum, into: Entry[]): boolean {
  if (bytes === undefined) return false;
  const view = viewOf(bytes);
  for (let at = window.from; at <= window.to; at++) {
    if (!state.index.has(at)) return false;
    const place = state.index.placeAt(at);
    if (place.file !== window.file) return at > window.from;
    const found = readRecordPayload(bytes, view, place.offset - window.start, checksum);
    if (found === undefined) return false;
    const { header, payload } = found;
    if (header.kind !== RecordKind.entry || header.group !== state.group || header.incarnation !== state.incarnation) return false;
    if (header.index !== at || header.term !== state.index.termAt(at)) return false;
    into.push({ index: at, term: header.term, kind: header.detail as EntryKind, data: payload.slice() });
  }
  return true;
}

/** The newest entries, as many as `bytesMax` holds, at least one. */
export async function readTail(files: Files, checksum: Checksum, state: LogState, bytesMax: number): Promise<Entry[]> {
  const { index } = state;
  let from = index.last + 1;
  let bytes = 0;
  while (from > index.first) {
    const { length } = index.placeAt(from - 1);
    if (from <= index.last && bytes + length > bytesMax) break;
    bytes += length;
    from--;
  }
  return from > index.last ? [] : await readEntries(files, checksum, state, from, index.last, Number.MAX_SAFE_INTEGER);
}
