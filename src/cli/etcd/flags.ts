/**
 * Every flag of etcd 3.4 and 3.6, in one table: parsing, `unum etcd --help` and docs/reference/etcd-flags.md come from it.
 * A flag is used, or accepted because leaving it without effect harms nobody (its text says why), or refused by name.
 */
export type FlagKind = "text" | "switch" | "number" | "duration" | "urls" | "list";
export type FlagTreatment = "used" | "accepted" | "refused";

export interface EtcdFlag {
  readonly kind: FlagKind;
  readonly treatment: FlagTreatment;
  /** Etcd's default, as it is written. */
  readonly fallback: string;
  /** What it does here, why it has no effect, or why it is refused. */
  readonly meaning: string;
  /** Values that a refused flag may have all the same: they ask for nothing. */
  readonly harmless: readonly string[];
}

const use = (kind: FlagKind, fallback: string, meaning: string): EtcdFlag => ({ kind, treatment: "used", fallback, meaning, harmless: [] });
const accept = (kind: FlagKind, fallback: string, meaning: string): EtcdFlag => ({
  kind,
  treatment: "accepted",
  fallback,
  meaning,
  harmless: [],
});
const refuse = (kind: FlagKind, fallback: string, meaning: string, more: readonly string[] = []): EtcdFlag => ({
  kind,
  treatment: "refused",
  fallback,
  meaning,
  harmless: ["", fallback, ...more],
});

const bolt = "there is no bbolt database behind it";
const gone = "etcd's API of version 2 is not served";
const network = "node-to-node connections have timeouts of their own";
const tracing = "there is no tracing";
const discovery = "nodes find each other by --initial-cluster";
const checks = "copies are compared all the time, without being asked to";
const leases = "how long leases last survives every change of leader";
const slow = "slow requests are not logged one by one";

