import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { limits, MalformedBytes, Prng, Reader } from "../base/index.ts";
import {
  commandBytes,
  decodeCommand,
  decodePutRevision,
  decodeReply,
  envelopeBytes,
  Kind,
  queryBytes,
  type Command,
  type Envelope,
  type Operation,
} from "./commands/index.ts";
import { checkKeyspaceCommand } from "./gate.ts";
import { keyspaceFactory, type KeyspaceMachine } from "./keyspace.ts";
import { systemFactory } from "./system/machine.ts";
import { UpgradeRequired } from "./types.ts";

const none = new Uint8Array(0);
const meta = { index: 1, position: 0, term: 1, timestamp: 1 };

function put(key: string, value: Uint8Array = none): Extract<Operation, { kind: "put" }> {
  return { kind: "put", key, value, lease: 0n, previous: false, ignoreValue: false, ignoreLease: false };
}

describe("arbitrary bytes", () => {
  const body = fc
    .tuple(
      fc.constantFrom(...Object.values(Kind), 0, 200),
      fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.array(fc.constantFrom(0, 0, 0, 1, 2, 97), { maxLength: 60 })),
    )
    .map(([kind, rest]) => Uint8Array.of(...new Uint8Array(envelopeBytes), kind, ...rest));

  it("are answered by apply with an error reply, or stop the group as a newer build's; nothing else is thrown", () => {
    const machine = keyspaceFactory().create();
    let index = 0;
    // The log's time moves on with any entry, also with one that stops the group: only what a command does is looked at here.
    machine.apply(commandBytes(put("first")), { ...meta, index: ++index });
    fc.assert(
      fc.property(fc.oneof(body, fc.uint8Array({ maxLength: 60 })), (bytes) => {
        const before = machine.hash();
        try {
          decodeReply(machine.apply(bytes, { ...meta, index: ++index }));
        } catch (error) {
          expect(error).toBeInstanceOf(UpgradeRequired);
          expect(machine.hash()).toBe(before);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it("that the gate lets through never stop the group and are never malformed to apply", () => {
    fc.assert(
      fc.property(body, (bytes) => {
        if (checkKeyspaceCommand(bytes) !== undefined) return;
        const reply = decodeReply(keyspaceFactory().create().apply(bytes, meta));
        if (!reply.ok) expect(reply.code).not.toBe("MALFORMED");
      }),
      { numRuns: 3000 },
    );
  });

  it("as a query or a watch request are refused without harm", () => {
    const machine = keyspaceFactory().create();
    fc.assert(
      fc.property(fc.tuple(fc.constantFrom(3, 4, 32, 33, 34, 35, 77), fc.uint8Array({ maxLength: 50 })), ([kind, rest]) => {
        decodeReply(machine.query(Uint8Array.of(kind, ...rest)));
        try {
          machine.watch(rest, () => undefined).cancel();
        } catch (error) {
          expect(error instanceof MalformedBytes || error instanceof UpgradeRequired).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
    expect(machine.revision).toBe(1);
  });
});

describe("the gate", () => {
  const refusalOf = (command: Command): string | undefined => {
    const reply = checkKeyspaceCommand(commandBytes(command));
    if (reply === undefined) return undefined;
    const decoded = decodeReply(reply);
    return decoded.ok ? "ok" : decoded.code;
  };

  it("refuses what a node's limits forbid, before anything is proposed", () => {
    expect(refusalOf(put("a"))).toBe(undefined);
    expect(refusalOf(put(""))).toBe("INVALID_KEY");
    expect(refusalOf(put("k".repeat(limits.keyBytesMax)))).toBe(undefined);
    expect(refusalOf(put("k".repeat(limits.keyBytesMax + 1)))).toBe("INVALID_KEY");
    expect(refusalOf({ ...put("k".repeat(limits.keyBytesMax + 1)), lease: 5n })).toBe("INVALID_KEY");
    expect(refusalOf(put("a", new Uint8Array(limits.requestBytesMax)))).toBe("TOO_LARGE");
    expect(refusalOf({ kind: "delete", key: "", end: "", previous: false })).toBe("INVALID_KEY");
    const many = Array.from({ length: limits.transactionOperationsMax }, (_, at) => put(`k${at}`));
    expect(refusalOf({ kind: "txn", compare: [], success: many, failure: [] })).toBe(undefined);
    expect(refusalOf({ kind: "txn", compare: [], success: [...many, put("one more")], failure: [] })).toBe("INVALID_ARGUMENT");
    expect(refusalOf({ kind: "txn", compare: [], success: [{ kind: "txn", compare: [], success: many, failure: [] }], failure: [] })).toBe(
      "INVALID_ARGUMENT",
    );
    expect(refusalOf({ kind: "txn", compare: [], success: [put("k".repeat(5000))], failure: [] })).toBe("INVALID_KEY");
    const guarded = { kind: "guarded", source: "default", name: "lock/", fence: 7, operation: undefined } as const;
    expect(refusalOf(guarded)).toBeUndefined();
    expect(refusalOf({ ...guarded, operation: put("k".repeat(limits.keyBytesMax + 1)) })).toBe("INVALID_KEY");
    expect(refusalOf({ ...guarded, operation: { kind: "delete", key: "", end: "", previous: false } })).toBe("INVALID_KEY");
    for (const wrong of [{ source: "" }, { name: "" }, { name: "n".repeat(limits.keyBytesMax + 1) }, { fence: 0 }])
      expect(refusalOf({ ...guarded, ...wrong })).toBe("INVALID_ARGUMENT");
    expect(refusalOf({ kind: "txn", compare: [], success: [put("a"), put("a")], failure: [] })).toBe("DUPLICATE_KEY");
    expect(refusalOf({ kind: "txn", compare: [], success: [{ kind: "enqueue", queue: "q", payload: none }], failure: [] })).toBe(
      "UNSUPPORTED",
    );
  });

  it("refuses a command with a kind or a flag of a newer build, which would stop the group", () => {
    const unknownKind = Uint8Array.of(...new Uint8Array(envelopeBytes), 99);
    const unknownFlag = commandBytes(put("a"));
    unknownFlag[envelopeBytes + 1] = 0x80;
    for (const bytes of [unknownKind, unknownFlag]) {
      expect(decodeReply(checkKeyspaceCommand(bytes) as Uint8Array)).toMatchObject({ ok: false, code: "UNSUPPORTED" });
      expect(() => keyspaceFactory().create().apply(bytes, meta)).toThrow(UpgradeRequired);
    }
  });
});

describe("snapshots", () => {
  function chunksOf(machine: KeyspaceMachine, bytes: number): Uint8Array[] {
    const source = machine.snapshot();
    const chunks: Uint8Array[] = [];
    for (let chunk = source.next(bytes); chunk !== undefined; chunk = source.next(bytes)) chunks.push(chunk);
    return chunks;
  }

  function filled(): KeyspaceMachine {
    const machine = keyspaceFactory().create();
    machine.apply(commandBytes({ kind: "session-open" }), meta);
    for (let i = 0; i < 50; i++)
      machine.apply(commandBytes(put(`k${i % 20}`, Uint8Array.of(i)), { session: 1n, sequence: i + 1, floor: 1 }), {
        ...meta,
        index: i + 2,
      });
    return machine;
  }

  it("that were damaged or cut short are refused: no bit of one is loaded unseen", () => {
    const whole = chunksOf(filled(), 1_000_000)[0] as Uint8Array;
    const prng = new Prng(1);
    for (let i = 0; i < 400; i++) {
      const damaged = whole.slice();
      const at = prng.below(damaged.length);
      damaged[at] = (damaged[at] as number) ^ (1 << prng.below(8));
      const load = (bytes: Uint8Array): void => {
        const restorer = keyspaceFactory().restore();
        restorer.push(bytes);
        restorer.finish();
      };
      expect(() => load(damaged), `byte ${at}`).toThrow();
      expect(() => load(whole.subarray(0, prng.below(whole.length)))).toThrow();
    }
  });

  it("of another kind of machine are refused, and so are those of a newer format or feature level", () => {
    const [bytes] = chunksOf(filled(), 1_000_000) as [Uint8Array];
    expect(() => systemFactory().restore().push(bytes)).toThrow(MalformedBytes);
    const newer = bytes.slice();
    newer[4] = 9;
    expect(() => keyspaceFactory().restore().push(newer)).toThrow(UpgradeRequired);
    const level = bytes.slice();
    // Behind magic, format, block header and the kind's text comes the feature level.
    level[6 + 5 + 4 + "keyspace".length] = 9;
    expect(() => keyspaceFactory().restore().push(level)).toThrow(UpgradeRequired);
  });

  it("taken twice, or released early, leave the machine as it was", () => {
    const machine = filled();
    const hash = machine.hash();
    const first = machine.snapshot();
    const second = machine.snapshot();
    first.next(10);
    first.release();
    first.release();
    expect(first.next(10)).toBe(undefined);
    machine.apply(commandBytes(put("k1")), { ...meta, index: 99 });
    const restorer = keyspaceFactory().restore();
    for (let chunk = second.next(64); chunk !== undefined; chunk = second.next(64)) restorer.push(chunk);
    expect(restorer.finish().hash()).toBe(hash);
  });
});

describe("sessions", () => {
  const inSession = (sequence: number, floor: number, command: Command = put("k")): Uint8Array =>
    commandBytes(command, { session: 1n, sequence, floor });

  function opened(): KeyspaceMachine {
    const machine = keyspaceFactory().create();
    expect(decodeReply(machine.apply(commandBytes({ kind: "session-open" }), meta))).toMatchObject({
      result: { kind: "session", session: 1n },
    });
    return machine;
  }

  it("keep as many replies as the limit says, then answer OVERLOADED and apply nothing until the floor moves", () => {
    const machine = opened();
    for (let i = 1; i <= limits.sessionRepliesMax; i++) machine.apply(inSession(i, 1), meta);
    const revision = machine.revision;
    expect(decodeReply(machine.apply(inSession(limits.sessionRepliesMax + 1, 1), meta))).toMatchObject({ ok: false, code: "OVERLOADED" });
    expect(machine.revision).toBe(revision);
    expect(decodePutRevision(machine.apply(inSession(7, 1), meta))).toBe(8);
    expect(decodePutRevision(machine.apply(inSession(limits.sessionRepliesMax + 1, 100), meta))).toBe(revision + 1);
    expect(decodeReply(machine.apply(inSession(99, 1), meta))).toMatchObject({ ok: false, code: "UNKNOWN_OUTCOME" });
  });

  it("bound the bytes of replies, too", () => {
    const machine = opened();
    machine.apply(commandBytes(put("big", new Uint8Array(300_000))), meta);
    let sequence = 1;
    let refused = 0;
    for (; sequence <= 20 && refused === 0; sequence++) {
      const reply = decodeReply(machine.apply(inSession(sequence, 1, { ...put("big", new Uint8Array(300_000)), previous: true }), meta));
      if (!reply.ok) refused = sequence;
    }
    expect(refused).toBe(5);
  });

  it("apply each command exactly once, whatever is repeated, delayed or reordered", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const prng = new Prng(seed);
      const machine = opened();
      const applied = new Map<number, number>();
      const sent: Envelope[] = [];
      let next = 1;
      let floor = 1;
      for (let step = 0; step < 300; step++) {
        const isNew = sent.length === 0 || prng.chance(1, 2);
        if (isNew && prng.chance(1, 3)) floor = prng.between(floor, next);
        const envelope = isNew ? { session: 1n, sequence: next++, floor } : prng.pick(sent);
        sent.push(envelope);
        const { sequence } = envelope;
        const before = machine.revision;
        const reply = machine.apply(commandBytes(put(`k${sequence}`), envelope), { ...meta, index: step + 2 });
        const revision = decodePutRevision(reply);
        if (revision === undefined) expect(machine.revision).toBe(before);
        else if (applied.has(sequence)) {
          expect(revision, `seed ${seed} step ${step}`).toBe(applied.get(sequence));
          expect(machine.revision).toBe(before);
        } else {
          expect(machine.revision, `seed ${seed} step ${step}`).toBe(before + 1);
          applied.set(sequence, revision);
        }
      }
    }
  });

  it("are expired by the log's time alone, and equal on a replica that was restored in between", () => {
    const machine = opened();
    machine.apply(inSession(1, 1), { ...meta, timestamp: 1000 });
    const source = machine.snapshot();
    const restorer = keyspaceFactory().restore();
    for (let chunk = source.next(50); chunk !== undefined; chunk = source.next(50)) restorer.push(chunk);
    const copy = restorer.finish();
    for (const timestamp of [2000, 1000 + limits.sessionIdleMs, 3000 + 2 * limits.sessionIdleMs]) {
      const bytes = inSession(2, 1);
      expect(copy.apply(bytes, { ...meta, timestamp })).toEqual(machine.apply(bytes, { ...meta, timestamp }));
      expect(copy.hash()).toBe(machine.hash());
    }
    expect(decodeReply(machine.apply(inSession(3, 1), { ...meta, timestamp: 4000 + 3 * limits.sessionIdleMs }))).toMatchObject({
      ok: false,
      code: "SESSION_EXPIRED",
    });
  });
});

describe("queries", () => {
  it("of too much without a limit are refused, and with one end early and say more", () => {
    const machine = keyspaceFactory().create();
    for (let i = 0; i < 12; i++) machine.apply(commandBytes(put(`k${i}`, new Uint8Array(500_000))), { ...meta, index: i + 1 });
    const range = (limit: number): Uint8Array =>
      queryBytes({
        kind: "range",
        key: "k",
        end: "l",
        revision: 0,
        limit,
        sort: undefined,
        keysOnly: false,
        countOnly: false,
        minModRevision: 0,
        maxModRevision: 0,
        minCreateRevision: 0,
        maxCreateRevision: 0,
      });
    expect(decodeReply(machine.query(range(0)))).toMatchObject({ ok: false, code: "TOO_LARGE" });
    const page = decodeReply(machine.query(range(1000)));
    expect(page).toMatchObject({ ok: true, result: { kind: "range", more: true, count: 12 } });
    expect(page.ok && page.result.kind === "range" ? page.result.entries.length : 0).toBe(9);
  });

  it("cost a get no more than its reply: the short way answers as the long one", () => {
    const machine = keyspaceFactory().create();
    machine.apply(commandBytes(put("k", Uint8Array.of(1, 2))), meta);
    const get = queryBytes({
      kind: "range",
      key: "k",
      end: "",
      revision: 0,
      limit: 0,
      sort: undefined,
      keysOnly: false,
      countOnly: false,
      minModRevision: 0,
      maxModRevision: 0,
      minCreateRevision: 0,
      maxCreateRevision: 0,
    });
    const limited = queryBytes({ ...decodeQueryOf(get), limit: 5 });
    expect(machine.query(get)).toEqual(machine.query(limited));
  });
});

function decodeQueryOf(bytes: Uint8Array): Extract<Operation, { kind: "range" }> {
  const operation = decodeCommandOrRange(bytes);
  if (operation.kind !== "range") throw new Error("no range");
  return operation;
}

function decodeCommandOrRange(bytes: Uint8Array): Operation {
  // A transaction may carry what a query asks: decoding it there is the long way.
  const txn = commandBytes({ kind: "txn", compare: [], success: [], failure: [] });
  const inner = Uint8Array.of(...txn.subarray(0, envelopeBytes + 3), 1, 0, ...bytes, 0, 0);
  const command = decodeCommand(new Reader(inner, envelopeBytes));
  if (command.kind !== "txn") throw new Error("no transaction");
  return command.success[0] as Operation;
}
