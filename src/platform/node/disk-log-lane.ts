import { constants } from "node:fs";
import { Worker } from "node:worker_threads";
import { DiskError } from "../../ports/index.ts";
import type { File } from "../../ports/index.ts";
import { fromCode } from "./disk-errors.ts";
import { threadFile } from "./thread-file.ts";
import { LogOp, LogWord, logDataBytes, logDataStart } from "./disk-log-protocol.ts";

interface Request {
  readonly op: LogOp;
  readonly path: string;
  readonly fd: number;
  /** How much of the buffer the request uses, or how much it wants. */
  readonly length: number;
  readonly flags: number;
  readonly offset: number;
  /** Puts the request's bytes into the shared buffer, right before it is handed over. */
  readonly fill: ((data: Uint8Array) => void) | undefined;
  readonly take: ((result: number) => void) | undefined;
  readonly resolve: () => void;
  readonly reject: (error: DiskError) => void;
}

type Parts = Partial<Pick<Request, "fd" | "length" | "flags" | "offset" | "fill" | "take">>;

/**
 * One thread that carries out the operations on log files, one after the other, in the order of the
 * calls. It keeps the process alive only while an operation is under way.
 */
export class LogLane {
  private readonly shared = new SharedArrayBuffer(logDataStart + logDataBytes);
  private readonly words = new Int32Array(this.shared, 0, LogWord.count);
  private readonly numbers = new Float64Array(this.shared, LogWord.count * 4, 2);
  private readonly data = new Uint8Array(this.shared, logDataStart);
  private readonly worker: Worker;
  private readonly waiting: Request[] = [];
  private current: Request | undefined;
  private dead: DiskError | undefined;
  /** Opened, or about to be, and not closed. */
  private openFiles = 0;
  private ending = false;

  constructor() {
    this.worker = new Worker(threadFile("platform/node/log-thread.js"), {
      workerData: this.shared,
      name: "unum-log",
      execArgv: [],
      stdin: false,
    });
    this.worker.on("message", () => this.finished());
    this.worker.on("error", (error) => this.end(new DiskError("io", `the log thread failed: ${error.message}`, { cause: error })));
    this.worker.on("exit", () => this.end(new DiskError("closed", "the log thread has ended")));
    this.worker.unref();
  }

  async open(absolute: string, path: string, create: boolean): Promise<File> {
    const flags = constants.O_RDWR | (create ? constants.O_CREAT : 0);
    let fd = -1;
    const bytes = Buffer.from(absolute);
    this.openFiles++;
    try {
      await this.ask(LogOp.open, path, { length: bytes.length, flags, fill: (data) => data.set(bytes), take: (result) => (fd = result) });
    } catch (error) {
      this.fileClosed();
      throw error;
    }
    return new LogFile(this, path, fd);
  }

  ask(op: LogOp, path: string, parts: Parts): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.dead !== undefined) {
        reject(this.dead);
        return;
      }
      this.waiting.push({
        op,
        path,
        fd: parts.fd ?? 0,
        length: parts.length ?? 0,
        flags: parts.flags ?? 0,
        offset: parts.offset ?? 0,
        fill: parts.fill,
        take: parts.take,
        resolve,
        reject,
      });
      this.next();
    });
  }

  /** The shared buffer and number, valid within `take`. */
  get buffer(): Uint8Array {
    return this.data;
  }

  get number(): number {
    return this.numbers[1] ?? 0;
  }

  /** The thread is on its way out: a file opened now needs another one. */
  get isEnding(): boolean {
    return this.ending || this.dead !== undefined;
  }

  /** With the last file the thread ends. */
  fileClosed(): void {
    this.openFiles--;
    if (this.openFiles > 0 || this.isEnding) return;
    this.ending = true;
    this.waiting.push({
      op: LogOp.quit,
      path: "",
      fd: 0,
      length: 0,
      flags: 0,
      offset: 0,
      fill: undefined,
      take: undefined,
      resolve: () => undefined,
      reject: () => undefined,
    });
    this.next();
  }

  private next(): void {
    if (this.current !== undefined) return;
    const request = this.waiting.shift();
    if (request === undefined) {
      this.worker.unref();
      return;
    }
    this.current = request;
    if (request.op !== LogOp.quit) this.worker.ref();
    const { words } = this;
    request.fill?.(this.data);
    words[LogWord.op] = request.op;
    words[LogWord.fd] = request.fd;
    words[LogWord.length] = request.length;
    words[LogWord.flags] = request.flags;
    this.numbers[0] = request.offset;
    Atomics.add(words, LogWord.request, 1);
    Atomics.notify(words, LogWord.request);
  }

  private finished(): void {
    const request = this.current;
    if (request === undefined) return;
    this.current = undefined;
    const result = this.words[LogWord.result] ?? -1;
    if (result < 0) request.reject(this.failure(request));
    else {
      request.take?.(result);
      request.resolve();
    }
    this.next();
  }

  private failure(request: Request): DiskError {
    const text = Buffer.from(this.data.slice(0, this.words[LogWord.length])).toString("utf8");
    const space = text.indexOf(" ");
    return fromCode(text.slice(0, space), `${request.path}: ${text.slice(space + 1)}`, this.words[LogWord.stage] === 1 ? "sync" : "call");
  }

  private end(error: DiskError): void {
    this.dead ??= error;
    const all = [this.current, ...this.waiting.splice(0)];
    this.current = undefined;
    for (const request of all) request?.reject(this.dead);
  }
}

