import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MalformedBytes, Reader, Writer } from "../../base/index.ts";
import { UpgradeRequired } from "../types.ts";
import {
  commandBytes,
  commandKind,
  decodeCommand,
  decodeEnvelope,
  decodePutRevision,
  decodeQuery,
  decodeReply,
  decodeReplyRevision,
  decodeWatchChange,
  decodeWatchRequest,
  encodeGet,
  encodePut,
  encodeWatchChange,
  encodeWatchRequest,
  errorReply,
  Kind,
  PutFlag,
  queryBytes,
  replyBytes,
} from "./index.ts";
import type {
  Command,
  Compare,
  KeyValue,
  Operation,
  OperationResult,
  Query,
  RangeOperation,
  Reply,
  WatchChange,
  WatchRequest,
} from "./types.ts";

const key = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 20 });
const value = fc.uint8Array({ maxLength: 40 });
const number = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const lease = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const flag = fc.boolean();

const put = fc.record({ kind: fc.constant("put" as const), key, value, lease, previous: flag, ignoreValue: flag, ignoreLease: flag });
const remove = fc.record({ kind: fc.constant("delete" as const), key, end: key, previous: flag });
const sort = fc.option(
  fc.record({
    target: fc.constantFrom("key" as const, "version" as const, "create" as const, "mod" as const, "value" as const),
    descending: flag,
  }),
  { nil: undefined },
);
const range: fc.Arbitrary<RangeOperation> = fc.record({
  kind: fc.constant("range" as const),
  key,
  end: key,
  revision: number,
  limit: number,
  sort,
  keysOnly: flag,
  countOnly: flag,
  minModRevision: number,
  maxModRevision: number,
  minCreateRevision: number,
  maxCreateRevision: number,
});
const relation = fc.constantFrom("equal" as const, "not-equal" as const, "greater" as const, "less" as const);
const none = new Uint8Array(0);
const compare: fc.Arbitrary<Compare> = fc.oneof(
  fc.record({
    key,
    end: key,
    target: fc.constantFrom("version" as const, "create" as const, "mod" as const),
    relation,
    number,
    lease: fc.constant(0n),
    value: fc.constant(none),
  }),
  fc.record({ key, end: key, target: fc.constant("lease" as const), relation, number: fc.constant(0), lease, value: fc.constant(none) }),
  fc.record({ key, end: key, target: fc.constant("value" as const), relation, number: fc.constant(0), lease: fc.constant(0n), value }),
);
const { txn } = fc.letrec<{ operation: Operation; txn: Extract<Operation, { kind: "txn" }> }>((tie) => ({
  operation: fc.oneof({ depthSize: "small", maxDepth: 3 }, put, remove, range, tie("txn")),
  txn: fc.record({
    kind: fc.constant("txn" as const),
    compare: fc.array(compare, { maxLength: 3 }),
    success: fc.array(tie("operation"), { maxLength: 3 }),
    failure: fc.array(tie("operation"), { maxLength: 3 }),
  }),
}));
const command: fc.Arbitrary<Command> = fc.oneof(
  put,
  remove,
  txn,
  fc.record({ kind: fc.constant("compact" as const), revision: number }),
  fc.record({ kind: fc.constant("lease-grant" as const), lease, ttlMs: number }),
  fc.record({ kind: fc.constant("lease-revoke" as const), lease, term: number }),
  fc.record({ kind: fc.constant("lease-checkpoint" as const), leases: fc.array(fc.record({ lease, remainingMs: number })) }),
  fc.record({ kind: fc.constantFrom("session-open" as const, "checkpoint" as const) }),
  fc.record({ kind: fc.constant("session-close" as const), session: lease }),
  fc.record({ kind: fc.constant("activate" as const), featureLevel: fc.nat() }),
  fc.record({
    kind: fc.constant("guarded" as const),
    source: key,
    name: key,
    fence: number,
    operation: fc.option(fc.oneof(put, remove, txn), { nil: undefined }),
  }),
  fc.record({ kind: fc.constant("configure" as const), maxBytes: number, historyMs: number, historyBytes: number }),
);
const query: fc.Arbitrary<Query> = fc.oneof(
  range,
  txn,
  fc.record({ kind: fc.constant("lease" as const), lease, keys: flag }),
  fc.record({ kind: fc.constant("hash" as const), revision: number }),
  fc.record({ kind: fc.constantFrom("leases" as const, "summary" as const) }),
);
const entry: fc.Arbitrary<KeyValue> = fc.record({ key, value, createRevision: number, modRevision: number, version: number, lease });
const maybeEntry = fc.option(entry, { nil: undefined });
const { result } = fc.letrec<{ result: OperationResult }>((tie) => ({
  result: fc.oneof(
    { depthSize: "small", maxDepth: 3 },
    fc.record({ kind: fc.constant("put" as const), previous: maybeEntry }),
    fc.record({ kind: fc.constant("delete" as const), deleted: number, previous: fc.array(entry, { maxLength: 3 }) }),
    fc.record({ kind: fc.constant("range" as const), entries: fc.array(entry, { maxLength: 3 }), more: flag, count: number }),
    fc.record({ kind: fc.constant("txn" as const), succeeded: flag, results: fc.array(tie("result"), { maxLength: 3 }) }),
  ),
}));
const reply: fc.Arbitrary<Reply> = fc.oneof(
  fc.record({ ok: fc.constant(true as const), revision: number, result }),
  fc.record({
    ok: fc.constant(true as const),
    revision: number,
    result: fc.record({ kind: fc.constant("lease" as const), lease, ttlMs: number, remainingMs: number, keys: fc.array(key) }),
  }),
  fc.record({
    ok: fc.constant(true as const),
    revision: number,
    result: fc.record({ kind: fc.constant("leases" as const), leases: fc.array(lease) }),
  }),
  fc.record({
    ok: fc.constant(false as const),
    revision: number,
    code: fc.constantFrom("COMPACTED" as const, "OVER_QUOTA" as const),
    message: fc.string(),
    details: fc.dictionary(fc.string(), fc.oneof(fc.string(), number)).map((details) => ({ ...details })),
  }),
);

