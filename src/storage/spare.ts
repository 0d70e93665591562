import { DiskError } from "../ports/index.ts";
import type { Checksum, Clock, Disk, File, Logger, Timer } from "../ports/index.ts";
import type { Prng, Probe } from "../base/index.ts";
import { segmentName, walDirectory } from "./names.ts";
import { segmentPreamble } from "./scan.ts";
import type { StorageSettings } from "./settings.ts";

export interface PreparedSegment {
  readonly segment: number;
  readonly salt: number;
  readonly capacity: number;
  readonly log: File;
}

export interface SpareOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly checksum: Checksum;
  readonly prng: Prng;
  readonly logger: Logger;
  readonly settings: StorageSettings;
  readonly probe?: Probe | undefined;
}

/** Creates, fills with zeros, syncs and opens a segment. Removes it again when there is no room. */
export async function createSegment(options: SpareOptions, segment: number, capacity: number): Promise<PreparedSegment> {
  const { disk } = options;
  const path = `${walDirectory}/${segmentName(segment)}`;
  const salt = options.prng.u32();
  try {
    const bulk = await disk.open(path, { create: true, lane: "bulk" });
    try {
      await bulk.preallocate(capacity);
      await bulk.writeAt(0, [segmentPreamble({ segment, salt, capacity }, options.checksum)], { sync: true });
    } finally {
      await bulk.close();
    }
    await disk.syncDirectory(walDirectory);
    return { segment, salt, capacity, log: await disk.open(path, { create: false, lane: "log" }) };
  } catch (error) {
    await disk.remove(path);
    throw error;
  }
}

/**
 * Keeps one preallocated segment ahead of the log, made in the background. While there is no room it
 * says so, and tries again from time to time.
 */
export class Spare {
  private readonly options: SpareOptions;
  private readonly onChange: () => void;
  private ready: PreparedSegment | undefined;
  private nextId: number;
  private preparing: Promise<void> | undefined;
  private timer: Timer | undefined;
  private closed = false;
  private noRoom = false;

  constructor(options: SpareOptions, nextId: number, onChange: () => void) {
    this.options = options;
    this.nextId = nextId;
    this.onChange = onChange;
  }

  get isReady(): boolean {
    return this.ready !== undefined;
  }

  /** The last attempt found no room for a segment. */
  get isFull(): boolean {
    return this.noRoom;
  }

  take(): PreparedSegment | undefined {
    const { ready } = this;
    this.ready = undefined;
    return ready;
  }

  /** Begins to make the next segment, unless one is there or under way. */
  prepare(): void {
    if (this.closed || this.ready !== undefined || this.preparing !== undefined) return;
    this.timer?.cancel();
    this.timer = undefined;
    this.preparing = this.attempt().finally(() => {
      this.preparing = undefined;
      this.onChange();
    });
  }

  private async attempt(): Promise<void> {
    const { disk, settings, logger } = this.options;
    try {
      if ((await disk.freeBytes()) < settings.segmentBytes)
        throw new DiskError("full", "no room for another segment of the write-ahead log");
      const made = await createSegment(this.options, this.nextId, settings.segmentBytes);
      this.nextId++;
      if (this.noRoom) logger.info("there is room on the disk again");
      this.noRoom = false;
      this.ready = made;
    } catch (error) {
      if (this.closed) return;
      const isFull = error instanceof DiskError && error.code === "full";
      if (isFull && !this.noRoom) logger.error("the disk is full: no new entries are taken until there is room");
      else if (!isFull) logger.error("a segment could not be preallocated", { error: String(error) });
      this.noRoom = isFull;
      this.timer = this.options.clock.after(settings.retryMs, () => this.prepare());
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    this.timer?.cancel();
    await this.preparing;
    await this.ready?.log.close();
    this.ready = undefined;
  }
}
