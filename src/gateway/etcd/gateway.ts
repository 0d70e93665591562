import type { RawHandle } from "../../api/index.ts";
import { defaultKeyspaceName, limits, utf8Encode } from "../../base/index.ts";
import { formatAddress } from "../../ports/index.ts";
import type { Address, Clock, Digests, Http, HttpExchange, HttpListener, HttpSecurity, Logger, Random } from "../../ports/index.ts";
import { clusterService } from "./cluster/service.ts";
import { etcdErrors, toEtcdError } from "./errors.ts";
import { GrpcServer, Partials } from "./grpc/index.ts";
import type { Method } from "./grpc/index.ts";
import { idOf } from "./ids.ts";
import { JsonGateway } from "./json/gateway.ts";
import { kvService } from "./kv/service.ts";
import { LeaderMonitor } from "./leader.ts";
import { leaseService } from "./lease/service.ts";
import { electionService } from "./locks/election.ts";
import { lockService } from "./locks/lock.ts";
import { maintenanceService } from "./maintenance/service.ts";
import { Endpoints } from "./probes/endpoints.ts";
import { healthService } from "./probes/health.ts";
import { reflectionService } from "./probes/reflection.ts";
import { MemberRecords, recordsKeyspace } from "./records.ts";
import { openAccess } from "./service.ts";
import type { Ground } from "./service.ts";
import { watchService } from "./watch/service.ts";

export interface EtcdGatewayOptions {
  readonly listen: Address;
  readonly secure?: HttpSecurity | undefined;
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
  const gateway = new Gateway(ports, handle);
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
  private listener: HttpListener | undefined;
  private closed = false;

  constructor(ports: EtcdGatewayPorts, handle: RawHandle) {
    this.handle = handle;
    this.ports = ports;
    const kv = handle.raw(defaultKeyspaceName);
    this.monitor = new LeaderMonitor(kv, ports.clock);
    const ground = this.groundOf(ports, handle);
    const partials = new Partials(limits.httpPartialBytesMax);
    const host = {
      clock: ports.clock,
      messageBytesMax: limits.etcdMessageBytesMax,
      callsMax: limits.etcdCallsMax,
      partials,
      toStatus: toEtcdError,
    };
    this.grpc = new GrpcServer(
      services.flatMap((service) => service(ground)),
      host,
    );
    this.json = new JsonGateway(this.grpc.methods, host);
    this.endpoints = new Endpoints(ground);
  }

  get address(): Address {
    return this.listener?.address ?? { host: "", port: 0 };
  }

  async listen(http: Http, { listen, secure }: EtcdGatewayOptions): Promise<void> {
    const options = {
      headBytesMax: limits.httpHeadBytesMax,
      streamsMax: limits.httpStreamsMax,
      connectionsMax: limits.httpConnectionsMax,
      resetsMax: limits.httpResetsMax,
      outputBytesMax: limits.httpOutputBytesMax,
      windowBytes: limits.streamCreditBytes,
      secure,
    };
    this.listener = await http.listen(listen, options, (exchange) => this.accept(exchange));
    const url = `${secure === undefined ? "http" : "https"}://${formatAddress(this.listener.address)}`;
    this.tell(url).catch((error: unknown) => this.ports.logger.debug("the etcd gateway was not announced", { reason: String(error) }));
  }

  async close(): Promise<void> {
    this.closed = true;
    this.grpc.stop(etcdErrors.stopped());
    this.monitor.close();
    await this.listener?.stop(graceMs);
    await this.handle.close();
  }

  /** The other members list where this one answers etcd's clients. Repeated until the cluster could take it. */
  private async tell(url: string): Promise<void> {
    await this.handle.ready;
    const { node } = await this.handle.nodeStatus();
    const records = new MemberRecords(this.handle.keyspace(recordsKeyspace));
    for (;;) {
      try {
        return await records.tell(node, { clientUrls: [url] });
      } catch (error) {
        if (this.closed) throw error;
        await new Promise<void>((resolve) => {
          this.ports.clock.after(tellAgainMs, resolve);
        });
      }
    }
  }

  private accept(exchange: HttpExchange): void {
    if (this.grpc.accept(exchange) || this.json.accept(exchange) || this.endpoints.accept(exchange)) return;
    exchange.handle({ onData: () => undefined, onEnd: () => undefined, onDrain: () => undefined, onClose: () => undefined });
    exchange.reply(404, { "content-type": "text/plain; charset=utf-8" }, utf8Encode("404 page not found\n"));
  }

  private groundOf(ports: EtcdGatewayPorts, handle: RawHandle): Ground {
    const kv = handle.raw(defaultKeyspaceName);
    const { monitor } = this;
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
      access: openAccess,
      header: (revision) => ({ ...place, revision: BigInt(revision), raftTerm: BigInt(kv.leader.term) }),
      within: (call) => ({ timeout: Math.max(1, Math.min(callMsMax, call.timeoutMs ?? callMsMax)) }),
      toStatus: toEtcdError,
      leaderRequired: (call, lost) => monitor.require(call, lost),
    };
  }
}
