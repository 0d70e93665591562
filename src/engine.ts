import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";
import { openRawHandle } from "./api/index.ts";
import type { ClientOptions, Environment, Held } from "./api/index.ts";
import { Prng, UnumError, hexEncode, limits } from "./base/index.ts";
import type { OptionValues } from "./base/index.ts";
import { NodeChecksum, NodeClock, NodeDigests, NodeDisk, NodeNames, NodeRandom, NodeScope, NodeStreams } from "./platform/node/index.ts";
import type { EtcdGateway, EtcdGatewayOptions } from "./gateway/etcd/index.ts";
import { StreamError, formatAddress, parseAddress } from "./ports/index.ts";
import type { Address, Logger, Platform, StreamSecurity } from "./ports/index.ts";
import { UnumNode, isDnsSeed, isLoopback } from "./runtime/index.ts";
import type { NodeOptions } from "./runtime/index.ts";
import { version } from "./version.ts";
import { directCarrierPair } from "./wire/index.ts";

/** A node that runs in this thread, and what it takes to talk to it without a network. */
export interface Engine {
  readonly node: UnumNode;
  /** Where etcd's clients are answered, if they are. */
  readonly etcd: Address | undefined;
  /** What a handle in this thread stands on. */
  readonly environment: Environment;
  readonly client: ClientOptions;
  /** Why the node has stopped; never rejects. */
  readonly stopped: Promise<UnumError>;
  close(): Promise<void>;
}

/** What only a server for etcd's clients says of itself. */
export interface EngineExtras {
  /** In the place of the option `etcd`. Who gives it has seen to what may be listened on. */
  readonly etcd?: EtcdGatewayOptions | undefined;
  /** TLS between nodes. */
  readonly peers?: StreamSecurity | undefined;
  /** How long without a leader before an election. */
  readonly electionMs?: number | undefined;
}

const memoryShare = 0.6;
const tickMs = 100;
const electionTicks = 10;

/** Memory of the machine, or of the container if that is less. */
function machineBytes(): number {
  // 0 without a constraint, and a huge number where the system says "no limit" so.
  const constrained = process.constrainedMemory?.() ?? 0;
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}

function isHeapFull(): boolean {
  const { heap_size_limit: limitBytes, used_heap_size: usedBytes } = getHeapStatistics();
  return usedBytes > limitBytes * limits.heapFillRatio;
}

/** Rejects as `start` does. `timeout` is of the calls of handles here, in milliseconds. */
export async function openEngine(
  values: OptionValues<"node">,
  timeout: number | undefined,
  logger: Logger,
  extras: EngineExtras = {},
): Promise<Engine> {
  const listen = parseAddress(values.listen ?? "127.0.0.1:7400");
  if (listen === undefined) throw new UnumError("INVALID_ARGUMENT", `"${values.listen}" is no address; write host:port.`);
  const door = extras.etcd ?? readDoor(values.etcd, values.insecure ?? false);
  const clock = new NodeClock();
  const random = new NodeRandom();
  const disk = await NodeDisk.open(values.data ?? ".unum/data");
  const platform: Platform = {
    clock,
    random,
    disk,
    streams: new NodeStreams({ secure: extras.peers }),
    names: new NodeNames(),
    checksum: new NodeChecksum(),
    logger,
  };
  const seeds = values.seeds ?? [];
  const listed = seeds.some(isDnsSeed) ? 0 : Math.max(1, seeds.length);
  const nodeOptions: NodeOptions = {
    name: values.name ?? "",
    listen,
    advertise: values.advertise,
    seeds,
    expect: values.expect ?? listed,
    zone: values.zone ?? "",
    ephemeral: values.ephemeral ?? false,
    replicas: values.voters ?? 3,
    insecure: values.insecure ?? false,
    removeDeadAfterMs: values.removeDeadAfter ?? 300_000,
    maxBytes: values.maxBytes ?? 0,
    version,
    tickMs,
    electionTicks: extras.electionMs === undefined ? electionTicks : Math.max(electionTicks, Math.round(extras.electionMs / tickMs)),
    snapshotLogBytes: undefined,
    memoryBudgetBytes: values.memory ?? Math.floor(machineBytes() * memoryShare),
    isHeapFull,
    residentBytes: () => process.memoryUsage.rss(),
  };
  const node = await UnumNode.start(platform, nodeOptions);
  const stopped = node.closed.then(
    () => new UnumError("NODE_STOPPED"),
    (error: unknown) => (error instanceof UnumError ? error : new UnumError("NODE_STOPPED", undefined, { cause: error })),
  );
  const environment: Environment = {
    clock,
    prng: new Prng(hexEncode(random.bytes(16))),
    logger,
    scope: new NodeScope<Held>(),
    dial: () => {
      const [near, far] = directCarrierPair((callback) => clock.defer(callback));
      node.admit(far);
      return Promise.resolve(near);
    },
    stopped,
  };
  const client: ClientOptions = { endpoints: ["local"], direct: false, timeout, name: node.options.name };
  const gateway = door === undefined ? undefined : await openEtcd(platform, environment, client, door, node);
  const close = async (): Promise<void> => {
    await gateway?.close();
    await node.close();
  };
  return { node, etcd: gateway?.address, environment, client, stopped, close };
}

/** Before anything is opened: the same rule as for the node's own address. */
function readDoor(text: string | undefined, insecure: boolean): EtcdGatewayOptions | undefined {
  if (text === undefined) return undefined;
  const address = parseAddress(text);
  if (address === undefined) throw new UnumError("INVALID_ARGUMENT", `"${text}" is no address; write host:port.`);
  if (insecure || isLoopback(address.host)) return { listen: address };
  throw new UnumError(
    "INSECURE",
    `Etcd's clients would be answered on ${address.host} in clear text. Use 127.0.0.1, or say --insecure when the network is trusted.`,
  );
}

/** The door for etcd's clients. HTTP/2 and protobuf are loaded only by those who want it. */
async function openEtcd(
  platform: Platform,
  environment: Environment,
  client: ClientOptions,
  door: EtcdGatewayOptions,
  node: UnumNode,
): Promise<EtcdGateway> {
  const [{ openEtcdGateway }, { Backlog, Connection }, { NodeHttp }] = await Promise.all([
    import("./gateway/etcd/index.ts"),
    import("./gateway/http2/index.ts"),
    import("./platform/node/http.ts"),
  ]);
  const backlog = new Backlog(limits.httpOutputBytesMax);
  const http = new NodeHttp((stream, subject, options, accept, closed) => {
    return new Connection(stream, subject, { clock: platform.clock, options, backlog, accept, closed });
  });
  const handle = openRawHandle(environment, { ...client, name: `${client.name ?? ""} etcd` });
  try {
    return await openEtcdGateway({ ...platform, http, digests: new NodeDigests() }, handle, door);
  } catch (error) {
    await handle.close();
    await node.close();
    if (error instanceof StreamError && error.code === "in-use") {
      const addresses = [door, ...(door.more ?? [])].map(({ listen }) => formatAddress(listen)).join(" or ");
      throw new UnumError("PORT_IN_USE", `The address for etcd's clients, ${addresses}, is taken.`, { cause: error });
    }
    throw error;
  }
}
