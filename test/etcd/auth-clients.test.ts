import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { credentials } from "@grpc/grpc-js";
import { Etcd3, Range } from "etcd3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { selfSigned } from "../../src/platform/node/self-signed.ts";
import { etcdctl, etcdctlPath } from "../support/etcd.ts";
import { EtcdServer, programs, startServers } from "../support/etcd-server.ts";
import { GrpcClient } from "../support/grpc.ts";
import { freePort } from "../support/ports.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "unum-auth-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const bytes = (text: string): Buffer => Buffer.from(text);

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "done";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function post(endpoint: string, path: string, body: object, ca: string, own: ReturnType<typeof selfSigned> | undefined): Promise<string> {
  const [host, port] = endpoint.split(":");
  return new Promise((resolve, reject) => {
    const options = { host, port, path, method: "POST", ca, cert: own?.certificate, key: own?.key, servername: "localhost" };
    const asked = request(options, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      answer.on("end", () => resolve(text));
    });
    asked.on("error", reject);
    asked.end(JSON.stringify(body));
  });
}

async function startOne(program: readonly string[], name: string, scheme: "http" | "https", more: readonly string[]): Promise<EtcdServer> {
  const [port, peer] = [await freePort(), await freePort()];
  const url = `${scheme}://127.0.0.1:${port}`;
  const peers = [`--listen-peer-urls=http://127.0.0.1:${peer}`, `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`];
  const flags = [`--listen-client-urls=${url}`, `--advertise-client-urls=${url}`, `--initial-cluster=${name}=http://127.0.0.1:${peer}`];
  const server = new EtcdServer([...program, "--name", name, ...peers, ...flags, ...more], folder, `127.0.0.1:${port}`);
  server.start();
  await server.ready();
  return server;
}

for (const [name, program] of Object.entries(programs)) {
  describe.skipIf(program === undefined)(`users of ${name}`, () => {
    it("log in again by themselves when their tokens have ended: the npm client etcd3", async () => {
      const cluster = await startServers(program ?? [], 3, ["--bcrypt-cost=4", "--auth-token-ttl=1"]);
      const hosts = cluster.endpoints.map((endpoint) => `http://${endpoint}`);
      const admin = new Etcd3({ hosts });
      const user = new Etcd3({ hosts, auth: { username: "app", password: "secret" } });
      try {
        await admin.user("root").create("pw");
        await admin.role("root").create();
        await admin.user("root").addRole("root");
        const role = admin.role("app");
        await role.create();
        await role.grant({ permission: "Readwrite", range: Range.prefix("app/") });
        await admin.user("app").create("secret");
        await admin.user("app").addRole("app");
        await admin.auth.authEnable();
        for (let round = 0; round < 3; round++) {
          await user.put("app/1").value(round);
          expect(await user.get("app/1").number()).toBe(round);
          expect(await refusal(user.put("other").value("x").exec())).toContain("permission denied");
          // Longer than the time to live.
          await new Promise((resolve) => setTimeout(resolve, 2_500));
        }
        expect(await user.lock("app/lock").do(async () => "held")).toBe("held");
        expect(await refusal(admin.get("app/1").exec())).toContain("user name is empty");
        const intruder = new Etcd3({ hosts, auth: { username: "app", password: "wrong" } });
        expect(await refusal(intruder.get("app/1").exec())).toContain("authentication failed");
        intruder.close();
      } finally {
        user.close();
        admin.close();
        await cluster.close();
      }
    });

    it("are those whom their certificates name, but not through JSON", async () => {
      const server = selfSigned(["localhost", "127.0.0.1"], 1, Date.now());
      const [root, alice, nobody] = ["root", "alice", "nobody"].map((user) => selfSigned(["localhost"], 1, Date.now(), user));
      const ca = [server, root, alice, nobody].map((identity) => identity?.certificate).join("");
      for (const [file, text] of [
        ["server.crt", server.certificate],
        ["server.key", server.key],
        ["ca.crt", ca],
      ] as const) {
        writeFileSync(join(folder, file), text);
      }
      const files = ["--cert-file=server.crt", "--key-file=server.key", "--trusted-ca-file=ca.crt", "--client-cert-auth"];
      const made = await startOne(program ?? [], `${name}-names`, "https", files);
      const clients: GrpcClient[] = [];
      const as = (identity: ReturnType<typeof selfSigned> | undefined): GrpcClient => {
        const key = bytes(identity?.key ?? "");
        const security = credentials.createSsl(bytes(server.certificate), key, bytes(identity?.certificate ?? ""));
        const client = new GrpcClient([made.client], security);
        clients.push(client);
        return client;
      };
      try {
        const [admin, user, other] = [as(root), as(alice), as(nobody)];
        const auth = (method: string, request: object): Promise<unknown> => admin.call("etcdserverpb.Auth", method, request);
        for (const user of ["root", "alice"]) await auth("UserAdd", { name: user, options: { no_password: true } });
        await auth("UserGrantRole", { user: "root", role: "root" });
        await auth("RoleAdd", { name: "r" });
        await auth("RoleGrantPermission", { name: "r", perm: { permType: "READWRITE", key: bytes("a") } });
        await auth("UserGrantRole", { user: "alice", role: "r" });
        await auth("AuthEnable", {});
        const put = (client: GrpcClient, key: string): Promise<string> =>
          refusal(client.call("etcdserverpb.KV", "Put", { key: bytes(key), value: bytes("1") }));
        expect([await put(user, "a"), await put(admin, "b")]).toEqual(["done", "done"]);
        expect(await put(user, "b")).toContain("permission denied");
        expect(await put(other, "a")).toContain("permission denied");
        expect(await refusal(user.call("etcdserverpb.Auth", "UserList", {}))).toContain("permission denied");
        expect(await refusal(auth("UserList", {}))).toBe("done");
        // etcd 3.4 does not even look at such a request.
        const answer = await post(made.client, "/v3/kv/range", { key: btoa("a") }, server.certificate, alice);
        expect(answer).toMatch(name === "unum" ? /user name is empty/ : /CommonName of client .* will be ignored/);
      } finally {
        for (const client of clients) client.close();
        await made.stop("SIGKILL");
      }
    });
  });
}

