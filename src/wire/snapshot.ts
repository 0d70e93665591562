import { MalformedBytes, Reader, Writer } from "../base/index.ts";
import type { GroupId, ReplicaId } from "../base/index.ts";
import { putU32 } from "./numbers.ts";
import { readSnapshotMeta, writeSnapshotMeta } from "./raft.ts";
import { FrameType } from "./types.ts";
import type { SnapshotAck, SnapshotBegin, SnapshotChunk, SnapshotFailed, SnapshotReady } from "./types.ts";

const chunkHeaderBytes = 13;

function open(frame: Uint8Array, type: FrameType): Reader {
  const reader = new Reader(frame);
  if (reader.u8() !== type) throw new MalformedBytes(`no snapshot frame of type ${type}`);
  return reader;
}

export function encodeSnapshotBegin(begin: SnapshotBegin): Uint8Array {
  const writer = new Writer(128);
  writer.u8(FrameType.snapshotBegin).u32(begin.transfer).u32(begin.group).u32(begin.from).u32(begin.to).u64(begin.term);
  writeSnapshotMeta(writer, begin.meta);
  return writer.u64(begin.bytes).take();
}

export function decodeSnapshotBegin(frame: Uint8Array): SnapshotBegin {
  const reader = open(frame, FrameType.snapshotBegin);
  const transfer = reader.u32();
  const group = reader.u32() as GroupId;
  const from = reader.u32() as ReplicaId;
  const to = reader.u32() as ReplicaId;
  const term = reader.u64();
  const meta = readSnapshotMeta(reader);
  const bytes = reader.u64();
  reader.finish();
  return { transfer, group, from, to, term, meta, bytes };
}

export function encodeSnapshotReady(ready: SnapshotReady): Uint8Array {
  return new Writer(16).u8(FrameType.snapshotReady).u32(ready.transfer).u64(ready.received).take();
}

export function decodeSnapshotReady(frame: Uint8Array): SnapshotReady {
  const reader = open(frame, FrameType.snapshotReady);
  const transfer = reader.u32();
  const received = reader.u64();
  reader.finish();
  return { transfer, received };
}

export function encodeSnapshotChunk(chunk: SnapshotChunk): Uint8Array {
  const frame = new Uint8Array(chunkHeaderBytes + chunk.bytes.length);
  frame[0] = FrameType.snapshotChunk;
  putU32(frame, 1, chunk.transfer);
  putU32(frame, 5, chunk.offset % 0x1_0000_0000);
  putU32(frame, 9, Math.floor(chunk.offset / 0x1_0000_0000));
  frame.set(chunk.bytes, chunkHeaderBytes);
  return frame;
}

/** `bytes` is a view of the frame. */
export function decodeSnapshotChunk(frame: Uint8Array): SnapshotChunk {
  const reader = open(frame, FrameType.snapshotChunk);
  const transfer = reader.u32();
  const offset = reader.u64();
  return { transfer, offset, bytes: reader.rest() };
}

export function encodeSnapshotAck(ack: SnapshotAck): Uint8Array {
  return new Writer(16)
    .u8(FrameType.snapshotAck)
    .u32(ack.transfer)
    .u64(ack.received)
    .u8(ack.done ? 1 : 0)
    .take();
}

export function decodeSnapshotAck(frame: Uint8Array): SnapshotAck {
  const reader = open(frame, FrameType.snapshotAck);
  const transfer = reader.u32();
  const received = reader.u64();
  const done = reader.u8() !== 0;
  reader.finish();
  return { transfer, received, done };
}

export function encodeSnapshotFailed(failed: SnapshotFailed): Uint8Array {
  return new Writer(64).u8(FrameType.snapshotFailed).u32(failed.transfer).text(failed.reason).take();
}

export function decodeSnapshotFailed(frame: Uint8Array): SnapshotFailed {
  const reader = open(frame, FrameType.snapshotFailed);
  const transfer = reader.u32();
  const reason = reader.text();
  reader.finish();
  return { transfer, reason };
}
