import { limits } from "../../base/index.ts";
import type { LogLevel, OptionInput } from "../../base/index.ts";
import { formatAddress, parseAddress } from "../../ports/index.ts";
import type { Address } from "../../ports/index.ts";
import { Mistake } from "../failure.ts";
import { etcdFlags } from "./flags.ts";
import type { EtcdFlagName } from "./flags.ts";
import { goDurationMs } from "./read.ts";
import type { EtcdInput } from "./read.ts";

export interface PlannedPort {
  readonly listen: Address;
  readonly secure: boolean;
  readonly probesOnly: boolean;
}

export type Compaction =
  | { readonly mode: "periodic"; readonly retentionMs: number }
  | { readonly mode: "revision"; readonly revisions: number };

/** What a command line of etcd's means to Unum. */
export interface EtcdPlan {
  readonly node: OptionInput;
  readonly data: string;
  readonly electionMs: number;
  readonly ports: readonly PlannedPort[];
  readonly clientUrls: readonly string[];
  readonly txnOperationsMax: number;
  readonly messageBytesMax: number;
  readonly progressEveryMs: number;
  readonly compaction: Compaction | undefined;
  readonly tokenMs: number;
  readonly passwordCost: number;
  readonly certificatesNameUsers: boolean;
  readonly tls: PlannedTls | undefined;
  /** Between nodes. */
  readonly peerTls: PlannedTls | undefined;
  readonly log: PlannedLog;
}

export interface PlannedTls {
  /** Undefined: made and signed by ourselves, for these hosts. */
  readonly files: { readonly certificate: string; readonly key: string } | undefined;
  readonly hosts: readonly string[];
  readonly validYears: number;
  readonly authority: string | undefined;
  readonly clientRequired: boolean;
  readonly versionMin: "TLSv1.2" | "TLSv1.3";
  readonly versionMax: "TLSv1.2" | "TLSv1.3";
}

export interface PlannedLog {
  readonly level: LogLevel;
  readonly json: boolean;
  readonly toStdout: boolean;
}

/** Throws `Mistake` where etcd would refuse to start, and where Unum cannot do what is asked. */
export function planOf(input: EtcdInput): EtcdPlan {
  const ports = [...portsOf(input, "listen-client-urls", false), ...portsOf(input, "listen-metrics-urls", true)];
  const name = input.text("name");
  const data = input.given("data-dir") ?? `${name}.etcd`;
  const clientUrls = input.list("advertise-client-urls");
  for (const url of clientUrls) urlOf(input, "advertise-client-urls", url);
  if (input.given("listen-client-urls") !== undefined && input.given("advertise-client-urls") === undefined)
    throw wrong(input, "advertise-client-urls", "must be given when --listen-client-urls is");
  return {
    node: { ...peersOf(input, name), data, maxBytes: quotaOf(input) },
    data,
    electionMs: electionMsOf(input),
    ports,
    clientUrls,
    txnOperationsMax: boundedOf(input, "max-txn-ops", 1, limits.transactionOperationsMax),
    messageBytesMax: boundedOf(input, "max-request-bytes", 1, 1_572_864) + limits.etcdMessageBytesMax - 1_572_864,
    progressEveryMs: Math.max(1, input.durationMs("watch-progress-notify-interval")),
    compaction: compactionOf(input),
    ...authOf(input),
    tls: ports.some(({ secure }) => secure)
      ? tlsOf(input, "", [...ports.map(({ listen }) => listen.host), ...hostsOf(input, "advertise-client-urls")])
      : undefined,
    peerTls: peersAreSecure(input)
      ? tlsOf(input, "peer-", [...hostsOf(input, "listen-peer-urls"), ...hostsOf(input, "initial-advertise-peer-urls")])
      : undefined,
    log: logOf(input),
  };
}

function wrong(input: EtcdInput, name: EtcdFlagName, fault: string): Mistake {
  return new Mistake(`${input.source(name)} ${fault}`, `--${name}: ${etcdFlags[name].meaning}`);
}

