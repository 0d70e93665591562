import { MalformedBytes, Reader, Writer, assert, concatBytes, unreachable } from "../base/index.ts";
import type { GroupId, ReplicaId } from "../base/index.ts";
import type { Configuration, Entry, EntryKind, Message, SnapshotMeta } from "../raft/types.ts";
import { FrameType, heartbeatKinds } from "./types.ts";
import type { GroupMessage, Heartbeat } from "./types.ts";

/** The number on the wire is the position: append only. */
const messageTypes: readonly Message["type"][] = [
  "pre-vote",
  "vote",
  "pre-vote-response",
  "vote-response",
  "append",
  "append-response",
  "heartbeat",
  "heartbeat-response",
  "snapshot",
  "timeout-now",
  "commit",
];

const appendType = messageTypes.indexOf("append");

/** Replicas of one group; bounds what a malformed configuration makes us allocate. */
const replicasMax = 4096;
const entryHeaderBytes = 13;
const heartbeatBytes = 37;

function writeReplicas(writer: Writer, replicas: readonly ReplicaId[]): void {
  writer.u16(replicas.length);
  for (const replica of replicas) writer.u32(replica);
}

function readReplicas(reader: Reader): ReplicaId[] {
  const count = reader.u16();
  if (count > replicasMax) throw new MalformedBytes(`${count} replicas`);
  const replicas: ReplicaId[] = [];
  for (let i = 0; i < count; i++) replicas.push(reader.u32() as ReplicaId);
  return replicas;
}

export function writeConfiguration(writer: Writer, configuration: Configuration): void {
  writeReplicas(writer, configuration.voters);
  writeReplicas(writer, configuration.outgoing);
  writeReplicas(writer, configuration.learners);
  writeReplicas(writer, configuration.learnersNext);
  writer.u8(configuration.autoLeave ? 1 : 0);
}

export function readConfiguration(reader: Reader): Configuration {
  const voters = readReplicas(reader);
  const outgoing = readReplicas(reader);
  const learners = readReplicas(reader);
  const learnersNext = readReplicas(reader);
  return { voters, outgoing, learners, learnersNext, autoLeave: readFlag(reader) };
}

export function writeSnapshotMeta(writer: Writer, meta: SnapshotMeta): void {
  writer.u64(meta.index).u64(meta.term);
  writeConfiguration(writer, meta.configuration);
}

export function readSnapshotMeta(reader: Reader): SnapshotMeta {
  const index = reader.u64();
  const term = reader.u64();
  return { index, term, configuration: readConfiguration(reader) };
}

function readFlag(reader: Reader): boolean {
  const flag = reader.u8();
  if (flag > 1) throw new MalformedBytes(`flag ${flag}`);
  return flag === 1;
}

/** The number of a suspect report, 32 bits, behind a byte that says whether there is one. */
function writeReport(writer: Writer, report: number | undefined): void {
  if (report === undefined) writer.u8(0);
  else writer.u8(1).u32(report);
}

function readReport(reader: Reader): number | undefined {
  return readFlag(reader) ? reader.u32() : undefined;
}

/** [u32 count], then [u64 term][u8 kind][blob data] each; indexes follow from `prevIndex`. The data of the last one are left to the caller. */
function writeEntries(writer: Writer, prevIndex: number, entries: readonly Entry[]): void {
  writer.u32(entries.length);
  let index = prevIndex;
  for (const entry of entries) {
    index++;
    assert(entry.index === index, "the entries of an append follow each other");
    writer.u64(entry.term).u8(entry.kind);
    if (index < prevIndex + entries.length) writer.blob(entry.data);
    else writer.u32(entry.data.length);
  }
}

function readEntries(reader: Reader, prevIndex: number): Entry[] {
  const count = reader.u32();
  if (count * entryHeaderBytes > reader.remaining) throw new MalformedBytes(`${count} entries in ${reader.remaining} bytes`);
  const entries: Entry[] = [];
  for (let index = prevIndex + 1; index <= prevIndex + count; index++) {
    const term = reader.u64();
    const kind = reader.u8();
    if (kind > 1) throw new MalformedBytes(`entry kind ${kind}`);
    entries.push({ index, term, kind: kind as EntryKind, data: reader.blob() });
  }
  return entries;
}

function entriesBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entryHeaderBytes + entry.data.length;
  return bytes;
}

function writeMessage(writer: Writer, message: Message): void {
  writer.u8(messageTypes.indexOf(message.type)).u32(message.from).u32(message.to).u64(message.term);
  switch (message.type) {
    case "pre-vote":
    case "vote":
      writer
        .u64(message.lastIndex)
        .u64(message.lastTerm)
        .u8(message.transfer ? 1 : 0);
      break;
    case "pre-vote-response":
    case "vote-response":
      writer.u8(message.granted ? 1 : 0);
      break;
    case "append":
      writer.u64(message.prevIndex).u64(message.prevTerm).u64(message.commit);
      writeReport(writer, message.trusted);
      writeEntries(writer, message.prevIndex, message.entries);
      break;
    case "append-response":
      writer
        .u64(message.index)
        .u8(message.rejected ? 1 : 0)
        .u64(message.hintIndex)
        .u64(message.hintTerm);
      writeReport(writer, message.suspect);
      break;
    case "heartbeat":
      writer.u64(message.commit).u64(message.context);
      break;
    case "heartbeat-response":
      writer.u64(message.context);
      break;
    case "commit":
      writer.u64(message.commit);
      break;
    case "snapshot":
      writeSnapshotMeta(writer, message.meta);
      break;
    case "timeout-now":
      break;
    default:
      unreachable(message);
  }
}

function readMessage(reader: Reader): Message {
  const type = messageTypes[reader.u8()];
  if (type === undefined) throw new MalformedBytes("unknown raft message");
  const from = reader.u32() as ReplicaId;
  const to = reader.u32() as ReplicaId;
  const term = reader.u64();
  const envelope = { from, to, term };
  switch (type) {
    case "pre-vote":
    case "vote": {
      const lastIndex = reader.u64();
      const lastTerm = reader.u64();
      return { type, ...envelope, lastIndex, lastTerm, transfer: readFlag(reader) };
    }
    case "pre-vote-response":
    case "vote-response":
      return { type, ...envelope, granted: readFlag(reader) };
    case "append": {
      const prevIndex = reader.u64();
      const prevTerm = reader.u64();
      const commit = reader.u64();
      const trusted = readReport(reader);
      const append = { type, from, to, term, prevIndex, prevTerm, entries: readEntries(reader, prevIndex), commit };
      return trusted === undefined ? append : { ...append, trusted };
    }
    case "append-response": {
      const index = reader.u64();
      const rejected = readFlag(reader);
      const hintIndex = reader.u64();
      const response = { type, from, to, term, index, rejected, hintIndex, hintTerm: reader.u64() };
      const suspect = readReport(reader);
      return suspect === undefined ? response : { ...response, suspect };
    }
    case "heartbeat": {
      const commit = reader.u64();
      return { type, ...envelope, commit, context: reader.u64() };
    }
    case "heartbeat-response":
      return { type, ...envelope, context: reader.u64() };
    case "commit":
      return { type, ...envelope, commit: reader.u64() };
    case "snapshot":
      return { type, ...envelope, meta: readSnapshotMeta(reader) };
    case "timeout-now":
      return { type, ...envelope };
    default:
      return unreachable(type);
  }
}

/** Frame: [33][u32 group][message]. */
export function encodeGroupMessage(group: GroupId, message: Message): Uint8Array {
  const body = groupMessageBody(message);
  const head = encodeGroupMessageHead(group, message);
  return body === undefined ? head : concatBytes([head, body]);
}

/**
 * The frame but for `groupMessageBody`, for `Carrier.send(head, body)`: an append has mostly one large entry, which then goes to
 * every follower as it is, without a copy.
 */
