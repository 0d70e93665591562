import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MalformedBytes, UnumError, concatBytes, groupId, replicaId } from "../base/index.ts";
import type { ClusterId, NodeId } from "../base/index.ts";
import type { Configuration, Message } from "../raft/types.ts";
import {
  FrameHeads,
  FrameType,
  Method,
  decodeCancel,
  decodeCredit,
  decodeEnd,
  decodeGoodbye,
  decodeGroupMessage,
  decodeHeartbeats,
  decodeHello,
  decodeItem,
  decodePush,
  decodeRefused,
  decodeRequest,
  decodeResponse,
  decodeSnapshotAck,
  decodeSnapshotBegin,
  decodeSnapshotChunk,
  decodeSnapshotFailed,
  decodeSnapshotReady,
  decodeWelcome,
  encodeCancel,
  encodeCredit,
  encodeEnd,
  encodeErrorResponse,
  encodeGoodbye,
  encodeGroupMessage,
  encodeHeartbeats,
  encodeHello,
  encodeItem,
  encodeOkResponse,
  encodePush,
  encodeRefused,
  encodeRequestFrame,
  encodeSnapshotAck,
  encodeSnapshotBegin,
  encodeSnapshotChunk,
  encodeSnapshotFailed,
  encodeSnapshotReady,
  encodeWelcome,
  fromWireError,
  heartbeatKinds,
  heartbeatOf,
  messageOf,
  negotiate,
  toWireError,
} from "./index.ts";
import type { Hello, Push, WireError } from "./index.ts";

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u64 = fc.maxSafeNat();
const bytes = fc.uint8Array({ maxLength: 200 }).map((value) => new Uint8Array(value));
const text = fc.string({ maxLength: 30, unit: "binary" });
const replica = u32.map(replicaId);
const group = u32.map(groupId);
const hex = fc
  .uint8Array({ minLength: 8, maxLength: 8 })
  .map((value) => Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join(""));
const node = hex.map((id) => id as NodeId);

const requests = fc.record({
  id: u32,
  method: fc.constantFrom(...Object.values(Method)),
  group,
  priority: fc.constantFrom("system" as const, "normal" as const, "low" as const),
  stale: fc.boolean(),
  forwarded: fc.boolean(),
  remainingMs: u32,
  trace: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  principal: text,
  body: bytes,
});

const errors: fc.Arbitrary<WireError> = fc.record({
  code: fc.constantFrom("FENCED" as const, "OVERLOADED" as const, "TIMEOUT" as const),
  message: text,
  outcome: fc.constantFrom("not-applied" as const, "unknown" as const),
  retry: fc.constantFrom("safe" as const, "maybe-applied" as const, "never" as const),
  details: fc.dictionary(
    fc.string({ maxLength: 5 }).filter((key) => key !== "__proto__"),
    fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null)),
    { noNullPrototype: true },
  ),
});

const replicas = fc.array(replica, { maxLength: 5 });
const configurations: fc.Arbitrary<Configuration> = fc.record({
  voters: replicas,
  outgoing: replicas,
  learners: replicas,
  learnersNext: replicas,
  autoLeave: fc.boolean(),
});
const metas = fc.record({ index: u64, term: u64, configuration: configurations });
const envelope = { from: replica, to: replica, term: u64 };
const index = fc.integer({ min: 0, max: 2 ** 50 });
const report = fc.option(u32, { nil: undefined });
const contents = fc.array(fc.record({ term: u64, kind: fc.constantFrom(0 as const, 1 as const), data: bytes }), { maxLength: 6 });

const messages: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    type: fc.constantFrom("pre-vote" as const, "vote" as const),
    ...envelope,
    lastIndex: u64,
    lastTerm: u64,
    transfer: fc.boolean(),
  }),
  fc.record({ type: fc.constantFrom("pre-vote-response" as const, "vote-response" as const), ...envelope, granted: fc.boolean() }),
  fc
    .record({ type: fc.constant("append" as const), ...envelope, prevIndex: index, prevTerm: u64, commit: u64, contents, trusted: report })
    .map(({ contents: list, trusted, ...message }) => ({
      ...message,
      ...(trusted === undefined ? {} : { trusted }),
      entries: list.map((content, i) => ({ index: message.prevIndex + 1 + i, ...content })),
    })),
  fc
    .record({
      type: fc.constant("append-response" as const),
      ...envelope,
      index: u64,
      rejected: fc.boolean(),
      hintIndex: u64,
      hintTerm: u64,
      suspect: report,
    })
    .map(({ suspect, ...message }) => ({
      ...message,
      ...(suspect === undefined ? {} : { suspect }),
    })),
  fc.record({ type: fc.constant("heartbeat" as const), ...envelope, commit: u64, context: u64 }),
  fc.record({ type: fc.constant("heartbeat-response" as const), ...envelope, context: u64 }),
  fc.record({ type: fc.constant("commit" as const), ...envelope, commit: u64 }),
  fc.record({ type: fc.constant("snapshot" as const), ...envelope, meta: metas }),
  fc.record({ type: fc.constant("timeout-now" as const), ...envelope }),
);

