import { emptyBytes, MalformedBytes, Reader, Writer, isErrorCode, unreachable, type ErrorCode } from "../../base/index.ts";
import { Status } from "./kinds.ts";
import type { KeyspaceSummary, KeyValue, OperationResult, Reply, ReplyResult, WatchChange, WatchEvent } from "./types.ts";

/** A reply begins with its status and the revision after the command. */
export const replyHeaderBytes = 9;

export function encodeKeyValue(writer: Writer, entry: KeyValue): void {
  writer.latin1(entry.key).u64(entry.createRevision).u64(entry.modRevision).u64(entry.version).big64(entry.lease).blob(entry.value);
}

export function decodeKeyValue(reader: Reader): KeyValue {
  return {
    key: reader.latin1(),
    createRevision: reader.u64(),
    modRevision: reader.u64(),
    version: reader.u64(),
    lease: reader.big64(),
    value: reader.blob(),
  };
}

function encodeEntries(writer: Writer, entries: readonly KeyValue[]): void {
  writer.u32(entries.length);
  for (const entry of entries) encodeKeyValue(writer, entry);
}

/** An entry has at least this many bytes: bounds what a count can make a decoder allocate. */
const entryBytesMin = 40;

function decodeEntries(reader: Reader): KeyValue[] {
  const count = reader.u32();
  if (count * entryBytesMin > reader.remaining) throw new MalformedBytes(`${count} entries in ${reader.remaining} bytes`);
  const entries: KeyValue[] = [];
  for (let i = 0; i < count; i++) entries.push(decodeKeyValue(reader));
  return entries;
}

const operationStatus = { put: Status.put, delete: Status.delete, range: Status.range, txn: Status.txn } as const;

/** The body behind an operation's status. */
export function encodeOperationResult(writer: Writer, result: OperationResult): void {
  switch (result.kind) {
    case "put":
      writer.u8(result.previous === undefined ? 0 : 1);
      if (result.previous !== undefined) encodeKeyValue(writer, result.previous);
      return;
    case "delete":
      writer.u64(result.deleted);
      return encodeEntries(writer, result.previous);
    case "range":
      writer.u8(result.more ? 1 : 0).u64(result.count);
      return encodeEntries(writer, result.entries);
    case "txn":
      writer.u8(result.succeeded ? 1 : 0).u16(result.results.length);
      for (const inner of result.results) {
        writer.u8(operationStatus[inner.kind]);
        encodeOperationResult(writer, inner);
      }
      return;
    default:
      return unreachable(result);
  }
}

function decodeOperationResult(reader: Reader, status: number, depth: number): OperationResult {
  switch (status) {
    case Status.put:
      return { kind: "put", previous: reader.u8() === 0 ? undefined : decodeKeyValue(reader) };
    case Status.delete:
      return { kind: "delete", deleted: reader.u64(), previous: decodeEntries(reader) };
    case Status.range: {
      const more = reader.u8() !== 0;
      const count = reader.u64();
      return { kind: "range", more, count, entries: decodeEntries(reader) };
    }
    case Status.txn: {
      if (depth > 64) throw new MalformedBytes("results nested too deeply");
      const succeeded = reader.u8() !== 0;
      const results: OperationResult[] = [];
      const count = reader.u16();
      for (let i = 0; i < count; i++) results.push(decodeOperationResult(reader, reader.u8(), depth + 1));
      return { kind: "txn", succeeded, results };
    }
    default:
      throw new MalformedBytes(`reply status ${status}`);
  }
}

const summaryFields = [
  "revision",
  "compactRevision",
  "keys",
  "bytes",
  "maxBytes",
  "leases",
  "sessions",
  "watchers",
  "featureLevel",
] as const;

function decodeSummary(reader: Reader): KeyspaceSummary {
  const fields = summaryFields.map((name) => [name, reader.u64()] as const);
  return Object.fromEntries(fields) as unknown as KeyspaceSummary;
}

function encodeResult(writer: Writer, result: ReplyResult): void {
  switch (result.kind) {
    case "done":
      return;
    case "lease":
      writer.big64(result.lease).u64(result.ttlMs).u64(result.remainingMs).u32(result.keys.length);
      for (const key of result.keys) writer.latin1(key);
      return;
    case "leases":
      writer.u32(result.leases.length);
      for (const lease of result.leases) writer.big64(lease);
      return;
    case "session":
      writer.big64(result.session);
      return;
    case "hash":
      writer.text(result.hash).u64(result.compactRevision);
      return;
    case "summary":
      for (const name of summaryFields) writer.u64(result.summary[name]);
      return;
    case "system":
      writer.blob(result.state);
      return;
    case "created":
      writer.u64(result.id).u64(result.version);
      return;
    default:
      return encodeOperationResult(writer, result);
  }
}

function counted<T>(reader: Reader, bytesMin: number, decode: () => T): T[] {
  const count = reader.u32();
  if (count * bytesMin > reader.remaining) throw new MalformedBytes(`${count} items in ${reader.remaining} bytes`);
  const items: T[] = [];
  for (let i = 0; i < count; i++) items.push(decode());
  return items;
}

function decodeResult(reader: Reader, status: number): ReplyResult {
  switch (status) {
    case Status.done:
      return { kind: "done" };
    case Status.lease:
      return {
        kind: "lease",
        lease: reader.big64(),
        ttlMs: reader.u64(),
        remainingMs: reader.u64(),
        keys: counted(reader, 4, () => reader.latin1()),
      };
    case Status.leases:
      return { kind: "leases", leases: counted(reader, 8, () => reader.big64()) };
    case Status.session:
      return { kind: "session", session: reader.big64() };
    case Status.hash:
      return { kind: "hash", hash: reader.text(), compactRevision: reader.u64() };
    case Status.summary:
      return { kind: "summary", summary: decodeSummary(reader) };
    case Status.system:
      return { kind: "system", state: reader.blob() };
    case Status.created:
      return { kind: "created", id: reader.u64(), version: reader.u64() };
    default:
      return decodeOperationResult(reader, status, 0);
  }
}

