import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";
import { openHandle } from "./api/index.ts";
import type { Held, Unum } from "./api/index.ts";
import { Prng, UnumError, hexEncode, limits, resolveOptions } from "./base/index.ts";
import type { OptionInput } from "./base/index.ts";
import { NodeChecksum, NodeClock, NodeDisk, NodeNames, NodeRandom, NodeScope, NodeStreams } from "./platform/node/index.ts";
import { parseAddress, silentLogger } from "./ports/index.ts";
import type { Logger, Platform } from "./ports/index.ts";
import { UnumNode, isDnsSeed } from "./runtime/index.ts";
import type { NodeOptions } from "./runtime/index.ts";
import { version } from "./version.ts";
import { directCarrierPair } from "./wire/index.ts";

/** Options of a node; what is left out comes from `UNUM_*` variables, then from defaults. */
export type StartOptions = Omit<OptionInput, "endpoint"> & { readonly logger?: Logger | undefined };

/** A node in this process, and the handle to it. */
export interface EmbeddedNode {
  readonly handle: Unum;
  readonly node: UnumNode;
}

const memoryShare = 0.6;

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

export async function startEmbedded(options: StartOptions): Promise<EmbeddedNode> {
  const { logger = silentLogger, ...given } = options;
  const values = resolveOptions("node", given, process.env);
  const { timeout } = resolveOptions("client", { timeout: given.timeout }, process.env);
  const listen = parseAddress(values.listen ?? "127.0.0.1:7400");
  if (listen === undefined) throw new UnumError("INVALID_ARGUMENT", `"${values.listen}" is no address; write host:port.`);
  const clock = new NodeClock();
  const random = new NodeRandom();
  const disk = await NodeDisk.open(values.data ?? ".unum/data");
  const platform: Platform = {
    clock,
    random,
    disk,
    streams: new NodeStreams(),
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
    tickMs: 100,
    electionTicks: 10,
    snapshotLogBytes: undefined,
    memoryBudgetBytes: values.memory ?? Math.floor(machineBytes() * memoryShare),
    isHeapFull,
    residentBytes: () => process.memoryUsage.rss(),
  };
  const node = await UnumNode.start(platform, nodeOptions);
  const handle = openHandle(
    {
      clock,
      prng: new Prng(hexEncode(random.bytes(16))),
      logger,
      scope: new NodeScope<Held>(),
      dial: () => {
        const [near, far] = directCarrierPair((callback) => clock.defer(callback));
        node.admit(far);
        return Promise.resolve(near);
      },
      stopped: node.closed.then(
        () => new UnumError("NODE_STOPPED"),
        (error: unknown) => (error instanceof UnumError ? error : new UnumError("NODE_STOPPED", undefined, { cause: error })),
      ),
    },
    { endpoints: ["local"], direct: false, timeout, name: node.options.name, onClose: () => node.close() },
  );
  return { handle, node };
}