interface Url {
  readonly secure: boolean;
  readonly address: Address;
}

/** Host and port of a URL of etcd's: a scheme, a host, a port, and nothing else. */
function urlOf(input: EtcdInput, name: EtcdFlagName, text: string): Url {
  const match = /^([a-z]+):\/\/(.*?)\/?$/.exec(text);
  const [, scheme = "", rest = ""] = match ?? [];
  if (scheme === "unix" || scheme === "unixs") throw wrong(input, name, `names "${text}": sockets of the file system are not supported`);
  const address = rest.startsWith(":") ? undefined : parseAddress(rest);
  if ((scheme !== "http" && scheme !== "https") || address === undefined || rest.includes("/"))
    throw wrong(input, name, `takes URLs such as http://127.0.0.1:2379, not "${text}"`);
  return { secure: scheme === "https", address };
}

/** Etcd listens on the IPv4 address of "localhost"; listening on any other name is refused, as etcd does. */
function listenAddress(input: EtcdInput, name: EtcdFlagName, text: string): Url {
  const url = urlOf(input, name, text);
  const { host, port } = url.address;
  if (host === "localhost") return { ...url, address: { host: "127.0.0.1", port } };
  if (!/^[\d.]+$/.test(host) && !host.includes(":")) throw wrong(input, name, `takes IP addresses to listen on, not "${host}"`);
  return url;
}

function portsOf(input: EtcdInput, name: EtcdFlagName, probesOnly: boolean): PlannedPort[] {
  const urls = [...new Set(input.list(name))];
  if (urls.length === 0 && !probesOnly) throw wrong(input, name, "is empty");
  return urls.map((text) => {
    const { address, secure } = listenAddress(input, name, text);
    return { listen: address, secure, probesOnly };
  });
}

function peerUrl(input: EtcdInput, name: EtcdFlagName, text: string): Url {
  const url = urlOf(input, name, text);
  if (url.secure !== peersAreSecure(input)) throw wrong(input, name, `names "${text}": peer URLs are all http or all https`);
  return url;
}

/** What --listen-peer-urls says holds for all members. */
function peersAreSecure(input: EtcdInput): boolean {
  return input.text("listen-peer-urls").startsWith("https:");
}

function hostsOf(input: EtcdInput, name: EtcdFlagName): string[] {
  return input.list(name).map((url) => urlOf(input, name, url).address.host);
}

function onlyUrl(input: EtcdInput, name: EtcdFlagName): string {
  const urls = input.list(name);
  if (urls.length !== 1) throw wrong(input, name, "takes exactly one URL");
  return urls[0] ?? "";
}

/** Where the nodes talk to each other, and with whom this one forms or joins a cluster. */
function peersOf(input: EtcdInput, name: string): OptionInput {
  const listenText = onlyUrl(input, "listen-peer-urls");
  peerUrl(input, "listen-peer-urls", listenText);
  const listen = formatAddress(listenAddress(input, "listen-peer-urls", listenText).address);
  const advertiseText = onlyUrl(input, "initial-advertise-peer-urls");
  const advertise = formatAddress(peerUrl(input, "initial-advertise-peer-urls", advertiseText).address);
  // That the URL says http is the user's word that the network is trusted, as it is with etcd.
  const own = { name, listen, advertise, insecure: true };
  const state = input.text("initial-cluster-state");
  if (state !== "new" && state !== "existing") throw wrong(input, "initial-cluster-state", `takes new or existing, not "${state}"`);
  const members = membersOf(input, `${name}=${advertiseText}`);
  const mine = members.filter((member) => member.name === name);
  if (mine.length === 0) throw wrong(input, "initial-cluster", `does not name this member, "${name}"`);
  if (!mine.some((member) => member.address === advertise))
    throw wrong(input, "initial-cluster", `has ${name}=http://${mine[0]?.address}, but --initial-advertise-peer-urls is ${advertiseText}`);
  if (members.length === 1) {
    if (state === "existing") throw wrong(input, "initial-cluster-state", "existing needs the other members in --initial-cluster");
    return { ...own, seeds: undefined, expect: undefined };
  }
  const others = members.filter((member) => member.name !== name);
  // A node that is not among its own seeds joins, and never forms.
  const seeds = (state === "existing" ? others : members).map(({ address }) => address);
  return {
    ...own,
    seeds,
    expect: String(seeds.length),
    voters: String(Math.min(9, Math.max(3, members.length - ((members.length + 1) % 2)))),
  };
}

