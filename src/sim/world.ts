import { Prng } from "../base/index.ts";
import { SimChecksum } from "./checksum.ts";
import { SimClock } from "./clock.ts";
import type { SimClockOptions } from "./clock.ts";
import { SimHost } from "./host.ts";
import { SimNames } from "./names.ts";
import type { NameTable } from "./names.ts";
import { SimNetwork } from "./network.ts";
import type { NetworkOptions } from "./network.ts";
import { SimRandom } from "./random.ts";
import { Scheduler } from "./scheduler.ts";
import type { SchedulerOptions } from "./scheduler.ts";
import type { SimStreams } from "./streams.ts";

/** A host with everything but a disk, which outlives it. */
export interface SimMachine {
  readonly host: SimHost;
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly streams: SimStreams;
  readonly names: SimNames;
  readonly checksum: SimChecksum;
}

export interface WorldOptions extends SchedulerOptions {
  readonly network?: NetworkOptions;
}

/** Virtual time, a network and hosts, all decided by one seed. */
export class SimWorld {
  readonly scheduler: Scheduler;
  readonly prng: Prng;
  readonly network: SimNetwork;
  readonly machines = new Map<string, SimMachine>();
  /** What DNS says to every host. Hosts are dialled by name without it. */
  readonly names: NameTable = new Map();

  constructor(seed: number | string, options: WorldOptions = {}) {
    this.scheduler = new Scheduler(options);
    this.prng = new Prng(seed);
    this.network = new SimNetwork(this.scheduler, this.prng.fork("network"), options.network);
  }

  /** Adds a host. Its monotonic clock begins anywhere unless the options say where. */
  machine(name: string, options: SimClockOptions = {}): SimMachine {
    const prng = this.prng.fork(`machine ${name}`);
    const host = new SimHost(this.scheduler, name);
    const clock = new SimClock(host, { originMs: prng.below(1_000_000), ...options });
    const machine = {
      host,
      clock,
      random: new SimRandom(prng.fork("random")),
      streams: this.network.attach(host),
      names: new SimNames(host, this.names),
      checksum: new SimChecksum(),
    };
    this.machines.set(name, machine);
    return machine;
  }
}
