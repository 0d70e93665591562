import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import { Prng, Writer } from "../../base/index.ts";
import {
  commandBytes,
  decodeReply,
  decodeWatchChange,
  encodeWatchRequest,
  queryBytes,
  type Command,
  type Compare,
  type Operation,
  type RangeOperation,
  type TxnOperation,
  type WatchChange,
  type WatchEvent,
  type WatchRequest,
} from "../commands/index.ts";
import { keyspaceFactory, type KeyspaceMachine } from "../keyspace.ts";
import type { Watcher } from "../types.ts";
import { KvModel } from "./model.golden.ts";

const seeds = 200;
const leases = [0n, 11n, 12n];

class Generator {
  readonly prng: Prng;
  private readonly keys: number;
  constructor(prng: Prng) {
    this.prng = prng;
    this.keys = prng.pick([3, 12, 200]);
  }

  key(): string {
    return `k${String.fromCharCode(this.prng.pick([0, 65, 255]))}${this.prng.below(this.keys)}`;
  }

  end(key: string): string {
    return this.prng.pick(["", "", "\0", this.key(), `${key}\xff`, "l"]);
  }

  value(): Uint8Array {
    return this.prng.bytes(this.prng.chance(1, 50) ? 500 : this.prng.below(6));
  }

  range(model: KvModel): RangeOperation {
    const { prng } = this;
    const key = this.key();
    const revision = (): number => (prng.chance(2, 3) ? 0 : prng.between(Math.max(1, model.compactRevision - 1), model.revision + 1));
    const bound = (): number => (prng.chance(4, 5) ? 0 : prng.between(1, model.revision + 1));
    const sort = { target: prng.pick(["key", "version", "create", "mod", "value"] as const), descending: prng.chance(1, 2) };
    return {
      kind: "range",
      key,
      end: this.end(key),
      revision: revision(),
      limit: prng.pick([0, 0, 1, 3]),
      sort: prng.chance(2, 3) ? undefined : sort,
      keysOnly: prng.chance(1, 5),
      countOnly: prng.chance(1, 5),
      minModRevision: bound(),
      maxModRevision: bound(),
      minCreateRevision: bound(),
      maxCreateRevision: bound(),
    };
  }

  compare(model: KvModel): Compare {
    const { prng } = this;
    const key = this.key();
    const target = prng.pick(["version", "create", "mod", "value", "lease"] as const);
    return {
      key,
      end: prng.chance(2, 3) ? "" : this.end(key),
      target,
      relation: prng.pick(["equal", "not-equal", "greater", "less"] as const),
      number: target === "value" || target === "lease" ? 0 : prng.pick([0, 1, prng.below(model.revision + 1)]),
      lease: target === "lease" ? prng.pick(leases) : 0n,
      value: target === "value" ? prng.bytes(prng.below(2)) : new Uint8Array(0),
    };
  }

  operation(model: KvModel, depth: number): Operation {
    const { prng } = this;
    const choice = prng.below(10);
    if (choice < 4) return this.put();
    if (choice < 6) return this.delete();
    if (choice < 9 || depth > 2) return this.range(model);
    return this.txn(model, depth);
  }

  put(): Extract<Operation, { kind: "put" }> {
    const { prng } = this;
    const ignoreValue = prng.chance(1, 8);
    const ignoreLease = prng.chance(1, 8);
    return {
      kind: "put",
      key: this.key(),
      value: ignoreValue ? new Uint8Array(0) : this.value(),
      lease: ignoreLease ? 0n : prng.pick(leases),
      previous: prng.chance(1, 3),
      ignoreValue,
      ignoreLease,
    };
  }

  delete(): Extract<Operation, { kind: "delete" }> {
    const key = this.key();
    return { kind: "delete", key, end: this.prng.chance(2, 3) ? "" : this.end(key), previous: this.prng.chance(1, 2) };
  }