/** Copies the bytes `from` to `from + length` of the chunks, taken one after the other, into `target`. */
function gather(chunks: readonly Uint8Array[], from: number, length: number, target: Uint8Array): void {
  let skip = from;
  let at = 0;
  for (const chunk of chunks) {
    if (at === length) return;
    if (skip >= chunk.length) {
      skip -= chunk.length;
      continue;
    }
    const part = chunk.subarray(skip, Math.min(chunk.length, skip + length - at));
    target.set(part, at);
    at += part.length;
    skip = 0;
  }
}

class LogFile implements File {
  private readonly lane: LogLane;
  private readonly path: string;
  private readonly fd: number;
  private closed = false;

  constructor(lane: LogLane, path: string, fd: number) {
    this.lane = lane;
    this.path = path;
    this.fd = fd;
  }

  async readAt(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    const result = into ?? new Uint8Array(length);
    let at = 0;
    while (at < length) {
      const wanted = Math.min(logDataBytes, length - at);
      const start = at;
      await this.ask(LogOp.read, {
        offset: offset + at,
        length: wanted,
        take: (count) => {
          result.set(this.lane.buffer.subarray(0, count), start);
          at += count;
        },
      });
      if (at < start + wanted) break;
    }
    return result.subarray(0, at);
  }

  async writeAt(offset: number, chunks: readonly Uint8Array[], options: { readonly sync: boolean }): Promise<void> {
    let total = 0;
    for (const chunk of chunks) total += chunk.length;
    // All pieces are queued at once, so that nothing comes between them; the last one brings the sync.
    const pieces: Promise<void>[] = [];
    for (let at = 0; at < total || pieces.length === 0; at += logDataBytes) {
      const length = Math.min(logDataBytes, total - at);
      const from = at;
      const isLast = at + length >= total;
      pieces.push(
        this.ask(LogOp.write, {
          offset: offset + at,
          length,
          flags: options.sync && isLast ? 1 : 0,
          fill: (data) => gather(chunks, from, length, data),
        }),
      );
    }
    await Promise.all(pieces);
  }

  sync(): Promise<void> {
    return this.ask(LogOp.sync, {});
  }

  truncate(length: number): Promise<void> {
    return this.ask(LogOp.truncate, { offset: length });
  }

  async size(): Promise<number> {
    let size = 0;
    await this.ask(LogOp.size, { take: () => (size = this.lane.number) });
    return size;
  }

  async preallocate(length: number): Promise<void> {
    for (let at = await this.size(); at < length; at += logDataBytes) {
      await this.ask(LogOp.zeros, { offset: at, length: Math.min(logDataBytes, length - at) });
    }
    await this.sync();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    try {
      await this.lane.ask(LogOp.close, this.path, { fd: this.fd });
    } finally {
      this.lane.fileClosed();
    }
  }

  private ask(op: LogOp, parts: Parts): Promise<void> {
    if (this.closed) return Promise.reject(new DiskError("closed", `${this.path} is closed`));
    return this.lane.ask(op, this.path, { ...parts, fd: this.fd });
  }
}
