import type { RawHandle } from "../../api/index.ts";
import { defaultKeyspaceName, limits, utf8Encode } from "../../base/index.ts";
import { formatAddress } from "../../ports/index.ts";
import type { Address, Clock, Digests, Http, HttpExchange, HttpListener, HttpSecurity, Logger, Random } from "../../ports/index.ts";
import { Access } from "./auth/access.ts";
import { AuthKeeper } from "./auth/keeper.ts";
import { defaultCost, Passwords } from "./auth/passwords.ts";
import { authService } from "./auth/service.ts";
import { Tokens } from "./auth/tokens.ts";
import { clusterService } from "./cluster/service.ts";
import { toEtcdError } from "./errors.ts";
import { GrpcServer, Partials } from "./grpc/index.ts";
import type { Method } from "./grpc/index.ts";
import { idOf } from "./ids.ts";
import { JsonGateway } from "./json/gateway.ts";
import { kvService } from "./kv/service.ts";
import { LeaderMonitor } from "./leader.ts";
import { leaseService } from "./lease/service.ts";
import { electionService } from "./locks/election.ts";
import { lockService } from "./locks/lock.ts";
import { AutoCompactor } from "./maintenance/compactor.ts";
import type { CompactionTerms } from "./maintenance/compactor.ts";
import { QuotaWatch } from "./maintenance/quota.ts";
import { maintenanceService } from "./maintenance/service.ts";
import { Endpoints } from "./probes/endpoints.ts";
import { healthService } from "./probes/health.ts";
import { reflectionService } from "./probes/reflection.ts";
import { MemberRecords, recordsKeyspace } from "./records.ts";
import type { Ground } from "./service.ts";
import { watchService } from "./watch/service.ts";
import { etcdErrors } from "../../etcd/index.ts";

export interface EtcdGatewayOptions extends EtcdDoor {
  /** Further ports of the same gateway. */
  readonly more?: readonly EtcdDoor[] | undefined;
  readonly settings?: EtcdSettings | undefined;
}

/** One port. */
export interface EtcdDoor {
  readonly listen: Address;
  readonly secure?: HttpSecurity | undefined;
  /** Answers only `/health` and its like. */
  readonly probesOnly?: boolean | undefined;
}

/** What a server of etcd's can be told by flags; what is left out is etcd's default. */
export interface EtcdSettings {
  /** What the member list says. Default: the first port's. */
  readonly clientUrls?: readonly string[] | undefined;
  /** At most `limits.transactionOperationsMax`. */
  readonly txnOperationsMax?: number | undefined;
  /** Of a message. At most `limits.etcdMessageBytesMax`. */
  readonly messageBytesMax?: number | undefined;
  readonly progressEveryMs?: number | undefined;
  readonly compaction?: CompactionTerms | undefined;
  /** How the member list writes where nodes listen. Default "http". */
  readonly peerScheme?: "http" | "https" | undefined;
  /** How long a token is good that nobody shows. */
  readonly tokenMs?: number | undefined;
  /** How hard passwords are to try: etcd's `bcrypt-cost`, 4 to 31. */
  readonly passwordCost?: number | undefined;
  /** Clients without a token are the users that their certificates name. */
  readonly certificatesNameUsers?: boolean | undefined;
}

/** What a root gives. The handle is the gateway's own: `close` closes it. */
export interface EtcdGatewayPorts {
  readonly http: Http;
  readonly clock: Clock;
  readonly random: Random;
  readonly digests: Digests;
  readonly logger: Logger;
}

export interface EtcdGateway {
  readonly address: Address;
  close(): Promise<void>;
}

/** How long a call may take in etcd: five seconds and two election timeouts. */
const callMsMax = 7_000;
/** How long calls in flight may go on when the gateway closes. */
const graceMs = 500;

/** A watch that asked for it is told how far it is, when nothing happened for so long. etcd's default. */
const progressEveryMs = 600_000;

/** A token that nobody shows ends after this. etcd's default. */
const tokenMs = 300_000;

/** A cluster that could not take where this member answers is asked again after this. */
const tellAgainMs = 1_000;

/** Every service, in the order of etcd's own interface definition. A new one is added here. */
const services: readonly ((ground: Ground) => readonly Method[])[] = [
  kvService,
  watchService,
  leaseService,
  clusterService,
  maintenanceService,
  lockService,
  electionService,
  healthService,
  reflectionService,
];

/** Opens the port. Rejects with `StreamError` "in-use" when it is taken; the handle is then still open. */
export async function openEtcdGateway(ports: EtcdGatewayPorts, handle: RawHandle, options: EtcdGatewayOptions): Promise<EtcdGateway> {
  const gateway = new Gateway(ports, handle, options.settings ?? {});
  await gateway.listen(ports.http, options);
  return gateway;
}

class Gateway implements EtcdGateway {
  private readonly handle: RawHandle;
  private readonly monitor: LeaderMonitor;
  private readonly grpc: GrpcServer;
  private readonly json: JsonGateway;
  private readonly endpoints: Endpoints;
  private readonly ports: EtcdGatewayPorts;
  private readonly settings: EtcdSettings;
  private readonly compactor: AutoCompactor | undefined;
  private readonly keeper: AuthKeeper;
  private readonly tokens: Tokens;
  private readonly listeners: HttpListener[] = [];
  private closed = false;

