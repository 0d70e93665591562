import { create, toJson } from "@bufbuild/protobuf";
import type { DescMessage, DescMethod, MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Prng } from "../../src/base/index.ts";
import { EventSchema, KV, Lease, Maintenance, Watch, WatchCreateRequest_FilterType, WatchRequestSchema } from "../../src/etcd/index.ts";
import { Election, Lock } from "../../src/etcd/index.ts";
import { StatusError, TestClient } from "../../src/gateway/etcd/testing/client.contract.ts";
import type { TestStream } from "../../src/gateway/etcd/testing/client.contract.ts";
import { etcdPath, startEtcd, startUnum } from "../support/etcd.ts";
import type { EtcdCluster } from "../support/etcd.ts";

/**
 * Random watches of the past, the present and the future beside random writes, locks and elections, to a real etcd and to Unum: what each
 * watch is told, in which order and with what before it, how it ends, and every other answer must be the same.
 */
const seeds = (process.env["UNUM_TEST_SEEDS"] ?? "1,2,3").split(",");
const roundsPerSeed = Number(process.env["UNUM_TEST_ROUNDS"] ?? 60);
const msPerSeed = 12_000;
const roundsMin = Math.min(roundsPerSeed, 8);
/** After so long what was not told will not be. */
const patienceMs = 10_000;
const settleMs = 150;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const names = ["a", "a\0", "a1", "b", "b/1", "b/2", "c", "\u00ff"];
const ends = ["", "", "\0", "a", "b", "b0", "c", "zz"];

type Method = DescMethod & { readonly input: DescMessage; readonly output: DescMessage };
type WatchInit = MessageInitShape<typeof WatchRequestSchema>;

/** Everything that one stream was told, watch by watch. */
class Told {
  private readonly stream: TestStream<typeof WatchRequestSchema, typeof Watch.method.watch.output>;
  /** By the id of the watch: its creation, its events by revision, its end. */
  readonly watches = new Map<string, string[]>();
  private failure: unknown;
  /** Creations that were asked for and not answered. */
  private asked = 0;

  constructor(client: TestClient) {
    this.stream = client.open(Watch.method.watch);
    void this.listen();
  }

  send(request: WatchInit): void {
    if (request.requestUnion?.case === "createRequest") this.asked++;
    this.stream.send(request);
  }

  close(): void {
    this.stream.cancel();
  }

  private async listen(): Promise<void> {
    try {
      for (;;) this.take(await this.stream.next());
    } catch (error) {
      this.failure = error;
    }
  }

  private take(answer: Awaited<ReturnType<typeof this.stream.next>>): void {
    const { canceled, cancelReason, compactRevision, created, events, watchId } = answer;
    const lines = this.watches.get(String(watchId)) ?? [];
    this.watches.set(String(watchId), lines);
    if (created) this.asked--;
    if (created) lines.push(`created${canceled ? ` and canceled: ${cancelReason}` : ""}`);
    else if (canceled) lines.push(`canceled at ${compactRevision}`);
    // A revision may come with others in one answer or alone; never in two.
    for (const event of events) lines.push(JSON.stringify(toJson(EventSchema, event, { useProtoFieldName: true })));
  }

  get isAnswered(): boolean {
    return this.asked === 0;
  }

  get text(): string {
    const watches = [...this.watches].sort(([a], [b]) => (a < b ? -1 : 1));
    return [
      ...watches.map(([id, lines]) => `${id}:\n  ${lines.join("\n  ")}`),
      ...(this.failure === undefined ? [] : [String(this.failure)]),
    ].join("\n");
  }
}

class Source {
  readonly prng: Prng;
  revision = 1;
  /** Ids that the client chose or was given, as far as it knows. */
  private readonly open: bigint[] = [];
  private nextId = 100n;

  constructor(seed: string) {
    this.prng = new Prng(`watches ${seed}`);
  }

  private pick<T>(items: readonly T[]): T {
    return this.prng.pick(items);
  }

  private chance(percent: number): boolean {
    return this.prng.chance(percent, 100);
  }

  private from(): bigint {
    if (this.chance(35)) return 0n;
    return BigInt(Math.max(this.chance(3) ? -1 : 1, this.revision - 15 + this.prng.below(25)));
  }

  /** Ids are the client's: whether the server gives 0 or 5 to the next one is its own matter. */
  watch(): WatchInit {
    const kind = this.prng.below(10);
    if (kind < 7 || this.open.length === 0) {
      const watchId = this.chance(5) && this.open.length > 0 ? this.pick(this.open) : this.nextId++;
      this.open.push(watchId);
      const filters = [WatchCreateRequest_FilterType.NOPUT, WatchCreateRequest_FilterType.NODELETE].filter(() => this.chance(12));
      const value = {
        key: bytes(this.pick(names)),
        rangeEnd: bytes(this.pick(ends)),
        startRevision: this.from(),
        prevKv: this.chance(40),
        fragment: this.chance(20),
        filters,
        watchId,
      };
      return { requestUnion: { case: "createRequest", value } };
    }
    const watchId = this.pick(this.open);
    return { requestUnion: { case: "cancelRequest", value: { watchId } } };
  }