// biome-ignore format: a table reads best with one row per line
export const etcdFlags = {
  // Member
  "name": use("text", "default", "The member's name: 1 to 63 letters, digits, \".\", \"_\" or \"-\", unique in the cluster"),
  "data-dir": use("text", "NAME.etcd", "Directory of Unum's data; one that holds etcd's data is refused (`unum etcd` does not read it)"),
  "wal-dir": refuse("text", "", "the log lies in the data directory"),
  "snapshot-count": accept("number", "10000", "snapshots are made by the size of the log"),
  "heartbeat-interval": accept("number", "100", "followers hear from the leader every 200 ms; the value is checked against the election timeout as etcd checks it"),
  "election-timeout": use("number", "1000", "Milliseconds without a leader before an election: 1,000 to 50,000; less counts as 1,000"),
  "initial-election-tick-advance": accept("switch", "true", "a node that starts alone is elected at once"),
  "listen-peer-urls": use("urls", "http://localhost:2380", "Where Unum's own protocol is spoken, between nodes and to `unum status` and the others: one URL"),
  "listen-client-urls": use("urls", "http://localhost:2379", "Where etcd's clients are answered: gRPC, the JSON gateway, /health, /metrics and the rest"),
  "listen-client-http-urls": refuse("urls", "", "each client URL answers gRPC and HTTP"),
  "max-snapshots": accept("number", "5", "what is not needed any more is removed"),
  "max-wals": accept("number", "5", "what is not needed any more is removed"),
  "quota-backend-bytes": use("number", "0", "Bytes of data; beyond, writes that grow it are refused and the alarm NOSPACE is raised. 0: 2 GiB. At least 1 MiB"),
  "backend-batch-interval": accept("duration", "", bolt),
  "backend-batch-limit": accept("number", "0", bolt),
  "backend-bbolt-freelist-type": accept("text", "map", bolt),
  "max-txn-ops": use("number", "128", "Operations in a transaction: 1 to 128"),
  "max-request-bytes": use("number", "1572864", "Bytes of a request: up to 1,572,864; smaller values refuse by the size of the message, with 512 KiB on top, as etcd's transport does"),
  "max-concurrent-streams": accept("number", "4294967295", "limits of Unum's hold for each connection (docs/limits.md)"),
  "grpc-keepalive-min-time": accept("duration", "5s", "pings are answered, and too many of them end the connection"),
  "grpc-keepalive-interval": accept("duration", "2h", "the operating system asks whether the other side lives"),
  "grpc-keepalive-timeout": accept("duration", "20s", "the operating system asks whether the other side lives"),
  "socket-reuse-port": refuse("switch", "false", "a port has one owner"),
  "socket-reuse-address": accept("switch", "false", "it is always so"),
  "raft-read-timeout": accept("duration", "5s", network),
  "raft-write-timeout": accept("duration", "5s", network),
  "memory-mlock": refuse("switch", "false", "memory cannot be locked without native code"),
  "feature-gates": accept("text", "", "none of etcd's gates has a counterpart"),
  "enable-grpc-gateway": refuse("switch", "true", "the JSON gateway is always there"),
  // Clustering
  "initial-advertise-peer-urls": use("urls", "http://localhost:2380", "Where the other members reach this one: one URL"),
  "initial-cluster": use("text", "", "name=URL of every member; they form the cluster once a data directory is empty at all of them. Without: this member alone"),
  "initial-cluster-state": use("text", "new", "existing: joins, and never forms a cluster. new: joins as well where one of the others has a cluster already"),
  "initial-cluster-token": accept("text", "etcd-cluster", "clusters tell each other apart by ids of their own"),
  "advertise-client-urls": use("urls", "http://localhost:2379", "What the member list tells clients"),
  "discovery": refuse("text", "", discovery),
  "discovery-fallback": accept("text", "proxy", "there is no discovery that could fail"),
  "discovery-proxy": refuse("text", "", discovery),
  "discovery-srv": refuse("text", "", discovery),
  "discovery-srv-name": refuse("text", "", discovery),
  "discovery-token": refuse("text", "", discovery),
  "discovery-endpoints": refuse("text", "", discovery),
  "discovery-dial-timeout": accept("duration", "2s", discovery),
  "discovery-request-timeout": accept("duration", "5s", discovery),
  "discovery-keepalive-time": accept("duration", "2s", discovery),
  "discovery-keepalive-timeout": accept("duration", "6s", discovery),
  "discovery-insecure-transport": accept("switch", "true", discovery),
  "discovery-insecure-skip-tls-verify": accept("switch", "false", discovery),
  "discovery-cert": refuse("text", "", discovery),
  "discovery-key": refuse("text", "", discovery),
  "discovery-cacert": refuse("text", "", discovery),
  "discovery-user": refuse("text", "", discovery),
  "discovery-password": refuse("text", "", discovery),
  "strict-reconfig-check": refuse("switch", "true", "a step that would cost the quorum is never taken"),
  "pre-vote": refuse("switch", "true", "every election begins with one", ["false"]),
  "auto-compaction-retention": use("text", "0", "History that is kept: a time (\"10m\", a bare number is hours) or with mode revision a number. Unum never keeps more than 5 minutes or 128 MiB"),
  "auto-compaction-mode": use("text", "periodic", "periodic or revision"),
  "enable-v2": refuse("switch", "false", gone),
  "v2-deprecation": accept("text", "write-only", gone),
  "max-learners": accept("number", "1", "nodes join as learners and are promoted by themselves"),
  // Security
  "cert-file": use("text", "", "PEM file: the certificate for https client URLs"),
  "key-file": use("text", "", "PEM file: its key"),
  "client-cert-auth": use("switch", "false", "Refuse clients without a certificate that --trusted-ca-file signed; its common name is the user of who shows no token"),
  "trusted-ca-file": use("text", "", "PEM file: who signs certificates of clients; alone it asks for client certificates as --client-cert-auth does"),
  "auto-tls": use("switch", "false", "A certificate signed by itself for https client URLs, made at each start; it needs no file"),
  "self-signed-cert-validity": use("number", "1", "Years that the certificate of --auto-tls is valid"),
  "tls-min-version": use("text", "TLS1.2", "TLS1.2 or TLS1.3"),
  "tls-max-version": use("text", "", "TLS1.2 or TLS1.3"),
  "client-cert-file": accept("text", "", "a node asks no node for its client port"),
  "client-key-file": accept("text", "", "a node asks no node for its client port"),
  "client-crl-file": refuse("text", "", "revocation lists are not read"),
  "client-cert-allowed-hostname": refuse("text", "", "names in clients' certificates are not compared"),
  "cipher-suites": refuse("list", "", "the suites are those of Node.js"),
  "peer-cert-file": use("text", "", "PEM file: the certificate for https peer URLs, shown by both sides; https or http holds for all members"),
  "peer-key-file": use("text", "", "PEM file: its key"),
  "peer-trusted-ca-file": use("text", "", "PEM file: who signs certificates of members; with it, who dials without one is refused. `unum status` and the others cannot dial then: ask with etcdctl"),
  "peer-client-cert-auth": use("switch", "false", "Refuse members, and whoever else dials, without a certificate that --peer-trusted-ca-file signed"),
  "peer-auto-tls": use("switch", "false", "A certificate signed by itself for https peer URLs, made at each start; nobody's is checked"),
  "peer-client-cert-file": refuse("text", "", "a member shows --peer-cert-file to whom it dials"),
  "peer-client-key-file": refuse("text", "", "a member shows --peer-cert-file to whom it dials"),
  "peer-cert-allowed-cn": refuse("text", "", "names in certificates of members that dial are not compared"),
  "peer-cert-allowed-hostname": refuse("text", "", "names in certificates of members that dial are not compared"),
  "peer-crl-file": refuse("text", "", "revocation lists are not read"),
  "peer-skip-client-san-verification": accept("switch", "false", "names in certificates of members that dial are not compared"),
  "cors": accept("list", "*", "pages of the same origin may ask"),
  "host-whitelist": refuse("list", "*", "the Host of a request is not compared"),
  "auth-token": use("text", "simple", "simple; jwt is refused. A token is good on every member"),
  "bcrypt-cost": use("number", "10", "How hard passwords are to try, 4 to 31: by scrypt, of which each step doubles time and memory as bcrypt's does. More than 14 counts as 14 (256 MiB)"),
  "auth-token-ttl": use("number", "300", "Seconds after which a token ends that was not shown to a member"),
  // Monitoring and logging
  "enable-pprof": refuse("switch", "false", "there is no Go runtime to profile"),
  "metrics": accept("text", "basic", "there is one set of metrics"),
  "listen-metrics-urls": use("urls", "", "Where only /health, /livez, /readyz, /metrics and /version are answered"),
  "logger": use("text", "capnslog", "zap: one JSON object per line. capnslog: text"),
  "log-outputs": use("list", "default", "default, stderr or stdout; files are refused (a service manager keeps logs)"),
  "log-level": use("text", "info", "debug, info, warn, error, dpanic, panic or fatal"),
  "log-format": use("text", "", "json or console; without: as --logger says"),
  "enable-log-rotation": refuse("switch", "false", "logs go to standard error or output"),
  "log-rotation-config-json": accept("text", "", "logs go to standard error or output"),
  "log-package-levels": accept("text", "", "there are no packages to tell apart"),
  "debug": use("switch", "false", "As --log-level=debug"),
  "enable-distributed-tracing": refuse("switch", "false", tracing),
  "distributed-tracing-address": accept("text", "", tracing),
  "distributed-tracing-service-name": accept("text", "", tracing),
  "distributed-tracing-instance-id": accept("text", "", tracing),
  "distributed-tracing-sampling-rate": accept("number", "0", tracing),
  // The proxy of version 2
  "proxy": refuse("text", "off", gone),
  "proxy-failure-wait": accept("number", "5000", gone),
  "proxy-refresh-interval": accept("number", "30000", gone),
  "proxy-dial-timeout": accept("number", "1000", gone),
  "proxy-write-timeout": accept("number", "5000", gone),
  "proxy-read-timeout": accept("number", "0", gone),
  // What was experimental once; each is also known with "experimental-" in front of it
  "initial-corrupt-check": accept("switch", "false", checks),
  "corrupt-check-time": accept("duration", "0s", checks),
  "compact-hash-check-enabled": accept("switch", "false", checks),
  "compact-hash-check-time": accept("duration", "1m", checks),
  "enable-v2v3": refuse("text", "", gone),
  "enable-lease-checkpoint": accept("switch", "false", leases),
  "enable-lease-checkpoint-persist": accept("switch", "false", leases),
  "compaction-batch-limit": accept("number", "1000", "a compaction stops nobody"),
  "compaction-sleep-interval": accept("duration", "", "a compaction stops nobody"),
  "watch-progress-notify-interval": use("duration", "10m", "How often a quiet watch that asked for it is told how far it is"),
  "warning-apply-duration": accept("duration", "100ms", slow),
  "warning-unary-request-duration": accept("duration", "300ms", slow),
  "txn-mode-write-with-shared-buffer": accept("switch", "true", bolt),
  "bootstrap-defrag-threshold-megabytes": accept("number", "0", bolt),
  "stop-grpc-service-on-defrag": accept("switch", "false", "to defragment is to do nothing"),
  "downgrade-check-time": accept("duration", "5s", "Unum has feature levels of its own"),
  "snapshot-catchup-entries": accept("number", "5000", "how much of the log is kept follows from the slowest member"),
  // Unsafe
  "force-new-cluster": refuse("switch", "false", "a lost majority is given up with `unum recover`"),
  "unsafe-no-fsync": refuse("switch", "false", "what is acknowledged is on disks"),
  // The command itself
  "config-file": use("text", "", "Etcd's YAML: top-level names as the flags, and client-transport-security and peer-transport-security. Other flags and variables are then ignored, as etcd ignores them"),
} as const satisfies Record<string, EtcdFlag>;