  constructor(ports: EtcdGatewayPorts, handle: RawHandle, settings: EtcdSettings) {
    this.handle = handle;
    this.ports = ports;
    this.settings = settings;
    const kv = handle.raw(defaultKeyspaceName);
    this.monitor = new LeaderMonitor(kv, ports.clock);
    this.keeper = new AuthKeeper(ports, handle);
    this.tokens = new Tokens(ports, settings.tokenMs ?? tokenMs);
    const ground = this.groundOf(ports, handle);
    const house = { keeper: this.keeper, tokens: this.tokens, passwords: new Passwords(ports, settings.passwordCost ?? defaultCost) };
    const partials = new Partials(limits.httpPartialBytesMax);
    const host = {
      clock: ports.clock,
      messageBytesMax: settings.messageBytesMax ?? limits.etcdMessageBytesMax,
      callsMax: limits.etcdCallsMax,
      partials,
      toStatus: ground.toStatus,
    };
    this.grpc = new GrpcServer([...services.flatMap((service) => service(ground)), ...authService(ground, house)], host);
    this.json = new JsonGateway(this.grpc.methods, host);
    this.endpoints = new Endpoints(ground);
    this.compactor = settings.compaction === undefined ? undefined : new AutoCompactor(ground, settings.compaction);
  }

  get address(): Address {
    return this.listeners[0]?.address ?? { host: "", port: 0 };
  }

  async listen(http: Http, { more = [], ...first }: EtcdGatewayOptions): Promise<void> {
    try {
      for (const door of [first, ...more]) this.listeners.push(await this.open(http, door));
    } catch (error) {
      await Promise.all(this.listeners.map((listener) => listener.stop(0)));
      throw error;
    }
    const urls = this.settings.clientUrls ?? [`${first.secure === undefined ? "http" : "https"}://${formatAddress(this.address)}`];
    this.tell(urls).catch((error: unknown) => this.ports.logger.debug("the etcd gateway was not announced", { reason: String(error) }));
    this.compactor?.start();
    this.keeper.open();
  }

  private open(http: Http, { listen, probesOnly = false, secure }: EtcdDoor): Promise<HttpListener> {
    const options = {
      headBytesMax: limits.httpHeadBytesMax,
      streamsMax: limits.httpStreamsMax,
      connectionsMax: limits.httpConnectionsMax,
      resetsMax: limits.httpResetsMax,
      outputBytesMax: limits.httpOutputBytesMax,
      windowBytes: limits.streamCreditBytes,
      secure,
    };
    return http.listen(listen, options, (exchange) => this.accept(exchange, probesOnly));
  }

  async close(): Promise<void> {
    this.closed = true;
    this.grpc.stop(etcdErrors.stopped());
    this.monitor.close();
    this.compactor?.close();
    this.keeper.close();
    await Promise.all(this.listeners.map((listener) => listener.stop(graceMs)));
    await this.handle.close();
  }

  /** The other members list where this one answers etcd's clients. Repeated until the cluster could take it. */
  private async tell(clientUrls: readonly string[]): Promise<void> {
    await this.handle.ready;
    const { node } = await this.handle.nodeStatus();
    const records = new MemberRecords(this.handle.keyspace(recordsKeyspace));
    for (;;) {
      try {
        return await records.tell(node, { clientUrls });
      } catch (error) {
        if (this.closed) throw error;
        await new Promise<void>((resolve) => {
          this.ports.clock.after(tellAgainMs, resolve);
        });
      }
    }
  }

  private accept(exchange: HttpExchange, probesOnly: boolean): void {
    if (!probesOnly && (this.grpc.accept(exchange) || this.json.accept(exchange))) return;
    if (this.endpoints.accept(exchange)) return;
    exchange.handle({ onData: () => undefined, onEnd: () => undefined, onDrain: () => undefined, onClose: () => undefined });
    exchange.reply(404, { "content-type": "text/plain; charset=utf-8" }, utf8Encode("404 page not found\n"));
  }

  private groundOf(ports: EtcdGatewayPorts, handle: RawHandle): Ground {
    const kv = handle.raw(defaultKeyspaceName);
    const { keeper, monitor, tokens } = this;
    const within: Ground["within"] = (call) => ({ timeout: Math.max(1, Math.min(callMsMax, call.timeoutMs ?? callMsMax)) });
    const quota = new QuotaWatch({ handle, kv, logger: ports.logger });
    let place = { clusterId: 0n, memberId: 0n };
    handle.ready
      .then(() => handle.nodeStatus())
      .then((status) => {
        place = { clusterId: idOf(status.cluster), memberId: idOf(status.node) };
      })
      .catch((error: unknown) => ports.logger.debug("the etcd gateway has no cluster yet", { reason: String(error) }));
    return {
      handle,
      kv,
      clock: ports.clock,
      random: ports.random,
      digests: ports.digests,
      logger: ports.logger,
      access: new Access({ kv, within }, keeper, tokens, this.settings.certificatesNameUsers ?? false),
      peerScheme: this.settings.peerScheme ?? "http",
      txnOperationsMax: Math.min(this.settings.txnOperationsMax ?? limits.transactionOperationsMax, limits.transactionOperationsMax),
      progressEveryMs: this.settings.progressEveryMs ?? progressEveryMs,
      header: (revision) => ({ ...place, revision: BigInt(revision), raftTerm: BigInt(kv.leader.term) }),
      within,
      toStatus: (failure) => {
        quota.failed(failure);
        return toEtcdError(failure);
      },
      leaderRequired: (call, lost) => monitor.require(call, lost),
    };
  }
}
