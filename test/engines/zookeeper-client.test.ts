/** The client of ZooKeeper's protocol beside a real server: what is a promise of the server's, and what becomes of it when connections break. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { digest, creatorAcl, isZooKeeperError, openZooKeeper } from "../../src/backends/zookeeper/client/index.ts";
import type { WatchEvent, ZooKeeper, ZooKeeperOptions } from "../../src/backends/zookeeper/client/index.ts";
import { Prng, isUnumError } from "../../src/base/index.ts";
import { NodeClock, NodeStreams } from "../../src/platform/node/index.ts";
import { silentLogger } from "../../src/ports/index.ts";
import { freePort } from "../support/ports.ts";
import { Proxy } from "../support/proxy.ts";
import { ZooKeeperServer, zookeeperPath } from "../support/zookeeper-server.ts";

if (zookeeperPath === undefined)
  console.log("ZooKeeper is skipped: no Java, or neither UNUM_TEST_ZOOKEEPER (a class path) nor Debian's package");

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array | undefined): string | undefined => (data === undefined ? undefined : new TextDecoder().decode(data));

const opened: ZooKeeper[] = [];
let seeds = 0;

function open(servers: string, options: Partial<ZooKeeperOptions> = {}): ZooKeeper {
  const streams = new NodeStreams();
  const zk = openZooKeeper(
    {
      clock: new NodeClock(),
      prng: new Prng(++seeds),
      logger: silentLogger,
      dial: (address, timeoutMs) => streams.dial(address, { timeoutMs, purpose: "client" }),
    },
    { servers, sessionTimeoutMs: 4_000, ...options },
  );
  opened.push(zk);
  return zk;
}

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "done";
  } catch (error) {
    if (isZooKeeperError(error) || isUnumError(error)) return error.code;
    throw error;
  }
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 30_000;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`still waiting: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Writes one node after the other until `stopped`: what was acknowledged, and what nobody knows of. */
async function writing(
  zk: ZooKeeper,
  parent: string,
  stopped: () => boolean,
): Promise<{ readonly acknowledged: string[]; readonly unknown: string[] }> {
  const acknowledged: string[] = [];
  const unknown: string[] = [];
  for (let i = 0; !stopped(); i++) {
    const name = String(i).padStart(6, "0");
    try {
      await zk.create(`${parent}/${name}`, bytes(name));
      acknowledged.push(name);
    } catch (error) {
      if (!isUnumError(error, "UNKNOWN_OUTCOME")) throw error;
      unknown.push(name);
    }
  }
  return { acknowledged, unknown };
}

