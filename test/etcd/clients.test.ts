import { Etcd3, EtcdLockFailedError } from "etcd3";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { programs, startServers } from "../support/etcd-server.ts";
import { GrpcClient } from "../support/grpc.ts";

type Cluster = Awaited<ReturnType<typeof startServers>>;

const patience = { timeout: 20_000, interval: 50 };

async function until<T>(work: () => Promise<T>): Promise<T> {
  const end = performance.now() + 20_000;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Clients that know nothing of Unum; beside it a real etcd, which shows that what they are asked to do is right. */
for (const [name, program] of Object.entries(programs)) {
  describe.skipIf(program === undefined)(`the npm client etcd3, at ${name}`, () => {
    let cluster: Cluster;
    let client: Etcd3;
    beforeAll(async () => {
      cluster = await startServers(program ?? [], 3);
      client = new Etcd3({ hosts: cluster.endpoints.map((endpoint) => `http://${endpoint}`) });
    });
    afterAll(async () => {
      client?.close();
      await cluster?.close();
    });

    it("puts, gets, compares and deletes", async () => {
      await client.put("a/1").value("one");
      await client.put("a/2").value("two");
      expect(await client.getAll().prefix("a/").strings()).toEqual({ "a/1": "one", "a/2": "two" });
      const won = await client.if("a/1", "Value", "==", "one").then(client.put("a/1").value("uno")).else(client.get("a/1")).commit();
      const lost = await client.if("a/1", "Value", "==", "one").then(client.put("a/1").value("x")).else(client.get("a/1")).commit();
      expect([won.succeeded, lost.succeeded, await client.get("a/1").string()]).toEqual([true, false, "uno"]);
      expect((await client.delete().prefix("a/")).deleted).toBe("2");
      expect(await client.get("a/1").string()).toBeNull();
    });

    it("watches a prefix, and keeps a lease whose keys go when it is revoked", async () => {
      const watcher = await client.watch().prefix("w/").create();
      const seen: string[] = [];
      watcher.on("put", ({ key, value }) => seen.push(`put ${key} ${value}`));
      watcher.on("delete", ({ key }) => seen.push(`delete ${key}`));
      const lease = client.lease(2, { autoKeepAlive: true });
      const lost = vi.fn();
      lease.on("lost", lost);
      await lease.put("w/1").value("here");
      // Longer than its time: only what keeps it alive can be why it is there.
      await new Promise((resolve) => setTimeout(resolve, 3_500));
      expect([await client.get("w/1").string(), lost.mock.calls.length]).toEqual(["here", 0]);
      await lease.revoke();
      await vi.waitFor(() => expect(seen).toEqual(["put w/1 here", "delete w/1"]), patience);
      await watcher.cancel();
    });

    it("locks out who comes second, and elects one leader after the other", async () => {
      const lock = await client.lock("door").ttl(5).acquire();
      await expect(client.lock("door").acquire()).rejects.toBeInstanceOf(EtcdLockFailedError);
      await lock.release();
      await (await client.lock("door").acquire()).release();

      const election = client.election("chief", 5);
      const first = election.campaign("first");
      await first.wait();
      const second = election.campaign("second");
      expect(await election.leader()).toBe("first");
      await first.resign();
      await second.wait();
      expect(await election.leader()).toBe("second");
      await second.resign();
    });

    it("goes on when a member dies: its watch misses nothing, and its writes find another", async () => {
      const watcher = await client.watch().prefix("f/").create();
      const seen: string[] = [];
      watcher.on("put", ({ key }) => seen.push(key.toString()));
      const keys = Array.from({ length: 40 }, (_, at) => `f/${String(at).padStart(2, "0")}`);
      for (const [at, key] of keys.entries()) {
        if (at === 15) await cluster.servers[1]?.stop("SIGKILL");
        if (at === 30) cluster.servers[1]?.start();
        await until(async () => client.put(key).value("x"));
      }
      // A put whose answer was lost is repeated, and seen twice: none is missing, and the order is theirs.
      await vi.waitFor(() => expect([...new Set(seen)]).toEqual(keys), patience);
      await watcher.cancel();
      await cluster.servers[1]?.ready();
    });
  });

  describe.skipIf(program === undefined)(`@grpc/grpc-js with etcd's own interface definition, at ${name}`, () => {
    let cluster: Cluster;
    let client: GrpcClient;
    const bytes = (text: string): Buffer => Buffer.from(text);
    beforeAll(async () => {
      cluster = await startServers(program ?? [], 3);
      client = new GrpcClient(cluster.endpoints);
    });
    afterAll(async () => {
      client?.close();
      await cluster?.close();
    });

    it("reads and writes, and gets etcd's errors with their texts", async () => {
      const put = await client.call("etcdserverpb.KV", "Put", { key: bytes("k"), value: bytes("v") });
      const range = await client.call("etcdserverpb.KV", "Range", { key: bytes("k") });
      expect([range.count, range.kvs[0]?.value.toString(), range.kvs[0]?.mod_revision]).toEqual(["1", "v", put.header.revision]);
      await expect(client.call("etcdserverpb.KV", "Put", { value: bytes("v") })).rejects.toMatchObject({
        code: 3,
        details: "etcdserver: key is not provided",
      });
    });

    it("watches several ranges on one stream, and cancels one", async () => {
      const watch = client.open("etcdserverpb.Watch", "Watch");
      for (const key of ["x", "y"]) watch.send({ create_request: { key: bytes(key) } });
      const ids = [(await watch.next()).watch_id, (await watch.next()).watch_id];
      expect(new Set(ids).size).toBe(2);
      await client.call("etcdserverpb.KV", "Put", { key: bytes("y"), value: bytes("1") });
      const told = await watch.next();
      expect([told.watch_id, told.events.length, told.events[0]?.type, told.events[0]?.kv.key.toString()]).toEqual([ids[1], 1, "PUT", "y"]);
      watch.send({ cancel_request: { watch_id: ids[0] } });
      expect(await watch.next()).toMatchObject({ watch_id: ids[0], canceled: true });
      watch.cancel();
    });

    it("grants, keeps and revokes a lease", async () => {
      const { ID } = await client.call("etcdserverpb.Lease", "LeaseGrant", { TTL: "10" });
      await client.call("etcdserverpb.KV", "Put", { key: bytes("leased"), value: bytes("1"), lease: ID });
      const keep = client.open("etcdserverpb.Lease", "LeaseKeepAlive");
      keep.send({ ID });
      expect(await keep.next()).toMatchObject({ ID, TTL: "10" });
      keep.cancel();
      expect((await client.call("etcdserverpb.Lease", "LeaseTimeToLive", { ID, keys: true })).keys.map(String)).toEqual(["leased"]);
      await client.call("etcdserverpb.Lease", "LeaseRevoke", { ID });
      expect((await client.call("etcdserverpb.KV", "Range", { key: bytes("leased") })).count).toBe("0");
    });

    it("waits for a lock and for leadership in the servers", async () => {
      const lease = async (): Promise<string> => (await client.call("etcdserverpb.Lease", "LeaseGrant", { TTL: "30" })).ID;
      const order: string[] = [];
      const { key } = await client.call("v3lockpb.Lock", "Lock", { name: bytes("l"), lease: await lease() });
      const waiting = client.call("v3lockpb.Lock", "Lock", { name: bytes("l"), lease: await lease() }).then((answer) => {
        order.push("second");
        return answer;
      });
      order.push("first");
      await client.call("v3lockpb.Lock", "Unlock", { key });
      await client.call("v3lockpb.Lock", "Unlock", { key: (await waiting).key });
      expect(order).toEqual(["first", "second"]);

      const campaign = { name: bytes("e"), lease: await lease(), value: bytes("me") };
      const { leader } = await client.call("v3electionpb.Election", "Campaign", campaign);
      expect((await client.call("v3electionpb.Election", "Leader", { name: bytes("e") })).kv.value.toString()).toBe("me");
      await client.call("v3electionpb.Election", "Resign", { leader });
    });

    it("finds another member when the one it was connected to dies", async () => {
      const lives = new GrpcClient(cluster.endpoints);
      await lives.call("etcdserverpb.KV", "Put", { key: bytes("n"), value: bytes("0") });
      for (const server of cluster.servers) {
        await server.stop("SIGKILL");
        await until(async () => lives.call("etcdserverpb.KV", "Put", { key: bytes("n"), value: bytes(server.client) }, 3_000));
        const { kvs } = await until(async () => lives.call("etcdserverpb.KV", "Range", { key: bytes("n") }, 3_000));
        expect(kvs[0]?.value.toString()).toBe(server.client);
        server.start();
        await server.ready();
      }
      lives.close();
    });
  });
}
