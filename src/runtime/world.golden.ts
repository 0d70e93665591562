/** Nodes in virtual time for the tests of this folder: started and ended one by one, asked over real handles. */
import { openHandle } from "../api/index.ts";
import type { UnumHandle } from "../api/index.ts";
import { UnumError } from "../base/index.ts";
import { parseAddress, silentLogger } from "../ports/index.ts";
import type { Disk } from "../ports/index.ts";
import { SimDisk } from "../sim/disk.ts";
import { SimWorld } from "../sim/index.ts";
import type { SimMachine } from "../sim/index.ts";
import { StreamCarrier } from "../wire/index.ts";
import { UnumNode } from "./index.ts";
import type { NodeOptions } from "./index.ts";

const port = 7400;

interface Place {
  readonly machine: SimMachine;
  readonly disk: SimDisk;
  readonly options: Partial<NodeOptions>;
  node: UnumNode | undefined;
}

export class NodeWorld {
  readonly world: SimWorld;
  private readonly places = new Map<string, Place>();

  /** `record`: each event as a line. */
  constructor(seed: string, record?: (line: string) => void) {
    this.world = new SimWorld(seed, record === undefined ? {} : { record });
  }

  /** A machine named `name` whose node listens on `name:7400`. It is started by `start`. */
  place(name: string, options: Partial<NodeOptions> = {}): void {
    const machine = this.world.machine(name);
    const disk = new SimDisk({ clock: machine.clock, prng: this.world.prng.fork(`disk ${name}`) });
    this.places.set(name, { machine, disk, options, node: undefined });
  }

  private at(name: string): Place {
    const place = this.places.get(name);
    if (place === undefined) throw new Error(`no machine ${name}`);
    return place;
  }

  machine(name: string): SimMachine {
    return this.at(name).machine;
  }

  /** What a node there runs over, for a test that lays hands on its disk; a crashed machine is up again. */
  parts(name: string): SimMachine & { readonly disk: SimDisk & Disk } {
    const { disk, machine } = this.at(name);
    if (!machine.host.alive) machine.host.start();
    return { ...machine, disk };
  }

  node(name: string): UnumNode {
    const { node } = this.at(name);
    if (node === undefined) throw new Error(`${name} has no node`);
    return node;
  }

  /** Starts the nodes and waits until all of them listen. */
  async start(...names: readonly string[]): Promise<void> {
    await Promise.all([this.settle(Promise.all(names.map((name) => this.boot(name))))]);
  }

  private async boot(name: string): Promise<void> {
    const place = this.at(name);
    const { checksum, clock, host, names, random, streams } = place.machine;
    if (!host.alive) host.start();
    const platform = { checksum, clock, names, random, streams, disk: place.disk, logger: silentLogger };
    place.node = await UnumNode.start(platform, { ...defaults, name, listen: { host: name, port }, ...place.options });
  }

  crash(name: string): void {
    const place = this.at(name);
    place.node = undefined;
    place.machine.host.crash("process");
    place.disk.crash("process");
  }

  /** A handle on a machine of its own, or on `from`; asks only the nodes named, unless `direct`. */
  handle(nodes: readonly string[], options: { readonly from?: string; readonly direct?: boolean } = {}): UnumHandle {
    const from = options.from ?? `client-${this.world.machines.size}`;
    const { clock, streams } = this.world.machines.get(from) ?? this.world.machine(from);
    return openHandle(
      {
        clock,
        prng: this.world.prng.fork(`handle ${from}`),
        logger: silentLogger,
        dial: async (endpoint, timeoutMs) => {
          const address = parseAddress(endpoint);
          if (address === undefined) throw new UnumError("INVALID_ARGUMENT", endpoint);
          try {
            const stream = await streams.dial(address, { timeoutMs, purpose: "client" });
            return new StreamCarrier(stream, (callback) => clock.deferLast(callback));
          } catch (cause) {
            throw new UnumError("UNAVAILABLE", `${endpoint} does not answer`, { cause });
          }
        },
      },
      { endpoints: nodes.map((name) => `${name}:${port}`), direct: options.direct ?? false, name: from },
    );
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.world.scheduler.settle(promise);
  }

  until(done: () => boolean): Promise<void> {
    return this.world.scheduler.until(done);
  }

  run(ms: number): Promise<void> {
    return this.world.scheduler.run(ms);
  }
}

const MiB = 1024 * 1024;

const defaults: Omit<NodeOptions, "name" | "listen"> = {
  advertise: undefined,
  seeds: [],
  expect: 1,
  zone: "",
  ephemeral: false,
  replicas: 3,
  insecure: true,
  removeDeadAfterMs: 300_000,
  maxBytes: 0,
  version: "0.0.0",
  tickMs: 100,
  electionTicks: 10,
  snapshotLogBytes: undefined,
  memoryBudgetBytes: 1024 * MiB,
  residentBytes: () => 0,
  storage: { segmentBytes: MiB, firstSegmentBytes: MiB, walBytesMax: 4 * MiB, reserveBytes: 16 * 1024, batchBytesMax: MiB / 2 },
};
