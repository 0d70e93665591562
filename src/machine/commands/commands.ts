import { MalformedBytes, type Reader, Writer, unreachable } from "../../base/index.ts";
import { UpgradeRequired } from "../types.ts";
import { envelopeBytes, Kind, PutFlag, WatchFlag } from "./kinds.ts";
import { decodeOperationBody, encodeOperation, knownFlags } from "./operations.ts";
import type { Command, Envelope, GuardedCommand, Query, WatchRequest } from "./types.ts";

/** A command outside any session: applied each time that it is committed. */
export const noEnvelope: Envelope = { session: 0n, sequence: 0, floor: 0 };

/** [session u64][sequence u64][floor u64]: stands before the kind of every command, the system machine's too. */
export function encodeEnvelope(writer: Writer, envelope: Envelope): void {
  writer.big64(envelope.session).u64(envelope.sequence).u64(envelope.floor);
}

export function decodeEnvelope(reader: Reader): Envelope {
  return { session: reader.big64(), sequence: reader.u64(), floor: reader.u64() };
}

export function encodeCommand(writer: Writer, envelope: Envelope, command: Command): void {
  encodeEnvelope(writer, envelope);
  switch (command.kind) {
    case "put":
    case "delete":
    case "txn":
      return encodeOperation(writer, command);
    case "compact":
      writer.u8(Kind.compact).u64(command.revision);
      return;
    case "lease-grant":
      writer.u8(Kind.leaseGrant).big64(command.lease).u64(command.ttlMs);
      return;
    case "lease-revoke":
      writer.u8(Kind.leaseRevoke).big64(command.lease).u64(command.term);
      return;
    case "lease-checkpoint":
      writer.u8(Kind.leaseCheckpoint).u32(command.leases.length);
      for (const { lease, remainingMs } of command.leases) writer.big64(lease).u64(remainingMs);
      return;
    case "session-open":
      writer.u8(Kind.sessionOpen);
      return;
    case "session-close":
      writer.u8(Kind.sessionClose).big64(command.session);
      return;
    case "checkpoint":
      writer.u8(Kind.checkpoint);
      return;
    case "activate":
      writer.u8(Kind.activate).u32(command.featureLevel);
      return;
    case "guarded":
      writer.u8(Kind.guarded).latin1(command.source).latin1(command.name).u64(command.fence);
      if (command.operation === undefined) writer.u8(0);
      else encodeOperation(writer, command.operation);
      return;
    case "configure":
      writer.u8(Kind.configure).u64(command.maxBytes).u64(command.historyMs).u64(command.historyBytes);
      return;
    default:
      return unreachable(command);
  }
}

/** The bytes of one command, the caller's own. */
export function commandBytes(command: Command, envelope: Envelope = noEnvelope): Uint8Array {
  const writer = new Writer(64);
  encodeCommand(writer, envelope, command);
  return writer.take();
}

/** The byte that says what a command is; 0 when the bytes are too short to be one. */
export function commandKind(bytes: Uint8Array): number {
  return bytes[envelopeBytes] ?? 0;
}

function decodeLeases(reader: Reader): { lease: bigint; remainingMs: number }[] {
  const count = reader.u32();
  if (count * 16 > reader.remaining) throw new MalformedBytes(`${count} leases in ${reader.remaining} bytes`);
  const leases: { lease: bigint; remainingMs: number }[] = [];
  for (let i = 0; i < count; i++) leases.push({ lease: reader.big64(), remainingMs: reader.u64() });
  return leases;
}

/**
 * The command behind its envelope. Byte strings are views of the reader's bytes. Throws
 * `MalformedBytes`, or `UpgradeRequired` for a kind or flag of a newer build.
 */
export function decodeCommand(reader: Reader): Command {
  const command = decodeCommandBody(reader, reader.u8());
  reader.finish();
  return command;
}

function decodeGuarded(reader: Reader): GuardedCommand {
  const head = { kind: "guarded", source: reader.latin1(), name: reader.latin1(), fence: reader.u64() } as const;
  const kind = reader.u8();
  if (kind === 0) return { ...head, operation: undefined };
  const operation = decodeOperationBody(reader, kind);
  if (operation === undefined || operation.kind === "enqueue") throw new UpgradeRequired(`guarded command kind ${kind}`);
  if (operation.kind === "range") throw new MalformedBytes("a range is a query, not a command");
  return { ...head, operation };
}