const resultStatus = {
  ...operationStatus,
  done: Status.done,
  lease: Status.lease,
  leases: Status.leases,
  session: Status.session,
  hash: Status.hash,
  summary: Status.summary,
  system: Status.system,
  created: Status.created,
} as const;

/** Details are texts and numbers, written in the order of their names, so that equal replies have equal bytes. */
function encodeDetails(writer: Writer, details: Readonly<Record<string, unknown>>): void {
  const names = Object.keys(details).sort((a, b) => (a < b ? -1 : 1));
  writer.u16(names.length);
  for (const name of names) {
    const value = details[name];
    writer.text(name);
    if (typeof value === "number") writer.u8(0).f64(value);
    else writer.u8(1).text(String(value));
  }
}

function decodeDetails(reader: Reader): Record<string, unknown> {
  const details: Record<string, unknown> = {};
  const count = reader.u16();
  for (let i = 0; i < count; i++) {
    const name = reader.text();
    const value = reader.u8() === 0 ? reader.f64() : reader.text();
    Object.defineProperty(details, name, { value, enumerable: true, configurable: true, writable: true });
  }
  return details;
}

export function encodeReply(writer: Writer, reply: Reply): void {
  if (reply.ok) {
    writer.u8(resultStatus[reply.result.kind]).u64(reply.revision);
    encodeResult(writer, reply.result);
  } else {
    writer.u8(Status.error).u64(reply.revision).text(reply.code).text(reply.message);
    encodeDetails(writer, reply.details);
  }
}

export function replyBytes(reply: Reply): Uint8Array {
  const writer = new Writer(64);
  encodeReply(writer, reply);
  return writer.take();
}

/**
 * The bytes of a refusal. `revision` is the machine's; details hold texts and numbers. The gate may
 * make one, too: it reads like a machine's own.
 */
export function errorReply(
  code: ErrorCode,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
  revision: number = 0,
): Uint8Array {
  return replyBytes({ ok: false, revision, code, message, details });
}

/** Byte strings are views of `bytes`. Throws `MalformedBytes`. An unknown error code reads as UNSUPPORTED, with its text. */
export function decodeReply(bytes: Uint8Array): Reply {
  const reader = new Reader(bytes);
  const status = reader.u8();
  const revision = reader.u64();
  if (status !== Status.error) {
    const result = decodeResult(reader, status);
    reader.finish();
    return { ok: true, revision, result };
  }
  const code = reader.text();
  const message = reader.text();
  const details = decodeDetails(reader);
  reader.finish();
  if (isErrorCode(code)) return { ok: false, revision, code, message, details };
  return { ok: false, revision, code: "UNSUPPORTED", message: `${code}: ${message}`, details };
}

/** Whether a reply is a refusal, from its first byte alone. */
export function isErrorReply(bytes: Uint8Array): boolean {
  return bytes[0] === Status.error;
}

/** The revision of a put's reply without an object for it; undefined when the reply is another, an error say: `decodeReply` reads it. */
export function decodePutRevision(bytes: Uint8Array): number | undefined {
  if (bytes[0] !== Status.put || bytes.length < replyHeaderBytes + 1) return undefined;
  return decodeReplyRevision(bytes);
}

/** The revision in the header of any reply. */
export function decodeReplyRevision(bytes: Uint8Array): number {
  if (bytes.length < replyHeaderBytes) throw new MalformedBytes("reply without a header");
  const low = (bytes[1] ?? 0) + (bytes[2] ?? 0) * 0x100 + (bytes[3] ?? 0) * 0x1_0000 + (bytes[4] ?? 0) * 0x100_0000;
  const high = (bytes[5] ?? 0) + (bytes[6] ?? 0) * 0x100 + (bytes[7] ?? 0) * 0x1_0000 + (bytes[8] ?? 0) * 0x100_0000;
  return high * 0x1_0000_0000 + low;
}

const eventDelete = 1;
const eventPrevious = 2;

export function encodeWatchEvent(writer: Writer, event: WatchEvent): void {
  writer.u8((event.kind === "delete" ? eventDelete : 0) | (event.previous === undefined ? 0 : eventPrevious));
  encodeKeyValue(writer, event.entry);
  if (event.previous !== undefined) encodeKeyValue(writer, event.previous);
}

/** [revision u64][count u32][events]. */
export function encodeWatchChange(writer: Writer, change: WatchChange): void {
  writer.u64(change.revision).u32(change.events.length);
  for (const event of change.events) encodeWatchEvent(writer, event);
}

export function decodeWatchChange(bytes: Uint8Array): WatchChange {
  const reader = new Reader(bytes);
  const revision = reader.u64();
  const count = reader.u32();
  if (count * (entryBytesMin + 1) > reader.remaining) throw new MalformedBytes(`${count} events in ${reader.remaining} bytes`);
  const events: WatchEvent[] = [];
  for (let i = 0; i < count; i++) {
    const flags = reader.u8();
    const entry = decodeKeyValue(reader);
    const previous = flags & eventPrevious ? decodeKeyValue(reader) : undefined;
    events.push({ kind: flags & eventDelete ? "delete" : "put", entry, previous });
  }
  reader.finish();
  return { revision, events };
}

/** The entry of a deletion: its key and its revision. */
export function tombstone(key: string, modRevision: number): KeyValue {
  return { key, value: emptyBytes, createRevision: 0, modRevision, version: 0, lease: 0n };
}