const hellos: fc.Arbitrary<Hello> = fc.record({
  versionMin: fc.nat(0xffff),
  versionMax: fc.nat(0xffff),
  purpose: fc.constantFrom("client" as const, "control" as const, "entries" as const, "bulk" as const),
  cluster: fc.option(
    hex.map((id) => id as ClusterId),
    { nil: undefined },
  ),
  node: fc.option(node, { nil: undefined }),
  name: text,
  address: text,
  featureLevel: u32,
});

const pushes: fc.Arbitrary<Push> = fc.oneof(
  fc.record({ kind: fc.constant("leader" as const), group, term: u64, node: fc.option(node, { nil: undefined }), address: text }),
  fc.record({ kind: fc.constant("members" as const), members: fc.array(fc.record({ node, name: text, address: text }), { maxLength: 5 }) }),
  fc.constant({ kind: "leaving" as const }),
);

function roundTrip<T>(values: fc.Arbitrary<T>, there: (value: T) => unknown): void {
  fc.assert(
    fc.property(values, (value) => {
      expect(there(value)).toEqual(value);
    }),
  );
}

describe("what is encoded reads back the same", () => {
  const heads = new FrameHeads();
  it("requests", () => {
    roundTrip(requests, (request) => decodeRequest(encodeRequestFrame(request)));
    roundTrip(
      requests.map((request) => ({ ...request, forwarded: false, trace: 0n, principal: "" })),
      ({ id, method, group, priority, stale, remainingMs, body }) =>
        decodeRequest(concatBytes([heads.request(id, method, group, priority, stale, remainingMs), body])),
    );
  });
  it("answers, items, credit and ends", () => {
    roundTrip(fc.record({ id: u32, answer: fc.record({ ok: fc.constant(true as const), body: bytes }) }), ({ id, answer }) =>
      decodeResponse(encodeOkResponse(id, answer.body)),
    );
    roundTrip(fc.record({ id: u32, answer: fc.record({ ok: fc.constant(true as const), body: bytes }) }), ({ id, answer }) =>
      decodeResponse(concatBytes([heads.ok(id), answer.body])),
    );
    roundTrip(fc.record({ id: u32, body: bytes }), ({ id, body }) => decodeItem(concatBytes([heads.item(id), body])));
    roundTrip(fc.record({ id: u32, answer: fc.record({ ok: fc.constant(false as const), error: errors }) }), ({ id, answer }) =>
      decodeResponse(encodeErrorResponse(id, answer.error)),
    );
    roundTrip(fc.record({ id: u32, answer: fc.record({ ok: fc.constant(false as const), error: errors }) }), ({ id, answer }) =>
      decodeEnd(encodeEnd(id, answer)),
    );
    roundTrip(fc.record({ id: u32, body: bytes }), ({ id, body }) => decodeItem(encodeItem(id, body)));
    roundTrip(fc.record({ id: u32 }), ({ id }) => decodeCancel(encodeCancel(id)));
    roundTrip(fc.record({ id: u32, bytes: u32 }), ({ id, bytes: amount }) => decodeCredit(encodeCredit(id, amount)));
  });
  it("greetings, refusals, goodbyes, pushes", () => {
    roundTrip(hellos, (hello) => decodeHello(encodeHello(hello)));
    roundTrip(hellos, (hello) => decodeWelcome(encodeWelcome(hello)));
    roundTrip(errors, (error) => decodeRefused(encodeRefused(error)));
    roundTrip(text, (reason) => decodeGoodbye(encodeGoodbye(reason)));
    roundTrip(pushes, (push) => decodePush(encodePush(push)));
  });
  it("raft messages, copied or not", () => {
    roundTrip(fc.record({ group, message: messages }), (value) => decodeGroupMessage(encodeGroupMessage(value.group, value.message)));
    roundTrip(fc.record({ group, message: messages }), (value) =>
      decodeGroupMessage(encodeGroupMessage(value.group, value.message), { copy: true }),
    );
  });
  it("heartbeats, alone and gathered", () => {
    const beats = fc.record({ group, ...envelope, commit: u64, context: u64, kind: fc.constantFrom(...heartbeatKinds) });
    roundTrip(fc.record({ heartbeats: fc.array(beats, { maxLength: 10 }), headroom: fc.nat(255) }), ({ headroom, heartbeats }) =>
      decodeHeartbeats(encodeHeartbeats(heartbeats, headroom)),
    );
    const plain = messages.filter((message) => heartbeatKinds.some((kind) => kind === message.type));
    roundTrip(plain, (message) => {
      const beat = heartbeatOf(groupId(3), message);
      return beat === undefined ? undefined : messageOf(beat);
    });
  });
  it("snapshot transfers", () => {
    roundTrip(fc.record({ transfer: u32, group, ...envelope, meta: metas, bytes: u64 }), (begin) =>
      decodeSnapshotBegin(encodeSnapshotBegin(begin)),
    );
    roundTrip(fc.record({ transfer: u32, received: u64 }), (ready) => decodeSnapshotReady(encodeSnapshotReady(ready)));
    roundTrip(fc.record({ transfer: u32, offset: u64, bytes }), (chunk) => decodeSnapshotChunk(encodeSnapshotChunk(chunk)));
    roundTrip(fc.record({ transfer: u32, received: u64, done: fc.boolean() }), (ack) => decodeSnapshotAck(encodeSnapshotAck(ack)));
    roundTrip(fc.record({ transfer: u32, reason: text }), (failed) => decodeSnapshotFailed(encodeSnapshotFailed(failed)));
  });
});

