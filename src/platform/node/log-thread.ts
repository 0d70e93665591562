/**
 * The thread of the log lane: carries out one request after the other with synchronous calls, so that
 * a sync waits neither for the event loop nor for libuv's pool, which the user's code shares.
 */
import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { LogOp, LogWord, logDataStart } from "./disk-log-protocol.ts";

const shared = workerData as SharedArrayBuffer;
const words = new Int32Array(shared, 0, LogWord.count);
const numbers = new Float64Array(shared, LogWord.count * 4, 2);
const data = new Uint8Array(shared, logDataStart);

function word(at: number): number {
  return words[at] ?? 0;
}

function text(length: number): string {
  return Buffer.from(data.slice(0, length)).toString("utf8");
}

function writeAll(fd: number, length: number, offset: number): void {
  for (let done = 0; done < length; ) done += writeSync(fd, data, done, length - done, offset + done);
}

function readAll(fd: number, length: number, offset: number): number {
  let done = 0;
  while (done < length) {
    const count = readSync(fd, data, done, length - done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

function writeZeros(fd: number, from: number, length: number): void {
  data.fill(0, 0, Math.min(length, data.length));
  for (let done = 0; done < length; ) done += writeSync(fd, data, 0, Math.min(data.length, length - done), from + done);
}

/** The request's result. Sets the stage to 1 once a sync has begun: a failure from then on is never for want of room. */
function execute(): number {
  const fd = word(LogWord.fd);
  const length = word(LogWord.length);
  const offset = numbers[0] ?? 0;
  words[LogWord.stage] = 0;
  switch (word(LogWord.op)) {
    case LogOp.open:
      return openSync(text(length), word(LogWord.flags));
    case LogOp.close:
      closeSync(fd);
      return 0;
    case LogOp.write:
      writeAll(fd, length, offset);
      if (word(LogWord.flags) === 1) syncNow(fd);
      return 0;
    case LogOp.sync:
      syncNow(fd);
      return 0;
    case LogOp.read:
      return readAll(fd, length, offset);
    case LogOp.size:
      numbers[1] = fstatSync(fd).size;
      return 0;
    case LogOp.truncate:
      ftruncateSync(fd, offset);
      return 0;
    case LogOp.zeros:
      writeZeros(fd, offset, length);
      return 0;
    default:
      throw new Error(`no operation ${word(LogWord.op)}`);
  }
}

function syncNow(fd: number): void {
  words[LogWord.stage] = 1;
  fdatasyncSync(fd);
}

function fail(error: unknown): void {
  const { code, message } = error as NodeJS.ErrnoException;
  const bytes = Buffer.from(`${code ?? "EIO"} ${message}`).subarray(0, 1024);
  data.set(bytes, 0);
  words[LogWord.length] = bytes.length;
  words[LogWord.result] = -1;
}

for (let last = 0; ; ) {
  Atomics.wait(words, LogWord.request, last);
  const request = Atomics.load(words, LogWord.request);
  if (request === last) continue;
  last = request;
  if (word(LogWord.op) === LogOp.quit) break;
  try {
    words[LogWord.result] = execute();
  } catch (error) {
    fail(error);
  }
  parentPort?.postMessage(request);
}
