import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { etcdPath, etcdctl, etcdctlPath, startEtcd, startUnum } from "../support/etcd.ts";
import type { EtcdCluster, Spoken } from "../support/etcd.ts";

/** One line of a session with etcdctl, and what it reads. */
type Step = readonly [line: string, input?: string];

/** The last error line only: retries log before it. What differs by nature is named instead of shown. */
function normal({ code, out, err }: Spoken, endpoints: readonly string[]): string {
  const error = err
    .split("\n")
    .filter((line) => line.startsWith("Error:"))
    .join("\n");
  let text = `${code === 0 ? "" : `exit ${code}\n`}${out}${error}`;
  endpoints.forEach((endpoint, at) => {
    text = text.replaceAll(endpoint, `ENDPOINT-${at}`);
  });
  return text
    .replace(/"(cluster_id|member_id|raft_term|leader|ID|hash)":\d+/g, '"$1":N')
    .replace(/[0-9a-f]{15,16}/g, "ID")
    .replace(/took = [^\n]*/g, "took = T")
    .replace(/remaining\(\d+s\)/g, "remaining(T)")
    .replace(/http:\/\/127\.0\.0\.1:\d+/g, "URL")
    .trimEnd();
}

const sessions: Readonly<Record<string, readonly Step[]>> = {
  keys: [
    ["put a 1"],
    ["put a 2 --prev-kv"],
    ["put b 3"],
    ["get a"],
    ["get a --print-value-only"],
    ["get nobody"],
    ["get a c"],
    ["get --prefix ''"],
    ["get --from-key b --keys-only"],
    ["get a c --order=DESCEND --sort-by=VALUE"],
    ["get a c --limit=1"],
    ["get a c --count-only -w fields"],
    ["get a -w json"],
    ["get a --rev=2 -w json"],
    ["get a --rev=99999"],
    ["put c 9 --ignore-value"],
    ["put nobody --ignore-value"],
    ["put a --ignore-lease 5"],
    ["put x y --lease=123abc"],
    ["del a --prev-kv"],
    ["del nobody"],
    ["del --prefix b"],
    ["put from-stdin", "bytes of standard input"],
    ["get from-stdin"],
    ["get a --consistency=s"],
    ["put '' 1"],
  ],
  transactions: [
    ["put t 1"],
    ["txn", 'value("t") = "1"\n\nput t 2\nget t\n\nget t\n\n'],
    ["txn", 'value("t") = "1"\n\nput t 2\n\nget t\nput u 1\n\n'],
    ["txn", 'ver("t") > "0"\nmod("t") > "1"\ncreate("t") = "0"\n\nput t 3\n\ndel t --prev-kv\n\n'],
    ["txn -w json", 'lease("t") = "0"\n\nput v 3\ndel v\n\n\n'],
    ["txn -w json", "\nput v 3\n\n\n"],
    ["compaction 3"],
    ["compaction 3"],
    ["compaction 99999"],
    ["get t --rev=2"],
  ],
  leases: [
    ["lease grant 100"],
    ["lease revoke 123abc"],
    ["lease timetolive 123abc"],
    ["lease keep-alive 123abc --once"],
    ["lease grant 99999999999"],
  ],
  maintenance: [
    ["endpoint health"],
    ["alarm list"],
    ["alarm disarm"],
    ["defrag"],
    ["move-leader 123abc"],
    ["member remove 123abc"],
    ["member promote 123abc"],
    ["member update 123abc --peer-urls=http://127.0.0.1:1"],
    ["member add x --peer-urls=nonsense"],
  ],
};

/** One endpoint, so that the output has one order; only the leader can be asked to move. */
function pick(endpoints: readonly string[], line: string): readonly string[] {
  return line.startsWith("move-leader") ? endpoints : endpoints.slice(0, 1);
}

/** Words of a line, with '' for an empty one. */
function words(line: string): readonly string[] {
  return line.split(" ").map((word) => (word === "''" ? "" : word));
}