describe("bytes from outside", () => {
  const decoders: readonly [number, (frame: Uint8Array) => unknown][] = [
    [FrameType.request, decodeRequest],
    [FrameType.response, decodeResponse],
    [FrameType.end, decodeEnd],
    [FrameType.item, decodeItem],
    [FrameType.cancel, decodeCancel],
    [FrameType.credit, decodeCredit],
    [FrameType.push, decodePush],
    [FrameType.hello, decodeHello],
    [FrameType.refused, decodeRefused],
    [FrameType.goodbye, decodeGoodbye],
    [FrameType.heartbeats, decodeHeartbeats],
    [FrameType.raft, (frame) => decodeGroupMessage(frame, { copy: true })],
    [FrameType.snapshotBegin, decodeSnapshotBegin],
    [FrameType.snapshotReady, decodeSnapshotReady],
    [FrameType.snapshotChunk, decodeSnapshotChunk],
    [FrameType.snapshotAck, decodeSnapshotAck],
    [FrameType.snapshotFailed, decodeSnapshotFailed],
  ];
  const samples: fc.Arbitrary<Uint8Array> = fc.oneof(
    requests.map((request) => encodeRequestFrame(request)),
    errors.map((error) => encodeErrorResponse(1, error)),
    hellos.map(encodeHello),
    pushes.map(encodePush),
    fc.tuple(group, messages).map(([id, message]) => encodeGroupMessage(id, message)),
    metas.map((meta) =>
      encodeSnapshotBegin({
        transfer: 1,
        group: groupId(1),
        from: replicaId(1),
        to: replicaId(2),
        term: 3,
        meta,
        bytes: 4,
      }),
    ),
  );

  function decodesOrIsMalformed(frame: Uint8Array): void {
    for (const [type, decode] of decoders) {
      const typed = new Uint8Array(frame);
      typed[0] = type;
      try {
        decode(typed);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedBytes);
      }
    }
  }

  it("random ones make no decoder throw anything but MalformedBytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), decodesOrIsMalformed), { numRuns: 500 });
  });
  it("nor do true ones that were cut or flipped", () => {
    fc.assert(
      fc.property(samples, fc.nat(), fc.nat(), fc.nat(255), (frame, cutAt, flipAt, flip) => {
        decodesOrIsMalformed(frame.subarray(0, cutAt % (frame.length + 1)));
        const flipped = new Uint8Array(frame);
        flipped[flipAt % frame.length] = (flipped[flipAt % frame.length] ?? 0) ^ flip;
        decodesOrIsMalformed(flipped);
      }),
      { numRuns: 500 },
    );
  });
});

