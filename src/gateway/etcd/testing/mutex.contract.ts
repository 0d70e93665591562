import { afterAll, beforeAll, expect, it } from "vitest";
import { utf8Decode, utf8Encode } from "../../../base/index.ts";
import {
  Compare_CompareResult,
  Compare_CompareTarget,
  Event_EventType,
  KV,
  Lease,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  Watch,
} from "../../../etcd/index.ts";
import { endOf } from "./api-server.contract.ts";
import { TestClient } from "./client.contract.ts";
import type { Storage } from "./kubernetes.contract.ts";

const bytes = utf8Encode;

/** The lock that etcd's own client library makes of transactions, leases and watches: what Vault and others stand on. */
class Mutex {
  private readonly client: TestClient;
  private readonly prefix: string;
  lease = 0n;
  key = "";
  revision = 0n;

  constructor(client: TestClient, name: string) {
    this.client = client;
    this.prefix = `${name}/`;
  }

  async lock(): Promise<void> {
    this.lease = (await this.client.call(Lease.method.leaseGrant, { TTL: 60n })).ID;
    this.key = `${this.prefix}${this.lease.toString(16)}`;
    const key = bytes(this.key);
    const first = {
      key: bytes(this.prefix),
      rangeEnd: endOf(this.prefix),
      limit: 1n,
      sortTarget: RangeRequest_SortTarget.CREATE,
      sortOrder: RangeRequest_SortOrder.ASCEND,
    };
    const answer = await this.client.call(KV.method.txn, {
      compare: [this.createdAt(0n)],
      success: [
        { request: { case: "requestPut", value: { key, lease: this.lease } } },
        { request: { case: "requestRange", value: first } },
      ],
      failure: [{ request: { case: "requestRange", value: { key } } }, { request: { case: "requestRange", value: first } }],
    });
    this.revision = answer.header?.revision ?? 0n;
    const owner = answer.responses[1]?.response;
    const holder = owner?.case === "responseRange" ? owner.value.kvs[0]?.createRevision : undefined;
    if (holder === undefined || holder === this.revision) return;
    while (await this.waitsForOneBefore());
  }

  /** Writes only while the lock is its own. */
  async guarded(key: string, value: string): Promise<boolean> {
    const put = { request: { case: "requestPut", value: { key: bytes(key), value: bytes(value) } } } as const;
    return (await this.client.call(KV.method.txn, { compare: [this.createdAt(this.revision)], success: [put] })).succeeded;
  }

  async unlock(): Promise<void> {
    await this.client.call(KV.method.deleteRange, { key: bytes(this.key) });
  }

  /** Whether there was one, whose end was waited for. */
  private async waitsForOneBefore(): Promise<boolean> {
    const before = await this.client.call(KV.method.range, {
      key: bytes(this.prefix),
      rangeEnd: endOf(this.prefix),
      limit: 1n,
      sortTarget: RangeRequest_SortTarget.CREATE,
      sortOrder: RangeRequest_SortOrder.DESCEND,
      maxCreateRevision: this.revision - 1n,
    });
    const key = before.kvs[0]?.key;
    if (key === undefined) return false;
    const stream = this.client.open(Watch.method.watch, { hasleader: "true" });
    const value = { key, startRevision: before.header?.revision ?? 0n };
    stream.send({ requestUnion: { case: "createRequest", value } });
    for (;;) if ((await stream.next()).events.some(({ type }) => type === Event_EventType.DELETE)) break;
    stream.cancel();
    return true;
  }

  private createdAt(revision: bigint) {
    return {
      key: bytes(this.key),
      target: Compare_CompareTarget.CREATE,
      result: Compare_CompareResult.EQUAL,
      targetUnion: { case: "createRevision" as const, value: revision },
    };
  }
}

/** What programs rely on that lock with etcd's client library. */
export function mutexContract(start: () => Promise<Storage>): void {
  let storage: Storage;
  const clients: TestClient[] = [];
  const connect = (): TestClient => {
    const client = new TestClient(storage.port);
    clients.push(client);
    return client;
  };
  beforeAll(async () => {
    storage = await start();
  });
  afterAll(async () => {
    for (const client of clients) client.close();
    await storage?.close();
  });

  it("one holds the lock at a time, each in the order in which they came, and no update under it is lost", async () => {
    const order: { readonly came: bigint }[] = [];
    let inside = 0;
    const work = async (): Promise<void> => {
      const client = connect();
      for (let round = 0; round < 4; round++) {
        const mutex = new Mutex(client, "vault/lock");
        await mutex.lock();
        expect(++inside).toBe(1);
        order.push({ came: mutex.revision });
        const { kvs } = await client.call(KV.method.range, { key: bytes("vault/counter") });
        const count = Number(utf8Decode(kvs[0]?.value ?? bytes("0")));
        expect(await mutex.guarded("vault/counter", String(count + 1))).toBe(true);
        inside--;
        await mutex.unlock();
      }
    };
    await Promise.all(Array.from({ length: 6 }, work));
    const { kvs } = await connect().call(KV.method.range, { key: bytes("vault/counter") });
    expect(utf8Decode(kvs[0]?.value ?? bytes(""))).toBe("24");
    expect(order.map(({ came }) => came)).toEqual(order.map(({ came }) => came).sort((a, b) => (a < b ? -1 : 1)));
  });

  it("whose lease ends is followed by the next, and writes nothing any more", async () => {
    const client = connect();
    const [gone, next] = [new Mutex(client, "vault/other"), new Mutex(connect(), "vault/other")];
    await gone.lock();
    expect(await gone.guarded("vault/state", "first")).toBe(true);
    const waiting = next.lock();
    await client.call(Lease.method.leaseRevoke, { ID: gone.lease });
    await waiting;
    expect(await gone.guarded("vault/state", "too late")).toBe(false);
    expect(await next.guarded("vault/state", "second")).toBe(true);
    const { kvs } = await client.call(KV.method.range, { key: bytes("vault/state") });
    expect(utf8Decode(kvs[0]?.value ?? bytes(""))).toBe("second");
  });
}
