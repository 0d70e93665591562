import type { Clock, Disk } from "../ports/index.ts";

/** How long somebody who asks waits for the disk itself. */
const patienceMs = 50;

/**
 * How much room the disk has, as it last said. Whether a node lives is asked by its status, so a disk that hangs must not hold the
 * answer up: one question at a time is under way, and who asks meanwhile gets the answer before.
 */
export class DiskGauge {
  private readonly disk: Disk;
  private readonly clock: Clock;
  private lastBytes: number | null = null;
  private asking: Promise<void> | undefined;

  constructor(disk: Disk, clock: Clock) {
    this.disk = disk;
    this.clock = clock;
  }

  /** Null: the disk has never answered. */
  async freeBytes(): Promise<number | null> {
    this.asking ??= this.ask();
    const { asking, clock } = this;
    await new Promise<void>((resolve) => {
      const timer = clock.after(patienceMs, resolve);
      void asking.then(() => {
        timer.cancel();
        resolve();
      });
    });
    return this.lastBytes;
  }

  /** Never rejects: what cannot be known stays as it was. */
  private async ask(): Promise<void> {
    try {
      this.lastBytes = await this.disk.freeBytes();
    } catch {
      this.lastBytes = null;
    }
    this.asking = undefined;
  }
}