describe("a request", () => {
  it("rounds its remaining time up and never below zero, so that a live one does not arrive expired", () => {
    const request = {
      id: 1,
      method: Method.query,
      group: groupId(1),
      priority: "normal" as const,
      stale: false,
      forwarded: false,
      remainingMs: 0.2,
      trace: 0n,
      principal: "",
      body: new Uint8Array(0),
    };
    expect(decodeRequest(encodeRequestFrame(request)).remainingMs).toBe(1);
    expect(decodeRequest(encodeRequestFrame({ ...request, remainingMs: -5 })).remainingMs).toBe(0);
    expect(decodeRequest(encodeRequestFrame({ ...request, remainingMs: 1e12 })).remainingMs).toBe(0xffff_ffff);
  });
  it("has a view of the frame as its body", () => {
    const frame = encodeRequestFrame({
      id: 1,
      method: Method.propose,
      group: groupId(1),
      priority: "low",
      stale: true,
      forwarded: true,
      remainingMs: 1,
      trace: 7n,
      principal: "é",
      body: Uint8Array.of(1, 2),
    });
    expect(decodeRequest(frame).body.buffer).toBe(frame.buffer);
  });
});

describe("errors on the wire", () => {
  it("a code of a newer peer reads as UNSUPPORTED with its text, outcome and advice kept", () => {
    const strange = {
      code: "QUANTUM_FLUX" as "FENCED",
      message: "the flux is off",
      outcome: "unknown" as const,
      retry: "maybe-applied" as const,
      details: { a: 1 },
    };
    const error = fromWireError(decodeRefused(encodeRefused(strange)));
    expect(error.code).toBe("UNSUPPORTED");
    expect(error.message).toBe("QUANTUM_FLUX: the flux is off");
    expect(error.outcome).toBe("unknown");
    expect(error.retry).toBe("maybe-applied");
    expect(error.details).toEqual({ a: 1, code: "QUANTUM_FLUX" });
  });
  it("our errors keep code, outcome, advice and details; strangers leave the outcome unknown", () => {
    const ours = new UnumError("NOT_LEADER", "elsewhere", { details: { hint: "a:1" } });
    const back = fromWireError(decodeRefused(encodeRefused(toWireError(ours))));
    expect([back.code, back.message, back.outcome, back.retry, back.details]).toEqual([
      "NOT_LEADER",
      "elsewhere",
      "not-applied",
      "safe",
      { hint: "a:1" },
    ]);
    expect(toWireError(new RangeError("x"))).toMatchObject({ code: "UNKNOWN_OUTCOME", outcome: "unknown", message: "RangeError: x" });
    expect(toWireError(new MalformedBytes("y"))).toMatchObject({ code: "MALFORMED", outcome: "not-applied" });
  });
  it("details that JSON cannot hold do not break the answer", () => {
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;
    const encode = (details: Record<string, unknown>): WireError =>
      decodeRefused(encodeRefused({ code: "CONFLICT", message: "", outcome: "not-applied", retry: "never", details }));
    expect(encode(circular).details).toEqual({ unprintable: true });
    expect(encode({ lease: 12n }).details).toEqual({ lease: "12" });
  });
});

describe("negotiate", () => {
  const base: Hello = {
    versionMin: 1,
    versionMax: 3,
    purpose: "client",
    cluster: undefined,
    node: undefined,
    name: "",
    address: "",
    featureLevel: 4,
  };
  const one = "0000000000000001" as ClusterId;
  it("takes the highest version that both speak and the lower feature level", () => {
    expect(negotiate(base, { ...base, versionMin: 2, versionMax: 9, featureLevel: 2 })).toEqual({ ok: true, version: 3, featureLevel: 2 });
  });
  it("refuses a side without a common version", () => {
    expect(negotiate(base, { ...base, versionMin: 4, versionMax: 9 })).toMatchObject({ ok: false, error: { code: "UNSUPPORTED" } });
    expect(negotiate({ ...base, versionMin: 4, versionMax: 9 }, base)).toMatchObject({ ok: false, error: { code: "UNSUPPORTED" } });
  });
  it("refuses another cluster, and accepts a side that names none", () => {
    expect(negotiate({ ...base, cluster: one }, { ...base, cluster: "0000000000000002" as ClusterId })).toMatchObject({
      ok: false,
      error: { code: "WRONG_CLUSTER" },
    });
    expect(negotiate({ ...base, cluster: one }, base).ok).toBe(true);
    expect(negotiate({ ...base, cluster: one }, { ...base, cluster: one }).ok).toBe(true);
  });
  it("a greeting with fields of a newer version is readable", () => {
    const hello = encodeHello(base);
    const longer = new Uint8Array(hello.length + 5);
    longer.set(hello);
    expect(decodeHello(longer)).toEqual(base);
  });
});
