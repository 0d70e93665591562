import type { Probe } from "../base/index.ts";
import type { Clock, Logger } from "../ports/index.ts";
import type { Replica } from "../replica/index.ts";
import type { Storage } from "../storage/index.ts";

export interface VigilHost {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly storage: Storage;
  readonly probe?: Probe | undefined;
  replicas(): Iterable<Replica>;
  readonly electionTimeoutMs: number;
}

/**
 * A leader whose disk or event loop hangs for an election timeout hands over, although its heartbeats
 * still go out: the followers cannot see it.
 */
export class Vigil {
  private readonly host: VigilHost;
  private lastLookMs: number;

  constructor(host: VigilHost) {
    this.host = host;
    this.lastLookMs = host.clock.now();
  }

  /** Called with every tick. */
  look(): void {
    const { clock, electionTimeoutMs, logger, storage } = this.host;
    const now = clock.now();
    const since = storage.writingSince;
    const diskHangs = since !== undefined && now - since > electionTimeoutMs;
    const loopHung = now - this.lastLookMs > electionTimeoutMs;
    this.lastLookMs = now;
    if (!diskHangs && !loopHung) return;
    for (const replica of this.host.replicas()) {
      if (!replica.isLeader || replica.configuration.voters.length < 2) continue;
      logger.warn("leadership is given up: the node was stuck", { group: replica.group, disk: diskHangs, loop: loopHung });
      this.host.probe?.("stuck-leader-hands-over");
      replica.handOver();
    }
  }
}
