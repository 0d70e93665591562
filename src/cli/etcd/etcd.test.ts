import { describe, expect, it } from "vitest";
import { utf8Encode } from "../../base/index.ts";
import type { StartRequest } from "../context.ts";
import { FakeWorld } from "../fake.golden.ts";
import { runCli } from "../program.ts";
import { etcdFlagNames, etcdFlagOf, etcdFlags } from "./flags.ts";
import { planOf } from "./plan.ts";
import type { EtcdPlan } from "./plan.ts";
import { readEtcdInput } from "./read.ts";
import { readYaml } from "./yaml.ts";

/** As their own --help lists them. */
const flagsOf34 =
  "advertise-client-urls auth-token auth-token-ttl auto-compaction-mode auto-compaction-retention auto-tls backend-batch-interval backend-batch-limit bcrypt-cost cert-file cipher-suites client-cert-allowed-hostname client-cert-auth client-crl-file cors data-dir debug discovery discovery-fallback discovery-proxy discovery-srv discovery-srv-name election-timeout enable-pprof enable-v2 experimental-backend-bbolt-freelist-type experimental-compaction-batch-limit experimental-corrupt-check-time experimental-enable-lease-checkpoint experimental-enable-v2v3 experimental-initial-corrupt-check experimental-peer-skip-client-san-verification experimental-warning-apply-duration experimental-watch-progress-notify-interval force-new-cluster grpc-keepalive-interval grpc-keepalive-min-time grpc-keepalive-timeout heartbeat-interval host-whitelist initial-advertise-peer-urls initial-cluster initial-cluster-state initial-cluster-token initial-election-tick-advance key-file listen-client-urls listen-metrics-urls listen-peer-urls log-level log-outputs log-package-levels logger max-concurrent-streams max-request-bytes max-snapshots max-txn-ops max-wals metrics name peer-auto-tls peer-cert-allowed-cn peer-cert-allowed-hostname peer-cert-file peer-client-cert-auth peer-crl-file peer-key-file peer-trusted-ca-file pre-vote proxy proxy-dial-timeout proxy-failure-wait proxy-read-timeout proxy-refresh-interval proxy-write-timeout quota-backend-bytes snapshot-count strict-reconfig-check trusted-ca-file wal-dir config-file";
const addedBy36 =
  "backend-bbolt-freelist-type bootstrap-defrag-threshold-megabytes client-cert-file client-key-file compact-hash-check-time compaction-batch-limit compaction-sleep-interval corrupt-check-time discovery-cacert discovery-cert discovery-dial-timeout discovery-endpoints discovery-insecure-skip-tls-verify discovery-insecure-transport discovery-keepalive-time discovery-keepalive-timeout discovery-key discovery-password discovery-request-timeout discovery-token discovery-user distributed-tracing-address distributed-tracing-instance-id distributed-tracing-sampling-rate distributed-tracing-service-name downgrade-check-time enable-distributed-tracing enable-grpc-gateway enable-log-rotation feature-gates listen-client-http-urls log-format log-rotation-config-json max-learners memory-mlock peer-client-cert-file peer-client-key-file peer-skip-client-san-verification raft-read-timeout raft-write-timeout self-signed-cert-validity snapshot-catchup-entries socket-reuse-address socket-reuse-port tls-max-version tls-min-version unsafe-no-fsync v2-deprecation warning-apply-duration warning-unary-request-duration watch-progress-notify-interval experimental-bootstrap-defrag-threshold-megabytes experimental-compact-hash-check-enabled experimental-compact-hash-check-time experimental-compaction-sleep-interval experimental-distributed-tracing-address experimental-distributed-tracing-instance-id experimental-distributed-tracing-sampling-rate experimental-distributed-tracing-service-name experimental-downgrade-check-time experimental-enable-distributed-tracing experimental-enable-lease-checkpoint-persist experimental-memory-mlock experimental-snapshot-catchup-entries experimental-stop-grpc-service-on-defrag experimental-txn-mode-write-with-shared-buffer experimental-warning-unary-request-duration";

