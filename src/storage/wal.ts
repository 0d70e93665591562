import type { GroupId } from "../base/index.ts";
import { DiskError } from "../ports/index.ts";
import type { Timer } from "../ports/index.ts";
import { Composer } from "./compose.ts";
import type { ComposedSegment } from "./compose.ts";
import type { Files } from "./files.ts";
import { BatchFlag, StateReason, sectorBytes } from "./format.ts";
import type { LogState } from "./log-state.ts";
import { segmentName, walDirectory } from "./names.ts";
import { composeWrite, needsCopy } from "./queue.ts";
import type { QueuedWrite } from "./queue.ts";
import type { RecoveredSegment } from "./recover.ts";
import { Spare } from "./spare.ts";
import type { PreparedSegment, SpareOptions } from "./spare.ts";
import type { StorageStats } from "./types.ts";

interface Current extends ComposedSegment {
  readonly prepared: PreparedSegment;
  /** Where the next batch begins. */
  position: number;
}

interface Inflight {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly writes: readonly QueuedWrite[];
  /** The mark that these batches carry, and the last of their sequences. */
  readonly carries: number;
  readonly last: number;
  readonly hasRecords: boolean;
  /** It begins with the head of a segment. */
  readonly rolled: boolean;
}

export interface WalOptions extends SpareOptions {
  readonly files: Files;
  /** The replicas that recovery found, discarded ones included. */
  readonly recovered: readonly LogState[];
  /** A segment was begun, or room was sought: what is not needed may go. */
  readonly onRoll: () => void;
}

/**
 * The write-ahead log: a queue, one write in flight, and everything that gathered meanwhile in the next.
 *
 * Invariants: batches leave in the order of their sequences, one write at a time; a write's `done` is
 * called after its sync and after those before it; after a failure nothing is written and nothing done.
 */
export class Wal {
  readonly failed: Promise<Error>;
  /** Fulfils when nothing will be written any more: after a failure, or when it is closed. */
  readonly ended: Promise<void>;
  readonly segments: RecoveredSegment[];
  private readonly options: WalOptions;
  /** Every replica as the last batch composed leaves it: what a segment's head repeats. */
  private readonly states = new Map<GroupId, LogState>();
  private readonly composer: Composer;
  private readonly spare: Spare;
  private resolveFailed: (error: Error) => void = () => undefined;
  private resolveEnded: () => void = () => undefined;
  private hasEnded = false;
  private failure: Error | undefined;
  private current: Current;
  private sequence: number;
  /** All batches up to this sequence are on stable storage. */
  private synced: number;
  /** The largest mark that is itself on stable storage, and the last batch that needs one behind it. */
  private marked = 0;
  private lastRecords = 0;
  private queue: QueuedWrite[] = [];
  private queued = 0;
  private isWriting = false;
  private since: number | undefined;
  private retrying = false;
  /** The current segment's head is not written yet. */
  private isRolled = true;
  private markTimer: Timer | undefined;
  private retryTimer: Timer | undefined;
  private closing = false;
  private idle: (() => void) | undefined;
  private syncs = 0;
  private syncMsLast = 0;
  private syncMsMean = 0;

  constructor(options: WalOptions, segments: readonly RecoveredSegment[], first: PreparedSegment, sequence: number) {
    this.options = options;
    for (const state of options.recovered) this.states.set(state.group, state);
    this.segments = [...segments];
    this.composer = new Composer(options.checksum);
    this.sequence = sequence;
    this.synced = sequence - 1;
    this.failed = new Promise((resolve) => (this.resolveFailed = resolve));
    this.ended = new Promise((resolve) => (this.resolveEnded = resolve));
    this.spare = new Spare(options, first.segment + 1, () => this.spareChanged());
    this.current = this.adopt(first);
  }

  get queuedBytes(): number {
    return this.queued;
  }

  get writingSince(): number | undefined {
    return this.since;
  }

  /** The segment being written is never released. */
  get currentFile(): number {
    return this.current.file;
  }

  get isEnded(): boolean {
    return this.hasEnded;
  }

  /** True early enough that what is queued and in flight still fits. */
  get full(): boolean {
    if (this.retrying) return true;
    if (!this.lacksRoom) return false;
    const { capacity } = this.current.prepared;
    return this.roomForEntries() - this.queued < Math.min(capacity / 4, 8 * 1024 * 1024);
  }

  /** There is no segment to go on in after this one, for want of room. */
  get lacksRoom(): boolean {
    return this.spare.isFull && !this.spare.isReady;
  }