interface PlannedMember {
  readonly name: string;
  readonly address: string;
}

function membersOf(input: EtcdInput, fallback: string): PlannedMember[] {
  const text = input.text("initial-cluster") === "" ? fallback : input.text("initial-cluster");
  const members = text.split(",").map((part): PlannedMember => {
    const match = /^\s*([^=]+)=(.+?)\s*$/.exec(part);
    if (match === null) throw wrong(input, "initial-cluster", `takes name=URL,…, not "${part}"`);
    return { name: match[1] ?? "", address: formatAddress(peerUrl(input, "initial-cluster", match[2] ?? "").address) };
  });
  for (const { address, name } of members) {
    if (members.filter((member) => member.name === name).length > 1)
      throw wrong(input, "initial-cluster", `names ${name} twice: a member has one URL`);
    if (members.filter((member) => member.address === address).length > 1)
      throw wrong(input, "initial-cluster", `gives ${address} to two members`);
  }
  return members;
}

function quotaOf(input: EtcdInput): string | undefined {
  const bytes = input.number("quota-backend-bytes");
  if (bytes === 0) return undefined;
  if (bytes < 1024 * 1024) throw wrong(input, "quota-backend-bytes", "is 0 or at least 1 MiB");
  return String(Math.floor(bytes));
}

function electionMsOf(input: EtcdInput): number {
  const electionMs = input.number("election-timeout");
  const heartbeatMs = input.number("heartbeat-interval");
  if (heartbeatMs <= 0) throw wrong(input, "heartbeat-interval", "is more than 0");
  if (electionMs <= 0 || electionMs > 50_000) throw wrong(input, "election-timeout", "is more than 0 and at most 50000");
  if (5 * heartbeatMs > electionMs) throw wrong(input, "election-timeout", "is at least five times --heartbeat-interval");
  return electionMs;
}

function boundedOf(input: EtcdInput, name: EtcdFlagName, min: number, max: number): number {
  const value = input.number(name);
  if (!Number.isInteger(value) || value < min || value > max) throw wrong(input, name, `is from ${min} to ${max} here`);
  return value;
}

/** As etcd: what is out of range is the default. */
function authOf(input: EtcdInput): Pick<EtcdPlan, "tokenMs" | "passwordCost" | "certificatesNameUsers"> {
  const cost = input.number("bcrypt-cost");
  const seconds = input.number("auth-token-ttl");
  return {
    tokenMs: (seconds > 0 ? seconds : 300) * 1_000,
    passwordCost: cost >= 4 && cost <= 31 ? Math.floor(cost) : 10,
    certificatesNameUsers: input.isOn("client-cert-auth"),
  };
}

function compactionOf(input: EtcdInput): Compaction | undefined {
  const mode = input.text("auto-compaction-mode");
  const text = input.text("auto-compaction-retention");
  if (mode !== "periodic" && mode !== "revision") throw wrong(input, "auto-compaction-mode", "takes periodic or revision");
  const plain = /^\d+$/.test(text) ? Number(text) : undefined;
  if (mode === "revision") {
    if (plain === undefined) throw wrong(input, "auto-compaction-retention", `takes a number of revisions, not "${text}"`);
    return plain === 0 ? undefined : { mode, revisions: plain };
  }
  const retentionMs = plain === undefined ? goDurationMs(text) : plain * 3_600_000;
  if (retentionMs === undefined) throw wrong(input, "auto-compaction-retention", `takes hours or a time such as "10m", not "${text}"`);
  return retentionMs === 0 ? undefined : { mode, retentionMs };
}