async function plan(args: string, world = new FakeWorld()): Promise<EtcdPlan> {
  return planOf(await readEtcdInput(world.context(), args === "" ? [] : args.split(" ")));
}

async function mistake(args: string, world = new FakeWorld()): Promise<string> {
  return plan(args, world).then(
    () => "none",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

const three = "--name b --initial-cluster a=http://10.0.0.1:2380,b=http://10.0.0.2:2380,c=http://c.example:2380";
const here = "--listen-peer-urls http://10.0.0.2:2380 --initial-advertise-peer-urls http://10.0.0.2:2380";

describe("the table of etcd's flags", () => {
  it("knows every flag of etcd 3.4 and 3.6, with a meaning", () => {
    const unknown = `${flagsOf34} ${addedBy36}`.split(" ").filter((name) => etcdFlagOf(name) === undefined);
    expect(unknown).toEqual([]);
    for (const name of etcdFlagNames) expect([name, etcdFlags[name].meaning.length > 10]).toEqual([name, true]);
    expect(etcdFlagOf("experimental-name")).toBeUndefined();
  });
});

describe("a command line of etcd", () => {
  it("means etcd's defaults where it says nothing", async () => {
    const { clientUrls, compaction, data, node, ports, tls } = await plan("");
    expect(data).toBe("default.etcd");
    expect(node).toMatchObject({ name: "default", listen: "127.0.0.1:2380", advertise: "localhost:2380", seeds: undefined });
    expect(ports).toEqual([{ listen: { host: "127.0.0.1", port: 2379 }, secure: false, probesOnly: false }]);
    expect([clientUrls, compaction, tls]).toEqual([["http://localhost:2379"], undefined, undefined]);
  });

  it("forms a cluster of the members listed, and joins one that exists without being able to form another", async () => {
    const seeds = ["10.0.0.1:2380", "10.0.0.2:2380", "c.example:2380"];
    expect((await plan(`${three} ${here}`)).node).toMatchObject({ name: "b", seeds, expect: "3", voters: "3" });
    const joins = await plan(`${three} ${here} --initial-cluster-state existing`);
    expect(joins.node).toMatchObject({ seeds: ["10.0.0.1:2380", "c.example:2380"], expect: "2" });
  });

  it("takes Go's ways to write flags, and variables below them", async () => {
    const world = new FakeWorld();
    Object.assign(world.environment, { ETCD_NAME: "from-variable", ETCD_DATA_DIR: "/data", ETCD_VERSION: "v3", ETCD_NONSENSE: "1" });
    const input = await readEtcdInput(world.context(), [
      "-name=x",
      "--enable-v2=false",
      "-quota-backend-bytes",
      "8388608",
      "--snapshot-count=5",
    ]);
    expect([input.text("name"), input.source("name"), input.text("data-dir"), input.source("data-dir")]).toEqual([
      "x",
      "--name",
      "/data",
      "ETCD_DATA_DIR",
    ]);
    expect([input.withoutEffect, input.unknownVariables]).toEqual([["snapshot-count"], ["ETCD_NONSENSE"]]);
    expect(planOf(input).node.maxBytes).toBe("8388608");
  });

  it("is refused by the flag's name where Unum cannot do what it asks", async () => {
    const refusals: readonly (readonly [string, string])[] = [
      ["--wal-dir /x", "--wal-dir is not supported"],
      ["--peer-crl-file x", "--peer-crl-file is not supported"],
      ["--listen-peer-urls https://127.0.0.1:1 --initial-advertise-peer-urls https://127.0.0.1:1", "--peer-cert-file and --peer-key-file"],
      ["--experimental-memory-mlock", "--experimental-memory-mlock is not supported"],
      ["--initial-cluster default=https://localhost:2380", "--initial-cluster names"],
      ["--auth-token jwt,pub-key=x", "--auth-token takes simple"],
      ["--max-txn-ops 1000", "--max-txn-ops is from 1 to 128"],
      ["--nmae x", "etcd has no flag --nmae"],
      ["--name", "--name needs a value"],
      ["x", '"x" is not a flag of etcd'],
      ["--election-timeout 300", "--election-timeout is at least five times"],
      ["--listen-client-urls http://127.0.0.1:1", "--advertise-client-urls must be given"],
      ["--listen-client-urls http://example.com:1 --advertise-client-urls http://x:1", "--listen-client-urls takes IP addresses"],
      ["--listen-client-urls unix:///tmp/x --advertise-client-urls http://x:1", "--listen-client-urls names"],
      ["--listen-client-urls https://127.0.0.1:1 --advertise-client-urls https://x:1", "--cert-file and --key-file"],
      ["--initial-cluster a=http://10.0.0.1:2380", '--initial-cluster does not name this member, "default"'],
      [`${three} --initial-advertise-peer-urls http://10.0.0.9:2380`, "--initial-cluster has b=http://10.0.0.2:2380"],
      ["--initial-cluster-state existing", "--initial-cluster-state existing needs the other members"],
      [
        "--client-cert-auth --auto-tls --listen-client-urls https://127.0.0.1:1 --advertise-client-urls https://x:1",
        "--trusted-ca-file is needed",
      ],
      ["--quota-backend-bytes lots", "--quota-backend-bytes takes a number"],
      ["--auto-compaction-retention soon", "--auto-compaction-retention takes hours"],
      ["--log-level loud", "--log-level takes"],
    ];
    for (const [args, wanted] of refusals) expect([args, await mistake(args)]).toEqual([args, expect.stringContaining(wanted)]);
    expect(await mistake("--proxy off --force-new-cluster=false --pre-vote=false --strict-reconfig-check")).toBe("none");
  });

  it("says how users are known", async () => {
    const { certificatesNameUsers, passwordCost, tokenMs } = await plan("");
    expect([certificatesNameUsers, passwordCost, tokenMs]).toEqual([false, 10, 300_000]);
    const made = await plan("--bcrypt-cost 5 --auth-token-ttl 20");
    expect([made.passwordCost, made.tokenMs]).toEqual([5, 20_000]);
    const odd = await plan("--bcrypt-cost 99 --auth-token-ttl 0");
    expect([odd.passwordCost, odd.tokenMs]).toEqual([10, 300_000]);
  });

  it("says what history is kept", async () => {
    expect((await plan("--auto-compaction-retention 2")).compaction).toEqual({ mode: "periodic", retentionMs: 7_200_000 });
    expect((await plan("--auto-compaction-retention 1m30s")).compaction).toEqual({ mode: "periodic", retentionMs: 90_000 });
    expect((await plan("--auto-compaction-mode=revision --auto-compaction-retention=100")).compaction).toEqual({
      mode: "revision",
      revisions: 100,
    });
  });

  it("as a control plane's manifest has it: several secure client URLs, and metrics in clear text", async () => {
    const tls = "--cert-file=/pki/server.crt --key-file=/pki/server.key --client-cert-auth=true --trusted-ca-file=/pki/ca.crt";
    const urls = "--listen-client-urls=https://127.0.0.1:2379,https://10.0.0.1:2379 --advertise-client-urls=https://10.0.0.1:2379";
    const more = "--listen-metrics-urls=http://127.0.0.1:2381 --experimental-watch-progress-notify-interval=5s --snapshot-count=10000";
    const peers =
      "--listen-peer-urls=https://10.0.0.1:2380 --initial-advertise-peer-urls=https://10.0.0.1:2380 --initial-cluster=cp=https://10.0.0.1:2380";
    const peerTls =
      "--peer-cert-file=/pki/peer.crt --peer-key-file=/pki/peer.key --peer-client-cert-auth=true --peer-trusted-ca-file=/pki/ca.crt";
    const made = await plan(`--name=cp ${tls} ${urls} ${more} ${peers} ${peerTls} --experimental-initial-corrupt-check=true`);
    expect(made.peerTls).toMatchObject({
      files: { certificate: "/pki/peer.crt", key: "/pki/peer.key" },
      clientRequired: true,
      authority: "/pki/ca.crt",
    });
    expect(made.node).toMatchObject({ listen: "10.0.0.1:2380", advertise: "10.0.0.1:2380", seeds: undefined });
    expect(made.ports.map(({ probesOnly, secure }) => [secure, probesOnly])).toEqual([
      [true, false],
      [true, false],
      [false, true],
    ]);
    expect(made.tls).toMatchObject({
      files: { certificate: "/pki/server.crt", key: "/pki/server.key" },
      authority: "/pki/ca.crt",
      clientRequired: true,
    });
    expect(made.progressEveryMs).toBe(5_000);
  });
});

describe("the configuration file", () => {
  const sample = [
    "# the member",
    "name: 'first' # a comment",
    "data-dir: /var/lib/unum",
    "quota-backend-bytes: 0",
    'initial-cluster-token: "a # b"',
    "enable-v2: false",
    "client-transport-security:",
    "  cert-file: /a.crt",
    "  key-file: /a.key",
    "  client-cert-auth: false",
    "cipher-suites: []",
    "log-outputs:",
    "- stderr",
    "peer-transport-security:",
    "  auto-tls: false",
  ].join("\n");

  it("has the flags' names, and hides flags and variables, as etcd has it", async () => {
    const world = new FakeWorld();
    world.files.set("etcd.yml", utf8Encode(sample));
    world.environment["ETCD_NAME"] = "other";
    const input = await readEtcdInput(world.context(), ["--config-file", "etcd.yml", "--data-dir", "/elsewhere"]);
    expect([input.text("name"), input.text("data-dir"), input.text("cert-file"), input.source("cert-file")]).toEqual([
      "first",
      "/var/lib/unum",
      "/a.crt",
      "client-transport-security.cert-file in etcd.yml",
    ]);
  });

  it("says which line or name it does not understand", async () => {
    for (const [text, wanted] of [
      ["nmae: x", "nmae is not known"],
      ["name: a\n  b: c", "line 2: indented without a reason"],
      ["name: {a: b}", "line 1"],
      ["peer-transport-security:\n  crl-file: x", "peer-transport-security.crl-file in c.yml is not supported"],
      ["name: a\nname: b", "line 2: name stands there twice"],
    ] as const) {
      const world = new FakeWorld();
      world.files.set("c.yml", utf8Encode(text));
      expect(await mistake("--config-file c.yml", world)).toContain(wanted);
    }
    expect(readYaml("a: [x, 'y z']\nb:\n  - 1\n  - 2\nc:", "f")).toEqual({ a: ["x", "y z"], b: ["1", "2"], c: "" });
  });
});

describe("unum etcd", () => {
  it("tells etcd's version with Unum's beside it, and starts a node with what the flags say", async () => {
    const world = new FakeWorld();
    expect(await runCli(world.context(), ["etcd", "--version"])).toBe(0);
    expect(world.out.join("")).toBe("etcd Version: 3.4.23\nUnum Version: 1.2.3\n");
    const started: StartRequest[] = [];
    const context = {
      ...world.context(),
      start: async (request: StartRequest) => {
        started.push(request);
        return {
          ready: Promise.resolve(),
          closed: new Promise<void>((resolve) => setImmediate(resolve)),
          close: async () => undefined,
          describe: async () => ({ name: "", address: "" }),
        };
      },
    };
    world.environment["NOTIFY_SOCKET"] = "/run/notify";
    expect(
      await runCli(context, [
        "etcd",
        "--name",
        "n",
        "--auto-tls",
        "--listen-client-urls",
        "https://0.0.0.0:9",
        "--advertise-client-urls",
        "https://h:9",
      ]),
    ).toBe(0);
    expect(started[0]).toMatchObject({
      name: "n",
      etcdServer: { doors: [{ listen: { host: "0.0.0.0", port: 9 }, secure: { key: "a key" } }] },
    });
    expect(world.err.join("")).toContain("ready to serve client requests");
    expect(world.ran).toEqual(["systemd-notify --ready --pid=4242"]);
  });

  it("leaves a directory of etcd's data alone", async () => {
    const world = new FakeWorld();
    world.files.set("default.etcd/member/snap/db", utf8Encode("bbolt"));
    expect(await runCli(world.context(), ["etcd"])).toBe(1);
    expect(world.err.join("")).toContain("DATA_DIR_FORMAT: default.etcd holds etcd's data");
  });
});