  stats(): StorageStats {
    const walBytes = this.segments.reduce((sum, { bytes }) => sum + bytes, 0);
    return { walBytes, walSegments: this.segments.length, syncs: this.syncs, syncMsLast: this.syncMsLast, syncMsMean: this.syncMsMean };
  }

  push(write: QueuedWrite): void {
    if (this.hasEnded) return;
    this.queue.push(write);
    this.queued += write.bytes;
  }

  /** Writes the head of the first segment; the log is open when it fulfils. */
  async begin(): Promise<void> {
    await this.write(this.composeWrites([]));
    if (this.failure !== undefined) throw this.failure;
  }

  flush(): void {
    if (this.isWriting || this.hasEnded || this.queue.length === 0) return;
    if (this.spare.isReady && this.current.position + this.batchEstimate() > this.current.prepared.capacity) this.roll();
    const writes = this.select();
    if (writes.length === 0) return;
    this.isWriting = true;
    this.since = this.options.clock.now();
    void this.write(this.composeWrites(writes));
  }

  async close(): Promise<void> {
    this.closing = true;
    this.markTimer?.cancel();
    this.flush();
    while (this.failure === undefined && (this.isWriting || (this.queue.length > 0 && !this.spare.isFull))) {
      await new Promise<void>((resolve) => (this.idle = resolve));
    }
    this.end();
    this.retryTimer?.cancel();
    await this.spare.close();
    await this.current.prepared.log.close();
  }

  private adopt(prepared: PreparedSegment): Current {
    const file = this.options.files.add(`${walDirectory}/${segmentName(prepared.segment)}`);
    this.segments.push({ segment: prepared.segment, file, bytes: prepared.capacity });
    return { prepared, segment: prepared.segment, salt: prepared.salt, file, first: this.sequence, position: sectorBytes };
  }

  private roll(): void {
    const next = this.spare.take();
    if (next === undefined) return;
    const old = this.current.prepared.log;
    this.current = this.adopt(next);
    this.isRolled = true;
    void old.close().catch((error: unknown) => this.options.logger.warn("a segment could not be closed", { error: String(error) }));
  }

  private spareChanged(): void {
    this.flush();
    if (this.spare.isFull) this.options.onRoll();
    this.wake();
  }

  private wake(): void {
    const { idle } = this;
    this.idle = undefined;
    idle?.();
  }

  private roomForEntries(): number {
    const { capacity } = this.current.prepared;
    return capacity - Math.min(this.options.settings.reserveBytes, capacity / 4) - this.current.position;
  }

  private batchEstimate(): number {
    const atLeast = this.queue[0]?.bytes ?? 0;
    return Math.max(atLeast, Math.min(this.queued, this.options.settings.batchBytesMax)) + 2 * sectorBytes;
  }

  /**
   * The writes of the next batch. Without room for another segment, entries stop before the reserve;
   * hard states of groups that have no entries waiting before them go on.
   */
  private select(): QueuedWrite[] {
    const { batchBytesMax } = this.options.settings;
    const tight = this.spare.isFull && !this.spare.isReady;
    let entryRoom = tight ? this.roomForEntries() - 2 * sectorBytes : Number.MAX_SAFE_INTEGER;
    let room = tight ? this.current.prepared.capacity - this.current.position - 4 * sectorBytes : Number.MAX_SAFE_INTEGER;
    const chosen: QueuedWrite[] = [];
    let left: QueuedWrite[] = [];
    const held = new Set<LogState>();
    let bytes = 0;
    for (const write of this.queue) {
      const fits = write.bytes <= (write.entries.length > 0 ? entryRoom : room) && (bytes === 0 || bytes + write.bytes <= batchBytesMax);
      if (!fits || held.has(write.state)) {
        // Without pressure on room the order of the whole queue is kept; otherwise the order of each group.
        if (!tight) {
          left = this.queue.slice(chosen.length);
          break;
        }
        held.add(write.state);
        left.push(write);
        continue;
      }
      chosen.push(write);
      bytes += write.bytes;
      // A hard state may be followed by a copy of its own, a sector at least.
      entryRoom -= write.bytes;
      room -= write.bytes + (write.entries.length > 0 ? 0 : 512);
    }
    this.queue = left;
    return chosen;
  }

