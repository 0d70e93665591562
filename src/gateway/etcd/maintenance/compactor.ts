import type { Timer } from "../../../ports/index.ts";
import { takeResult } from "../../../api/index.ts";
import { isUnumError } from "../../../base/index.ts";
import type { Ground } from "../service.ts";

/** What is kept, as etcd's flags say it: so long, or so many revisions. */
export type CompactionTerms =
  | { readonly mode: "periodic"; readonly retentionMs: number }
  | { readonly mode: "revision"; readonly revisions: number };

const hourMs = 3_600_000;
/** In the mode of revisions, how often they are counted: etcd's own time. */
const countEveryMs = 300_000;
/** A period is looked at so often. */
const looks = 10;
const callMs = 5_000;

interface Sample {
  readonly atMs: number;
  readonly revision: number;
}

/**
 * Compacts the default keyspace as etcd does by itself: with a period, at most every hour to what was there a period ago; with a number, every five
 * minutes. The member that leads does it; the others only look, so that they can go on when they lead.
 */
export class AutoCompactor {
  private readonly ground: Pick<Ground, "handle" | "kv" | "clock" | "logger">;
  private readonly terms: CompactionTerms;
  private readonly everyMs: number;
  private readonly samples: Sample[] = [];
  private timer: Timer | undefined;
  private compacted = 0;
  private compactedMs: number;
  private closed = false;

  constructor(ground: Pick<Ground, "handle" | "kv" | "clock" | "logger">, terms: CompactionTerms) {
    this.ground = ground;
    this.terms = terms;
    this.everyMs = terms.mode === "revision" ? countEveryMs : Math.min(terms.retentionMs, hourMs) / looks;
    this.compactedMs = ground.clock.now();
  }

  start(): void {
    if (this.closed) return;
    this.timer = this.ground.clock.after(this.everyMs, () => {
      this.look().then(
        () => this.start(),
        (error: unknown) => {
          this.ground.logger.warn("automatic compaction failed; it is tried again", { reason: String(error) });
          this.start();
        },
      );
    });
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  private async look(): Promise<void> {
    const { clock, handle, kv, logger } = this.ground;
    const revision = await kv.query({ kind: "summary" }, (reply) => takeResult(reply, "summary").result.summary.revision, {
      consistency: "stale",
      timeout: callMs,
    });
    const wanted = this.wanted(revision, clock.now());
    if (wanted <= this.compacted || this.closed) return;
    const { node } = await handle.nodeStatus({ timeout: callMs });
    if (kv.leader.node !== node) return;
    await kv
      .command({ kind: "compact", revision: wanted }, (reply) => takeResult(reply, "done").revision, { timeout: callMs })
      .catch((error: unknown) => {
        // Somebody was faster, or the history has gone by itself.
        if (!isUnumError(error, "COMPACTED")) throw error;
      });
    this.compacted = wanted;
    this.compactedMs = clock.now();
    logger.info("compacted by itself", { revision: wanted });
  }

  /** The revision to compact to; 0: none now. */
  private wanted(revision: number, nowMs: number): number {
    const { terms } = this;
    if (terms.mode === "revision") return Math.max(0, revision - terms.revisions);
    this.samples.push({ atMs: nowMs, revision });
    while ((this.samples[1]?.atMs ?? Number.POSITIVE_INFINITY) <= nowMs - terms.retentionMs) this.samples.shift();
    const [oldest] = this.samples;
    if (oldest === undefined || oldest.atMs > nowMs - terms.retentionMs) return 0;
    return nowMs - this.compactedMs < Math.min(terms.retentionMs, hourMs) ? 0 : oldest.revision;
  }
}