  txn(model: KvModel, depth: number): TxnOperation {
    const some = <T>(most: number, make: () => T): T[] => Array.from({ length: this.prng.below(most + 1) }, make);
    return {
      kind: "txn",
      compare: some(2, () => this.compare(model)),
      success: some(3, () => this.operation(model, depth + 1)),
      failure: some(3, () => this.operation(model, depth + 1)),
    };
  }

  command(model: KvModel): Command {
    const { prng } = this;
    const choice = prng.below(100);
    if (choice < 55) return this.put();
    if (choice < 70) return this.delete();
    if (choice < 97) return this.txn(model, 1);
    return { kind: "compact", revision: prng.between(Math.max(0, model.revision - 20), model.revision + 1) };
  }
}

function answer(bytes: Uint8Array): unknown {
  const reply = decodeReply(bytes);
  return reply.ok ? { revision: reply.revision, result: reply.result } : { revision: reply.revision, code: reply.code };
}

/** `expect` itself only where something differs: two hundred seeds make many comparisons. */
function same(actual: unknown, expected: unknown, where: () => string): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual, where()).toEqual(expected);
}

function plain(bytes: Uint8Array): readonly number[] {
  return [...bytes];
}

function restored(machine: KeyspaceMachine, chunk: number): KeyspaceMachine {
  const source = machine.snapshot();
  const restorer = keyspaceFactory().restore();
  for (let bytes = source.next(chunk); bytes !== undefined; bytes = source.next(chunk)) {
    for (let at = 0; at < bytes.length; at += chunk) {
      const piece = bytes.slice(at, at + chunk);
      restorer.push(piece);
      // A chunk is the caller's: the next one may be read into the same memory.
      piece.fill(0xee);
    }
  }
  return restorer.finish() as KeyspaceMachine;
}

function newMachine(): KeyspaceMachine {
  const machine = keyspaceFactory().create();
  for (const lease of leases) {
    if (lease !== 0n)
      machine.apply(commandBytes({ kind: "lease-grant", lease, ttlMs: 60_000 }), {
        index: 1,
        position: Number(lease),
        term: 1,
        timestamp: 1,
      });
  }
  return machine;
}

describe("the keyspace machine", () => {
  it("answers as a model that keeps every revision, also after a restore from a snapshot, and replicas have equal hashes", () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const prng = new Prng(seed);
      const generator = new Generator(prng);
      const model = new KvModel();
      let machine = newMachine();
      const replica = newMachine();
      for (let step = 0; step < 120; step++) {
        const command = generator.command(model);
        const bytes = commandBytes(command);
        const meta = { index: step + 2, position: 0, term: 1, timestamp: 1000 + step };
        const reply = machine.apply(bytes, meta);
        const where = (): string => `seed ${seed} step ${step} ${command.kind}`;
        same(plain(replica.apply(bytes, meta)), plain(reply), where);
        same(answer(reply), model.apply(command), where);
        const range = generator.range(model);
        same(answer(machine.query(queryBytes(range))), model.query(range), () => `seed ${seed} step ${step} range`);
        if (prng.chance(1, 40)) machine = restored(machine, prng.pick([7, 1000, 50_000, 1_000_000]));
        if (prng.chance(1, 10)) machine.work(() => 0, 1);
        same(machine.hash(), replica.hash(), where);
      }
    }
  });

  it("writes a snapshot of the moment it was asked for, whatever is applied while it is written", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const prng = new Prng(seed);
      const generator = new Generator(prng);
      const model = new KvModel();
      const machine = newMachine();
      let index = 2;
      const step = (): void => {
        const command = generator.command(model);
        model.apply(command);
        machine.apply(commandBytes(command), { index: index++, position: 0, term: 1, timestamp: 1000 + index });
      };
      for (let i = 0; i < 100; i++) step();
      const hash = machine.hash();
      const ranges = Array.from({ length: 20 }, () => generator.range(model));
      const answers = ranges.map((range) => machine.query(queryBytes(range)));
      const source = machine.snapshot();
      const restorer = keyspaceFactory().restore();
      for (let bytes = source.next(200); bytes !== undefined; bytes = source.next(200)) {
        restorer.push(bytes);
        for (let i = prng.below(5); i > 0; i--) step();
        machine.work(() => 0, 1);
      }
      const copy = restorer.finish();
      expect(copy.hash(), `seed ${seed}`).toBe(hash);
      ranges.forEach((range, at) => expect(copy.query(queryBytes(range)), `seed ${seed} range ${at}`).toEqual(answers[at]));
    }
  });
});