  private composeWrites(writes: readonly QueuedWrite[]): Inflight {
    const { composer, current, synced } = this;
    const rolled = this.isRolled;
    this.isRolled = false;
    composer.reset(current, current.position);
    let hasRecords = rolled;
    if (rolled) {
      for (const flags of [BatchFlag.head, BatchFlag.head | BatchFlag.copies]) {
        composer.begin(this.sequence);
        for (const state of this.states.values()) composer.state(state, StateReason.restate);
        composer.end(synced, flags);
        this.sequence++;
      }
    }
    composer.begin(this.sequence);
    const copies = new Map<LogState, QueuedWrite>();
    for (const write of writes) {
      // A replica that has ended takes nothing more: a late rewrite, say, of its entries.
      if (write.kind !== "create" && this.states.get(write.state.group) !== write.state) continue;
      if (needsCopy(write)) copies.set(write.state, write);
      composeWrite(composer, write);
      if (write.kind === "create") this.states.set(write.state.group, write.state);
      else if (write.kind === "destroy" && this.states.get(write.state.group) === write.state) this.states.delete(write.state.group);
    }
    if (composer.isEmpty) composer.cancel();
    else {
      hasRecords = true;
      composer.end(synced, 0);
      this.sequence++;
    }
    if (copies.size > 0) {
      composer.begin(this.sequence);
      for (const [state, { kind }] of copies) {
        if (kind === "destroy") composer.destroy(state);
        else composer.state(state, StateReason.restate);
      }
      composer.end(synced, BatchFlag.copies);
      this.sequence++;
    }
    return { bytes: composer.taken(), offset: current.position, writes, carries: synced, last: this.sequence - 1, hasRecords, rolled };
  }

  private async write(inflight: Inflight): Promise<void> {
    this.isWriting = true;
    const began = this.options.clock.now();
    this.since = began;
    try {
      if (inflight.bytes.length === 0) await Promise.resolve();
      else await this.current.prepared.log.writeAt(inflight.offset, [inflight.bytes], { sync: true });
    } catch (error) {
      this.refused(inflight, error);
      return;
    }
    this.retrying = false;
    if (inflight.bytes.length > 0) this.noteSync(this.options.clock.now() - began);
    this.completed(inflight);
  }

  /**
   * No room is no failure: nothing was synced, so the very same bytes are written again later. Anything
   * else ends this log, since nobody knows what is durable.
   */
  private refused(inflight: Inflight, error: unknown): void {
    if (error instanceof DiskError && error.code === "full" && !this.closing) {
      if (!this.retrying) this.options.probe?.("log-full");
      this.retrying = true;
      this.retryTimer = this.options.clock.after(this.options.settings.retryMs, () => void this.write(inflight));
      return;
    }
    this.fail(error instanceof Error ? error : new Error(String(error)));
  }

  private completed(inflight: Inflight): void {
    this.current.position = inflight.offset + inflight.bytes.length;
    this.synced = inflight.last;
    this.marked = Math.max(this.marked, inflight.bytes.length > 0 ? inflight.carries : 0);
    if (inflight.hasRecords) this.lastRecords = inflight.last;
    this.isWriting = false;
    this.since = undefined;
    for (const write of inflight.writes) this.queued -= write.bytes;
    try {
      for (const write of inflight.writes) write.done?.();
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (inflight.rolled) {
      this.spare.prepare();
      this.options.onRoll();
    }
    this.flush();
    if (!this.isWriting) this.armMark();
    this.wake();
  }

  private fail(error: Error): void {
    if (this.failure !== undefined) return;
    this.failure = error;
    this.options.probe?.("log-failed");
    this.end();
    this.options.logger.error("the write-ahead log has failed and takes nothing more", { error: String(error) });
    this.resolveFailed(error);
    this.wake();
  }

  private end(): void {
    this.hasEnded = true;
    this.queue = [];
    this.resolveEnded();
  }

  /** Carries the synced mark on once the log is silent, so that damage to the last batches is told from a torn end. */
  private armMark(): void {
    if (this.closing || this.markTimer !== undefined || this.lastRecords <= this.marked) return;
    const { sequence } = this;
    this.markTimer = this.options.clock.after(this.options.settings.markDelayMs, () => {
      this.markTimer = undefined;
      if (this.closing || this.isWriting || this.failure !== undefined || this.lastRecords <= this.marked) return;
      // Written to meanwhile: the silence begins anew.
      if (this.sequence === sequence) this.writeMark();
      else this.armMark();
    });
  }

  private writeMark(): void {
    const { composer, current, synced } = this;
    if (this.spare.isFull && current.position + sectorBytes > current.prepared.capacity) return;
    composer.reset(current, current.position);
    composer.begin(this.sequence);
    composer.end(synced, 0);
    this.sequence++;
    void this.write({
      bytes: composer.taken(),
      offset: current.position,
      writes: [],
      carries: synced,
      last: this.sequence - 1,
      hasRecords: false,
      rolled: false,
    });
  }

  private noteSync(ms: number): void {
    this.syncs++;
    this.syncMsLast = ms;
    this.syncMsMean = this.syncs === 1 ? ms : this.syncMsMean + (ms - this.syncMsMean) / 16;
  }
}
