import { assert, MalformedBytes, Writer } from "../base/index.ts";
import { UpgradeRequired } from "./types.ts";

/**
 * The data of a log entry: [version u8][timestamp u64][count u32], then per command [length u32][bytes].
 * A turn's commands are one entry; the bytes of a command are what the handle encoded, untouched.
 */
const entryVersion = 1;
const headerBytes = 13;
const two32 = 0x1_0000_0000;

/** Gathers commands; `finish` makes the entry and begins the next. */
export class EntryBuilder {
  private readonly writer = new Writer(4096);
  private commands = 0;

  constructor() {
    this.begin();
  }

  private begin(): void {
    this.writer.u8(entryVersion).u64(0).u32(0);
    this.commands = 0;
  }

  add(command: Uint8Array): void {
    this.writer.blob(command);
    this.commands++;
  }

  /** Bytes that the entry would have now. */
  get bytes(): number {
    return this.writer.length;
  }

  get count(): number {
    return this.commands;
  }

  /** The entry's data, the caller's own. `timestamp`: whole milliseconds, at least that of every earlier entry of the log. */
  finish(timestamp: number): Uint8Array {
    assert(Number.isSafeInteger(timestamp) && timestamp >= 0, "a timestamp is a whole number of milliseconds");
    this.writer.patchU32(1, timestamp % two32);
    this.writer.patchU32(5, Math.floor(timestamp / two32));
    this.writer.patchU32(9, this.commands);
    const data = this.writer.copy();
    this.begin();
    return data;
  }
}

/** The commands of an entry in order; each is a view of the entry's data. */
export class EntryCommands implements Iterable<Uint8Array> {
  private readonly data: Uint8Array;
  private readonly count: number;

  constructor(data: Uint8Array, count: number) {
    this.data = data;
    this.count = count;
  }

  *[Symbol.iterator](): IterableIterator<Uint8Array> {
    let at = headerBytes;
    for (let i = 0; i < this.count; i++) {
      const length = lengthAt(this.data, at);
      at += 4;
      if (length > this.data.length - at) throw new MalformedBytes(`command ${i} of an entry ends beyond it`);
      yield this.data.subarray(at, at + length);
      at += length;
    }
    if (at !== this.data.length) throw new MalformedBytes(`${this.data.length - at} bytes behind the last command of an entry`);
  }
}

function lengthAt(data: Uint8Array, at: number): number {
  if (at + 4 > data.length) throw new MalformedBytes(`entry ends at ${data.length} within a length`);
  return ((data[at] ?? 0) | ((data[at + 1] ?? 0) << 8) | ((data[at + 2] ?? 0) << 16) | ((data[at + 3] ?? 0) << 24)) >>> 0;
}

export interface EntryContent {
  readonly timestamp: number;
  readonly count: number;
  readonly commands: EntryCommands;
}

/** Throws `MalformedBytes`, here or while the commands are walked, and `UpgradeRequired` for a newer format. */
export function readEntry(data: Uint8Array): EntryContent {
  if (data.length < headerBytes) throw new MalformedBytes("entry without a header");
  if (data[0] !== entryVersion) throw new UpgradeRequired(`entry format ${data[0]}`);
  const timestamp = lengthAt(data, 5) * two32 + lengthAt(data, 1);
  if (!Number.isSafeInteger(timestamp)) throw new MalformedBytes("timestamp of an entry is beyond 2^53");
  const count = lengthAt(data, 9);
  return { timestamp, count, commands: new EntryCommands(data, count) };
}
