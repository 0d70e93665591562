import { mkdir, open, readdir, rename, rm, statfs } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Disk, File } from "../../ports/index.ts";
import { BulkLane } from "./disk-bulk-lane.ts";
import { lockDirectory } from "./disk-lock.ts";
import { LogLane } from "./disk-log-lane.ts";

/**
 * A real directory. Log files live on a thread of their own, which starts when the first is opened and
 * ends when the last is closed; everything else goes through libuv's pool, one operation at a time.
 */
export class NodeDisk implements Disk {
  readonly directory: string;
  private readonly bulk = new BulkLane();
  private log: LogLane | undefined;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Makes the directory if need be. */
  static async open(directory: string): Promise<NodeDisk> {
    const disk = new NodeDisk(resolve(directory));
    await disk.makeDirectory("");
    return disk;
  }

  async open(path: string, options: { readonly create: boolean; readonly lane: "log" | "bulk" }): Promise<File> {
    const absolute = join(this.directory, path);
    if (options.lane === "bulk") return await this.bulk.open(absolute, path, options.create);
    if (this.log === undefined || this.log.isEnding) this.log = new LogLane();
    return await this.log.open(absolute, path, options.create);
  }

  rename(from: string, to: string): Promise<void> {
    return this.bulk.run(from, () => rename(join(this.directory, from), join(this.directory, to)));
  }

  remove(path: string): Promise<void> {
    return this.bulk.run(path, () => rm(join(this.directory, path), { force: true }));
  }

  list(directory: string): Promise<string[]> {
    return this.bulk.run(directory, async () => {
      try {
        const found = await readdir(join(this.directory, directory), { withFileTypes: true });
        const names = found.filter((entry) => entry.isFile()).map((entry) => Buffer.from(entry.name));
        return names.sort((a, b) => Buffer.compare(a, b)).map((name) => name.toString());
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
        throw error;
      }
    });
  }

  makeDirectory(path: string): Promise<void> {
    return this.bulk.run(path, async () => {
      await mkdir(join(this.directory, path), { recursive: true });
    });
  }

  syncDirectory(path: string): Promise<void> {
    // Windows has no sync of directories; its file system journals names by itself.
    if (process.platform === "win32") return Promise.resolve();
    return this.bulk.run(
      path,
      async () => {
        const handle = await open(join(this.directory, path), "r");
        try {
          await handle.sync();
        } finally {
          await handle.close();
        }
      },
      "sync",
    );
  }

  freeBytes(): Promise<number> {
    return this.bulk.run("", async () => {
      const { bavail, bsize } = await statfs(this.directory);
      return bavail * bsize;
    });
  }

  lock(path: string): Promise<{ release(): Promise<void> }> {
    return this.bulk.run(path, () => lockDirectory(this.directory, path));
  }
}
