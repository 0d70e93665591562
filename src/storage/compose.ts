import { emptyBytes } from "../base/index.ts";
import type { Checksum } from "../ports/index.ts";
import type { Entry, HardState } from "../raft/types.ts";
import { encodeHardState, encodeReplicaState } from "./codec.ts";
import {
  RecordKind,
  align8,
  alignSector,
  batchHeaderBytes,
  batchSeed,
  recordHeaderBytes,
  viewOf,
  writeBatchHeader,
  writeRecord,
} from "./format.ts";
import type { LogState } from "./log-state.ts";

export interface ComposedSegment {
  readonly segment: number;
  readonly salt: number;
  readonly file: number;
  /** Sequence of its first batch. */
  readonly first: number;
}

/**
 * Lays batches of one write out in a buffer that is used again for the next write: only one is in
 * flight at a time. Offsets given back are those in the file.
 */
export class Composer {
  private readonly checksum: Checksum;
  private bytes = new Uint8Array(256 * 1024);
  private view = viewOf(this.bytes);
  private used = 0;
  private start = 0;
  private fileOffset = 0;
  private seed = 0;
  private count = 0;
  private segment: ComposedSegment = { segment: 0, salt: 0, file: 0, first: 0 };
  private sequence = 0;

  constructor(checksum: Checksum) {
    this.checksum = checksum;
  }

  reset(segment: ComposedSegment, fileOffset: number): void {
    this.segment = segment;
    this.fileOffset = fileOffset;
    this.used = 0;
  }

  begin(sequence: number): void {
    this.start = this.used;
    this.sequence = sequence;
    this.count = 0;
    this.seed = batchSeed(this.segment.segment, this.segment.salt, sequence, this.checksum);
    this.reserve(batchHeaderBytes);
    this.used += batchHeaderBytes;
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  /** Takes back a batch that turned out to have no records. */
  cancel(): void {
    this.used = this.start;
  }

  entry(state: LogState, entry: Entry): void {
    const offset = this.record(RecordKind.entry, entry.kind, state, entry.index, entry.term, entry.data);
    state.index.put(entry.index, entry.term, this.segment.file, offset, entry.data.length);
  }

  hardState(state: LogState, hardState: HardState): void {
    this.record(RecordKind.hardState, 0, state, 0, hardState.term, encodeHardState(hardState));
  }

  truncate(state: LogState, from: number): void {
    this.record(RecordKind.truncate, 0, state, from, 0, emptyBytes);
    state.index.truncate(from);
  }

  state(state: LogState, reason: number): void {
    this.record(RecordKind.state, reason, state, state.index.last, state.hardState.term, encodeReplicaState(state.state()));
  }

  destroy(state: LogState): void {
    this.record(RecordKind.destroy, 0, state, 0, 0, emptyBytes);
  }

  end(syncedUpTo: number, flags: number): void {
    const { segment, salt, first } = this.segment;
    const length = this.used - this.start - batchHeaderBytes;
    const end = alignSector(this.used);
    this.reserve(end - this.used);
    this.bytes.fill(0, this.used, end);
    const header = { segment, sequence: this.sequence, first, syncedUpTo, length, count: this.count, salt, flags };
    writeBatchHeader(this.bytes, this.view, this.start, header, this.checksum);
    this.used = end;
  }

  /** Everything since `reset`; valid until the next one. */
  taken(): Uint8Array {
    const bytes = this.bytes.subarray(0, this.used);
    if (this.bytes.length > 16 * 1024 * 1024) {
      this.bytes = new Uint8Array(256 * 1024);
      this.view = viewOf(this.bytes);
    }
    return bytes;
  }

  private record(kind: number, detail: number, state: LogState, index: number, term: number, payload: Uint8Array): number {
    this.reserve(recordHeaderBytes + align8(payload.length));
    const at = this.used;
    const header = { kind, detail, group: state.group, incarnation: state.incarnation, index, term, length: payload.length };
    this.used = writeRecord(this.bytes, this.view, at, header, payload, this.seed, this.checksum);
    this.count++;
    return this.fileOffset + at;
  }

  private reserve(extra: number): void {
    if (this.used + extra <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.used + extra));
    larger.set(this.bytes.subarray(0, this.used));
    this.bytes = larger;
    this.view = viewOf(larger);
  }
}