export function encodeGroupMessageHead(group: GroupId, message: Message): Uint8Array {
  const writer = new Writer(message.type === "append" ? 96 + entriesBytes(message.entries.slice(0, -1)) : 96);
  writer.u8(FrameType.raft).u32(group);
  writeMessage(writer, message);
  return writer.take();
}

/** The data of an append's last entry; undefined: the head is the whole. */
export function groupMessageBody(message: Message): Uint8Array | undefined {
  if (message.type !== "append" || message.entries.length === 0) return undefined;
  const { data } = message.entries[message.entries.length - 1] as Entry;
  return data.length === 0 ? undefined : data;
}

/**
 * Entry data are views of `frame`, which is valid only during the carrier's call. With `copy` an
 * append is copied once, as a whole, and its entries share that copy: ask for it when they are kept.
 */
export function decodeGroupMessage(frame: Uint8Array, options: { readonly copy: boolean } = { copy: false }): GroupMessage {
  const own = options.copy && frame[5] === appendType ? new Uint8Array(frame) : frame;
  const reader = new Reader(own);
  if (reader.u8() !== FrameType.raft) throw new MalformedBytes("no raft message");
  const group = reader.u32() as GroupId;
  const message = readMessage(reader);
  reader.finish();
  return { group, message };
}

/** Frame: [32][u32 count], then the heartbeats and answers of all groups between two nodes. */
export function encodeHeartbeats(heartbeats: readonly Heartbeat[], headroom: number): Uint8Array {
  const writer = new Writer(6 + heartbeats.length * heartbeatBytes);
  writer.u8(FrameType.heartbeats).u8(headroom).u32(heartbeats.length);
  for (const beat of heartbeats) {
    writer.u8(heartbeatKinds.indexOf(beat.kind)).u32(beat.group).u32(beat.from).u32(beat.to);
    writer.u64(beat.term).u64(beat.commit).u64(beat.context);
  }
  return writer.take();
}

export function decodeHeartbeats(frame: Uint8Array): { readonly heartbeats: readonly Heartbeat[]; readonly headroom: number } {
  const reader = new Reader(frame);
  if (reader.u8() !== FrameType.heartbeats) throw new MalformedBytes("no heartbeats");
  const headroom = reader.u8();
  const count = reader.u32();
  if (count * heartbeatBytes !== reader.remaining) throw new MalformedBytes(`${count} heartbeats in ${reader.remaining} bytes`);
  const heartbeats: Heartbeat[] = [];
  for (let i = 0; i < count; i++) {
    const kind = heartbeatKinds[reader.u8()];
    if (kind === undefined) throw new MalformedBytes("an unknown kind of heartbeat");
    const group = reader.u32() as GroupId;
    const from = reader.u32() as ReplicaId;
    const to = reader.u32() as ReplicaId;
    const term = reader.u64();
    const commit = reader.u64();
    heartbeats.push({ kind, group, from, to, term, commit, context: reader.u64() });
  }
  return { heartbeats, headroom };
}

/** A heartbeat, its answer or a commit index in the form that travels with those of other groups; undefined for any other message. */
export function heartbeatOf(group: GroupId, message: Message): Heartbeat | undefined {
  const { from, to, term } = message;
  switch (message.type) {
    case "heartbeat":
      return { kind: message.type, group, from, to, term, commit: message.commit, context: message.context };
    case "heartbeat-response":
      return { kind: message.type, group, from, to, term, commit: 0, context: message.context };
    case "commit":
      return { kind: message.type, group, from, to, term, commit: message.commit, context: 0 };
    default:
      return undefined;
  }
}

export function messageOf({ kind, from, to, term, commit, context }: Heartbeat): Message {
  switch (kind) {
    case "heartbeat":
      return { type: kind, from, to, term, commit, context };
    case "heartbeat-response":
      return { type: kind, from, to, term, context };
    case "commit":
      return { type: kind, from, to, term, commit };
    default:
      return unreachable(kind);
  }
}
