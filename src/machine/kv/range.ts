import { compareBytes, emptyBytes, type Writer } from "../../base/index.ts";
import type { KeyRange, RangeOperation } from "../commands/index.ts";
import type { KvState } from "./state.ts";

/**
 * What one range puts into a reply at most, about: a page that reaches it ends early and says
 * `more`. A protocol constant, since transactions read in `apply`.
 */
export const pageBytesMax: number = 4 * 1024 * 1024;

/** Where a range ends: undefined is beyond every key. */
export function rangeEnd(range: KeyRange): string | undefined {
  if (range.end === "") return `${range.key}\0`;
  return range.end === "\0" ? undefined : range.end;
}

/** Live keys in the range, without a walk. */
export function countRange(state: KvState, range: KeyRange): number {
  if (range.end === "") return state.live.get(range.key) === undefined ? 0 : 1;
  const end = rangeEnd(range);
  return Math.max(0, (end === undefined ? state.live.size : state.live.rank(end)) - state.live.rank(range.key));
}

/** The newest versions in the range, in order of their keys. `visit` returns false to stop. */
export function visitLive(state: KvState, range: KeyRange, visit: (handle: number) => boolean): void {
  if (range.end === "") {
    const handle = state.live.get(range.key);
    if (handle !== undefined) visit(handle);
    return;
  }
  const end = rangeEnd(range);
  for (const cursor = state.live.cursor(range.key); cursor.key !== undefined; cursor.next()) {
    if (end !== undefined && cursor.key >= end) return;
    if (!visit(cursor.value as number)) return;
  }
}

/** The versions in the range as of `revision`: keys that live now and keys that are dead since, merged in order. */
export function visitAt(state: KvState, range: KeyRange, revision: number, visit: (handle: number) => void): void {
  const end = rangeEnd(range);
  const live = state.live.cursor(range.key);
  const dead = state.dead.cursor(range.key);
  for (;;) {
    const next = dead.key !== undefined && (live.key === undefined || dead.key < live.key) ? dead : live;
    if (next.key === undefined || (end !== undefined && next.key >= end)) return;
    const handle = state.visible(next.value as number, revision);
    if (handle >= 0) visit(handle);
    next.next();
  }
}

function passes(state: KvState, operation: RangeOperation, handle: number): boolean {
  const mod = state.records.modRevision(handle);
  const create = state.records.createRevision(handle);
  if (operation.minModRevision > 0 && mod < operation.minModRevision) return false;
  if (operation.maxModRevision > 0 && mod > operation.maxModRevision) return false;
  if (operation.minCreateRevision > 0 && create < operation.minCreateRevision) return false;
  return operation.maxCreateRevision === 0 || create <= operation.maxCreateRevision;
}

function isFiltered(operation: RangeOperation): boolean {
  return operation.minModRevision > 0 || operation.maxModRevision > 0 || operation.minCreateRevision > 0 || operation.maxCreateRevision > 0;
}

/** Sorts by the target; equal ones stay in order of their keys, so that every replica answers alike. */
function sortHandles(state: KvState, handles: number[], sort: NonNullable<RangeOperation["sort"]>): void {
  const { records } = state;
  const compare = (a: number, b: number): number => {
    switch (sort.target) {
      case "version":
        return records.version(a) - records.version(b);
      case "create":
        return records.createRevision(a) - records.createRevision(b);
      case "mod":
        return records.modRevision(a) - records.modRevision(b);
      case "value":
        return compareBytes(records.value(a), records.value(b));
      default:
        return 0;
    }
  };
  if (sort.target !== "key") handles.sort((a, b) => (sort.descending ? compare(b, a) : compare(a, b)));
  else if (sort.descending) handles.reverse();
}

export function writeEntry(writer: Writer, state: KvState, handle: number, keysOnly: boolean): void {
  const { records } = state;
  writer.latin1(records.key(handle)).u64(records.createRevision(handle)).u64(records.modRevision(handle)).u64(records.version(handle));
  writer
    .u32(records.leaseLow(handle))
    .u32(records.leaseHigh(handle))
    .blob(keysOnly ? emptyBytes : records.value(handle));
}

/**
 * Writes the body of a range's result: [more u8][count u64][entries]. As in etcd, `count` knows
 * neither limit nor filters. The revision was checked. `wrote`: this transaction has written, so that
 * the newest is not the state as of the newest committed revision. False: the page was full early.
 */
export function writeRange(writer: Writer, state: KvState, operation: RangeOperation, wrote: boolean, bytesMax: number): boolean {
  const isNewest = operation.revision === 0 || (operation.revision === state.revision && !wrote);
  if (isNewest && operation.countOnly) {
    writer.u8(0).u64(countRange(state, operation)).u32(0);
    return true;
  }
  if (isNewest && operation.sort === undefined && !isFiltered(operation)) return writeLive(writer, state, operation, bytesMax);
  const handles: number[] = [];
  if (isNewest) {
    visitLive(state, operation, (handle) => {
      handles.push(handle);
      return true;
    });
  } else visitAt(state, operation, operation.revision, (handle) => handles.push(handle));
  const count = handles.length;
  if (operation.countOnly) {
    writer.u8(0).u64(count).u32(0);
    return true;
  }
  const kept = isFiltered(operation) ? handles.filter((handle) => passes(state, operation, handle)) : handles;
  if (operation.sort !== undefined) sortHandles(state, kept, operation.sort);
  const limit = operation.limit > 0 ? operation.limit : kept.length;
  const header = writePageHeader(writer, count);
  let written = 0;
  while (written < kept.length && written < limit && writer.length - header < bytesMax) {
    writeEntry(writer, state, kept[written++] as number, operation.keysOnly);
  }
  finishPage(writer, header, written, written < kept.length);
  return written === Math.min(limit, kept.length);
}

function writeLive(writer: Writer, state: KvState, operation: RangeOperation, bytesMax: number): boolean {
  const count = countRange(state, operation);
  const limit = operation.limit > 0 ? Math.min(operation.limit, count) : count;
  const header = writePageHeader(writer, count);
  let written = 0;
  visitLive(state, operation, (handle) => {
    if (written >= limit || writer.length - header >= bytesMax) return false;
    writeEntry(writer, state, handle, operation.keysOnly);
    written++;
    return true;
  });
  finishPage(writer, header, written, written < count);
  return written === limit;
}

const pageHeaderBytes = 13;

function writePageHeader(writer: Writer, count: number): number {
  const header = writer.length;
  writer.u8(0).u64(count).u32(0);
  return header;
}

function finishPage(writer: Writer, header: number, written: number, more: boolean): void {
  writer.patchU32(header + pageHeaderBytes - 4, written);
  if (more) writer.patchU8(header, 1);
}
