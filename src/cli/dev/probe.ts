import { isUnumError } from "../../base/index.ts";
import type { Clock } from "../../ports/index.ts";
import type { Client } from "../client.ts";
import { sleep } from "../wait.ts";

/** No key has this name: deleting it is agreed on and synced as every write, and changes no revision. */
const probeKey = "_unum/local/probe";

/**
 * Writes one after the other around a fault, to see for how long writes are not acknowledged. It runs
 * only then, so that an idle cluster stays idle.
 */
export class PauseProbe {
  private readonly clock: Clock;
  private readonly client: Client;
  private longest = 0;
  private last: number;
  private acknowledged = 0;
  private stopping = false;

  constructor(clock: Clock, client: Client) {
    this.clock = clock;
    this.client = client;
    this.last = clock.now();
    void this.run();
  }

  get count(): number {
    return this.acknowledged;
  }

  /** Ends the probe: the longest time between two acknowledgements, the present one included. A write that still waits is left to its timeout. */
  stop(): number {
    this.stopping = true;
    return Math.max(this.longest, this.clock.now() - this.last);
  }

  /** The silence is counted from now. */
  mark(): void {
    this.longest = 0;
    this.last = this.clock.now();
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      try {
        await this.client.kv.delete(probeKey, { timeout: 5000 });
        const now = this.clock.now();
        this.longest = Math.max(this.longest, now - this.last);
        this.last = now;
        this.acknowledged++;
        await sleep(this.clock, 1);
      } catch (error) {
        if (!isUnumError(error)) throw error;
        await sleep(this.clock, 20);
      }
    }
  }
}
