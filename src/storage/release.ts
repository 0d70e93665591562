import type { GroupId } from "../base/index.ts";
import { DiskError } from "../ports/index.ts";
import type { Clock, Logger } from "../ports/index.ts";
import type { Entry } from "../raft/types.ts";
import type { LogGroup } from "./group-log.ts";
import { walDirectory } from "./names.ts";
import { queuedWrite } from "./queue.ts";
import { readEntries } from "./read.ts";
import type { RecoveredSegment, RecoveryTools } from "./recover.ts";
import type { Wal } from "./wal.ts";

export interface ReleaseOptions extends RecoveryTools {
  readonly wal: Wal;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly groups: ReadonlyMap<GroupId, LogGroup>;
}

interface Run {
  readonly from: number;
  readonly to: number;
}

const moveBytes = 1024 * 1024;

/**
 * Lets go of the oldest segments of the WAL, in order. Entries that are still needed and committed move
 * to the group's own segments; uncommitted ones, which may yet be replaced, are written again at the head.
 */
export class Releaser {
  private readonly options: ReleaseOptions;
  private running: Promise<void> | undefined;
  private again = false;
  private closed = false;

  constructor(options: ReleaseOptions) {
    this.options = options;
  }

  /** Begins in the background; a call while it runs makes it look once more. */
  start(): void {
    if (this.closed) return;
    if (this.running !== undefined) {
      this.again = true;
      return;
    }
    this.running = this.run()
      .catch((error: unknown) => {
        // Without any room nothing can be moved either: the log says so, and tries again.
        const level = error instanceof DiskError && error.code === "full" ? "debug" : "error";
        this.options.logger[level]("a segment of the write-ahead log could not be released", { error: String(error) });
      })
      .finally(() => {
        this.running = undefined;
        if (this.again) {
          this.again = false;
          this.start();
        }
      });
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.running;
  }

  private async run(): Promise<void> {
    const { wal } = this.options;
    for (;;) {
      const oldest = wal.segments[0];
      if (this.closed || wal.isEnded || oldest === undefined || oldest.file === wal.currentFile) return;
      if (this.liveGroups(oldest).length > 0) {
        if (!this.isOverLimit() || !(await this.empty(oldest))) return;
      }
      if (this.closed || wal.isEnded) return;
      wal.segments.shift();
      await this.options.files.remove(oldest.file);
      await this.options.disk.syncDirectory(walDirectory);
    }
  }

  /** Also when the disk has no room for the next segment: the log itself may be what fills it. */
  private isOverLimit(): boolean {
    const { walBytes, walSegments } = this.options.wal.stats();
    if (this.options.wal.lacksRoom) return true;
    return walBytes > this.options.settings.walBytesMax || walSegments > this.options.settings.walSegmentsMax;
  }

  private liveGroups({ file }: RecoveredSegment): LogGroup[] {
    return [...this.options.groups.values()].filter((group) => group.runsIn(file).length > 0);
  }

  /** Whether nothing that is needed is left in the segment. */
  private async empty(segment: RecoveredSegment): Promise<boolean> {
    const groups = this.liveGroups(segment);
    let uncommitted = 0;
    for (const group of groups)
      for (const run of group.runsIn(segment.file)) uncommitted += group.bytesOf(Math.max(run.from, group.commit + 1), run.to);
    if (uncommitted > segment.bytes / 2) {
      // Written again it would fill the log as fast as it empties it.
      this.options.logger.warn("a segment of the write-ahead log is kept: most of it is not committed yet", { segment: segment.segment });
      return false;
    }
    for (const group of groups) {
      for (const run of group.runsIn(segment.file)) {
        if (this.closed) return false;
        if (run.from <= group.commit) {
          this.options.probe?.("entries-moved-out");
          await group.moveOut(run.from, Math.min(run.to, group.commit));
        }
        if (run.to > group.commit) await this.rewrite(group, { from: Math.max(run.from, group.commit + 1), to: run.to }, segment.file);
      }
    }
    return this.liveGroups(segment).length === 0;
  }

  private async rewrite(group: LogGroup, run: Run, fromFile: number): Promise<void> {
    const { wal, files, checksum, probe } = this.options;
    probe?.("entries-rewritten");
    for (let from = run.from; from <= run.to; ) {
      if (!group.state.index.has(from) || group.state.index.fileAt(from) !== fromFile) {
        from++;
        continue;
      }
      const entries: readonly Entry[] = await readEntries(files, checksum, group.state, from, run.to, moveBytes);
      from += entries.length;
      const durable = new Promise<void>((resolve) => wal.push(queuedWrite("rewrite", group.state, { entries, fromFile, done: resolve })));
      wal.flush();
      await Promise.race([durable, wal.ended]);
      if (wal.isEnded) return;
    }
  }
}
