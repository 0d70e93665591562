import type { NodeId } from "../base/index.ts";
import type { Clock, Logger, Names, Streams } from "../ports/index.ts";
import type { ConnectionPurpose, Hello } from "../wire/index.ts";
import { openConnection } from "./handshake.ts";
import { seedAddresses } from "./seeds.ts";

export interface SeekerOptions {
  readonly clock: Clock;
  readonly streams: Streams;
  readonly logger: Logger;
  readonly names: Names;
  readonly seeds: readonly string[];
  hello(purpose: ConnectionPurpose): Hello;
  /** Whether a member is out of reach at the address that is known of it. */
  isMissing(): boolean;
  met(node: NodeId, address: string): void;
}

const pauseMsMin = 1_000;
const pauseMsMax = 30_000;
const dialTimeoutMs = 1_000;

/**
 * Looks for members that are not where they were. A member is known by its id, and its address is
 * only the last one that was agreed to: when it moved while no majority could record that, the seeds
 * are asked who is there. The greeting itself is the answer, in both directions.
 */
export class Seeker {
  private readonly options: SeekerOptions;
  private pauseMs = pauseMsMin;
  private nextMs: number;
  private asking = false;

  constructor(options: SeekerOptions) {
    this.options = options;
    this.nextMs = options.clock.now() + pauseMsMin;
  }

  tick(): void {
    const now = this.options.clock.now();
    if (this.asking || now < this.nextMs) return;
    if (!this.options.isMissing()) {
      this.pauseMs = pauseMsMin;
      this.nextMs = now + pauseMsMin;
      return;
    }
    this.asking = true;
    void this.ask().finally(() => {
      this.asking = false;
      this.nextMs = this.options.clock.now() + this.pauseMs;
      this.pauseMs = Math.min(2 * this.pauseMs, pauseMsMax);
    });
  }

  private async seeds(): Promise<readonly string[]> {
    try {
      return await seedAddresses(this.options.seeds, this.options);
    } catch (error) {
      this.options.logger.debug("the seeds are not known now", { error: String(error) });
      return [];
    }
  }

  private async ask(): Promise<void> {
    const { hello, logger, met } = this.options;
    await Promise.all(
      (await this.seeds()).map(async (seed) => {
        try {
          const { carrier, welcome } = await openConnection(this.options, seed, hello("control"), dialTimeoutMs);
          carrier.destroy();
          if (welcome.node !== undefined) met(welcome.node, welcome.address);
        } catch (error) {
          logger.debug("a seed does not answer", { seed, error: String(error) });
        }
      }),
    );
  }
}