describe.skipIf(etcdctlPath === undefined)("etcdctl against three nodes of Unum", () => {
  let unum: EtcdCluster;
  let etcd: EtcdCluster | undefined;
  let folder = "";

  beforeAll(async () => {
    [unum, etcd] = await Promise.all([startUnum(), etcdPath === undefined ? undefined : startEtcd()]);
    folder = mkdtempSync(join(tmpdir(), "unum-etcdctl-"));
  });
  afterAll(async () => {
    await unum?.close();
    await etcd?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const run = (...args: readonly string[]): Promise<Spoken> => etcdctl(unum.endpoints, args);

  it.skipIf(etcdPath === undefined).each(Object.keys(sessions))("prints what it prints with a real etcd: %s", async (name) => {
    for (const [line, input] of sessions[name] ?? []) {
      const both = await Promise.all(
        [unum, etcd as EtcdCluster].map(async ({ endpoints }) =>
          normal(await etcdctl(pick(endpoints, line), words(line), input), endpoints),
        ),
      );
      expect(`${line}\n${both[0]}`).toBe(`${line}\n${both[1]}`);
    }
  });

  it("shows the members, their state and one hash", async () => {
    expect((await run("member", "list")).out.trim().split("\n")).toHaveLength(3);
    const status = JSON.parse((await run("endpoint", "status", "-w", "json")).out) as {
      Status: { leader: number; header: { member_id: number } };
    }[];
    expect(new Set(status.map(({ Status }) => Status.leader)).size).toBe(1);
    expect(new Set(status.map(({ Status }) => Status.header.member_id)).size).toBe(3);
    await run("put", "hash", "1");
    await expect
      .poll(
        async () =>
          new Set(
            (await run("endpoint", "hashkv")).out
              .trim()
              .split("\n")
              .map((line) => line.split(", ")[1]),
          ).size,
      )
      .toBe(1);
  });

  it("moves the leader", async () => {
    const members = (await run("member", "list")).out
      .trim()
      .split("\n")
      .map((line) => line.split(", "));
    type Status = { Endpoint: string; Status: { header: { member_id: number }; leader: number } };
    const status = JSON.parse((await run("endpoint", "status", "-w", "json")).out) as Status[];
    const leader = status.find(({ Status: one }) => one.leader === one.header.member_id)?.Endpoint;
    const target = members.find((member) => member[4] !== `http://${leader}`);
    const moved = await run("move-leader", target?.[0] ?? "");
    expect(moved.out).toContain("Leadership transferred from");
  });

  it("watches from the past, with previous values, and runs a command per event", async () => {
    const first = JSON.parse((await run("put", "w/1", "a", "-w", "json")).out) as { header: { revision: number } };
    await run("put", "w/1", "b");
    await run("del", "w/1");
    const watched = await etcdctl(unum.endpoints, ["watch", "--prefix", "w/", `--rev=${first.header.revision}`, "--prev-kv"], "", 2_000);
    expect(watched.out).toBe("PUT\nw/1\na\nPUT\nw/1\na\nw/1\nb\nDELETE\nw/1\nb\nw/1\n\n");
    const executed = await etcdctl(
      unum.endpoints,
      ["watch", "w/1", `--rev=${first.header.revision}`, "--", "sh", "-c", "echo run"],
      "",
      2_000,
    );
    expect(executed.out.match(/^run$/gm)?.length).toBe(3);
    const interactive = await etcdctl(unum.endpoints, ["watch", "-i"], `watch w/1 --rev=${first.header.revision}\n…`, 2_000);
    expect(interactive.out).toContain("DELETE");
  });

  it("saves a snapshot that its own check accepts", async () => {
    const path = join(folder, "snapshot");
    const saved = await etcdctl(unum.endpoints.slice(0, 1), ["snapshot", "save", path]);
    expect(saved.out).toContain("Snapshot saved");
    expect(existsSync(path) && readFileSync(path).length % 512).toBe(32);
  });

  it("keeps a lease alive, and its keys go with it", async () => {
    const id = /lease ([0-9a-f]+) granted/.exec((await run("lease", "grant", "100")).out)?.[1] ?? "";
    await run("put", "leased", "1", `--lease=${id}`);
    expect((await run("lease", "keep-alive", "--once", id)).out).toContain(`lease ${id} keepalived with TTL(100)`);
    expect((await run("lease", "timetolive", id, "--keys")).out).toContain("attached keys([leased])");
    expect((await run("lease", "list")).out).toContain(id);
    await run("lease", "revoke", id);
    expect((await run("get", "leased")).out).toBe("");
  });

  it("copies keys from cluster to cluster", async () => {
    await run("put", "mirror/1", "a");
    const mirrored = await etcdctl(
      unum.endpoints,
      ["make-mirror", "--prefix", "mirror/", "--dest-prefix", "copy/", unum.endpoints[0] ?? ""],
      "",
      3_000,
    );
    expect(mirrored.err).not.toContain("Error");
    expect((await run("get", "copy/1", "--print-value-only")).out).toBe("a\n");
  });

  it("excludes one another by its lock, and elects", async () => {
    const [one, two] = await Promise.all([run("lock", "l", "--", "echo", "held"), run("lock", "l", "--", "echo", "held")]);
    expect([one.out, two.out]).toEqual(["held\n", "held\n"]);
    const campaign = etcdctl(unum.endpoints, ["elect", "e", "me"], "", 3_000);
    await expect.poll(async () => (await etcdctl(unum.endpoints, ["elect", "-l", "e"], "", 1_000)).out).toContain("me");
    await campaign;
  });
});