describe.skipIf(zookeeperPath === undefined)("the client and a real ZooKeeper", () => {
  let server: ZooKeeperServer;

  beforeAll(async () => {
    server = await ZooKeeperServer.open();
  });

  afterAll(() => server.close());

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((zk) => zk.close()));
  });

  it("creates, reads, writes with versions and removes; refusals are named", async () => {
    const zk = open(server.address);
    const { path, stat } = await zk.create("/basic", bytes("one"));
    expect([path, stat.version, stat.dataBytes]).toEqual(["/basic", 0, 3]);
    expect(await refusal(zk.create("/basic", bytes("x")))).toBe("NODE_EXISTS");
    expect(await refusal(zk.create("/none/x", bytes("x")))).toBe("NO_NODE");
    const written = await zk.set("/basic", bytes("two"), { version: 0 });
    expect(written.version).toBe(1);
    expect(written.modifiedZxid > stat.modifiedZxid).toBe(true);
    expect(await refusal(zk.set("/basic", bytes("x"), { version: 0 }))).toBe("BAD_VERSION");
    const read = await zk.get("/basic");
    expect([text(read?.data), read?.stat]).toEqual(["two", written]);
    expect(await zk.exists("/basic")).toEqual(written);
    expect([await zk.get("/nothing"), await zk.exists("/nothing"), await zk.children("/nothing")]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    await Promise.all(["a", "b"].map((name) => zk.create(`/basic/${name}`, new Uint8Array(0))));
    expect((await zk.children("/basic"))?.children.toSorted()).toEqual(["a", "b"]);
    expect((await zk.get("/basic/a"))?.data.length).toBe(0);
    expect(await refusal(zk.remove("/basic"))).toBe("NOT_EMPTY");
    expect(await refusal(zk.remove("/basic/a", { version: 4 }))).toBe("BAD_VERSION");
    expect(await zk.remove("/basic/a")).toBe(zk.seenZxid);
    await zk.sync("/");
    expect(zk.leftMs()).toBeGreaterThan(2_000);
  });

  it("applies a multi whole or not at all, and names the operation that stood in the way", async () => {
    const zk = open(server.address);
    await zk.create("/multi", bytes("0"));
    const done = await zk.multi([
      { kind: "check", path: "/multi", version: 0 },
      { kind: "create", path: "/multi/s-", data: bytes("s"), mode: "persistent-sequential" },
      { kind: "set", path: "/multi", data: bytes("1"), version: 0 },
      { kind: "create", path: "/multi/gone", data: bytes("") },
      { kind: "remove", path: "/multi/gone" },
    ]);
    if (!done.applied) throw new Error(done.code);
    expect(done.results.map(({ kind }) => kind)).toEqual(["check", "create", "set", "create", "remove"]);
    expect(done.results[1]).toEqual({ kind: "create", path: "/multi/s-0000000000" });
    expect((await zk.get("/multi/s-0000000000"))?.stat.createdZxid).toBe(done.zxid);
    const refused = await zk.multi([
      { kind: "create", path: "/multi/x", data: bytes("x") },
      { kind: "check", path: "/multi", version: 0 },
      { kind: "remove", path: "/multi/s-0000000000" },
    ]);
    expect(refused).toEqual({ applied: false, failed: 1, code: "BAD_VERSION", path: "/multi" });
    expect((await zk.children("/multi"))?.children).toEqual(["s-0000000000"]);
    const { results } = await zk.multiRead([
      { kind: "get", path: "/multi" },
      { kind: "get", path: "/multi/x" },
      { kind: "children", path: "/multi" },
    ]);
    expect(results[0]).toMatchObject({ kind: "get", data: bytes("1"), stat: { version: 1 } });
    expect(results.slice(1)).toEqual([
      { kind: "error", code: "NO_NODE" },
      { kind: "children", children: ["s-0000000000"] },
    ]);
  });

  it("numbers sequential nodes, and takes ephemeral ones away with their session", async () => {
    const [zk, other] = [open(server.address), open(server.address)];
    await zk.create("/seq", bytes(""));
    const paths: string[] = [];
    for (let i = 0; i < 3; i++) paths.push((await zk.create("/seq/n-", bytes(""), { mode: "persistent-sequential" })).path);
    expect(paths).toEqual(["/seq/n-0000000000", "/seq/n-0000000001", "/seq/n-0000000002"]);
    const { path, stat } = await other.create("/seq/", bytes(""), { mode: "ephemeral-sequential" });
    expect([path, stat.ephemeralOwner]).toEqual(["/seq/0000000003", other.sessionId]);
    expect(await refusal(other.create(`${path}/x`, bytes("")))).toBe("NO_CHILDREN_FOR_EPHEMERALS");
    await other.close();
    await zk.sync();
    expect(await zk.exists(path)).toBeUndefined();
  });

  it("lies below its chroot, events included", async () => {
    await open(server.address).create("/root", bytes(""));
    const zk = open(`${server.address}/root`);
    const events: string[] = [];
    await zk.addWatch("/", ({ kind, path }) => events.push(`${kind} ${path}`), { recursive: true });
    expect((await zk.create("/a", bytes("1"))).path).toBe("/a");
    expect((await zk.create("/", bytes("1"), { mode: "persistent-sequential" })).path).toBe("/0000000001");
    expect(text((await open(server.address).get("/root/a"))?.data)).toBe("1");
    expect((await zk.children("/"))?.children.toSorted()).toEqual(["0000000001", "a"]);
    expect(events).toEqual(["created /a", "created /0000000001"]);
  });

  it("shows its credentials again after a lost connection", async () => {
    const proxy = await Proxy.open(server.address);
    try {
      const zk = open(proxy.address, { auth: [digest("u", "p")], acl: creatorAcl });
      await zk.create("/mine", bytes("1"));
      expect(await refusal(open(server.address).get("/mine"))).toBe("NO_AUTH");
      expect(await refusal(open(server.address, { auth: [digest("u", "q")] }).get("/mine"))).toBe("NO_AUTH");
      proxy.heal();
      expect(text((await zk.get("/mine"))?.data)).toBe("1");
      expect(text((await open(server.address, { auth: [digest("u", "p")] }).get("/mine"))?.data)).toBe("1");
    } finally {
      await proxy.close();
    }
  });

  it("tells once of what a read saw, and of a whole subtree until the watch is removed", async () => {
    const [zk, other] = [open(server.address), open(server.address)];
    await zk.create("/w", bytes(""));
    const once: WatchEvent[] = [];
    const all: string[] = [];
    await zk.exists("/w/later", { watch: (event) => once.push(event) });
    await zk.children("/w", { watch: (event) => once.push(event) });
    const watch = ({ kind, path }: WatchEvent): void => void all.push(`${kind} ${path}`);
    await zk.addWatch("/", watch, { recursive: true });
    await other.create("/w/later", bytes("1"));
    await other.create("/w/later/deep", bytes("1"));
    await other.set("/w/later", bytes("2"));
    await other.remove("/w/later/deep");
    await zk.sync();
    expect(once).toEqual([
      { kind: "created", path: "/w/later" },
      { kind: "children", path: "/w" },
    ]);
    expect(all).toEqual(["created /w/later", "created /w/later/deep", "changed /w/later", "deleted /w/later/deep"]);
    await zk.removeWatches("/", watch);
    await other.set("/w/later", bytes("3"));
    await zk.sync();
    expect(all).toHaveLength(4);
  });

  it("goes on with its session, its watches and its ephemeral nodes when the connection is cut", async () => {
    const proxy = await Proxy.open(server.address);
    try {
      const states: string[] = [];
      const zk = open(proxy.address, { onState: (state) => states.push(state) });
      const other = open(server.address);
      await zk.create("/cut", bytes("1"));
      await zk.create("/cut/e", bytes(""), { mode: "ephemeral" });
      const [once, lasting]: [string[], string[]] = [[], []];
      await zk.get("/cut", { watch: ({ kind, path }) => once.push(`${kind} ${path}`) });
      await zk.addWatch("/cut/e", ({ kind, path }) => lasting.push(`${kind} ${path}`));
      const { sessionId } = zk;
      proxy.cut();
      await other.set("/cut", bytes("2"));
      await other.set("/cut/e", bytes("2"));
      const read = zk.get("/cut");
      await until("the silence is noticed", () => states.includes("connecting"));
      proxy.heal();
      expect(text((await read)?.data)).toBe("2");
      expect([zk.sessionId, states]).toEqual([sessionId, ["connected", "connecting", "connected"]]);
      expect(once).toEqual(["changed /cut"]);
      expect(lasting).toEqual(["gap /cut/e"]);
      expect((await zk.exists("/cut/e"))?.ephemeralOwner).toBe(sessionId);
      await other.set("/cut/e", bytes("3"));
      await zk.sync();
      expect(lasting).toEqual(["gap /cut/e", "changed /cut/e"]);
    } finally {
      await proxy.close();
    }
  });

  it("says that its session has expired when it was away for too long, not earlier than it promised", async () => {
    const proxy = await Proxy.open(server.address);
    try {
      const states: string[] = [];
      const zk = open(proxy.address, { sessionTimeoutMs: 1_500, onState: (state) => states.push(state) });
      const other = open(server.address);
      await zk.create("/lock", bytes(""), { mode: "ephemeral" });
      proxy.cut();
      for (;;) {
        const left = zk.leftMs();
        const stat = await other.exists("/lock");
        if (zk.leftMs() > 0) expect(stat, `gone while ${left} ms were left`).toBeDefined();
        if (stat === undefined) break;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      proxy.heal();
      await until("it is told", () => states.includes("expired"));
      expect(await refusal(zk.get("/lock"))).toBe("SESSION_EXPIRED");
    } finally {
      await proxy.close();
    }
  });

  it("is refused by the server where the client refuses, too: requests above jute.maxbuffer", async () => {
    const zk = open(server.address);
    expect(await refusal(zk.create("/large", new Uint8Array(1024 * 1024)))).toBe("TOO_LARGE");
    const larger = open(server.address, { requestBytesMax: 2 ** 22 });
    expect(await refusal(larger.create("/large", new Uint8Array(1024 * 1024)))).toBe("UNKNOWN_OUTCOME");
    await zk.create("/large", new Uint8Array(0xfffff - 100));
    expect((await zk.get("/large"))?.data.length).toBe(0xfffff - 100);
  });

  it("pipelines a thousand calls in order", async () => {
    const zk = open(server.address, { callsMax: 2_000 });
    await zk.create("/many", bytes(""));
    const created = await Promise.all(
      Array.from({ length: 1_000 }, () => zk.create("/many/", bytes("x"), { mode: "persistent-sequential" })),
    );
    expect(created.map(({ path }) => path)).toEqual(created.map((_, i) => `/many/${String(i).padStart(10, "0")}`));
  });
});

