import type { GroupId } from "../base/index.ts";
import type { Message } from "../raft/index.ts";
import { FrameDecoder, FrameType, decodeGroupMessage, decodeHeartbeats, messageOf } from "../wire/index.ts";

/**
 * Listens to what nodes write to each other. Between nodes a write is whole frames, so that each can be read by itself;
 * a frame that travels in pieces, and everything that is no message of raft, is passed over.
 */
export function listen(bytes: Uint8Array, heard: (group: GroupId, message: Message) => void): void {
  new FrameDecoder().push(bytes, (frame) => {
    if (frame[0] === FrameType.heartbeats) for (const beat of decodeHeartbeats(frame).heartbeats) heard(beat.group, messageOf(beat));
    if (frame[0] !== FrameType.raft) return;
    const { group, message } = decodeGroupMessage(frame);
    heard(group, message);
  });
}
