import { MalformedBytes, Reader, Writer, limits } from "../base/index.ts";
import type { GroupId, NodeId } from "../base/index.ts";
import { readId, writeId } from "./ids.ts";
import { FrameType } from "./types.ts";
import type { Push } from "./types.ts";

const leaderKind = 1;
const membersKind = 2;
const leavingKind = 3;

export function encodePush(push: Push): Uint8Array {
  const writer = new Writer(64);
  writer.u8(FrameType.push);
  switch (push.kind) {
    case "leader":
      writer.u8(leaderKind).u32(push.group).u64(push.term);
      writeId(writer, push.node);
      writer.text(push.address);
      break;
    case "members":
      writer.u8(membersKind).u32(push.members.length);
      for (const member of push.members) {
        writeId(writer, member.node);
        writer.text(member.name).text(member.address);
      }
      break;
    case "leaving":
      writer.u8(leavingKind);
      break;
  }
  return writer.take();
}

/** Undefined: a kind that only a newer node knows, to be ignored. Throws `MalformedBytes`. */
export function decodePush(frame: Uint8Array): Push | undefined {
  const reader = new Reader(frame);
  if (reader.u8() !== FrameType.push) throw new MalformedBytes("no push");
  switch (reader.u8()) {
    case leaderKind: {
      const group = reader.u32() as GroupId;
      const term = reader.u64();
      const node = readId<NodeId>(reader);
      return { kind: "leader", group, term, node, address: reader.text() };
    }
    case membersKind: {
      const count = reader.u32();
      if (count > limits.membersMax) throw new MalformedBytes(`${count} members`);
      const members: { node: NodeId; name: string; address: string }[] = [];
      for (let i = 0; i < count; i++) {
        const node = readId<NodeId>(reader);
        if (node === undefined) throw new MalformedBytes("a member without an id");
        const name = reader.text();
        members.push({ node, name, address: reader.text() });
      }
      return { kind: "members", members };
    }
    case leavingKind:
      return { kind: "leaving" };
    default:
      return undefined;
  }
}
