import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { selfSigned } from "../../src/platform/node/self-signed.ts";
import { EtcdServer, programs, startServers } from "../support/etcd-server.ts";
import { GrpcClient } from "../support/grpc.ts";
import { freePort } from "../support/ports.ts";

const hosts = ["localhost", "127.0.0.1"];

interface Identity {
  readonly certificate: string;
  readonly key: string;
}

interface Secure {
  readonly server: EtcdServer;
  readonly port: number;
  readonly metrics: number;
}

let folder = "";
let server: Identity;
let known: Identity;
let stranger: Identity;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "unum-tls-"));
  [server, known, stranger] = [0, 1, 2].map(() => selfSigned(hosts, 1, Date.now())) as [Identity, Identity, Identity];
  writeFileSync(join(folder, "server.crt"), server.certificate);
  writeFileSync(join(folder, "server.key"), server.key);
  // A server that answers JSON by asking itself shows its own certificate: etcd does.
  writeFileSync(join(folder, "ca.crt"), known.certificate + server.certificate);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function start(program: readonly string[], name: string, more: readonly string[]): Promise<Secure> {
  const [port, peer, metrics] = [await freePort(), await freePort(), await freePort()];
  const url = `https://127.0.0.1:${port}`;
  const peers = [`--listen-peer-urls=http://127.0.0.1:${peer}`, `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`];
  const clients = [`--listen-client-urls=${url}`, `--advertise-client-urls=${url}`, `--listen-metrics-urls=http://127.0.0.1:${metrics}`];
  const flags = ["--name", name, ...peers, ...clients, `--initial-cluster=${name}=http://127.0.0.1:${peer}`, ...more];
  const secure = new EtcdServer([...program, ...flags], folder, `127.0.0.1:${port}`);
  secure.start();
  await secure.ready();
  return { server: secure, port, metrics };
}

/** Over HTTP/1.1. Rejects when the connection is refused. */
function post(
  port: number,
  path: string,
  body: object | undefined,
  ca: string,
  own?: Identity,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const method = body === undefined ? "GET" : "POST";
    const options = { host: "127.0.0.1", port, path, method, ca, cert: own?.certificate, key: own?.key, agent: false } as const;
    const asked = request(options, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: text }));
    });
    asked.on("error", reject);
    asked.end(body === undefined ? "" : JSON.stringify(body));
  });
}

/** What is spoken after both sides have agreed; "refused" when the server did not want this client. */
function agreed(port: number, ALPNProtocols: string[], ca: string, own?: Identity): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, ALPNProtocols, ca, cert: own?.certificate, key: own?.key }, () => {
      // With TLS 1.3 a client is refused after its own side is done: only an answer shows that it was not.
      socket.write(
        socket.alpnProtocol === "h2" ? "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" : "GET /version HTTP/1.1\r\nHost: x\r\n\r\n",
      );
    });
    socket.once("data", (first: Buffer) => {
      resolve(first.toString("latin1", 0, 8) === "HTTP/1.1" ? "http/1.1" : "h2");
      socket.destroy();
    });
    socket.on("error", () => resolve("refused"));
    socket.on("close", () => resolve("refused"));
  });
}

const key = Buffer.from("k").toString("base64");
const value = Buffer.from("v").toString("base64");

