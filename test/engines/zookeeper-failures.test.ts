/** A handle over a real ZooKeeper while its server dies and connections break. */
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, isUnumError } from "../../src/index.ts";
import type { Unum, ZooKeeperPart } from "../../src/index.ts";
import { openZooKeeper } from "../../src/backends/zookeeper/client/index.ts";
import { Prng } from "../../src/base/index.ts";
import { NodeClock, NodeStreams } from "../../src/platform/node/index.ts";
import { silentLogger } from "../../src/ports/index.ts";
import { selfSigned } from "../../src/platform/node/self-signed.ts";
import { freePort } from "../support/ports.ts";
import { Proxy } from "../support/proxy.ts";
import { ZooKeeperServer, zookeeperPath } from "../support/zookeeper-server.ts";

type Handle = Unum<ZooKeeperPart>;

const closers: (() => Promise<unknown> | unknown)[] = [];
let server: ZooKeeperServer;

async function opened(address: string, options: Parameters<typeof connect>[1] = {}): Promise<Handle> {
  const handle = await connect(`zookeeper://${address}`, options);
  closers.push(() => handle.close());
  await handle.ready;
  return handle;
}

/** Writes several at a time until told to stop: what was acknowledged, and what nobody knows of. */
class Load {
  readonly acknowledged: { readonly key: string; readonly revision: number }[] = [];
  readonly unknown: string[] = [];
  private readonly lanes: Promise<void>[];
  private readonly prefix: string;
  private next = 0;
  private stopped = false;

  constructor(handle: Handle, lanes: number, prefix: string) {
    this.prefix = prefix;
    this.lanes = Array.from({ length: lanes }, () => this.run(handle));
  }

  private async run(handle: Handle): Promise<void> {
    while (!this.stopped) {
      const key = `${this.prefix}${String(this.next++).padStart(6, "0")}`;
      try {
        this.acknowledged.push({ key, revision: (await handle.kv.put(key, key, { timeout: "30s" })).revision });
      } catch (error) {
        if (!isUnumError(error) || error.outcome !== "unknown") throw error;
        this.unknown.push(key);
      }
    }
  }

