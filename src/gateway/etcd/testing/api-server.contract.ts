import { utf8Encode } from "../../../base/index.ts";
import { Compare_CompareResult, Compare_CompareTarget, KV, Lease, Watch } from "../../../etcd/index.ts";
import type { Event, KeyValue } from "../../../etcd/index.ts";
import type { TestClient, TestStream } from "./client.contract.ts";

const bytes = utf8Encode;

/** What a put or deletion under a condition came to: `kv` is what stands there when it was refused. */
export interface Optimistic {
  readonly succeeded: boolean;
  readonly revision: bigint;
  readonly kv: KeyValue | undefined;
}

export interface Listed {
  readonly kvs: readonly KeyValue[];
  readonly revision: bigint;
  /** Where the next page begins; undefined: this was the last. */
  readonly next: string | undefined;
  /** Entries that are still to come. */
  readonly remaining: bigint;
}

/** The last byte of a prefix, one higher. */
export function endOf(prefix: string): Uint8Array {
  const end = bytes(prefix);
  end[end.length - 1] = (end[end.length - 1] as number) + 1;
  return end;
}

/** The calls that an API server of Kubernetes makes of its storage, as it makes them. */
export class ApiServer {
  private readonly client: TestClient;

  constructor(client: TestClient) {
    this.client = client;
  }

  async get(key: string): Promise<{ readonly kv: KeyValue | undefined; readonly revision: bigint }> {
    const answer = await this.client.call(KV.method.range, { key: bytes(key) });
    return { kv: answer.kvs[0], revision: answer.header?.revision ?? 0n };
  }

  /** With `revision` 0 it creates. */
  put(key: string, value: string, revision: bigint, lease = 0n): Promise<Optimistic> {
    return this.under(key, revision, { case: "requestPut", value: { key: bytes(key), value: bytes(value), lease } });
  }

  delete(key: string, revision: bigint): Promise<Optimistic> {
    return this.under(key, revision, { case: "requestDeleteRange", value: { key: bytes(key) } });
  }

  /** Reads, changes and puts until nobody was faster: the read is taken from the refusal. Returns how often somebody was. */
  async update(key: string, change: (value: string) => string): Promise<number> {
    let { kv } = await this.get(key);
    for (let refused = 0; ; refused++) {
      const value = kv === undefined ? "" : new TextDecoder().decode(kv.value);
      const answer = await this.put(key, change(value), kv?.modRevision ?? 0n);
      if (answer.succeeded) return refused;
      kv = answer.kv;
    }
  }

  /** One page. `revision` 0: now. */
  async list(prefix: string, limit: bigint, from = prefix, revision = 0n): Promise<Listed> {
    const answer = await this.client.call(KV.method.range, { key: bytes(from), rangeEnd: endOf(prefix), limit, revision });
    const last = answer.kvs[answer.kvs.length - 1];
    return {
      kvs: answer.kvs,
      revision: revision === 0n ? (answer.header?.revision ?? 0n) : revision,
      next: answer.more && last !== undefined ? `${new TextDecoder().decode(last.key)}\0` : undefined,
      remaining: answer.count - BigInt(answer.kvs.length),
    };
  }

  async count(prefix: string): Promise<bigint> {
    return (await this.client.call(KV.method.range, { key: bytes(prefix), rangeEnd: endOf(prefix), countOnly: true })).count;
  }

  async grant(seconds: bigint): Promise<bigint> {
    return (await this.client.call(Lease.method.leaseGrant, { TTL: seconds })).ID;
  }

  watch(prefix: string, startRevision: bigint): TestStream<typeof Watch.method.watch.input, typeof Watch.method.watch.output> {
    const stream = this.client.open(Watch.method.watch, { hasleader: "true" });
    const value = { key: bytes(prefix), rangeEnd: endOf(prefix), startRevision, prevKv: true, progressNotify: true };
    stream.send({ requestUnion: { case: "createRequest", value } });
    return stream;
  }

  /**
   * What each of them does every five minutes: whoever finds the counter as it left it compacts what was current then.
   * Returns the counter and the revision to compact the next time.
   */
  async compact(
    counter: bigint,
    revision: bigint,
  ): Promise<{ readonly counter: bigint; readonly revision: bigint; readonly mine: boolean }> {
    const key = bytes("compact_rev_key");
    const answer = await this.client.call(KV.method.txn, {
      compare: [
        {
          key,
          target: Compare_CompareTarget.VERSION,
          result: Compare_CompareResult.EQUAL,
          targetUnion: { case: "version", value: counter },
        },
      ],
      success: [{ request: { case: "requestPut", value: { key, value: bytes(String(revision)) } } }],
      failure: [{ request: { case: "requestRange", value: { key } } }],
    });
    const current = answer.header?.revision ?? 0n;
    if (!answer.succeeded) {
      const found = answer.responses[0]?.response;
      const kv = found?.case === "responseRange" ? found.value.kvs[0] : undefined;
      return { counter: kv?.version ?? 0n, revision: current, mine: false };
    }
    if (revision > 0n) await this.client.call(KV.method.compact, { revision });
    return { counter: counter + 1n, revision: current, mine: true };
  }

  private async under(
    key: string,
    revision: bigint,
    request:
      | { readonly case: "requestPut"; readonly value: { key: Uint8Array; value: Uint8Array; lease: bigint } }
      | { readonly case: "requestDeleteRange"; readonly value: { key: Uint8Array } },
  ): Promise<Optimistic> {
    const answer = await this.client.call(KV.method.txn, {
      compare: [
        {
          key: bytes(key),
          target: Compare_CompareTarget.MOD,
          result: Compare_CompareResult.EQUAL,
          targetUnion: { case: "modRevision", value: revision },
        },
      ],
      success: [{ request }],
      failure: [{ request: { case: "requestRange", value: { key: bytes(key) } } }],
    });
    const found = answer.responses[0]?.response;
    return {
      succeeded: answer.succeeded,
      revision: answer.header?.revision ?? 0n,
      kv: found?.case === "responseRange" ? found.value.kvs[0] : undefined,
    };
  }
}

/** So many events, however they are spread over messages. */
export async function nextEvents(stream: ReturnType<ApiServer["watch"]>, count: number): Promise<readonly Event[]> {
  const events: Event[] = [];
  while (events.length < count) {
    const { events: more, canceled } = await stream.next();
    if (canceled) throw new Error("the watch was canceled");
    events.push(...more);
  }
  if (events.length > count) throw new Error(`${events.length} events instead of ${count}`);
  return events;
}

/** What happened to which key, from what to what. */
export function eventText({ type, kv, prevKv }: Event): string {
  const text = (value: Uint8Array | undefined): string => new TextDecoder().decode(value ?? new Uint8Array(0));
  const before = prevKv === undefined ? "" : `${text(prevKv.value)}@${prevKv.modRevision} -> `;
  return `${type === 0 ? "put" : "delete"} ${text(kv?.key)} ${before}${type === 0 ? text(kv?.value) : "nothing"}`;
}
