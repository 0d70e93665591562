import { defined } from "../../base/index.ts";
import type { Records } from "./records.ts";

const chunkBits = 12;
const chunkEvents = 1 << chunkBits;
const chunkMask = chunkEvents - 1;

/** A moment of the history: trimming by age and by bytes moves from mark to mark. */
export interface Mark {
  readonly timestamp: number;
  /** The newest revision at that time. */
  readonly revision: number;
  /** `History.bytes` at that time. */
  readonly bytes: number;
}

/** How finely age and bytes are kept: the history is at most this share longer than its limits. */
const marksPerLimit = 64;

/**
 * The events of the kept revisions in order, oldest first: each is a record (a put's version or a
 * tombstone). Positions count from the beginning of the keyspace and never change.
 *
 * `compactRevision` is replicated state: reads below it are refused. Events below it are logically gone
 * at once and swept physically a few at a time; nothing that a caller sees depends on how far that is.
 */
export class History {
  private readonly records: Records;
  private chunks: Int32Array[] = [];
  /** The position of the first event in `chunks[0]`. */
  private base = 0;
  start = 0;
  end = 0;
  /** Events from this position on are not swept yet. Not replicated. */
  sweepEnd: number = Number.POSITIVE_INFINITY;
  compactRevision = 0;
  /** What all events so far have cost beside the live entries: the difference between two moments is what the history between them holds. */
  bytes = 0;
  marks: Mark[] = [];

  constructor(records: Records) {
    this.records = records;
  }

  push(handle: number, bytes: number): void {
    const at = this.end - this.base;
    if ((at & chunkMask) === 0) this.chunks.push(new Int32Array(chunkEvents));
    (this.chunks[at >>> chunkBits] as Int32Array)[at & chunkMask] = handle;
    this.end++;
    this.bytes += bytes;
  }

  /** The record of the event at `position`, which lies in [start, end). */
  at(position: number): number {
    const at = position - this.base;
    return (this.chunks[at >>> chunkBits] as Int32Array)[at & chunkMask] as number;
  }

  revisionAt(position: number): number {
    return this.records.modRevision(this.at(position));
  }

  /** Takes the oldest event away. */
  shift(): number {
    const handle = this.at(this.start++);
    if (this.start - this.base === chunkEvents) {
      this.chunks.shift();
      this.base += chunkEvents;
    }
    return handle;
  }

  /** The first position whose event is of `revision` or later. */
  lowerBound(revision: number): number {
    let low = this.start;
    let high = this.end;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.revisionAt(middle) < revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Notes the moment, when enough time or bytes have passed since the last one. */
  mark(timestamp: number, revision: number, historyMs: number, historyBytes: number): void {
    const last = this.marks[this.marks.length - 1];
    if (last !== undefined) {
      if (last.revision === revision && last.bytes === this.bytes) return;
      if (timestamp - last.timestamp < historyMs / marksPerLimit && this.bytes - last.bytes < historyBytes / marksPerLimit) return;
    }
    this.marks.push({ timestamp, revision, bytes: this.bytes });
  }

  /** Compacts to the last mark that is older, or has more bytes behind it, than the limits allow. */
  trim(timestamp: number, historyMs: number, historyBytes: number): void {
    let gone = 0;
    while (gone < this.marks.length) {
      const mark = defined(this.marks[gone], "mark");
      if (mark.timestamp > timestamp - historyMs && this.bytes - mark.bytes <= historyBytes) break;
      if (mark.revision > this.compactRevision) this.compactRevision = mark.revision;
      gone++;
    }
    if (gone > 0) this.marks.splice(0, gone);
  }

  /** The events as they are now, whatever happens to this history later. Records must be frozen. */
  freeze(): History {
    const copy = new History(this.records);
    copy.chunks = this.chunks.slice();
    copy.base = this.base;
    copy.start = this.start;
    copy.end = this.end;
    copy.compactRevision = this.compactRevision;
    copy.bytes = this.bytes;
    copy.marks = this.marks.slice();
    return copy;
  }
}
