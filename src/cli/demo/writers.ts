import { isUnumError } from "../../base/index.ts";
import type { Clock } from "../../ports/index.ts";
import type { Client } from "../client.ts";
import { sleep } from "../wait.ts";
import { demoKey, demoValue } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";
import type { Meter } from "./meter.ts";

/** In flight per writer. */
export const inFlight = 100;
const callTimeoutMs = 8000;

/** Each writer keeps `inFlight` writes going, each to a key of its own, and notes what it was told. */
export class Writers {
  private readonly clock: Clock;
  private readonly clients: readonly Client[];
  private readonly ledger: Ledger;
  private readonly meter: Meter;
  private slots: Promise<void>[] = [];
  private stopping = false;

  /** One client per writer of the ledger. */
  constructor(clock: Clock, clients: readonly Client[], ledger: Ledger, meter: Meter) {
    this.clock = clock;
    this.clients = clients;
    this.ledger = ledger;
    this.meter = meter;
  }

  start(): void {
    this.clients.forEach((client, writer) => {
      for (let slot = 0; slot < inFlight; slot++) this.slots.push(this.write(client, writer));
    });
  }

  /** Begins no more writes; fulfils when those in flight are settled. */
  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.slots);
    this.slots = [];
  }

  private async write(client: Client, writer: number): Promise<void> {
    const { clock, ledger, meter } = this;
    while (!this.stopping) {
      const number = ledger.begin(writer);
      try {
        const { revision } = await client.kv.put(demoKey(writer, number), demoValue(writer, number), { timeout: callTimeoutMs });
        ledger.settle(writer, number, "acknowledged");
        meter.record(clock.now(), revision);
      } catch (error) {
        // A key is never used again: whatever the failed write does later, it cannot hide behind another.
        ledger.settle(writer, number, isUnumError(error) && error.outcome === "not-applied" ? "refused" : "unknown");
        if (!isUnumError(error)) throw error;
        await sleep(clock, 20);
      }
    }
  }
}