describe.skipIf(zookeeperPath === undefined)("the client while a real ZooKeeper dies", () => {
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((zk) => zk.close()));
  });

  it("keeps every acknowledged write of a stream that a kill and a restart break, and the session with its nodes", async () => {
    const server = await ZooKeeperServer.open();
    try {
      // The second address never answers: the way back is found past it.
      const zk = open(`${server.address},127.0.0.1:${await freePort()}`, { sessionTimeoutMs: 8_000 });
      await zk.create("/stream", bytes(""));
      await zk.create("/mine", bytes(""), { mode: "ephemeral" });
      const { sessionId } = zk;
      let stopped = false;
      let connections = 0;
      const done = writing(zk, "/stream", () => stopped);
      for (; connections < 3; connections++) {
        const before = zk.seenZxid;
        await until("some writes", () => zk.seenZxid > before + 50n);
        await server.kill();
        await server.start();
      }
      const last = zk.seenZxid;
      await until("writes again", () => zk.seenZxid > last + 50n);
      stopped = true;
      const { acknowledged, unknown } = await done;
      expect(unknown.length).toBeLessThanOrEqual(connections);
      await zk.sync();
      const kept = new Set((await zk.children("/stream"))?.children);
      expect(acknowledged.filter((name) => !kept.has(name))).toEqual([]);
      expect([...kept].filter((name) => !acknowledged.includes(name) && !unknown.includes(name))).toEqual([]);
      expect([zk.sessionId, (await zk.exists("/mine"))?.ephemeralOwner]).toEqual([sessionId, sessionId]);
    } finally {
      await Promise.all(opened.splice(0).map((zk) => zk.close()));
      await server.close();
    }
  });

  it("notices a server that stands still, and ends its session there when it wakes", async () => {
    const server = await ZooKeeperServer.open();
    try {
      const zk = open(server.address, { sessionTimeoutMs: 2_000 });
      await zk.create("/a", bytes("1"));
      server.pause();
      await until("nothing is left", () => zk.leftMs() === 0);
      const write = refusal(zk.set("/a", bytes("2"), { timeoutMs: 500 }));
      expect(await write).toBe("TIMEOUT");
      server.resume();
      expect(["1", "2"]).toContain(text((await open(server.address).get("/a"))?.data));
    } finally {
      await Promise.all(opened.splice(0).map((zk) => zk.close()));
      await server.close();
    }
  });
});

