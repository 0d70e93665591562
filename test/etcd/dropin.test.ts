import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { EtcdServer, programs, startServers } from "../support/etcd-server.ts";
import { etcdctl, etcdctlPath } from "../support/etcd.ts";
import { freePort } from "../support/ports.ts";

/** A harness that knows only etcd: it must not be able to tell which program it has started. */
for (const [name, program] of Object.entries(programs)) {
  describe.skipIf(program === undefined || etcdctlPath === undefined)(`started as etcd is started: ${name}`, () => {
    const command = program ?? [];

    it("says which etcd it is", () => {
      const [file = "", ...args] = command;
      expect(execFileSync(file, [...args, "--version"], { encoding: "utf8" })).toMatch(/^etcd Version: 3\.\d+\.\d+\n/);
    });

    it("forms a cluster of three by --initial-cluster, lives on without one, takes it back, and ends in order", async () => {
      const flags = ["--heartbeat-interval=100", "--election-timeout", "1000", "--snapshot-count=10000", "--auto-compaction-retention=1"];
      const { close, endpoints, servers } = await startServers(command, 3, flags);
      try {
        const say = async (at: readonly string[], line: string): Promise<string> => {
          const { code, err, out } = await etcdctl(at, line.split(" "));
          return code === 0 ? out : `exit ${code}: ${err}`;
        };
        const members = async (): Promise<readonly string[]> =>
          (await say(endpoints, "member list"))
            .trim()
            .split("\n")
            .map((row) => row.split(", ").slice(1, 3).join(" "))
            .sort((a, b) => (a < b ? -1 : 1));
        expect(await members()).toEqual(["started m1", "started m2", "started m3"]);
        expect(await say(endpoints, "put a 1")).toBe("OK\n");
        const [first, ...others] = servers;
        const rest = endpoints.slice(1);

        expect(await first?.stop("SIGKILL")).toBeNull();
        let answer = "";
        for (let i = 0; i < 5 && answer !== "OK\n"; i++) answer = await say(rest, "put a 2");
        expect(answer).toBe("OK\n");

        first?.start();
        await first?.ready();
        expect(await say(endpoints.slice(0, 1), "get a --print-value-only")).toBe("2\n");
        expect(await members()).toEqual(["started m1", "started m2", "started m3"]);

        // The last of them has no quorum to wait for, and ends all the same. etcd 3.4 ends by the signal, later versions with 0.
        const codes: unknown[] = [];
        for (const server of [first, ...others]) codes.push(await server?.stop("SIGTERM"));
        if (name === "unum") expect(codes).toEqual([0, 0, 0]);
        else for (const code of codes) expect([0, null]).toContain(code);
      } finally {
        await close();
      }
    });

    it("takes a member that was announced, started with the variables that etcdctl printed", async () => {
      const { close, endpoints } = await startServers(command, 1);
      const folder = mkdtempSync(join(tmpdir(), "unum-added-"));
      const [peer, client] = [`http://127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
      const added = await etcdctl(endpoints, ["member", "add", "late", `--peer-urls=${peer}`]);
      const printed = Object.fromEntries([...added.out.matchAll(/^(ETCD_\w+)="(.*)"$/gm)].map(([, variable, value]) => [variable, value]));
      const urls = [`--listen-peer-urls=${peer}`, `--listen-client-urls=http://${client}`, `--advertise-client-urls=http://${client}`];
      const late = new EtcdServer([...command, ...urls], folder, client, printed);
      try {
        expect(Object.keys(printed).sort((a, b) => (a < b ? -1 : 1))).toEqual([
          "ETCD_INITIAL_ADVERTISE_PEER_URLS",
          "ETCD_INITIAL_CLUSTER",
          "ETCD_INITIAL_CLUSTER_STATE",
          "ETCD_NAME",
        ]);
        late.start();
        await late.ready();
        expect((await etcdctl([client], ["put", "a", "1"])).out).toBe("OK\n");
        const listed = (await etcdctl(endpoints, ["member", "list"])).out.trim().split("\n");
        const names = listed.map((row) => row.split(", ").slice(1, 3).join(" "));
        expect(names.sort((a, b) => (a < b ? -1 : 1))).toEqual(["started late", "started m1"]);
      } finally {
        await late.stop("SIGKILL");
        await close();
        rmSync(folder, { recursive: true, force: true });
      }
    });

    it("compacts by itself what is older than it was told to keep", async () => {
      const { close, endpoints } = await startServers(command, 1, ["--auto-compaction-mode=periodic", "--auto-compaction-retention=2s"]);
      try {
        for (const value of ["1", "2", "3"]) await etcdctl(endpoints, ["put", "a", value]);
        expect((await etcdctl(endpoints, ["get", "a", "--rev=2", "--print-value-only"])).out).toBe("1\n");
        const old = async (): Promise<string> => (await etcdctl(endpoints, ["get", "a", "--rev=2"])).err;
        await vi.waitFor(async () => expect(await old()).toContain("required revision has been compacted"), {
          timeout: 15_000,
          interval: 300,
        });
        expect((await etcdctl(endpoints, ["get", "a", "--print-value-only"])).out).toBe("3\n");
      } finally {
        await close();
      }
    });

    it("refuses writes beyond the quota with the alarm NOSPACE, while reads and deletions go on", async () => {
      const { close, endpoints } = await startServers(command, 1, ["--quota-backend-bytes", String(2 * 1024 * 1024)]);
      try {
        let refusal = "";
        for (let i = 0; i < 20 && refusal === ""; i++) {
          const { code, err } = await etcdctl(endpoints, ["put", `k${i}`], "v".repeat(300_000));
          if (code !== 0) refusal = err;
        }
        expect(refusal).toContain("etcdserver: mvcc: database space exceeded");
        const alarms = async (): Promise<string> => (await etcdctl(endpoints, ["alarm", "list"])).out;
        await vi.waitFor(async () => expect(await alarms()).toMatch(/^memberID:\d+ alarm:NOSPACE /), { timeout: 10_000 });
        expect(await (await fetch(`http://${endpoints[0]}/health`)).text()).toContain('"health":"false"');
        expect((await etcdctl(endpoints, ["get", "k0", "--keys-only"])).out).toContain("k0");
        expect((await etcdctl(endpoints, ["del", "k", "--prefix"])).code).toBe(0);
        // The way out that etcd's manual describes: compact, defragment, disarm.
        const { header } = JSON.parse((await etcdctl(endpoints, ["get", "k0", "-w", "json"])).out) as { header: { revision: number } };
        for (const line of [`compaction ${header.revision}`, "defrag", "alarm disarm"]) {
          expect([line, (await etcdctl(endpoints, line.split(" "))).code]).toEqual([line, 0]);
        }
        expect(await alarms()).toBe("");
        expect((await etcdctl(endpoints, ["put", "after", "it"])).out).toBe("OK\n");
      } finally {
        await close();
      }
    });
  });
}

describe.skipIf(programs.etcd === undefined || etcdctlPath === undefined)("taking over from an etcd", () => {
  it("copies its keys with make-mirror, those that change meanwhile too", async () => {
    const from = await startServers(programs.etcd ?? [], 1);
    const to = await startServers(programs.unum ?? [], 1);
    try {
      for (const key of ["a", "b", "c"]) await etcdctl(from.endpoints, ["put", key, `${key}-value`]);
      const mirror = etcdctl(from.endpoints, ["make-mirror", ...to.endpoints], "", 4_000);
      const read = async (key: string): Promise<string> => (await etcdctl(to.endpoints, ["get", key, "--print-value-only"])).out.trim();
      await vi.waitFor(async () => expect(await read("c")).toBe("c-value"), { timeout: 3_000 });
      await etcdctl(from.endpoints, ["put", "later", "too"]);
      await mirror;
      expect([await read("a"), await read("b"), await read("c"), await read("later")]).toEqual(["a-value", "b-value", "c-value", "too"]);
    } finally {
      await from.close();
      await to.close();
    }
  });
});
