import { afterAll, beforeAll, expect, it } from "vitest";
import { utf8Decode, utf8Encode } from "../../../base/index.ts";
import { KV, Lease, Maintenance } from "../../../etcd/index.ts";
import { ApiServer, eventText, nextEvents } from "./api-server.contract.ts";
import { StatusError, TestClient } from "./client.contract.ts";

/** Whatever speaks etcd's protocol on a port of this machine. */
export interface Storage {
  readonly port: number;
  close(): Promise<void>;
}

let storage: Storage;
let client: TestClient;
let server: ApiServer;

const text = (value: Uint8Array | undefined): string | undefined => (value === undefined ? undefined : utf8Decode(value));

/** Further API servers, each with a connection of its own. */
async function withServers(count: number, run: (servers: readonly ApiServer[]) => Promise<void>): Promise<void> {
  const clients = Array.from({ length: count }, () => new TestClient(storage.port));
  try {
    await run(clients.map((one) => new ApiServer(one)));
  } finally {
    for (const one of clients) one.close();
  }
}

/** What Kubernetes does with its storage, and what it relies on. */
export function kubernetesContract(start: () => Promise<Storage>): void {
  beforeAll(async () => {
    storage = await start();
    client = new TestClient(storage.port);
    server = new ApiServer(client);
  });
  afterAll(async () => {
    client?.close();
    await storage?.close();
  });

  writesAndLists();
  watches();
  compaction();
  concurrency();
}

function writesAndLists(): void {
  it("create once, update and delete what was read, and are told what stands there instead", async () => {
    const key = "/registry/pods/default/web";
    const created = await server.put(key, "v1", 0n);
    expect(created).toMatchObject({ succeeded: true });
    const again = await server.put(key, "other", 0n);
    expect([again.succeeded, text(again.kv?.value), again.kv?.modRevision]).toEqual([false, "v1", created.revision]);
    // What was refused has moved nothing.
    expect(again.revision).toBe(created.revision);
    const updated = await server.put(key, "v2", created.revision);
    expect(updated.revision).toBe(created.revision + 1n);
    const late = await server.delete(key, created.revision);
    expect([late.succeeded, text(late.kv?.value), late.kv?.version]).toEqual([false, "v2", 2n]);
    expect(await server.delete(key, updated.revision)).toMatchObject({ succeeded: true });
    const gone = await server.delete(key, updated.revision);
    expect([gone.succeeded, gone.kv]).toEqual([false, undefined]);
    expect((await server.put(key, "v1", 0n)).succeeded).toBe(true);
  });

  it("list page by page at one revision what stood there then, whatever is written between", async () => {
    const prefix = "/registry/configmaps/";
    const keys = Array.from({ length: 23 }, (_, i) => `${prefix}ns/${String(i).padStart(3, "0")}`);
    for (const key of keys) await server.put(key, "1", 0n);
    const first = await server.list(prefix, 10n);
    expect([first.kvs.length, first.remaining, first.next]).toEqual([10, 13n, `${keys[9]}\0`]);
    // Behind the pages' backs: one is deleted, one changed, one is new.
    await server.delete(keys[15] ?? "", (await server.get(keys[15] ?? "")).kv?.modRevision ?? 0n);
    await server.update(keys[16] ?? "", () => "2");
    await server.put(`${prefix}ns/0165`, "1", 0n);
    const seen = [...first.kvs];
    for (let page = first; page.next !== undefined; ) {
      page = await server.list(prefix, 10n, page.next, first.revision);
      seen.push(...page.kvs);
      expect(page.remaining).toBe(BigInt(keys.length - seen.length));
    }
    expect(seen.map((kv) => text(kv.key))).toEqual(keys);
    expect(new Set(seen.map((kv) => text(kv.value)))).toEqual(new Set(["1"]));
    expect(seen.every((kv) => kv.modRevision <= first.revision)).toBe(true);
    expect(await server.count(prefix)).toBe(23n);
    const now = await server.list(prefix, 0n);
    expect([now.kvs.length, now.next, now.remaining]).toEqual([23, undefined, 0n]);
  });

  it("tell the size of the database, and answer the health check", async () => {
    const status = await client.call(Maintenance.method.status, {});
    expect(status.dbSize).toBeGreaterThan(0n);
    expect(status.version).toMatch(/^3\./);
    expect(status.leader).not.toBe(0n);
    expect((await client.call(KV.method.range, { key: utf8Encode("health") })).count).toBe(0n);
  });
}