describe("the codec of commands", () => {
  it("brings every command and its envelope back", () => {
    fc.assert(
      fc.property(command, lease, number, number, (wanted, session, sequence, floor) => {
        const bytes = commandBytes(wanted, { session, sequence, floor });
        const reader = new Reader(bytes);
        expect(decodeEnvelope(reader)).toEqual({ session, sequence, floor });
        expect(decodeCommand(reader)).toEqual(wanted);
      }),
    );
  });

  it("brings every query, watch request, reply and change back", () => {
    const request: fc.Arbitrary<WatchRequest> = fc.record({ key, end: key, from: number, previous: flag, noPut: flag, noDelete: flag });
    const change: fc.Arbitrary<WatchChange> = fc.record({
      revision: number,
      events: fc.array(fc.record({ kind: fc.constantFrom("put" as const, "delete" as const), entry, previous: maybeEntry })),
    });
    fc.assert(
      fc.property(query, request, reply, change, (wantedQuery, wantedRequest, wantedReply, wantedChange) => {
        expect(decodeQuery(new Reader(queryBytes(wantedQuery)))).toEqual(wantedQuery);
        const writer = new Writer();
        encodeWatchRequest(writer, wantedRequest);
        expect(decodeWatchRequest(new Reader(writer.copy()))).toEqual(wantedRequest);
        expect(decodeReply(replyBytes(wantedReply))).toEqual(wantedReply);
        encodeWatchChange(writer, wantedChange);
        expect(decodeWatchChange(writer.copy())).toEqual(wantedChange);
      }),
    );
  });

  it("writes on the hot path what the long way writes", () => {
    fc.assert(
      fc.property(key, value, lease, number, (name, bytes, id, sequence) => {
        const writer = new Writer();
        encodePut(writer, 7n, sequence, 3, name, bytes, id, PutFlag.previous);
        const long = commandBytes(
          { kind: "put", key: name, value: bytes, lease: id, previous: true, ignoreValue: false, ignoreLease: false },
          { session: 7n, sequence, floor: 3 },
        );
        const short = writer.copy();
        expect(short).toEqual(long);
        expect(commandKind(short)).toBe(Kind.put);
        encodeGet(writer, name);
        expect(decodeQuery(new Reader(writer.copy()))).toMatchObject({ kind: "range", key: name, end: "", limit: 0 });
        const answer = replyBytes({ ok: true, revision: sequence, result: { kind: "put", previous: undefined } });
        expect(decodePutRevision(answer)).toBe(sequence);
        expect(decodeReplyRevision(answer)).toBe(sequence);
      }),
    );
    expect(decodePutRevision(errorReply("OVER_QUOTA", "full"))).toBe(undefined);
  });

  it("reads arbitrary bytes as a value, malformed or a newer build's, and fails in no other way", () => {
    const readers: ((bytes: Uint8Array) => unknown)[] = [
      (bytes) => decodeCommand(new Reader(bytes)),
      (bytes) => decodeQuery(new Reader(bytes)),
      (bytes) => decodeWatchRequest(new Reader(bytes)),
      decodeReply,
      decodeWatchChange,
    ];
    const shaped = fc
      .tuple(fc.constantFrom(0, 1, 2, 3, 4, 9, 10, 16, 17, 18, 19, 24, 32), fc.uint8Array({ maxLength: 60 }))
      .map(([first, rest]) => Uint8Array.of(first, ...rest));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), shaped), (bytes) => {
        for (const read of readers) {
          try {
            read(bytes);
          } catch (error) {
            expect(error instanceof MalformedBytes || error instanceof UpgradeRequired).toBe(true);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("refuses a transaction nested deeper than recursion in apply may go", () => {
    let inner: Operation = { kind: "txn", compare: [], success: [], failure: [] };
    for (let i = 0; i < 10; i++) inner = { kind: "txn", compare: [], success: [inner], failure: [] };
    const reader = new Reader(commandBytes(inner as Command), 24);
    expect(() => decodeCommand(reader)).toThrow(MalformedBytes);
  });

  it("stops at the reserved enqueue operation rather than skip it", () => {
    const bytes = commandBytes({ kind: "txn", compare: [], success: [{ kind: "enqueue", queue: "mail", payload: none }], failure: [] });
    const reader = new Reader(bytes, 24);
    expect(decodeCommand(reader)).toMatchObject({ kind: "txn", success: [{ kind: "enqueue" }] });
    const bare = Uint8Array.of(Kind.enqueue, 0, 0, 0, 0, 0, 0, 0, 0);
    expect(() => decodeCommand(new Reader(bare))).toThrow(UpgradeRequired);
  });
});