  async more(count: number): Promise<void> {
    const begun = this.acknowledged.length;
    for (const endMs = performance.now() + 60_000; this.acknowledged.length < begun + count; ) {
      if (performance.now() > endMs) throw new Error(`no ${count} writes came through`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.lanes);
  }
}

/** Writes and watches while `disturb` happens: nothing acknowledged is lost or done twice, and the watch tells each revision once, in order. */
async function undisturbed(handle: Handle, disturb: (load: Load) => Promise<void>): Promise<void> {
  const { revision } = await handle.kv.put("begin", 1);
  const told: { readonly key: string; readonly revision: number }[] = [];
  const watching = (async () => {
    for await (const change of handle.kv.watch({ prefix: "n/" }, { from: revision + 1 })) {
      for (const event of change.events) told.push({ key: event.key, revision: change.revision });
      if (told.at(-1)?.key === "n/end") return;
    }
  })();
  const load = new Load(handle, 5, "n/");
  await disturb(load);
  await load.stop();
  await handle.kv.put("n/end", 1);
  await watching;
  const entries: { readonly key: string; readonly revision: number; readonly version: number }[] = [];
  for await (const entry of handle.kv.entries({ prefix: "n/" })) entries.push(entry);
  const there = new Map(entries.map((entry) => [entry.key, entry]));
  expect(load.acknowledged.filter(({ key, revision: at }) => there.get(key)?.revision !== at)).toEqual([]);
  expect(entries.filter(({ version }) => version !== 1)).toEqual([]);
  const known = new Set([...load.acknowledged.map(({ key }) => key), ...load.unknown, "n/end"]);
  expect(entries.filter(({ key }) => !known.has(key))).toEqual([]);
  expect(told.map(({ key }) => key).sort()).toEqual(entries.map(({ key }) => key));
  const revisions = told.map(({ revision: at }) => at);
  expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
}

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describe.skipIf(zookeeperPath === undefined)("over a real ZooKeeper that breaks", () => {
  beforeEach(async () => {
    server = await ZooKeeperServer.open();
    closers.push(() => server.close());
  });

  it("the server killed and started again: nothing acknowledged is lost or done twice, the watch goes on, the lock is kept", async () => {
    const handle = await opened(server.address);
    const claim = await handle.lock("held").acquire({ ttl: "40s" });
    await undisturbed(handle, async (load) => {
      for (let round = 0; round < 2; round++) {
        await load.more(30);
        await server.kill();
        await server.start();
      }
      await load.more(30);
    });
    expect(claim.held).toBe(true);
    await handle.kv.put("fenced", 1, { fence: claim });
  });

  it("connections that break again and again: each write is done once, none is unknown", async () => {
    const proxy = await Proxy.open(server.address);
    closers.push(() => proxy.close());
    const handle = await opened(proxy.address);
    await undisturbed(handle, async (load) => {
      for (let round = 0; round < 15; round++) {
        await load.more(7);
        proxy.heal();
      }
      await load.more(20);
      expect(load.unknown).toEqual([]);
    });
  });

  it("two writers of the same keys over connections that break: each write is done once", async () => {
    const proxies = [await Proxy.open(server.address), await Proxy.open(server.address)];
    for (const proxy of proxies) closers.push(() => proxy.close());
    const handles = await Promise.all(proxies.map((proxy) => opened(proxy.address)));
    let acknowledged = 0;
    let over = false;
    const lanes = handles.flatMap((handle) =>
      Array.from({ length: 8 }, async (_, lane) => {
        for (let at = lane; !over; at++) {
          await handle.kv.put(`same/${at % 7}`, at, { timeout: "30s" });
          acknowledged++;
        }
      }),
    );
    for (let round = 0; round < 24; round++) {
      const begun = acknowledged;
      while (acknowledged < begun + 5 + round) await new Promise((resolve) => setTimeout(resolve, 2));
      proxies[round % 2]?.heal();
    }
    over = true;
    await Promise.all(lanes);
    for (const handle of handles) {
      const { entries } = await handle.kv.range({ prefix: "same/" });
      expect(entries.reduce((sum, { version }) => sum + version, 0)).toBe(acknowledged);
    }
  });

  it("a write whose time ends in silence: UNKNOWN_OUTCOME, and there once or not at all; one that waits behind it is not applied", async () => {
    const proxy = await Proxy.open(server.address);
    closers.push(() => proxy.close());
    const handle = await opened(proxy.address);
    await handle.kv.put("a", 0);
    proxy.cut();
    const first = handle.kv.put("a", 1, { timeout: "1s" });
    const second = handle.kv.put("a", 2, { timeout: "1s" });
    await expect(first).rejects.toMatchObject({ outcome: "unknown" });
    await expect(second).rejects.toMatchObject({ outcome: "not-applied" });
    proxy.heal();
    await handle.kv.put("b", 1, { timeout: "30s" });
    expect(await handle.kv.get("a")).toMatchObject({ value: 0, version: 1 });
  });

  it("silence until the session has expired: another session goes on where the first one was", async () => {
    const proxy = await Proxy.open(server.address);
    closers.push(() => proxy.close());
    const handle = await opened(proxy.address);
    const other = await opened(server.address);
    const claim = await handle.lock("held").acquire({ ttl: "60s" });
    await undisturbed(handle, async (load) => {
      await load.more(20);
      proxy.cut();
      for (let at = 0; at < 20; at++) await other.kv.put(`other/${at}`, at);
      await new Promise((resolve) => setTimeout(resolve, 13_000));
      proxy.heal();
      await load.more(20);
    });
    expect((await handle.kv.range({ prefix: "other/" })).count).toBe(20);
    expect(claim.held).toBe(true);
  });

  it("two writers at once: each comes through, and both see the same", async () => {
    const handles = [await opened(server.address), await opened(server.address)];
    const each = await Promise.all(
      handles.map((handle, who) => Promise.all(Array.from({ length: 150 }, (_, at) => handle.kv.put(`who/${who}/${at}`, at)))),
    );
    expect(new Set(each.flat().map(({ revision }) => revision)).size).toBe(300);
    // Who comes now reads the nodes; the others have only been told.
    const [first, second, third] = await Promise.all(
      [...handles, await opened(server.address)].map(async (handle) => {
        const entries: unknown[] = [];
        for await (const entry of handle.kv.entries({ prefix: "who/" })) entries.push(entry);
        return entries;
      }),
    );
    expect(first).toHaveLength(300);
    expect(second).toEqual(first);
    expect(third).toEqual(first);
  });

  it("who writes one after the other without end, and who writes many at once, starve neither of them", async () => {
    const loads = [new Load(await opened(server.address), 1, "one/"), new Load(await opened(server.address), 100, "many/")];
    for (let round = 0; round < 3; round++) await Promise.all(loads.map((load) => load.more(60)));
    await Promise.all(loads.map((load) => load.stop()));
    expect(loads.flatMap(({ unknown }) => unknown)).toEqual([]);
  });

  it("who comes later reads the same states, those of the past among them, as far as the history goes; what went is COMPACTED", async () => {
    const handle = await opened(server.address);
    const { revision: lost } = await handle.kv.put("k", "lost");
    for (let round = 0; round < 6; round++)
      await Promise.all(Array.from({ length: 850 }, (_, at) => handle.kv.put(`fill/${at}`, round, { timeout: "30s" })));
    const { revision: past } = await handle.kv.put("k", "past");
    const gone = await handle.kv.put("gone", 1);
    await handle.kv.delete("gone");
    await handle.kv.put("k", "now");
    const later = await opened(server.address);
    for (const each of [handle, later]) {
      expect((await each.kv.get("k", { revision: past }))?.value).toBe("past");
      expect((await each.kv.get("gone", { revision: gone.revision }))?.value).toBe(1);
      expect(await each.kv.get("k")).toMatchObject({ value: "now", version: 3, createRevision: lost });
      await expect(each.kv.get("k", { revision: lost })).rejects.toMatchObject({ code: "COMPACTED" });
      const watch = each.kv.watch({ key: "k" }, { from: lost });
      await expect(watch[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "COMPACTED" });
    }
    // While the oldest of the history goes with each write.
    const load = new Load(handle, 100, "busy/");
    await load.more(200);
    const joining = await Promise.all([opened(server.address), opened(server.address)]);
    for (const each of joining) expect((await each.kv.get("k"))?.value).toBe("now");
    await load.stop();
    const [first, ...others] = await Promise.all(
      [handle, ...joining].map(async (each) => {
        const entries: unknown[] = [];
        for await (const entry of each.kv.entries({ prefix: "" })) entries.push(entry);
        return entries;
      }),
    );
    for (const entries of others) expect(entries).toEqual(first);
  });

  it("a user's keys are nobody else's", async () => {
    const mine = await opened(`user:secret@${server.address}/mine`);
    await mine.kv.put("a", 1);
    const stranger = await connect(`zookeeper://${server.address}/mine`);
    closers.push(() => stranger.close());
    await expect(stranger.kv.get("a")).rejects.toMatchObject({ code: "FORBIDDEN", outcome: "not-applied" });
    await expect(stranger.kv.put("a", 2)).rejects.toMatchObject({ code: "FORBIDDEN", outcome: "not-applied" });
    expect((await mine.kv.get("a"))?.value).toBe(1);
    // Lists of access are not inherited: each node has its own.
    const lease = await mine.lease("30s");
    await mine.kv.put("b", 1, { lease });
    const streams = new NodeStreams();
    const zk = openZooKeeper(
      {
        clock: new NodeClock(),
        prng: new Prng(1),
        logger: silentLogger,
        dial: (address, timeoutMs) => streams.dial(address, { timeoutMs, purpose: "client" }),
      },
      { servers: server.address },
    );
    closers.push(() => zk.close());
    const lists = ["", "/kv", "/history", "/leases", "/writers"];
    const nodes = ["/kv/a", "/kv/b", "/head", "/history/0000000001", `/leases/${BigInt(lease.id).toString(16).padStart(16, "0")}`];
    for (const path of nodes) await expect(zk.get(`/mine${path}`)).rejects.toMatchObject({ code: "NO_AUTH" });
    for (const path of [...lists, ...nodes]) await expect(zk.children(`/mine${path}`)).rejects.toMatchObject({ code: "NO_AUTH" });
  });

  it("what does not fit into one request is TOO_LARGE, and nothing is in its way", async () => {
    const handle = await opened(server.address);
    const half = "x".repeat(500 * 1024);
    await handle.kv.put("a", half);
    await expect(handle.kv.put("a", half)).rejects.toMatchObject({ code: "TOO_LARGE", outcome: "not-applied" });
    await handle.kv.put("b", 1);
    await handle.kv.delete("a");
    expect((await handle.kv.range({ prefix: "" })).entries.map(({ key }) => key)).toEqual(["b"]);
  });

  it("a lease never has more keys than can end with it, those on their way among them", async () => {
    const handle = await opened(server.address);
    const lease = await handle.lease("30s");
    const value = "x".repeat(50 * 1024);
    const puts = await Promise.allSettled(Array.from({ length: 20 }, (_, at) => handle.kv.put(`k/${at}`, value, { lease })));
    expect(puts.filter(({ status }) => status === "fulfilled")).toHaveLength(7);
    for (const put of puts) if (put.status === "rejected") expect(put.reason).toMatchObject({ code: "TOO_LARGE", outcome: "not-applied" });
    await lease.revoke();
    expect((await handle.kv.range({ prefix: "k/" })).count).toBe(0);
  });

  it("a lease is not ended while it is renewed, and is when its holder is gone, by whoever is there", async () => {
    const proxy = await Proxy.open(server.address);
    closers.push(() => proxy.close());
    const holder = await opened(proxy.address);
    const witness = await opened(server.address);
    const lease = await holder.lease("2s");
    await holder.kv.put("mine", 1, { lease });
    for (const endMs = performance.now() + 6_000; performance.now() < endMs; ) {
      expect(await witness.kv.get("mine")).toBeDefined();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    proxy.cut();
    for (const endMs = performance.now() + 20_000; (await witness.kv.get("mine")) !== undefined; ) {
      if (lease.held) continue;
      if (performance.now() > endMs) throw new Error("the lease does not end");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(lease.held).toBe(false);
  });
});

describe.skipIf(zookeeperPath === undefined)("over an ensemble of ZooKeeper's", () => {
  it("what one server has acknowledged is read at every other, the leader among them", async () => {
    const servers = await ZooKeeperServer.openEnsemble(3);
    closers.push(() => Promise.all(servers.map((each) => each.close())));
    const handles = await Promise.all(servers.map(({ address }) => opened(address)));
    for (let at = 0; at < 300; at++) {
      const { revision } = (await handles[at % 3]?.kv.put("a", at)) ?? {};
      const read = await Promise.all(handles.map((handle) => handle.kv.get("a")));
      expect(read).toMatchObject(read.map(() => ({ value: at, revision })));
    }
  });

  it("each server killed, and made to stand still, the leader among them: nothing acknowledged is lost or done twice, the watch goes on, the lock is kept", async () => {
    const servers = await ZooKeeperServer.openEnsemble(3);
    closers.push(() => Promise.all(servers.map((each) => each.close())));
    const all = servers.map(({ address }) => address).join(",");
    const handle = await opened(all);
    // Writes as well, so that transactions meet.
    const other = await opened(all);
    const claim = await handle.lock("held").acquire({ ttl: "60s" });
    const beside = new Load(other, 2, "beside/");
    await undisturbed(handle, async (load) => {
      for (const each of servers) {
        await load.more(20);
        await each.kill();
        await load.more(20);
        await each.start();
      }
      for (const each of servers) {
        await load.more(20);
        each.pause();
        await load.more(20);
        each.resume();
      }
      await load.more(20);
    });
    await beside.stop();
    // Missing at once and there later: the read was behind. Missing in both: the write is lost.
    const missing = async (): Promise<unknown[]> => {
      const there = new Set<string>();
      for await (const entry of handle.kv.entries({ prefix: "beside/" })) there.add(entry.key);
      return beside.acknowledged.filter(({ key }) => !there.has(key));
    };
    const atOnce = await missing();
    expect({ atOnce, later: await missing() }).toEqual({ atOnce: [], later: [] });
    expect(claim.held).toBe(true);
    await handle.kv.put("fenced", 1, { fence: claim });
  });
});

it.skipIf(zookeeperPath === undefined)("TLS: whom the authority did not sign is not spoken to", async () => {
  const [own, another] = [0, 1].map(() => selfSigned(["localhost", "127.0.0.1"], 1, Date.now()));
  const single = await ZooKeeperServer.open();
  closers.push(() => single.close());
  // The server stands behind something that speaks TLS for it.
  const [, port = ""] = single.address.split(":");
  const front = createServer({ cert: own?.certificate, key: own?.key }, (near) => {
    const far = connectTcp({ host: "127.0.0.1", port: Number(port) });
    near.pipe(far).pipe(near);
    for (const [socket, peer] of [
      [near, far],
      [far, near],
    ] as const) {
      socket.on("error", () => peer.destroy());
      socket.on("close", () => peer.destroy());
    }
  });
  front.listen(0, "127.0.0.1");
  await once(front, "listening");
  closers.push(() => front.close());
  const address = `127.0.0.1:${(front.address() as AddressInfo).port}`;
  const handle = await opened(address, { tls: { authority: own?.certificate } });
  await handle.kv.put("a", 1);
  const wary = await connect(`zookeeper://${address}`, { tls: { authority: another?.certificate } });
  closers.push(() => wary.close());
  await expect(wary.kv.get("a", { timeout: "2s" })).rejects.toMatchObject({ outcome: "not-applied" });
});

it("nobody at home: not applied, within the call's time", async () => {
  const handle = await connect(`zookeeper://127.0.0.1:${await freePort()}`);
  closers.push(() => handle.close());
  const begunMs = performance.now();
  await expect(handle.kv.put("a", 1, { timeout: "1s" })).rejects.toMatchObject({ outcome: "not-applied" });
  await expect(handle.kv.get("a", { timeout: "1s" })).rejects.toMatchObject({ outcome: "not-applied" });
  await expect(handle.lease("5s", { timeout: "1s" })).rejects.toMatchObject({ outcome: "not-applied" });
  expect(performance.now() - begunMs).toBeLessThan(5_000);
});
