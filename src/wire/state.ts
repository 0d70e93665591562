import { MalformedBytes, Reader, Writer } from "../base/index.ts";
import type { GroupId, ReplicaId } from "../base/index.ts";
import { FrameType } from "./types.ts";
import type { StateMessage } from "./types.ts";

const hashPattern = /^[0-9a-f]{16}$/;

export function encodeStateMessage(group: GroupId, message: StateMessage): Uint8Array {
  const writer = new Writer(64);
  writer.u8(message.type === "state-hash" ? FrameType.stateHash : FrameType.stateWanted);
  writer.u32(group).u32(message.from).u32(message.to).u64(message.index);
  if (message.type === "state-hash") writer.text(message.hash);
  else writer.u64(message.minIndex);
  return writer.take();
}

export function decodeStateMessage(frame: Uint8Array): { readonly group: GroupId; readonly message: StateMessage } {
  const reader = new Reader(frame);
  const type = reader.u8();
  if (type !== FrameType.stateHash && type !== FrameType.stateWanted) throw new MalformedBytes(`a frame of type ${type} is about no state`);
  const group = reader.u32() as GroupId;
  const from = reader.u32() as ReplicaId;
  const to = reader.u32() as ReplicaId;
  const index = reader.u64();
  if (type === FrameType.stateWanted) {
    const minIndex = reader.u64();
    reader.finish();
    return { group, message: { type: "state-wanted", from, to, index, minIndex } };
  }
  const hash = reader.text();
  reader.finish();
  if (!hashPattern.test(hash)) throw new MalformedBytes("a state's hash is 16 hex digits");
  return { group, message: { type: "state-hash", from, to, index, hash } };
}