  /** Something that writes, or says no. */
  write(): { readonly method: Method; readonly init: object } {
    const key = bytes(this.pick(names));
    const kind = this.prng.below(100);
    const put = { key, value: bytes(`v${this.prng.below(9)}`) };
    if (kind < 40) return { method: KV.method.put as Method, init: put };
    if (kind < 55) return { method: KV.method.deleteRange as Method, init: { key, rangeEnd: bytes(this.pick(["", "", "b0", "\0"])) } };
    if (kind < 75) {
      const other = bytes(this.pick(names.filter((name) => name !== new TextDecoder().decode(key))));
      const success = [
        { request: { case: "requestPut", value: put } },
        {
          request: this.chance(50)
            ? { case: "requestPut", value: { key: other, value: bytes("w") } }
            : { case: "requestDeleteRange", value: { key: other } },
        },
      ];
      return { method: KV.method.txn as Method, init: { success } };
    }
    if (kind < 78)
      return { method: KV.method.compact as Method, init: { revision: BigInt(Math.max(1, this.revision - this.prng.below(20))) } };
    if (kind < 82) return { method: Lease.method.leaseRevoke as Method, init: { ID: 41n } };
    if (kind < 86) return { method: Lease.method.leaseGrant as Method, init: { ID: 41n, TTL: 5000n } };
    return this.claim();
  }

  /** Names that nobody else holds: nothing here waits. */
  private claim(): { readonly method: Method; readonly init: object } {
    const name = bytes(this.pick(["l1", "l2"]));
    const held = bytes(`${this.pick(["l1", "l2"])}/29`);
    const value = bytes(`p${this.prng.below(3)}`);
    const leader = { name, key: held, rev: BigInt(this.revision - this.prng.below(6)), lease: 41n };
    switch (this.prng.below(6)) {
      case 0:
        return { method: Lock.method.lock as Method, init: { name, lease: this.chance(20) ? 99n : 41n } };
      case 1:
        return { method: Lock.method.unlock as Method, init: { key: held } };
      case 2:
        return { method: Election.method.campaign as Method, init: { name, value, lease: this.chance(20) ? 99n : 41n } };
      case 3:
        return { method: Election.method.proclaim as Method, init: { leader, value } };
      case 4:
        return { method: Election.method.leader as Method, init: { name } };
      default:
        return this.chance(70)
          ? { method: Election.method.resign as Method, init: { leader } }
          : { method: Maintenance.method.defragment as Method, init: {} };
    }
  }
}

const own = new Set(["cluster_id", "member_id", "raft_term"]);

function normal(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([name]) => !own.has(name));
  return Object.fromEntries(entries.map(([name, inner]) => [name, normal(inner)]));
}

async function answerOf(client: TestClient, method: Method, init: object): Promise<{ readonly text: string; readonly revision: number }> {
  try {
    const json = toJson(method.output, await client.call(method, init as never), { useProtoFieldName: true }) as {
      header?: { revision?: string };
    };
    return { text: JSON.stringify(normal(json)), revision: Number(json.header?.revision ?? 0) };
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return { text: `${error.code} ${error.text}`, revision: 0 };
  }
}

describe.skipIf(etcdPath === undefined)("watches beside a real etcd's", () => {
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

  it.each(seeds)("are told the same, seed %s", async (seed) => {
    const clients = [new TestClient(port(unum)), new TestClient(port(etcd))] as const;
    const [ours, theirs] = clients;
    const source = new Source(seed);
    source.revision = (await answerOf(theirs, KV.method.range as Method, { key: bytes("a") })).revision;
    let told = clients.map((client) => new Told(client));
    /** etcd serves the past in rounds of 100 ms: what is the same for longer than that has settled. */
    const agree = async (what: string): Promise<void> => {
      const endMs = performance.now() + patienceMs;
      let seen = "";
      let sameSince = performance.now();
      for (;;) {
        const text = told[0]?.text ?? "";
        const nowMs = performance.now();
        const isSame = told.every(({ isAnswered }) => isAnswered) && text === told[1]?.text;
        if (!isSame || text !== seen) sameSince = nowMs;
        seen = text;
        if (nowMs - sameSince > settleMs || nowMs > endMs) break;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(`${what}\n${told[0]?.text}`).toBe(`${what}\n${told[1]?.text}`);
    };
    const endMs = performance.now() + msPerSeed;
    const story: string[] = [];
    let rounds = 0;
    let calls = 0;
    let events = 0;
    for (; rounds < roundsPerSeed && performance.now() < endMs; rounds++) {
      const asked: string[] = [];
      for (let i = source.prng.between(1, 4); i > 0; i--) {
        const request = source.watch();
        asked.push(JSON.stringify(toJson(WatchRequestSchema, create(WatchRequestSchema, request), { useProtoFieldName: true })));
        story.push(asked.at(-1) ?? "");
        for (const one of told) one.send(request);
        // What a watch from now on misses depends on when it was made.
        await agree(story.slice(-40).join("\n"));
      }
      for (let i = source.prng.between(0, 8); i > 0; i--, calls++) {
        const { init, method } = source.write();
        const [mine, real] = await Promise.all([answerOf(ours, method, init), answerOf(theirs, method, init)]);
        const what = `${rounds} ${method.name} ${JSON.stringify(toJson(method.input, create(method.input, init as never), { useProtoFieldName: true }))}`;
        expect(`${what}\n${mine.text}`).toBe(`${what}\n${real.text}`);
        story.push(what + " " + real.text);
        if (real.revision > 0) source.revision = real.revision;
      }
      await agree(asked.join("\n"));
      if (rounds % 12 < 11) continue;
      for (const one of told) one.close();
      events += told[1]?.text.split("\n").length ?? 0;
      told = clients.map((client) => new Told(client));
    }
    events += told[1]?.text.split("\n").length ?? 0;
    for (const client of clients) client.close();
    console.log(`seed ${seed}: ${rounds} rounds, ${calls} calls and ${events} lines of watches compared`);
    expect(rounds).toBeGreaterThanOrEqual(roundsMin);
  });
});