export type EtcdFlagName = keyof typeof etcdFlags;

const experimentalPrefix = "experimental-";
/** Names that etcd knows with the prefix: the rows from here to the unsafe ones, and what moved out of them. */
const experimental: ReadonlySet<string> = new Set<EtcdFlagName>([
  "initial-corrupt-check",
  "corrupt-check-time",
  "compact-hash-check-enabled",
  "compact-hash-check-time",
  "enable-v2v3",
  "enable-lease-checkpoint",
  "enable-lease-checkpoint-persist",
  "compaction-batch-limit",
  "compaction-sleep-interval",
  "watch-progress-notify-interval",
  "warning-apply-duration",
  "warning-unary-request-duration",
  "txn-mode-write-with-shared-buffer",
  "bootstrap-defrag-threshold-megabytes",
  "stop-grpc-service-on-defrag",
  "downgrade-check-time",
  "snapshot-catchup-entries",
  "memory-mlock",
  "peer-skip-client-san-verification",
  "enable-distributed-tracing",
  "distributed-tracing-address",
  "distributed-tracing-service-name",
  "distributed-tracing-instance-id",
  "distributed-tracing-sampling-rate",
]);

const renamed: Readonly<Record<string, EtcdFlagName>> = { "experimental-backend-bbolt-freelist-type": "backend-bbolt-freelist-type" };

