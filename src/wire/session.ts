import { MalformedBytes, Reader, Writer, assert, utf8Decode, utf8Encode } from "../base/index.ts";
import type { GroupId } from "../base/index.ts";
import { readWireError, writeWireError } from "./errors.ts";
import { putU16, putU32, u16At, u32At } from "./numbers.ts";
import { FrameType } from "./types.ts";
import type { Answer, Method, Priority, Request, WireError } from "./types.ts";

/** The number on the wire is the position: append only. */
const priorities: readonly Priority[] = ["normal", "system", "low"];

const priorityMask = 0x03;
const staleFlag = 0x04;
const forwardedFlag = 0x08;
const traceFlag = 0x10;
const principalFlag = 0x20;
const knownFlags = 0x3f;

/** [type][u32 id][u8 method][u8 flags][u32 group][u32 remaining ms], then [u64 trace], [u16 length, principal], body. */
export const requestHeaderBytes = 15;
export const answerHeaderBytes = 6;
export const idFrameBytes = 5;
const remainingMsMax = 0xffff_ffff;

/** The fixed part of a request, as one without flags but priority and stale has it. */
export function fillRequestHeader(
  header: Uint8Array,
  id: number,
  method: Method,
  group: GroupId,
  priority: Priority,
  stale: boolean,
  remainingMs: number,
): void {
  header[0] = FrameType.request;
  putU32(header, 1, id);
  header[5] = method;
  header[6] = (priority === "normal" ? 0 : priorities.indexOf(priority)) | (stale ? staleFlag : 0);
  putU32(header, 7, group);
  putU32(header, 11, remainingMs <= 0 ? 0 : Math.min(remainingMsMax, Math.ceil(remainingMs)));
}

/** Encodes a request, type byte included. */
export function encodeRequestFrame(request: Request): Uint8Array {
  const body = request.body;
  const principal = request.principal === "" ? undefined : utf8Encode(request.principal);
  const traced = request.trace !== 0n;
  let length = requestHeaderBytes + body.length;
  if (traced) length += 8;
  if (principal !== undefined) length += 2 + principal.length;
  const frame = new Uint8Array(length);
  fillRequestHeader(frame, request.id, request.method, request.group, request.priority, request.stale, request.remainingMs);
  let flags = frame[6] as number;
  if (request.forwarded) flags |= forwardedFlag;
  if (traced) flags |= traceFlag;
  if (principal !== undefined) flags |= principalFlag;
  frame[6] = flags;
  let at = requestHeaderBytes;
  if (traced) {
    new DataView(frame.buffer, frame.byteOffset).setBigUint64(at, request.trace, true);
    at += 8;
  }
  if (principal !== undefined) {
    assert(principal.length <= 0xffff, "a principal's name is short");
    putU16(frame, at, principal.length);
    frame.set(principal, at + 2);
    at += 2 + principal.length;
  }
  frame.set(body, at);
  return frame;
}

/** `body` is a view of the frame. Throws `MalformedBytes`. An unknown method is passed on, to be answered UNSUPPORTED. */
export function decodeRequest(frame: Uint8Array): Request {
  if (frame.length < requestHeaderBytes || frame[0] !== FrameType.request) throw new MalformedBytes("no request");
  const flags = frame[6] as number;
  const priority = priorities[flags & priorityMask];
  if (priority === undefined || flags > knownFlags) throw new MalformedBytes(`request flags ${flags}`);
  let at = requestHeaderBytes;
  let trace = 0n;
  let principal = "";
  if ((flags & traceFlag) !== 0) {
    if (frame.length < at + 8) throw new MalformedBytes("a request's trace is cut");
    trace = new DataView(frame.buffer, frame.byteOffset, frame.length).getBigUint64(at, true);
    at += 8;
  }
  if ((flags & principalFlag) !== 0) {
    if (frame.length < at + 2) throw new MalformedBytes("a request's principal is cut");
    const end = at + 2 + u16At(frame, at);
    if (end > frame.length) throw new MalformedBytes("a request's principal is cut");
    principal = utf8Decode(frame.subarray(at + 2, end));
    at = end;
  }
  return {
    id: u32At(frame, 1),
    method: frame[5] as Method,
    group: u32At(frame, 7) as GroupId,
    priority,
    stale: (flags & staleFlag) !== 0,
    forwarded: (flags & forwardedFlag) !== 0,
    remainingMs: u32At(frame, 11),
    trace,
    principal,
    body: frame.subarray(at),
  };
}