describe.skipIf(etcdctlPath === undefined)("a backup", () => {
  it("holds users and roles, and who restores it finds them enforced", async () => {
    const [node = "", unum = ""] = programs.unum ?? [];
    const before = await startOne(programs.unum ?? [], "before", "http", ["--data-dir=before"]);
    const session = (server: EtcdServer, line: string) => etcdctl([server.client], line.split(" "));
    const file = join(folder, "backup");
    for (const line of [
      "user add root:pw",
      "user add alice:wonder",
      "role add r",
      "role grant-permission r readwrite a",
      "user grant-role alice r",
      "user grant-role root root",
      "auth enable",
      "put a before --user alice:wonder",
      `snapshot save ${file} --user root:pw`,
    ]) {
      const { code, err } = await session(before, line);
      expect([line, code, code === 0 ? "" : err]).toEqual([line, 0, ""]);
    }
    await before.stop("SIGKILL");
    await promisify(execFile)(node, [unum, "snapshot", "restore", file, "--data", join(folder, "after"), "--name", "after"]);
    const after = await startOne(programs.unum ?? [], "after", "http", ["--data-dir=after"]);
    try {
      expect((await session(after, "get a --user alice:wonder")).out).toBe("a\nbefore\n");
      // The mark of before is above the record of before: the first write has to write the record again.
      expect((await session(after, "put a after --user alice:wonder")).out).toBe("OK\n");
      expect((await session(after, "put b after --user alice:wonder")).err).toContain("permission denied");
      expect((await session(after, "put a after")).err).toContain("user name is empty");
      expect((await session(after, "user delete alice --user root:pw")).out).toContain("User alice deleted");
      expect((await session(after, "get a --user alice:wonder")).err).toContain("authentication failed");
    } finally {
      await after.stop("SIGKILL");
    }
  });
});