export const etcdFlagNames: readonly EtcdFlagName[] = Object.keys(etcdFlags) as EtcdFlagName[];

/** The row that a name stands for, without its dashes; undefined when etcd knows no such flag. */
export function etcdFlagOf(name: string): EtcdFlagName | undefined {
  if (Object.hasOwn(etcdFlags, name)) return name as EtcdFlagName;
  const plain = name.startsWith(experimentalPrefix) ? name.slice(experimentalPrefix.length) : "";
  return experimental.has(plain) ? (plain as EtcdFlagName) : renamed[name];
}

/** `data-dir` is ETCD_DATA_DIR. */
export function etcdVariableOf(name: string): string {
  return `ETCD_${name.replaceAll("-", "_").toUpperCase()}`;
}

/** What the table says, for people. */
export function etcdFlagLines(): string[] {
  const lines: string[] = [];
  for (const treatment of ["used", "accepted", "refused"] as const) {
    lines.push(`${{ used: "Used", accepted: "Accepted, without effect", refused: "Refused, unless they ask for nothing" }[treatment]}:`);
    for (const name of etcdFlagNames) {
      const flag: EtcdFlag = etcdFlags[name];
      if (flag.treatment !== treatment) continue;
      lines.push(`  --${name}${flag.fallback === "" ? "" : ` (default ${flag.fallback})`}`, `      ${flag.meaning}`);
    }
    lines.push("");
  }
  return lines;
}