function encodeOk(type: FrameType, id: number, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(answerHeaderBytes + body.length);
  frame[0] = type;
  putU32(frame, 1, id);
  frame[5] = 0;
  frame.set(body, answerHeaderBytes);
  return frame;
}

function encodeError(type: FrameType, id: number, error: WireError): Uint8Array {
  const writer = new Writer(256);
  writer.u8(type).u32(id).u8(1);
  writeWireError(writer, error);
  return writer.take();
}

function decodeAnswer(type: FrameType, frame: Uint8Array): { readonly id: number; readonly answer: Answer } {
  if (frame.length < answerHeaderBytes || frame[0] !== type) throw new MalformedBytes("no answer");
  const id = u32At(frame, 1);
  const status = frame[5] as number;
  if (status === 0) return { id, answer: { ok: true, body: frame.subarray(answerHeaderBytes) } };
  if (status !== 1) throw new MalformedBytes(`answer status ${status}`);
  const reader = new Reader(frame, answerHeaderBytes);
  const error = readWireError(reader);
  reader.finish();
  return { id, answer: { ok: false, error } };
}

export function encodeOkResponse(id: number, body: Uint8Array): Uint8Array {
  return encodeOk(FrameType.response, id, body);
}

export function encodeErrorResponse(id: number, error: WireError): Uint8Array {
  return encodeError(FrameType.response, id, error);
}

/** The body of a good answer is a view of the frame. */
export function decodeResponse(frame: Uint8Array): { readonly id: number; readonly answer: Answer } {
  return decodeAnswer(FrameType.response, frame);
}

/** The end of a stream: in order, with a last word, or because of an error. */
export function encodeEnd(id: number, answer: Answer): Uint8Array {
  return answer.ok ? encodeOk(FrameType.end, id, answer.body) : encodeError(FrameType.end, id, answer.error);
}

export function decodeEnd(frame: Uint8Array): { readonly id: number; readonly answer: Answer } {
  return decodeAnswer(FrameType.end, frame);
}

export function encodeItem(id: number, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(idFrameBytes + body.length);
  frame[0] = FrameType.item;
  putU32(frame, 1, id);
  frame.set(body, idFrameBytes);
  return frame;
}

export function decodeItem(frame: Uint8Array): { readonly id: number; readonly body: Uint8Array } {
  if (frame.length < idFrameBytes || frame[0] !== FrameType.item) throw new MalformedBytes("no item");
  return { id: u32At(frame, 1), body: frame.subarray(idFrameBytes) };
}

/** The asker lost interest: the answer or the rest of the stream need not come, and an effect is not undone. */
export function encodeCancel(id: number): Uint8Array {
  const frame = new Uint8Array(idFrameBytes);
  frame[0] = FrameType.cancel;
  putU32(frame, 1, id);
  return frame;
}

export function decodeCancel(frame: Uint8Array): { readonly id: number } {
  if (frame.length !== idFrameBytes || frame[0] !== FrameType.cancel) throw new MalformedBytes("no cancel");
  return { id: u32At(frame, 1) };
}

/** The asker consumed `bytes` of item bodies: so many more may be sent. */
export function encodeCredit(id: number, bytes: number): Uint8Array {
  assert(bytes >= 0, "credit is not negative");
  assert(bytes <= 0xffff_ffff, "credit fits 32 bits");
  const frame = new Uint8Array(idFrameBytes + 4);
  frame[0] = FrameType.credit;
  putU32(frame, 1, id);
  putU32(frame, idFrameBytes, bytes);
  return frame;
}

export function decodeCredit(frame: Uint8Array): { readonly id: number; readonly bytes: number } {
  if (frame.length !== idFrameBytes + 4 || frame[0] !== FrameType.credit) throw new MalformedBytes("no credit");
  return { id: u32At(frame, 1), bytes: u32At(frame, idFrameBytes) };
}
