import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { DiskOptions } from "./machine/disk.ts";

/** Why no disk can be filled here; undefined: one can. */
export function whyNoSmallDisks(directory: string): string | undefined {
  if (process.platform !== "linux") return "a disk that fills is a tmpfs, which is Linux's";
  if (process.getuid?.() !== 0) return "a disk that fills is a tmpfs, and mounting one needs root";
  const path = join(directory, "try");
  mkdirSync(path, { recursive: true });
  const why = mount(path, 1);
  if (why === undefined) unmount(path);
  return why;
}

function mount(path: string, mebibytes: number): string | undefined {
  const { error, status, stderr } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "unum-chaos", path], {
    encoding: "utf8",
  });
  return status === 0 ? undefined : `no tmpfs can be mounted: ${error?.message ?? stderr.trim()}`;
}

function unmount(path: string): void {
  spawnSync("umount", ["--lazy", path]);
}

export interface DiskKind {
  /** The size of a disk of its own; undefined: it shares the directory's. */
  readonly smallMebibytes: number | undefined;
  /** A sync takes this much longer. */
  readonly syncMs: number;
}

/** One node's disk: a directory for its data, and beside it what a power loss needs to know. */
export class ChaosDisk {
  readonly options: DiskOptions;
  /** It has an end of its own. */
  readonly isSmall: boolean;
  private readonly path: string;

  constructor(directory: string, name: string, { smallMebibytes, syncMs }: DiskKind) {
    this.path = join(directory, name);
    this.isSmall = smallMebibytes !== undefined;
    mkdirSync(this.path, { recursive: true });
    if (smallMebibytes !== undefined) {
      const why = mount(this.path, smallMebibytes);
      if (why !== undefined) throw new Error(why);
    }
    this.options = {
      data: join(this.path, "data"),
      journal: join(directory, `${name}.journal`),
      aside: join(this.path, "aside"),
      syncMs,
    };
    mkdirSync(this.options.data, { recursive: true });
    mkdirSync(this.options.journal, { recursive: true });
  }

  /** Something else takes all room but the last `leftBytes`. */
  fill(leftBytes: number): void {
    if (!this.isSmall) throw new Error("only a small disk is filled");
    const { bavail, bsize } = statfsSync(this.path);
    const fd = openSync(join(this.path, "ballast"), "a");
    const block = Buffer.alloc(1024 * 1024, 1);
    try {
      for (let left = bavail * bsize - leftBytes; left > 0; left -= block.length) writeSync(fd, block, 0, Math.min(left, block.length));
    } catch (error) {
      // The node took the last bytes first.
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    } finally {
      closeSync(fd);
    }
  }

  free(): void {
    rmSync(join(this.path, "ballast"), { force: true });
  }

  close(): void {
    if (this.isSmall) unmount(this.path);
  }
}
