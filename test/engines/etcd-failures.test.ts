/** A handle over a real etcd while members die, stand still, and connections break. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, isUnumError } from "../../src/index.ts";
import type { EtcdPart, Unum } from "../../src/index.ts";
import { selfSigned } from "../../src/platform/node/self-signed.ts";
import { etcdPath, etcdctlPath } from "../support/etcd.ts";
import { EtcdServer, startServers } from "../support/etcd-server.ts";
import { freePort } from "../support/ports.ts";
import { Proxy } from "../support/proxy.ts";

type Servers = Awaited<ReturnType<typeof startServers>>;

const closers: (() => Promise<unknown> | unknown)[] = [];
let members: Servers;

async function opened(url: `etcd://${string}`, options: Parameters<typeof connect>[1] = {}): Promise<Unum<EtcdPart>> {
  const handle = await connect(url, options);
  closers.push(() => handle.close());
  await handle.ready;
  return handle;
}

/** Writes until `stopped`, one after the other: what was acknowledged, and how many nobody knows of. */
async function writing(
  unum: Unum<EtcdPart>,
  stopped: () => boolean,
): Promise<{ readonly acknowledged: number[]; readonly unknown: number[] }> {
  const acknowledged: number[] = [];
  const unknown: number[] = [];
  for (let i = 0; !stopped(); i++) {
    try {
      await unum.kv.put(`n/${String(i).padStart(6, "0")}`, i, { timeout: "20s" });
      acknowledged.push(i);
    } catch (error) {
      if (!isUnumError(error) || error.outcome !== "unknown") throw error;
      unknown.push(i);
    }
  }
  return { acknowledged, unknown };
}

/** Everything that a watch tells of the prefix, until a key comes. */
async function watchedUntil(
  unum: Unum<EtcdPart>,
  from: number,
  last: string,
): Promise<{ readonly key: string; readonly revision: number }[]> {
  const told: { readonly key: string; readonly revision: number }[] = [];
  for await (const change of unum.kv.watch({ prefix: "n/" }, { from })) {
    for (const event of change.events) told.push({ key: event.key, revision: change.revision });
    if (told.at(-1)?.key === last) break;
  }
  return told;
}

