import type { RawHandle } from "../../api/index.ts";
import { defaultKeyspaceName, isNodeId, limits } from "../../base/index.ts";
import type { Address, Clock, Http, HttpExchange, HttpListener, HttpSecurity, Logger, Random } from "../../ports/index.ts";
import { etcdErrors, toEtcdError } from "./errors.ts";
import { GrpcServer } from "./grpc/index.ts";
import type { Method } from "./grpc/index.ts";
import { kvService } from "./kv/service.ts";
import { LeaderMonitor } from "./leader.ts";
import { leaseService } from "./lease/service.ts";
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

/** Every service, in the order of etcd's own interface definition. A new one is added here. */
const services: readonly ((ground: Ground) => readonly Method[])[] = [kvService, watchService, leaseService];

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
  private listener: HttpListener | undefined;

  constructor(ports: EtcdGatewayPorts, handle: RawHandle) {
    this.handle = handle;
    const kv = handle.raw(defaultKeyspaceName);
    this.monitor = new LeaderMonitor(kv, ports.clock);
    const ground = this.groundOf(ports, handle);
    this.grpc = new GrpcServer(
      services.flatMap((service) => service(ground)),
      { clock: ports.clock, messageBytesMax: limits.etcdMessageBytesMax, toStatus: toEtcdError },
    );
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
      outputBytesMax: limits.outputBytesMax,
      windowBytes: limits.streamCreditBytes,
      secure,
    };
    this.listener = await http.listen(listen, options, (exchange) => this.accept(exchange));
  }

  async close(): Promise<void> {
    this.grpc.stop(etcdErrors.stopped());
    this.monitor.close();
    await this.listener?.stop(graceMs);
    await this.handle.close();
  }

  private accept(exchange: HttpExchange): void {
    if (this.grpc.accept(exchange)) return;
    exchange.handle({ onData: () => undefined, onEnd: () => undefined, onDrain: () => undefined, onClose: () => undefined });
    exchange.reply(404, { "content-type": "text/plain; charset=utf-8" }, undefined);
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
      logger: ports.logger,
      access: openAccess,
      header: (revision) => ({ ...place, revision: BigInt(revision), raftTerm: BigInt(kv.leader.term) }),
      within: (call) => ({ timeout: Math.max(1, Math.min(callMsMax, call.timeoutMs ?? callMsMax)) }),
      toStatus: toEtcdError,
      leaderRequired: (call, lost) => monitor.require(call, lost),
    };
  }
}

/** A node's or cluster's id as etcd has it: 64 bits. */
export function idOf(hex: string): bigint {
  return isNodeId(hex) ? BigInt(`0x${hex}`) : 0n;
}
