import { create, toJson } from "@bufbuild/protobuf";
import type { DescMessage, DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Prng } from "../../src/base/index.ts";
import {
  Compare_CompareResult,
  Compare_CompareTarget,
  CompareSchema,
  KV,
  Lease,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  RangeRequestSchema,
  RequestOpSchema,
  TxnRequestSchema,
} from "../../src/etcd/index.ts";
import { StatusError, TestClient } from "../../src/gateway/etcd/testing/client.contract.ts";
import { etcdPath, startEtcd, startUnum } from "../support/etcd.ts";
import type { EtcdCluster } from "../support/etcd.ts";

/** Random calls to a real etcd and to Unum, one after the other: every answer and every refusal must be the same. */
const seeds = (process.env["UNUM_TEST_SEEDS"] ?? "1,2,3").split(",");
/** CI goes as far as its time allows, a developer not so far. */
const inCi = process.env["CI"] !== undefined;
const callsPerSeed = Number(process.env["UNUM_TEST_CALLS"] ?? (inCi ? 20_000 : 1500));
const msPerSeed = inCi ? Math.floor(45_000 / seeds.length) : 60_000;
/** So few say nothing: a machine on which a minute is not enough for them fails. */
const callsMin = Math.min(callsPerSeed, 300);

type Method = DescMethod & { readonly input: DescMessage; readonly output: DescMessage };
interface Asked {
  readonly method: Method;
  readonly init: object;
}

const ask = (method: Method, init: object): Asked => ({ method, init });
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const names = ["a", "a\0", "a1", "ab", "b", "b/1", "b/2", "c", "\u00ff", "z"];
const ends = ["", "\0", "a", "b", "b0", "c", "zz"];

type Operations = readonly MessageShape<typeof RequestOpSchema>[];
interface Touched {
  readonly puts: readonly string[];
  readonly deletions: readonly { readonly key: string; readonly end: string }[];
}

const latin1 = (key: Uint8Array): string => Buffer.from(key).toString("latin1");

/** What operations put and delete, those of nested transactions included, whichever way these decide. */
function touchedBy(operations: Operations): Touched {
  const all = operations.map(({ request }): Touched => {
    if (request.case === "requestPut") return { puts: [latin1(request.value.key)], deletions: [] };
    if (request.case === "requestDeleteRange")
      return { puts: [], deletions: [{ key: latin1(request.value.key), end: latin1(request.value.rangeEnd) }] };
    return request.case === "requestTxn" ? touchedBy([...request.value.success, ...request.value.failure]) : { puts: [], deletions: [] };
  });
  return { puts: all.flatMap(({ puts }) => puts), deletions: all.flatMap(({ deletions }) => deletions) };
}

/** etcd overlooks that a nested transaction deletes what an earlier one beside it puts: we refuse it, as `docs/reference/etcd.md` says. */
function isOverlooked(operations: Operations): boolean {
  const nested = operations.flatMap(({ request }) => (request.case === "requestTxn" ? [request.value] : []));
  const touched = nested.map(({ success, failure }) => touchedBy([...success, ...failure]));
  const covers = ({ key, end }: Touched["deletions"][number], put: string): boolean =>
    end === "" ? put === key : put >= key && (end === "\0" || put < end);
  return (
    touched.some((later, at) =>
      later.deletions.some((gone) => touched.slice(0, at).some(({ puts }) => puts.some((put) => covers(gone, put)))),
    ) || nested.some(({ success, failure }) => isOverlooked(success) || isOverlooked(failure))
  );
}

/** What the sequence knows of the store: enough to name revisions near the present one. */
class Source {
  readonly prng: Prng;
  revision = 1;
  readonly leases = [11n, 12n, 13n, 0x7fff_ffff_ffff_ff00n];

  constructor(seed: string) {
    this.prng = new Prng(`etcd ${seed}`);
  }

  pick<T>(items: readonly T[]): T {
    return this.prng.pick(items);
  }

  chance(percent: number): boolean {
    return this.prng.chance(percent, 100);
  }

  key(): Uint8Array {
    return this.chance(2) ? bytes("") : bytes(this.pick(names));
  }

  range(): { key: Uint8Array; rangeEnd: Uint8Array } {
    return { key: this.chance(10) ? bytes("\0") : this.key(), rangeEnd: this.chance(50) ? bytes("") : bytes(this.pick(ends)) };
  }

  near(): bigint {
    return BigInt(this.revision - 12 + this.prng.below(15));
  }

