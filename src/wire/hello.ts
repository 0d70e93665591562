import { MalformedBytes, Reader, Writer } from "../base/index.ts";
import type { ClusterId, NodeId } from "../base/index.ts";
import { readWireError, writeWireError } from "./errors.ts";
import { readId, writeId } from "./ids.ts";
import { FrameType, protocolMagic } from "./types.ts";
import type { ConnectionPurpose, Hello, WireError } from "./types.ts";

/** The number on the wire is the position: append only. */
const purposes: readonly ConnectionPurpose[] = ["client", "control", "entries", "bulk"];

/** Names and addresses are short: nobody makes us keep more for each connection. */
const textBytesMax = 512;

function encode(type: FrameType, hello: Hello): Uint8Array {
  const writer = new Writer(128);
  writer.u8(type).u32(protocolMagic).u16(hello.versionMin).u16(hello.versionMax).u8(purposes.indexOf(hello.purpose));
  writeId(writer, hello.cluster);
  writeId(writer, hello.node);
  writer.text(hello.name).text(hello.address).u32(hello.featureLevel);
  return writer.take();
}

/** What stands behind the fields known here comes from a newer peer and is ignored: a handshake must be readable by all. */
function decode(type: FrameType, frame: Uint8Array): Hello {
  const reader = new Reader(frame);
  if (reader.u8() !== type) throw new MalformedBytes("no greeting");
  if (reader.u32() !== protocolMagic) throw new MalformedBytes("the other side does not speak Unum's protocol");
  const versionMin = reader.u16();
  const versionMax = reader.u16();
  const purpose = purposes[reader.u8()];
  if (purpose === undefined) throw new MalformedBytes("unknown purpose of a connection");
  const cluster = readId<ClusterId>(reader);
  const node = readId<NodeId>(reader);
  const name = shortText(reader);
  const address = shortText(reader);
  return { versionMin, versionMax, purpose, cluster, node, name, address, featureLevel: reader.u32() };
}

function shortText(reader: Reader): string {
  const text = reader.text();
  if (text.length > textBytesMax) throw new MalformedBytes("a name or address is too long");
  return text;
}

export function encodeHello(hello: Hello): Uint8Array {
  return encode(FrameType.hello, hello);
}

export function decodeHello(frame: Uint8Array): Hello {
  return decode(FrameType.hello, frame);
}

export function encodeWelcome(hello: Hello): Uint8Array {
  return encode(FrameType.welcome, hello);
}

export function decodeWelcome(frame: Uint8Array): Hello {
  return decode(FrameType.welcome, frame);
}

export function encodeRefused(error: WireError): Uint8Array {
  const writer = new Writer(128);
  writer.u8(FrameType.refused);
  writeWireError(writer, error);
  return writer.take();
}

export function decodeRefused(frame: Uint8Array): WireError {
  const reader = new Reader(frame);
  if (reader.u8() !== FrameType.refused) throw new MalformedBytes("no refusal");
  return readWireError(reader);
}

/** Before an orderly end: no request that arrives after it is looked at. */
export function encodeGoodbye(reason: string): Uint8Array {
  return new Writer(64).u8(FrameType.goodbye).text(reason).take();
}

export function decodeGoodbye(frame: Uint8Array): string {
  const reader = new Reader(frame);
  if (reader.u8() !== FrameType.goodbye) throw new MalformedBytes("no goodbye");
  return reader.text();
}

export type Negotiation =
  | { readonly ok: true; readonly version: number; readonly featureLevel: number }
  | { readonly ok: false; readonly error: WireError };

/**
 * What two sides agree on: the highest version that both speak and the lower feature level. A side
 * that names no cluster accepts any; two that name different ones never talk.
 */
export function negotiate(ours: Hello, theirs: Hello): Negotiation {
  const version = Math.min(ours.versionMax, theirs.versionMax);
  if (version < ours.versionMin || version < theirs.versionMin) {
    const spoken = `versions ${theirs.versionMin} to ${theirs.versionMax}, here ${ours.versionMin} to ${ours.versionMax}`;
    return refuse("UNSUPPORTED", `The other side speaks protocol ${spoken}.`);
  }
  if (ours.cluster !== undefined && theirs.cluster !== undefined && ours.cluster !== theirs.cluster) {
    return refuse("WRONG_CLUSTER", `The other side belongs to cluster ${theirs.cluster}, this one to ${ours.cluster}.`);
  }
  return { ok: true, version, featureLevel: Math.min(ours.featureLevel, theirs.featureLevel) };
}

function refuse(code: "UNSUPPORTED" | "WRONG_CLUSTER", message: string): Negotiation {
  return { ok: false, error: { code, message, outcome: "not-applied", retry: "never", details: {} } };
}
