import { isUnumError } from "../../base/index.ts";
import type { Clock } from "../../ports/index.ts";
import type { Client } from "../client.ts";
import { sleep } from "../wait.ts";
import type { Meter } from "./meter.ts";

/**
 * Reads linearizably, one after the other, for as long as the demo writes. A revision below one
 * that was seen before, or below one that a writer was told before the read began, has gone back.
 */
export class Reader {
  private readonly clock: Clock;
  private readonly client: Client;
  private readonly meter: Meter;
  private stopping = false;
  private running: Promise<void> = Promise.resolve();
  private seen = 0;
  private back = 0;
  private total = 0;

  constructor(clock: Clock, client: Client, meter: Meter) {
    this.clock = clock;
    this.client = client;
    this.meter = meter;
  }

  /** Reads that went back. */
  get readsBack(): number {
    return this.back;
  }

  get reads(): number {
    return this.total;
  }

  start(): void {
    this.running = this.read();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.running;
  }

  private async read(): Promise<void> {
    while (!this.stopping) {
      const floor = Math.max(this.seen, this.meter.revision);
      try {
        // The range is empty: it costs nothing but the round that makes it linearizable.
        const page = await this.client.kv.range({ from: "demo/reader", to: "demo/reader~" }, { limit: 1, timeout: 5000 });
        this.total++;
        if (page.revision < floor) this.back++;
        this.seen = Math.max(this.seen, page.revision);
        await sleep(this.clock, 1);
      } catch (error) {
        if (!isUnumError(error)) throw error;
        await sleep(this.clock, 20);
      }
    }
  }
}