  put(): object {
    const lease = this.chance(12) ? this.pick([...this.leases, 99n]) : 0n;
    return {
      key: this.key(),
      value: this.chance(20) ? bytes("") : bytes(`v${this.prng.below(5)}`),
      lease,
      prevKv: this.chance(30),
      ignoreValue: this.chance(8),
      ignoreLease: this.chance(8),
    };
  }

  /** In a transaction a target without an order sorts before it cuts, where etcd cuts one behind the limit first. */
  get(inTxn = false): object {
    const orders = [RangeRequest_SortOrder.NONE, RangeRequest_SortOrder.ASCEND, RangeRequest_SortOrder.DESCEND];
    const filter = (): bigint => (this.chance(15) ? this.near() : 0n);
    // Equal values come in no particular order from etcd: it sorts by what is unique, or by key.
    const targets = [RangeRequest_SortTarget.KEY, RangeRequest_SortTarget.CREATE, RangeRequest_SortTarget.MOD];
    return create(RangeRequestSchema, {
      ...this.range(),
      limit: this.chance(40) ? BigInt(this.prng.below(5) - 1) : 0n,
      revision: this.chance(25) ? this.near() : 0n,
      sortOrder: this.chance(30) ? this.pick(orders) : RangeRequest_SortOrder.NONE,
      sortTarget: this.chance(30) && !inTxn ? this.pick(targets) : RangeRequest_SortTarget.KEY,
      serializable: this.chance(20),
      keysOnly: this.chance(15),
      countOnly: this.chance(10),
      minModRevision: filter(),
      maxModRevision: filter(),
      minCreateRevision: filter(),
      maxCreateRevision: filter(),
    });
  }

  remove(): object {
    return { ...this.range(), prevKv: this.chance(40) };
  }

  bounded(): { key: Uint8Array; rangeEnd: Uint8Array } {
    const { key, rangeEnd } = this.range();
    return { key, rangeEnd: rangeEnd.length === 1 && rangeEnd[0] === 0 ? bytes("b") : rangeEnd };
  }

  compare(): MessageInitShape<typeof CompareSchema> {
    const result = this.pick([
      Compare_CompareResult.EQUAL,
      Compare_CompareResult.GREATER,
      Compare_CompareResult.LESS,
      Compare_CompareResult.NOT_EQUAL,
    ]);
    const range = this.chance(25) ? this.range() : { key: this.key(), rangeEnd: bytes("") };
    const number = this.pick([-1n, 0n, 1n, 2n, this.near()]);
    switch (this.prng.below(6)) {
      case 0:
        return { ...range, result, target: Compare_CompareTarget.VERSION, targetUnion: { case: "version", value: number } };
      case 1:
        return { ...range, result, target: Compare_CompareTarget.CREATE, targetUnion: { case: "createRevision", value: number } };
      case 2:
        return { ...range, result, target: Compare_CompareTarget.MOD, targetUnion: { case: "modRevision", value: number } };
      case 3:
        return {
          ...range,
          result,
          target: Compare_CompareTarget.LEASE,
          targetUnion: { case: "lease", value: this.pick([0n, ...this.leases]) },
        };
      case 4:
        return { ...range, result, target: this.pick([Compare_CompareTarget.VALUE, Compare_CompareTarget.MOD]) };
      default:
        return {
          ...range,
          result,
          target: Compare_CompareTarget.VALUE,
          targetUnion: { case: "value", value: bytes(`v${this.prng.below(5)}`) },
        };
    }
  }

  operation(depth: number): MessageInitShape<typeof RequestOpSchema> {
    const kind = this.prng.below(depth > 0 ? 10 : 9);
    if (kind < 4) return { request: { case: "requestPut", value: this.put() as never } };
    if (kind < 7) return { request: { case: "requestRange", value: this.get(true) as never } };
    // etcd overlooks that a deletion without end covers a put of the same transaction: we refuse it.
    if (kind < 8) return { request: { case: "requestDeleteRange", value: { ...this.remove(), ...this.bounded() } as never } };
    if (kind < 9) return this.chance(3) ? {} : { request: { case: "requestRange", value: this.get(true) as never } };
    return { request: { case: "requestTxn", value: create(TxnRequestSchema, this.txn(depth - 1)) } };
  }

  txn(depth: number): MessageInitShape<typeof TxnRequestSchema> {
    const some = <T>(count: number, make: () => T): T[] => Array.from({ length: this.prng.below(count) }, make);
    return {
      compare: some(3, () => create(CompareSchema, this.compare())),
      success: some(4, () => create(RequestOpSchema, this.operation(depth))),
      failure: some(4, () => create(RequestOpSchema, this.operation(depth))),
    };
  }

