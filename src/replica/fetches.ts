import type { Logger } from "../ports/index.ts";
import type { FetchRequest, Raft } from "../raft/index.ts";
import type { GroupLog } from "../storage/index.ts";
import type { Applier } from "./applier.ts";

/** Of committed entries, in memory, that wait for the machine: while there are more, none are read from the disk. */
const waitingBytesMax = 4 * 1024 * 1024;

export interface FetchesOptions {
  readonly log: GroupLog;
  readonly raft: Raft;
  readonly applier: Applier;
  readonly logger: Logger;
  /** Raft has entries that it lacked, or knows that they are not to be had. */
  readonly supplied: () => void;
}

/**
 * Reads the entries that raft does not keep in memory, for followers and for the own machine. After a start the own
 * ones are most of the log: they are read as fast as they are applied, and no faster.
 */
export class Fetches {
  private readonly options: FetchesOptions;
  /** For the own machine, which has enough to do. */
  private held: FetchRequest | undefined;

  constructor(options: FetchesOptions) {
    this.options = options;
  }

  ask(fetch: FetchRequest): void {
    const { applier, raft } = this.options;
    if (fetch.to === raft.replica && applier.waitingBytes > waitingBytesMax) this.held = fetch;
    else void this.supply(fetch);
  }

  /** The machine has moved on. */
  applied(): void {
    const { held } = this;
    if (held === undefined || this.options.applier.waitingBytes > waitingBytesMax) return;
    this.held = undefined;
    void this.supply(held);
  }

  private async supply({ from, maxBytes, to }: FetchRequest): Promise<void> {
    const { log, logger, raft, supplied } = this.options;
    try {
      raft.supply(to, await log.read(from, raft.lastIndex, maxBytes));
    } catch (error) {
      logger.warn("old entries could not be read; the follower gets a snapshot", { group: log.group, from, error: String(error) });
      raft.fetchFailed(to);
    }
    supplied();
  }
}
