import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { DiskError } from "../../ports/index.ts";
import type { File } from "../../ports/index.ts";
import { diskError } from "./disk-errors.ts";

const zeroStepBytes = 1024 * 1024;
const zeroSyncBytes = 8 * 1024 * 1024;

/**
 * Operations that may wait: one at a time, so that they take at most one thread of libuv's pool,
 * which the user's code shares.
 */
export class BulkLane {
  private tail: Promise<unknown> = Promise.resolve();

  run<T>(path: string, action: () => Promise<T>, stage: "call" | "sync" = "call"): Promise<T> {
    const result = this.tail.then(async () => {
      try {
        return await action();
      } catch (error) {
        throw diskError(error, path, stage);
      }
    });
    this.tail = result.catch(() => undefined);
    return result;
  }

  open(absolute: string, path: string, create: boolean): Promise<File> {
    return this.run(path, async () => new BulkFile(this, path, await open(absolute, constants.O_RDWR | (create ? constants.O_CREAT : 0))));
  }
}

class BulkFile implements File {
  private readonly lane: BulkLane;
  private readonly path: string;
  private readonly handle: FileHandle;
  private closed = false;

  constructor(lane: BulkLane, path: string, handle: FileHandle) {
    this.lane = lane;
    this.path = path;
    this.handle = handle;
  }

  readAt(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    return this.run(async () => {
      const bytes = into ?? new Uint8Array(length);
      let at = 0;
      while (at < length) {
        const { bytesRead } = await this.handle.read(bytes, at, length - at, offset + at);
        if (bytesRead === 0) break;
        at += bytesRead;
      }
      return bytes.subarray(0, at);
    });
  }

  writeAt(offset: number, chunks: readonly Uint8Array[], options: { readonly sync: boolean }): Promise<void> {
    return this.run(async () => {
      let at = offset;
      for (const chunk of chunks) {
        await this.writeAll(chunk, at);
        at += chunk.length;
      }
      if (options.sync) await this.handle.datasync().catch((error: unknown) => Promise.reject(diskError(error, this.path, "sync")));
    });
  }

  sync(): Promise<void> {
    return this.run(() => this.handle.datasync(), "sync");
  }

  truncate(length: number): Promise<void> {
    return this.run(() => this.handle.truncate(length));
  }

  size(): Promise<number> {
    return this.run(async () => (await this.handle.stat()).size);
  }

  /** Each step waits its turn in the lane anew, so that nothing waits for the whole. */
  async preallocate(length: number): Promise<void> {
    const zeros = new Uint8Array(Math.min(zeroStepBytes, length));
    let unsynced = 0;
    for (let at = await this.size(); at < length; at += zeroStepBytes) {
      const step = zeros.subarray(0, Math.min(zeroStepBytes, length - at));
      await this.run(() => this.writeAll(step, at));
      unsynced += step.length;
      if (unsynced < zeroSyncBytes) continue;
      await this.sync();
      unsynced = 0;
    }
    await this.sync();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.lane.run(this.path, () => this.handle.close());
  }

  private async writeAll(bytes: Uint8Array, offset: number): Promise<void> {
    for (let at = 0; at < bytes.length; ) at += (await this.handle.write(bytes, at, bytes.length - at, offset + at)).bytesWritten;
  }

  private run<T>(action: () => Promise<T>, stage: "call" | "sync" = "call"): Promise<T> {
    if (this.closed) return Promise.reject(new DiskError("closed", `${this.path} is closed`));
    return this.lane.run(this.path, action, stage);
  }
}