async function afterWrites(count: number, acknowledged: () => number): Promise<void> {
  const begun = acknowledged();
  for (const endMs = performance.now() + 60_000; acknowledged() < begun + count; ) {
    if (performance.now() > endMs) throw new Error(`no ${count} writes came through`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Writes and watches while `disturb` happens: no acknowledged write is lost, and the watch tells each once, in order. */
async function undisturbed(unum: Unum<EtcdPart>, disturb: (writes: (count: number) => Promise<void>) => Promise<void>): Promise<void> {
  const { revision } = await unum.kv.put("begin", 1);
  let over = false;
  const count = { written: 0 };
  const counted: Unum<EtcdPart>["kv"]["put"] = async (key, value, options) => {
    const done = await unum.kv.put(key, value, options);
    count.written++;
    return done;
  };
  const work = writing({ ...unum, kv: { ...unum.kv, put: counted } } as Unum<EtcdPart>, () => over);
  const watch = watchedUntil(unum, revision + 1, "n/end");
  await disturb((many) => afterWrites(many, () => count.written));
  over = true;
  const { acknowledged, unknown } = await work;
  await unum.kv.put("n/end", 1);
  const told = await watch;
  const keys: string[] = [];
  for await (const entry of unum.kv.entries({ prefix: "n/" })) keys.push(entry.key);
  const there = new Set(keys);
  expect(acknowledged.filter((i) => !there.has(`n/${String(i).padStart(6, "0")}`))).toEqual([]);
  // What nobody knows of may be there, also later than it was asked for; nothing else is, and the watch told exactly that.
  expect(keys.length).toBeLessThanOrEqual(acknowledged.length + unknown.length + 1);
  expect(told.map(({ key }) => key).sort()).toEqual(keys);
  const revisions = told.map(({ revision: at }) => at);
  expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
}

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describe.skipIf(etcdPath === undefined)("over a real etcd that breaks", () => {
  beforeEach(async () => {
    members = await startServers([etcdPath as string], 3);
    closers.push(() => members.close());
  });

  it("a member killed and started again: nothing acknowledged is lost, the watch goes on, the lock is kept", async () => {
    const unum = await opened(`etcd://${members.endpoints.join(",")}`);
    const claim = await unum.lock("held").acquire({ ttl: "20s" });
    await undisturbed(unum, async (writes) => {
      for (const server of members.servers) {
        await writes(20);
        await server.stop("SIGKILL");
        await writes(20);
        server.start();
        await server.ready();
      }
      await writes(20);
    });
    expect(claim.held).toBe(true);
    await unum.kv.put("fenced", 1, { fence: claim });
  });

  it("a member that stands still: others are asked, within ten seconds", async () => {
    const unum = await opened(`etcd://${members.endpoints.join(",")}`);
    await undisturbed(unum, async (writes) => {
      for (const server of members.servers) {
        await writes(10);
        server.signal("SIGSTOP");
        await writes(10);
        server.signal("SIGCONT");
      }
    });
  });

  it("a connection cut in the middle, and one that falls silent", async () => {
    const proxy = await Proxy.open(members.endpoints[0] ?? "");
    closers.push(() => proxy.close());
    const unum = await opened(`etcd://${proxy.address}`);
    const claim = await unum.lock("held").acquire({ ttl: "30s" });
    await undisturbed(unum, async (writes) => {
      await writes(20);
      proxy.heal();
      await writes(20);
      proxy.cut();
      // Longer than it takes to notice the silence.
      await new Promise((resolve) => setTimeout(resolve, 12_000));
      proxy.heal();
      await writes(20);
    });
    expect(claim.held).toBe(true);
  });

  it("nobody at home: UNAVAILABLE, not applied, within the call's time", async () => {
    const unum = await connect(`etcd://127.0.0.1:${await freePort()}`);
    closers.push(() => unum.close());
    const begunMs = performance.now();
    await expect(unum.kv.put("a", 1, { timeout: "1s" })).rejects.toMatchObject({ outcome: "not-applied" });
    expect(performance.now() - begunMs).toBeLessThan(5_000);
  });

  it("a compaction ends a watch from before it with COMPACTED", async () => {
    const unum = await opened(`etcd://${members.endpoints[0] ?? ""}`);
    const { revision } = await unum.kv.put("a", 1);
    await unum.kv.put("a", 2);
    await unum.kv.put("a", 3);
    const body = JSON.stringify({ revision: String(revision + 2) });
    expect((await fetch(`http://${members.endpoints[0]}/v3/kv/compaction`, { method: "POST", body })).status).toBe(200);
    const watch = unum.kv.watch({ key: "a" }, { from: revision });
    await expect(watch[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "COMPACTED" });
    await expect(unum.kv.get("a", { revision })).rejects.toMatchObject({ code: "COMPACTED" });
  });

  it.skipIf(etcdctlPath === undefined)(
    "users: a password opens, a wrong one is FORBIDDEN, and a token that a member has forgotten is asked for anew",
    async () => {
      const [endpoint = ""] = members.endpoints;
      const etcdctl = (...args: string[]): void => {
        const { status, stderr } = spawnSync(etcdctlPath as string, ["--endpoints", endpoint, ...args], {
          env: { ...process.env, ETCDCTL_API: "3" },
        });
        if (status !== 0) throw new Error(String(stderr));
      };
      etcdctl("user", "add", "root:pass word");
      etcdctl("user", "grant-role", "root", "root");
      etcdctl("auth", "enable");
      const unum = await opened(`etcd://root:pass%20word@${members.endpoints.join(",")}`);
      await unum.kv.put("a", 1);
      for (const [at, server] of members.servers.entries()) {
        await server.stop("SIGKILL");
        server.start();
        await server.ready();
        expect((await unum.kv.put("a", at)).revision).toBeGreaterThan(0);
      }
      const watch = unum.kv.watch({ key: "a" });
      await watch.started;
      await watch.close();
      const stranger = await connect(`etcd://root:wrong@${endpoint}`);
      closers.push(() => stranger.close());
      await expect(stranger.kv.get("a")).rejects.toMatchObject({ code: "FORBIDDEN", outcome: "not-applied" });
      const nobody = await connect(`etcd://${endpoint}`);
      closers.push(() => nobody.close());
      await expect(nobody.kv.put("a", 1)).rejects.toMatchObject({ code: "FORBIDDEN" });
    },
  );
});

it.skipIf(etcdPath === undefined)("TLS: whom the authority did not sign is not spoken to", async () => {
  const folder = mkdtempSync(join(tmpdir(), "unum-tls-"));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  const [own, other] = [0, 1].map(() => selfSigned(["localhost", "127.0.0.1"], 1, Date.now()));
  writeFileSync(join(folder, "server.crt"), own?.certificate ?? "");
  writeFileSync(join(folder, "server.key"), own?.key ?? "");
  const [port, peer] = [await freePort(), await freePort()];
  const client = `https://127.0.0.1:${port}`;
  const listen = ["--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", `http://127.0.0.1:${peer}`];
  const form = ["--initial-advertise-peer-urls", `http://127.0.0.1:${peer}`, "--initial-cluster", `s=http://127.0.0.1:${peer}`];
  const files = ["--cert-file", join(folder, "server.crt"), "--key-file", join(folder, "server.key")];
  const server = new EtcdServer([etcdPath as string, "--name", "s", ...listen, ...form, ...files], folder, `127.0.0.1:${port}`);
  closers.push(() => server.stop("SIGKILL"));
  server.start();
  await server.ready();
  const unum = await opened(`etcd://127.0.0.1:${port}`, { tls: { authority: own?.certificate } });
  await unum.kv.put("a", 1);
  const wary = await connect(`etcd://127.0.0.1:${port}`, { tls: { authority: other?.certificate } });
  closers.push(() => wary.close());
  await expect(wary.kv.get("a", { timeout: "2s" })).rejects.toMatchObject({ code: expect.stringMatching(/UNAVAILABLE|TIMEOUT/) });
});
