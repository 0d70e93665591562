import { MalformedBytes, Reader, Writer, replicaId } from "../base/index.ts";
import type { ReplicaId } from "../base/index.ts";
import type { Configuration, HardState, SnapshotMeta } from "../raft/types.ts";
import type { TermRun } from "./log-index.ts";

/** Everything about a replica but its entries: what a segment's head says of each group. */
export interface ReplicaState {
  readonly replica: ReplicaId;
  readonly hardState: HardState;
  readonly snapshot: SnapshotMeta;
  /** Whether the snapshot has bytes in a file; the initial one has none. */
  readonly snapshotHasBytes: boolean;
  readonly suspect: boolean;
  /** Its hard state was lost: it must never act again. */
  readonly discarded: boolean;
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** The term of every index from `firstIndex` to `lastIndex`: what recovery compares with the entries it finds. */
  readonly terms: readonly TermRun[];
}

const hardStateWriter = new Writer(64);

/** A view that is valid until the next call. */
export function encodeHardState(state: HardState): Uint8Array {
  hardStateWriter.reset();
  return hardStateWriter.u64(state.term).u64(state.vote).u64(state.commit).peek();
}

export function decodeHardState(bytes: Uint8Array): HardState {
  const reader = new Reader(bytes);
  const state = readHardState(reader);
  reader.finish();
  return state;
}

function readHardState(reader: Reader): HardState {
  return { term: reader.u64(), vote: replicaId(reader.u64()), commit: reader.u64() };
}

function writeIds(writer: Writer, ids: readonly ReplicaId[]): void {
  writer.u16(ids.length);
  for (const id of ids) writer.u64(id);
}

function readIds(reader: Reader): ReplicaId[] {
  const count = reader.u16();
  if (count * 8 > reader.remaining) throw new MalformedBytes(`${count} replica ids announced, ${reader.remaining} bytes left`);
  const ids: ReplicaId[] = [];
  for (let i = 0; i < count; i++) ids.push(replicaId(reader.u64()));
  return ids;
}

function writeConfiguration(writer: Writer, configuration: Configuration): void {
  writeIds(writer, configuration.voters);
  writeIds(writer, configuration.outgoing);
  writeIds(writer, configuration.learners);
  writeIds(writer, configuration.learnersNext);
  writer.u8(configuration.autoLeave ? 1 : 0);
}

function readConfiguration(reader: Reader): Configuration {
  return {
    voters: readIds(reader),
    outgoing: readIds(reader),
    learners: readIds(reader),
    learnersNext: readIds(reader),
    autoLeave: reader.u8() === 1,
  };
}

export function writeSnapshotMeta(writer: Writer, meta: SnapshotMeta): void {
  writer.u64(meta.index).u64(meta.term);
  writeConfiguration(writer, meta.configuration);
}

export function readSnapshotMeta(reader: Reader): SnapshotMeta {
  return { index: reader.u64(), term: reader.u64(), configuration: readConfiguration(reader) };
}

export function encodeReplicaState(state: ReplicaState): Uint8Array {
  const writer = new Writer(256);
  writer.u64(state.replica).u64(state.hardState.term).u64(state.hardState.vote).u64(state.hardState.commit);
  writer.u8((state.snapshotHasBytes ? 1 : 0) | (state.suspect ? 2 : 0) | (state.discarded ? 4 : 0));
  writeSnapshotMeta(writer, state.snapshot);
  writer.u64(state.firstIndex).u64(state.lastIndex).u32(state.terms.length);
  for (const run of state.terms) writer.u64(run.from).u64(run.term);
  return writer.take();
}

export function decodeReplicaState(bytes: Uint8Array): ReplicaState {
  const reader = new Reader(bytes);
  const replica = replicaId(reader.u64());
  const hardState = readHardState(reader);
  const flags = reader.u8();
  const snapshot = readSnapshotMeta(reader);
  const firstIndex = reader.u64();
  const lastIndex = reader.u64();
  const count = reader.u32();
  if (count * 16 > reader.remaining) throw new MalformedBytes(`${count} terms announced, ${reader.remaining} bytes left`);
  const terms: TermRun[] = [];
  for (let i = 0; i < count; i++) terms.push({ from: reader.u64(), term: reader.u64() });
  reader.finish();
  return {
    replica,
    hardState,
    snapshot,
    snapshotHasBytes: (flags & 1) !== 0,
    suspect: (flags & 2) !== 0,
    discarded: (flags & 4) !== 0,
    firstIndex,
    lastIndex,
    terms,
  };
}