describe.skipIf(zookeeperPath === undefined)("the client and an ensemble", () => {
  let servers: readonly ZooKeeperServer[] = [];

  beforeAll(async () => {
    servers = await ZooKeeperServer.openEnsemble(3);
  });

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((zk) => zk.close()));
  });

  afterAll(() => Promise.all(servers.map((server) => server.close())));

  const all = (): string => servers.map(({ address }) => address).join(",");

  it("reads what another session wrote elsewhere, after a sync", async () => {
    const each = servers.map(({ address }) => open(address));
    const [first] = each;
    await first?.create("/shared", bytes("0"));
    for (let i = 1; i <= 20; i++) {
      await each[i % each.length]?.set("/shared", bytes(String(i)));
      const reader = each[(i + 1) % each.length];
      await reader?.sync("/shared");
      expect(text((await reader?.get("/shared"))?.data)).toBe(String(i));
    }
  });

  it("keeps session, ephemeral nodes, watches and every acknowledged write while the server that has it dies, and then the leader", async () => {
    const zk = open(all(), { sessionTimeoutMs: 8_000 });
    const witness = open(all(), { sessionTimeoutMs: 8_000 });
    await zk.create("/stream", bytes(""));
    await zk.create("/mine", bytes(""), { mode: "ephemeral" });
    const { sessionId } = zk;
    // Rereads at each gap, as a cache does: at the end it must know every node.
    const known = new Set<string>();
    const reread = async (): Promise<void> => {
      for (const name of (await witness.children("/stream"))?.children ?? []) known.add(`/stream/${name}`);
    };
    const rereads: Promise<void>[] = [];
    await witness.addWatch(
      "/stream",
      ({ kind, path }) => {
        if (kind === "gap") rereads.push(reread());
        else if (kind === "created") known.add(path);
      },
      { recursive: true },
    );
    let stopped = false;
    const done = writing(zk, "/stream", () => stopped);
    const progress = async (): Promise<void> => {
      const before = zk.seenZxid;
      await until("writes go on", () => zk.state === "connected" && zk.seenZxid > before + 50n);
    };
    const victims: string[] = [];
    for (const isVictim of [(server: ZooKeeperServer) => server.has(zk.sessionId), (server: ZooKeeperServer) => server.leads()]) {
      await progress();
      for (const server of servers) {
        if (!(await isVictim(server))) continue;
        victims.push(server.address);
        await server.kill();
        await progress();
        await server.start();
      }
    }
    await progress();
    stopped = true;
    const { acknowledged, unknown } = await done;
    expect(victims.length).toBeGreaterThanOrEqual(2);
    await Promise.all([zk.sync(), witness.sync()]);
    await Promise.all(rereads);
    const kept = new Set((await zk.children("/stream"))?.children);
    expect(acknowledged.filter((name) => !kept.has(name))).toEqual([]);
    expect([...kept].filter((name) => !acknowledged.includes(name) && !unknown.includes(name))).toEqual([]);
    expect(acknowledged.filter((name) => !known.has(`/stream/${name}`))).toEqual([]);
    expect([zk.sessionId, (await zk.exists("/mine"))?.ephemeralOwner]).toEqual([sessionId, sessionId]);
  });
});