  /** One that etcd judges as it says it does. */
  judgedTxn(): MessageShape<typeof TxnRequestSchema> {
    for (;;) {
      const txn = create(TxnRequestSchema, this.txn(2));
      if (!isOverlooked(txn.success) && !isOverlooked(txn.failure)) return txn;
    }
  }

  next(): Asked {
    const kind = this.prng.below(100);
    if (kind < 35) return ask(KV.method.put as Method, this.put());
    if (kind < 60) return ask(KV.method.range as Method, this.get());
    if (kind < 70) return ask(KV.method.deleteRange as Method, this.remove());
    if (kind < 90) return ask(KV.method.txn as Method, this.judgedTxn());
    if (kind < 93) return ask(KV.method.compact as Method, { revision: this.near() });
    if (kind < 96)
      // None so short that it may end by itself while the sequence lasts: the two servers would not do so in the same moment.
      return ask(Lease.method.leaseGrant as Method, { ID: this.pick(this.leases), TTL: this.pick([5000n, 5000n, 5000n, 10_000_000_000n]) });
    if (kind < 98) return ask(Lease.method.leaseRevoke as Method, { ID: this.pick(this.leases) });
    return ask(Lease.method.leaseTimeToLive as Method, { ID: this.pick(this.leases), keys: true });
  }
}

const own = new Set(["cluster_id", "member_id", "raft_term"]);

/** What differs by nature is left out: whose answer it is, and how much of a lease is left. */
function normal(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([name]) => !own.has(name));
  return Object.fromEntries(entries.map(([name, inner]) => [name, normal(inner)]));
}

async function answerOf(client: TestClient, { method, init }: Asked): Promise<{ readonly text: string; readonly revision: number }> {
  try {
    const answer = await client.call(method, init as never);
    const json = toJson(method.output, answer, { useProtoFieldName: true }) as {
      header?: { revision?: string };
      TTL?: string;
      keys?: string[];
    };
    const revision = Number(json.header?.revision ?? 0);
    if (method.name === "LeaseTimeToLive") {
      if (json.TTL !== "-1") json.TTL = "left";
      json.keys?.sort();
    }
    return { text: JSON.stringify(normal(json)), revision };
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return { text: `${error.code} ${error.text}`, revision: 0 };
  }
}

describe.skipIf(etcdPath === undefined)("beside a real etcd", () => {
  let unum: EtcdCluster;
  let etcd: EtcdCluster;

  beforeAll(async () => {
    [unum, etcd] = await Promise.all([startUnum(1), startEtcd(1)]);
  });
  afterAll(async () => {
    await unum?.close();
    await etcd?.close();
  });

  const port = (cluster: EtcdCluster): number => Number(cluster.endpoints[0]?.split(":")[1]);

  it("too short a lease is as long as the shortest", async () => {
    const clients = [new TestClient(port(unum)), new TestClient(port(etcd))];
    const answers = await Promise.all(
      clients.map(async (client) => {
        const granted: string[] = [];
        for (const TTL of [-5n, 0n, 1n, 2n, 3n]) {
          granted.push((await answerOf(client, ask(Lease.method.leaseGrant as Method, { ID: 77n, TTL }))).text);
          await answerOf(client, ask(Lease.method.leaseRevoke as Method, { ID: 77n }));
        }
        return granted.join("\n");
      }),
    );
    expect(answers[0]).toBe(answers[1]);
    expect(answers[0]).toContain('"TTL":"2"');
    for (const client of clients) client.close();
  });

  it.each(seeds)("every answer and refusal is the same, seed %s", async (seed) => {
    const [ours, theirs] = [new TestClient(port(unum)), new TestClient(port(etcd))];
    const source = new Source(seed);
    source.revision = (await answerOf(theirs, ask(KV.method.range as Method, { key: bytes("a") }))).revision;
    const endMs = performance.now() + msPerSeed;
    let calls = 0;
    for (; calls < callsPerSeed && performance.now() < endMs; calls++) {
      const asked = source.next();
      const [mine, real] = await Promise.all([answerOf(ours, asked), answerOf(theirs, asked)]);
      const request = JSON.stringify(
        toJson(asked.method.input, create(asked.method.input, asked.init as never), { useProtoFieldName: true }),
      );
      const what = `${calls} ${asked.method.name} ${request}`;
      expect(`${what}\n${mine.text}`).toBe(`${what}\n${real.text}`);
      if (real.revision > 0) source.revision = real.revision;
    }
    ours.close();
    theirs.close();
    console.log(`seed ${seed}: ${calls} calls compared`);
    expect(calls).toBeGreaterThanOrEqual(callsMin);
  });
});