for (const [name, program] of Object.entries(programs)) {
  describe.skipIf(program === undefined)(`https client URLs: ${name}`, () => {
    it("answer gRPC and JSON on one port, as the client agrees, and metrics in clear text beside it", async () => {
      const made = await start(program ?? [], `${name}-open`, ["--cert-file=server.crt", "--key-file=server.key"]);
      const client = new GrpcClient([`127.0.0.1:${made.port}`], credentials.createSsl(Buffer.from(server.certificate)));
      try {
        expect(await agreed(made.port, ["h2", "http/1.1"], server.certificate)).toBe("h2");
        expect(await agreed(made.port, ["http/1.1"], server.certificate)).toBe("http/1.1");
        await client.call("etcdserverpb.KV", "Put", { key: Buffer.from("k"), value: Buffer.from("v") });
        const range = await post(made.port, "/v3/kv/range", { key }, server.certificate);
        expect([range.status, JSON.parse(range.body).kvs[0].value]).toEqual([200, value]);
        const metrics = await fetch(`http://127.0.0.1:${made.metrics}/metrics`);
        expect(await metrics.text()).toContain("etcd_server_has_leader 1");
        const elsewhere = await fetch(`http://127.0.0.1:${made.metrics}/v3/kv/range`, { method: "POST", body: JSON.stringify({ key }) });
        expect(elsewhere.status).toBe(404);
        await expect(post(made.port, "/version", undefined, stranger.certificate)).rejects.toThrow();
      } finally {
        client.close();
        await made.server.stop("SIGKILL");
      }
    });

    it("refuse a client without a certificate, and one whose certificate nobody vouches for", async () => {
      const files = ["--cert-file=server.crt", "--key-file=server.key", "--trusted-ca-file=ca.crt", "--client-cert-auth"];
      const made = await start(program ?? [], `${name}-auth`, files);
      const ca = server.certificate;
      const clients: GrpcClient[] = [];
      const put = (own?: Identity): Promise<unknown> => {
        const pem = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text));
        const client = new GrpcClient(
          [`127.0.0.1:${made.port}`],
          credentials.createSsl(Buffer.from(ca), pem(own?.key), pem(own?.certificate)),
        );
        clients.push(client);
        return client.call("etcdserverpb.KV", "Put", { key: Buffer.from("k"), value: Buffer.from("v") }, own === known ? 10_000 : 1_500);
      };
      try {
        for (const protocol of ["h2", "http/1.1"]) {
          const answers = [await agreed(made.port, [protocol], ca, known), await agreed(made.port, [protocol], ca)];
          expect([...answers, await agreed(made.port, [protocol], ca, stranger)]).toEqual([protocol, "refused", "refused"]);
        }
        await put(known);
        await expect(put()).rejects.toThrow();
        await expect(put(stranger)).rejects.toThrow();
        expect((await post(made.port, "/v3/kv/range", { key }, ca, known)).status).toBe(200);
        await expect(post(made.port, "/v3/kv/range", { key }, ca)).rejects.toThrow();
      } finally {
        for (const client of clients) client.close();
        await made.server.stop("SIGKILL");
      }
    });

    it("outlive what is no HTTP/2, and a client that breaks off", async () => {
      const made = await start(program ?? [], `${name}-odd`, ["--cert-file=server.crt", "--key-file=server.key"]);
      try {
        for (const bytes of ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x09\xff\x80\0\0\0"]) {
          await new Promise<void>((resolve) => {
            const socket = connect({ host: "127.0.0.1", port: made.port, ALPNProtocols: ["h2"], ca: server.certificate }, () =>
              socket.write(bytes, "latin1"),
            );
            socket.on("error", () => undefined);
            socket.on("close", () => resolve());
            socket.resume();
          });
        }
        expect((await post(made.port, "/version", undefined, server.certificate)).status).toBe(200);
      } finally {
        await made.server.stop("SIGKILL");
      }
    });

    it("need no files with --auto-tls", async () => {
      const made = await start(program ?? [], `${name}-auto`, ["--auto-tls"]);
      const client = new GrpcClient([`127.0.0.1:${made.port}`], credentials.createSsl(null, null, null, { rejectUnauthorized: false }));
      try {
        const put = await client.call("etcdserverpb.KV", "Put", { key: Buffer.from("k"), value: Buffer.from("v") });
        expect(put.header.revision).toBe("2");
      } finally {
        client.close();
        await made.server.stop("SIGKILL");
      }
    });
  });
}

/** gRPC's UNAVAILABLE. */
const unavailable = 14;

for (const [name, program] of Object.entries(programs)) {
  describe.skipIf(program === undefined)(`https peer URLs: ${name}`, () => {
    /** The revision. While members elect a leader a put may fail and be applied all the same: it is asked again. */
    const put = async (endpoints: readonly string[]): Promise<number> => {
      const client = new GrpcClient(endpoints);
      try {
        for (let attempt = 1; ; attempt++) {
          try {
            const { header } = await client.call("etcdserverpb.KV", "Put", { key: Buffer.from("k"), value: Buffer.from("v") });
            return Number(header.revision);
          } catch (error) {
            if ((error as { readonly code?: unknown }).code !== unavailable || attempt === 5) throw error;
          }
        }
      } finally {
        client.close();
      }
    };

    it("join members that show certificates, tell nobody else anything, and survive a member's death", async () => {
      const file = (at: string): string => join(folder, at);
      const files = [
        `--peer-cert-file=${file("server.crt")}`,
        `--peer-key-file=${file("server.key")}`,
        `--peer-trusted-ca-file=${file("ca.crt")}`,
      ];
      const cluster = await startServers(program ?? [], 3, [...files, "--peer-client-cert-auth"], "https");
      try {
        const first = await put(cluster.endpoints);
        expect(first).toBeGreaterThan(1);
        const port = Number(cluster.peers[0]?.split(":")[1]);
        expect(await agreed(port, ["http/1.1"], server.certificate)).toBe("refused");
        expect(await agreed(port, ["http/1.1"], server.certificate, stranger)).toBe("refused");
        await cluster.servers[0]?.stop("SIGKILL");
        const second = await put(cluster.endpoints.slice(1));
        expect(second).toBeGreaterThan(first);
        cluster.servers[0]?.start();
        await cluster.servers[0]?.ready();
        expect(await put(cluster.endpoints.slice(0, 1))).toBeGreaterThan(second);
      } finally {
        await cluster.close();
      }
    });

    it("need no files with --peer-auto-tls", async () => {
      const cluster = await startServers(program ?? [], 3, ["--peer-auto-tls"], "https");
      try {
        expect(await put(cluster.endpoints)).toBeGreaterThan(1);
      } finally {
        await cluster.close();
      }
    });
  });
}
