import { MalformedBytes, Reader, Writer } from "../base/index.ts";
import { FrameType } from "./types.ts";

/** "What does your wall clock show?" `askedMs` is the asking side's own monotonic time, which comes back with the answer. */
export function encodeClockQuestion(askedMs: number): Uint8Array {
  return new Writer(16)
    .u8(FrameType.clockQuestion)
    .u64(Math.floor(askedMs * 1000))
    .take();
}

/** The answer to a question frame. Throws `MalformedBytes` when it is none. */
export function encodeClockAnswer(question: Uint8Array, wallMs: number): Uint8Array {
  const reader = open(question, FrameType.clockQuestion);
  const asked = reader.u64();
  reader.finish();
  return new Writer(24)
    .u8(FrameType.clockAnswer)
    .u64(asked)
    .u64(Math.max(0, Math.floor(wallMs)))
    .take();
}

export function decodeClockAnswer(frame: Uint8Array): { readonly askedMs: number; readonly wallMs: number } {
  const reader = open(frame, FrameType.clockAnswer);
  const askedMs = reader.u64() / 1000;
  const wallMs = reader.u64();
  reader.finish();
  return { askedMs, wallMs };
}

function open(frame: Uint8Array, type: FrameType): Reader {
  const reader = new Reader(frame);
  if (reader.u8() !== type) throw new MalformedBytes("a frame about clocks is of another type");
  return reader;
}
