import fs from "node:fs";
import { join } from "node:path";
import { crc32 } from "#dist/base/index.js";

/** As they are before anybody replaces them: what the journal does is not the node's doing. */
const { closeSync, existsSync, ftruncateSync, openSync, readFileSync, writeSync } = fs;

/**
 * What a disk has been asked for and not yet promised, written down before it is done, so that a power loss can be
 * played after the process was killed. The kernel keeps the journal when the process dies, as it keeps the data.
 */
export type Note =
  /** Bytes at `offset` were about to be replaced; the payload is what stood there. `size`: of the file before. */
  | {
      readonly kind: "write";
      readonly seq: number;
      readonly inode: number;
      readonly offset: number;
      readonly length: number;
      readonly size: number;
    }
  /** The file was about to be cut to `length`; the payload is what stood behind it. */
  | { readonly kind: "cut"; readonly seq: number; readonly inode: number; readonly length: number; readonly size: number }
  /** A sync that began at `seq` has succeeded: all before it is durable. */
  | { readonly kind: "synced"; readonly seq: number; readonly inode: number }
  | { readonly kind: "create"; readonly seq: number; readonly path: string }
  /** What stood at `to` was put aside as `aside`. */
  | { readonly kind: "rename"; readonly seq: number; readonly path: string; readonly to: string; readonly aside: string | undefined }
  | { readonly kind: "remove"; readonly seq: number; readonly path: string; readonly aside: string }
  | { readonly kind: "names-synced"; readonly seq: number; readonly directory: string };

export type NameNote = Extract<Note, { readonly path: string }>;
export type DataNote = Extract<Note, { readonly size: number }>;

export interface Entry<N extends Note = Note> {
  readonly note: N;
  readonly payload: Uint8Array;
}

/** Of the main thread, of the log's thread, and of names, which both write. */
export const journalNames = ["main", "log", "names"] as const;
export type JournalName = (typeof journalNames)[number];

const headBytes = 12;
const empty = new Uint8Array(0);

/** One journal, which one process at a time writes. */
export class Journal {
  private readonly fd: number;

  constructor(directory: string, name: JournalName) {
    const { length } = scan(directory, name);
    this.fd = openSync(join(directory, name), "a");
    ftruncateSync(this.fd, length);
  }

  /** In the kernel's hands when it returns. One call, so that two threads may write the same journal. */
  write(note: Note, payload: Uint8Array = empty): void {
    const text = Buffer.from(JSON.stringify(note));
    const record = Buffer.allocUnsafe(headBytes + text.length + payload.length);
    record.writeUInt32LE(text.length, 0);
    record.writeUInt32LE(payload.length, 4);
    text.copy(record, headBytes);
    record.set(payload, headBytes + text.length);
    record.writeUInt32LE(crc32(record.subarray(headBytes)), 8);
    for (let done = 0; done < record.length; ) done += writeSync(this.fd, record, done, record.length - done);
  }

  /** Nothing in it matters any more. */
  clear(): void {
    ftruncateSync(this.fd, 0);
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** All whole notes; one that was cut short by the kill announced something that was not begun. */
export function readJournal(directory: string, name: JournalName): Entry[] {
  return scan(directory, name).entries;
}

function scan(directory: string, name: JournalName): { readonly entries: Entry[]; readonly length: number } {
  const path = join(directory, name);
  const entries: Entry[] = [];
  if (!existsSync(path)) return { entries, length: 0 };
  const bytes = readFileSync(path);
  let at = 0;
  while (at + headBytes <= bytes.length) {
    const textBytes = bytes.readUInt32LE(at);
    const payloadBytes = bytes.readUInt32LE(at + 4);
    const end = at + headBytes + textBytes + payloadBytes;
    if (end > bytes.length) break;
    const body = bytes.subarray(at + headBytes, end);
    if (crc32(body) !== bytes.readUInt32LE(at + 8)) break;
    entries.push({ note: JSON.parse(body.subarray(0, textBytes).toString()) as Note, payload: new Uint8Array(body.subarray(textBytes)) });
    at = end;
  }
  return { entries, length: at };
}

/** The highest sequence that any of the journals knows. */
export function lastSequence(directory: string): number {
  let last = 0;
  for (const name of journalNames) for (const { note } of readJournal(directory, name)) last = Math.max(last, note.seq);
  return last;
}
