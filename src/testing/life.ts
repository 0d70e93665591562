import { openHandle } from "../api/index.ts";
import type { ClaimScope, Unum } from "../api/index.ts";
import { UnumError, isUnumError } from "../base/index.ts";
import type { Prng } from "../base/index.ts";
import { silentLogger } from "../ports/index.ts";
import type { Clock, Surroundings, Timer } from "../ports/index.ts";
import type { UnumNode } from "../runtime/index.ts";
import type { SimMachine } from "../sim/index.ts";
import { directCarrierPair } from "../wire/index.ts";

const inert: Timer = { cancel: () => undefined };

/** The remedy is the same whatever was reached for. */
export function refusalOf(what: string): Error {
  return new UnumError(
    "NOT_SIMULATED",
    `${what} reaches outside of the simulation. Give the program a stand-in made with world.external(name, methods) in its place.`,
  );
}

/** The world as the test's own body sees it, and as one life of a node does: its time, its entropy, nothing outside. */
export class MachineSurroundings implements Surroundings, Clock {
  readonly machine: SimMachine;
  protected readonly prng: Prng;

  constructor(machine: SimMachine, prng: Prng) {
    this.machine = machine;
    this.prng = prng;
  }

  /** Whether this life still goes on. */
  get isPresent(): boolean {
    return true;
  }

  get name(): string {
    return this.machine.host.name;
  }

  now(): number {
    return this.machine.clock.now();
  }

  wall(): number {
    return this.machine.clock.wall();
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.isPresent ? this.machine.clock.after(delayMs, callback) : inert;
  }

  defer(callback: () => void): void {
    if (this.isPresent) this.machine.clock.defer(callback);
  }

  deferLast(callback: () => void): void {
    if (this.isPresent) this.machine.clock.deferLast(callback);
  }

  random(): number {
    return this.prng.u32() / 0x1_0000_0000;
  }

  bytes(length: number): Uint8Array {
    return this.prng.bytes(length);
  }

  refusal(what: string): Error {
    return refusalOf(what);
  }
}

/** One life of a node's process: from its start to its crash. What belongs to it does nothing afterwards. */
export class Life extends MachineSurroundings {
  readonly node: UnumNode;
  readonly handle: Unum;
  private readonly life: number;

  constructor(machine: SimMachine, prng: Prng, node: UnumNode, scope: ClaimScope) {
    super(machine, prng);
    this.node = node;
    this.life = machine.host.life;
    this.handle = openHandle(
      {
        clock: this,
        prng: prng.fork("handle"),
        logger: silentLogger,
        scope,
        dial: () => {
          // A call out of an earlier life never settles.
          if (!this.isPresent) return new Promise(() => undefined);
          const [near, far] = directCarrierPair((callback) => this.defer(callback));
          node.admit(far);
          return Promise.resolve(near);
        },
        stopped: node.closed.then(
          () => new UnumError("NODE_STOPPED"),
          (error: unknown) => (isUnumError(error) ? error : new UnumError("NODE_STOPPED", undefined, { cause: error })),
        ),
      },
      { endpoints: ["local"], direct: false, name: machine.host.name, onClose: () => node.close() },
    );
  }

  override get isPresent(): boolean {
    return this.machine.host.life === this.life && this.machine.host.alive;
  }
}
