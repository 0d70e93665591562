/**
 * A directory on a disk, cut below our WAL so that a simulated disk meets our recovery code.
 * Paths are relative to the directory, with "/" between parts.
 *
 * Guarantees, and no more than these:
 * - Bytes written are durable only after a `sync` (or `writeAt` with `sync: true`) that began after
 *   the write was accepted has fulfilled. A crash before that keeps, loses or tears them, in any
 *   combination of 512-byte sectors and in any order.
 * - A created, renamed or removed name is durable only after `syncDirectory` of its directory.
 * - `rename` within the directory replaces its target atomically for whoever looks later.
 * - A failed sync leaves unknown what is durable; it must not be repeated (fsyncgate).
 *
 * Every method rejects with `DiskError`.
 */
export interface Disk {
  /**
   * `lane` says who may be delayed by whom: operations on "log" files run on a thread of their own
   * and wait for nothing else; "bulk" operations run one at a time behind each other.
   */
  open(path: string, options: { readonly create: boolean; readonly lane: "log" | "bulk" }): Promise<File>;
  rename(from: string, to: string): Promise<void>;
  /** Removing what is not there fulfils. */
  remove(path: string): Promise<void>;
  /** Names of files in a directory, in unsigned byte order; empty when there is no such directory. */
  list(directory: string): Promise<string[]>;
  makeDirectory(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  /** Bytes that may still be written. */
  freeBytes(): Promise<number>;
  /** Held until released or until the process ends, however it ends. Rejects with "locked" and the holder's pid. */
  lock(path: string): Promise<{ release(): Promise<void> }>;
}

export interface File {
  /**
   * At most `length` bytes, fewer only at the end of the file. `into`, at least so long, takes them, and the result is a
   * view of it: for whoever reads much, since memory that was never touched costs as much as the reading.
   */
  readAt(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  /**
   * Writes the chunks one after the other; with `sync`, durable when it fulfils. The chunks are
   * copied or written before the call returns or must not change until it settles: the caller
   * leaves them alone until then.
   */
  writeAt(offset: number, chunks: readonly Uint8Array[], options: { readonly sync: boolean }): Promise<void>;
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  /** Makes the file at least `length` bytes long, zeros where nothing was written, and reserves the space. */
  preallocate(length: number): Promise<void>;
  close(): Promise<void>;
}

export type DiskErrorCode = "missing" | "full" | "locked" | "io" | "closed";

/** `full`: no room; nothing is known of the write. `io`: anything else that the disk refused. */
export class DiskError extends Error {
  override readonly name = "DiskError";
  readonly code: DiskErrorCode;
  /** For "locked": who holds it. */
  readonly pid: number | undefined;

  constructor(code: DiskErrorCode, message: string, options: { readonly cause?: unknown; readonly pid?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.pid = options.pid;
  }
}