function decodeCommandBody(reader: Reader, kind: number): Command {
  switch (kind) {
    case Kind.compact:
      return { kind: "compact", revision: reader.u64() };
    case Kind.leaseGrant:
      return { kind: "lease-grant", lease: reader.big64(), ttlMs: reader.u64() };
    case Kind.leaseRevoke:
      return { kind: "lease-revoke", lease: reader.big64(), term: reader.u64() };
    case Kind.leaseCheckpoint:
      return { kind: "lease-checkpoint", leases: decodeLeases(reader) };
    case Kind.sessionOpen:
      return { kind: "session-open" };
    case Kind.sessionClose:
      return { kind: "session-close", session: reader.big64() };
    case Kind.checkpoint:
      return { kind: "checkpoint" };
    case Kind.activate:
      return { kind: "activate", featureLevel: reader.u32() };
    case Kind.guarded:
      return decodeGuarded(reader);
    case Kind.configure:
      return { kind: "configure", maxBytes: reader.u64(), historyMs: reader.u64(), historyBytes: reader.u64() };
    default: {
      const operation = decodeOperationBody(reader, kind);
      if (operation === undefined || operation.kind === "enqueue") throw new UpgradeRequired(`command kind ${kind}`);
      if (operation.kind === "range") throw new MalformedBytes("a range is a query, not a command");
      return operation;
    }
  }
}

export function encodeQuery(writer: Writer, query: Query): void {
  switch (query.kind) {
    case "range":
    case "txn":
      return encodeOperation(writer, query);
    case "lease":
      writer
        .u8(Kind.lease)
        .big64(query.lease)
        .u8(query.keys ? 1 : 0);
      return;
    case "leases":
      writer.u8(Kind.leases);
      return;
    case "hash":
      writer.u8(Kind.hash).u64(query.revision);
      return;
    case "summary":
      writer.u8(Kind.summary);
      return;
    default:
      return unreachable(query);
  }
}

export function queryBytes(query: Query): Uint8Array {
  const writer = new Writer(64);
  encodeQuery(writer, query);
  return writer.take();
}

/** Throws `MalformedBytes`, or `UpgradeRequired` for what a newer build asks. */
export function decodeQuery(reader: Reader): Query {
  const kind = reader.u8();
  const query = decodeQueryBody(reader, kind);
  reader.finish();
  return query;
}

function decodeQueryBody(reader: Reader, kind: number): Query {
  switch (kind) {
    case Kind.lease:
      return { kind: "lease", lease: reader.big64(), keys: reader.u8() !== 0 };
    case Kind.leases:
      return { kind: "leases" };
    case Kind.hash:
      return { kind: "hash", revision: reader.u64() };
    case Kind.summary:
      return { kind: "summary" };
    default: {
      const operation = decodeOperationBody(reader, kind);
      if (operation === undefined) throw new UpgradeRequired(`query kind ${kind}`);
      if (operation.kind !== "range" && operation.kind !== "txn") throw new MalformedBytes(`a ${operation.kind} is no query`);
      return operation;
    }
  }
}

export function encodeWatchRequest(writer: Writer, request: WatchRequest): void {
  const flags =
    (request.previous ? WatchFlag.previous : 0) | (request.noPut ? WatchFlag.noPut : 0) | (request.noDelete ? WatchFlag.noDelete : 0);
  writer.u8(flags).u64(request.from).latin1(request.key).latin1(request.end);
}

export function decodeWatchRequest(reader: Reader): WatchRequest {
  const flags = knownFlags(reader.u8(), WatchFlag.known, "watch");
  const from = reader.u64();
  const request: WatchRequest = {
    key: reader.latin1(),
    end: reader.latin1(),
    from,
    previous: (flags & WatchFlag.previous) !== 0,
    noPut: (flags & WatchFlag.noPut) !== 0,
    noDelete: (flags & WatchFlag.noDelete) !== 0,
  };
  reader.finish();
  return request;
}

/**
 * A put without an object per call. `flags`: `PutFlag.previous`, `ignoreValue`, `ignoreLease`; the
 * lease's own bit is set here.
 */
export function encodePut(
  writer: Writer,
  session: bigint,
  sequence: number,
  floor: number,
  key: string,
  value: Uint8Array,
  lease: bigint = 0n,
  flags: number = 0,
): void {
  writer.big64(session).u64(sequence).u64(floor).u8(Kind.put);
  if (lease === 0n) writer.u8(flags);
  else writer.u8(flags | PutFlag.lease).big64(lease);
  writer.latin1(key).blob(value);
}

/** The query for the newest state of one key: a range without options. */
export function encodeGet(writer: Writer, key: string): void {
  writer.u8(Kind.range).u16(0).latin1(key).u32(0);
}