interface Watched {
  readonly watcher: Watcher;
  readonly request: WatchRequest;
  readonly seen: WatchChange[];
  ended: boolean;
  ready: boolean;
}

function inRange(request: WatchRequest, key: string): boolean {
  if (request.end === "") return key === request.key;
  return key >= request.key && (request.end === "\0" || key < request.end);
}

/** What the watch must have seen up to its progress, from the model's history. */
function expectedChanges(model: KvModel, watched: Watched): WatchChange[] {
  const changes: WatchChange[] = [];
  for (let revision = watched.watcher.startRevision; revision <= Math.min(watched.watcher.progress, model.revision); revision++) {
    const before = model.states.get(revision - 1);
    const events: WatchEvent[] = [];
    for (const { kind, entry } of model.events.get(revision) ?? []) {
      if (!inRange(watched.request, entry.key) || (kind === "put" ? watched.request.noPut : watched.request.noDelete)) continue;
      events.push({ kind, entry, previous: watched.request.previous ? before?.get(entry.key) : undefined });
    }
    if (events.length > 0) changes.push({ revision, events });
  }
  return changes;
}

describe("watches", () => {
  it("see exactly the history from their start: nothing lost, repeated, reordered or split, however slowly they take", () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const prng = new Prng(seed * 7919);
      const generator = new Generator(prng);
      const model = new KvModel();
      const machine = newMachine();
      const all: Watched[] = [];
      const take = (watched: Watched): void => {
        watched.ready = false;
        const { items, ended } = watched.watcher.take(prng.pick([1, 100, 1_000_000]));
        watched.seen.push(...items.map(decodeWatchChange));
        if (ended !== undefined) {
          watched.ended = true;
          expect(watched.watcher.progress + 1, `seed ${seed}`).toBeLessThan(model.compactRevision);
        }
      };
      for (let step = 0; step < 150; step++) {
        if (prng.chance(1, 8)) {
          const key = generator.key();
          const request: WatchRequest = {
            key,
            end: generator.end(key),
            from: prng.pick([0, 0, prng.between(1, model.revision + 3)]),
            previous: prng.chance(1, 2),
            noPut: prng.chance(1, 6),
            noDelete: prng.chance(1, 6),
          };
          const writer = new Writer();
          encodeWatchRequest(writer, request);
          const watched: Watched = {
            watcher: machine.watch(writer.take(), () => ready(watched)),
            request,
            seen: [],
            ended: false,
            ready: false,
          };
          const ready = (one: Watched): void => {
            expect(one.ready).toBe(false);
            one.ready = true;
          };
          all.push(watched);
        }
        for (let i = prng.between(1, 3); i > 0; i--) {
          const command = generator.command(model);
          if (command.kind === "compact" && prng.chance(1, 2)) continue;
          model.apply(command);
          machine.apply(commandBytes(command), { index: step + 2, position: i, term: 1, timestamp: 1000 + step });
        }
        machine.publish();
        for (const watched of all) if (!watched.ended && prng.chance(1, 4)) take(watched);
      }
      for (const watched of all) {
        for (let i = 0; i < 500 && !watched.ended; i++) take(watched);
        if (!watched.ended) expect(watched.watcher.progress, `seed ${seed}`).toBeGreaterThanOrEqual(model.revision);
        same(watched.seen, expectedChanges(model, watched), () => `seed ${seed} ${JSON.stringify(watched.request)}`);
      }
    }
  });
});