const tlsVersions: Readonly<Record<string, "TLSv1.2" | "TLSv1.3">> = { "TLS1.2": "TLSv1.2", "TLS1.3": "TLSv1.3" };

/** For clients, or with "peer-" between members. */
function tlsOf(input: EtcdInput, prefix: "" | "peer-", hosts: readonly string[]): PlannedTls {
  const [certFlag, keyFlag, authorityFlag] = [`${prefix}cert-file`, `${prefix}key-file`, `${prefix}trusted-ca-file`] as const;
  const [certificate, key] = [input.text(certFlag), input.text(keyFlag)];
  const versionMin = tlsVersions[input.text("tls-min-version")];
  const versionMax = tlsVersions[input.text("tls-max-version") === "" ? "TLS1.3" : input.text("tls-max-version")];
  if (versionMin === undefined) throw wrong(input, "tls-min-version", "takes TLS1.2 or TLS1.3");
  if (versionMax === undefined || versionMax < versionMin)
    throw wrong(input, "tls-max-version", "takes TLS1.2 or TLS1.3, not less than --tls-min-version");
  if ((certificate === "") !== (key === ""))
    throw wrong(input, certificate === "" ? certFlag : keyFlag, "is needed with the other of the two");
  if (certificate === "" && !input.isOn(`${prefix}auto-tls`))
    throw wrong(input, certFlag, `and --${keyFlag}, or --${prefix}auto-tls, are needed for https URLs`);
  const authority = input.text(authorityFlag) === "" ? undefined : input.text(authorityFlag);
  // Go's server has asked for certificates since either was given.
  const clientRequired = input.isOn(`${prefix}client-cert-auth`) || authority !== undefined;
  if (clientRequired && authority === undefined) throw wrong(input, authorityFlag, `is needed with --${prefix}client-cert-auth`);
  const validYears = boundedOf(input, "self-signed-cert-validity", 1, 100);
  const files = certificate === "" ? undefined : { certificate, key };
  return {
    files,
    hosts: [...new Set(["localhost", "127.0.0.1", ...hosts])],
    validYears,
    authority,
    clientRequired,
    versionMin,
    versionMax,
  };
}

const levels: Readonly<Record<string, LogLevel>> = {
  debug: "debug",
  info: "info",
  warn: "warn",
  error: "error",
  dpanic: "error",
  panic: "error",
  fatal: "error",
};

function logOf(input: EtcdInput): PlannedLog {
  const level = input.isOn("debug") ? "debug" : levels[input.text("log-level")];
  if (level === undefined)
    throw wrong(input, "log-level", `takes debug, info, warn, error, dpanic, panic or fatal, not "${input.text("log-level")}"`);
  const logger = input.text("logger");
  if (logger !== "zap" && logger !== "capnslog") throw wrong(input, "logger", "takes zap or capnslog");
  const format = input.text("log-format");
  if (format !== "" && format !== "json" && format !== "console") throw wrong(input, "log-format", "takes json or console");
  const outputs = input.list("log-outputs");
  const odd = outputs.find((output) => !["default", "stderr", "stdout"].includes(output));
  if (odd !== undefined) throw wrong(input, "log-outputs", `takes default, stderr or stdout, not "${odd}"`);
  const token = input.text("auth-token");
  if (token !== "simple" && token !== "") throw wrong(input, "auth-token", `takes simple, not "${token}"`);
  return {
    level,
    json: format === "" ? logger === "zap" : format === "json",
    toStdout: outputs.length > 0 && outputs.every((output) => output === "stdout"),
  };
}