function watches(): void {
  it("watch a prefix from the revision of a list: every change once, in order, with what was there before", async () => {
    const prefix = "/registry/services/";
    await server.put(`${prefix}a`, "1", 0n);
    const listed = await server.list(prefix, 500n);
    // Between the list and the watch.
    const changed = await server.put(`${prefix}a`, "2", listed.kvs[0]?.modRevision ?? 0n);
    const stream = server.watch(prefix, listed.revision + 1n);
    expect(await stream.next()).toMatchObject({ created: true });
    const made = await server.put(`${prefix}b`, "1", 0n);
    await server.put("/registry/endpoints/a", "not of this prefix", 0n);
    await server.delete(`${prefix}a`, changed.revision);
    const seen = await nextEvents(stream, 3);
    expect(seen.map(eventText)).toEqual([
      `put ${prefix}a 1@${listed.kvs[0]?.modRevision} -> 2`,
      `put ${prefix}b 1`,
      `delete ${prefix}a 2@${changed.revision} -> nothing`,
    ]);
    expect(seen[1]?.kv?.modRevision).toBe(made.revision);
    // A consistent read from the cache: everything up to the progress was sent.
    const elsewhere = await server.put("/registry/endpoints/b", "1", 0n);
    stream.send({ requestUnion: { case: "progressRequest", value: {} } });
    const progress = await stream.next();
    expect([progress.events.length, progress.watchId]).toEqual([0, -1n]);
    expect(progress.header?.revision).toBeGreaterThanOrEqual(elsewhere.revision);
    stream.cancel();
  });

  it("let events go with their lease, which their watch tells as deletions", async () => {
    const prefix = "/registry/events/default/";
    const lease = await server.grant(3600n);
    const stream = server.watch(prefix, 0n);
    await stream.next();
    for (const name of ["a", "b"]) await server.put(`${prefix}${name}`, "happened", 0n, lease);
    expect((await nextEvents(stream, 2)).map(({ kv }) => kv?.lease)).toEqual([lease, lease]);
    await client.call(Lease.method.leaseRevoke, { ID: lease });
    expect((await nextEvents(stream, 2)).map(({ type, prevKv }) => [type, text(prevKv?.value)])).toEqual([
      [1, "happened"],
      [1, "happened"],
    ]);
    expect(await server.count(prefix)).toBe(0n);
    stream.cancel();
  });
}

function compaction(): void {
  it("compact once though several try, after which lists and watches of before are told so", async () => {
    const prefix = "/registry/leases/";
    const old = await server.put(`${prefix}a`, "1", 0n);
    await withServers(3, async (servers) => {
      let states = await Promise.all(servers.map((each) => each.compact(0n, 0n)));
      expect(states.filter(({ mine }) => mine)).toHaveLength(1);
      for (let i = 0; i < 5; i++) await server.update(`${prefix}a`, () => String(i));
      const before = await server.get(`${prefix}a`);
      // Five minutes later.
      states = await Promise.all(servers.map((each, at) => each.compact(1n, states[at]?.revision ?? 0n)));
      expect(states.filter(({ mine }) => mine)).toHaveLength(1);
      expect(new Set(states.map(({ counter }) => counter))).toEqual(new Set([2n]));
      for (let i = 0; i < 5; i++) await server.update(`${prefix}a`, () => String(i));
      states = await Promise.all(servers.map((each, at) => each.compact(2n, states[at]?.revision ?? 0n)));
      const error = await server.list(prefix, 10n, prefix, old.revision).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(StatusError);
      expect(error).toMatchObject({ code: 11, text: "etcdserver: mvcc: required revision has been compacted" });
      const stream = server.watch(prefix, old.revision + 1n);
      expect(await stream.next()).toMatchObject({ created: true, canceled: false });
      const told = await stream.next();
      expect([told.canceled, told.compactRevision > before.revision, told.events.length]).toEqual([true, true, 0]);
      // As told, it lists again and goes on from there.
      const again = server.watch(prefix, (await server.list(prefix, 500n)).revision + 1n);
      await again.next();
      await server.update(`${prefix}a`, () => "after");
      expect(text((await nextEvents(again, 1))[0]?.kv?.value)).toBe("after");
      for (const one of [stream, again]) one.cancel();
    });
  });
}

function concurrency(): void {
  it("lose no update, and their watches see each of them once, in order and linked to the one before", async () => {
    const prefix = "/registry/counters/";
    const [serversCount, rounds] = [4, 25];
    const stream = server.watch(prefix, (await server.list(prefix, 1n)).revision + 1n);
    await stream.next();
    await withServers(serversCount, async (servers) => {
      const refused = await Promise.all(
        servers.map(async (each) => {
          let count = 0;
          for (let i = 0; i < rounds; i++) {
            for (const name of ["a", "b"]) count += await each.update(prefix + name, (value) => String(Number(value) + 1));
          }
          return count;
        }),
      );
      // Otherwise they did not meet, and nothing was shown.
      expect(refused.reduce((sum, one) => sum + one, 0)).toBeGreaterThan(0);
    });
    const total = serversCount * rounds;
    expect(text((await server.get(`${prefix}a`)).kv?.value)).toBe(String(total));
    const last = new Map<string, { readonly value: number; readonly revision: bigint }>();
    let revision = 0n;
    for (const { kv, prevKv } of await nextEvents(stream, 2 * total)) {
      const key = text(kv?.key) ?? "";
      const before = last.get(key);
      expect(Number(text(kv?.value))).toBe((before?.value ?? 0) + 1);
      expect(prevKv?.modRevision).toBe(before?.revision);
      expect(kv?.modRevision).toBeGreaterThan(revision);
      revision = kv?.modRevision ?? 0n;
      last.set(key, { value: Number(text(kv?.value)), revision });
    }
    expect([last.get(`${prefix}a`)?.value, last.get(`${prefix}b`)?.value]).toEqual([total, total]);
    stream.cancel();
  });
}
