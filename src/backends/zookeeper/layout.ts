import { MalformedBytes, Reader, UnumError, Writer, hexDecode, hexEncode } from "../../base/index.ts";
import { tombstone } from "../../machine/commands/index.ts";
import type { KeyValue } from "../../machine/commands/index.ts";

/** What becomes of a key in a transaction. `entry` undefined: it is deleted. */
export interface Change {
  readonly key: string;
  readonly entry: KeyValue | undefined;
  readonly previous: KeyValue | undefined;
}

/** One transaction, as it is kept for watches and for reads of the past. */
export interface HistoryRecord {
  /** Counts the transactions below the chroot: the version of `head` after it. */
  readonly number: number;
  readonly revision: number;
  /** Whose it is: 16 random bytes in hex, the same for each attempt of a command. */
  readonly id: string;
  readonly changes: readonly Change[];
  readonly bytes: number;
}

export interface Head {
  /** The oldest kept number of history. */
  readonly oldest: number;
  /** The revision of the last one that is not kept; states from it on can be read, and nothing before. */
  readonly compactRevision: number;
}

/** The first byte of everything that is written. */
const format = 1;
const idBytes = 16;
const plain = /^[A-Za-z0-9_:@=+,-]$/;

/** A key as the name of a node: letters, digits and `_:@=+,-.` stand for themselves, other bytes are %XX, and so is a dot in front. */
export function escapeKey(key: string): string {
  let name = "";
  for (let at = 0; at < key.length; at++) {
    const character = key.charAt(at);
    const isPlain = plain.test(character) || (character === "." && at > 0);
    name += isPlain ? character : `%${key.charCodeAt(at).toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return name;
}

/** Undefined for what `escapeKey` gives for no key. */
export function unescapeKey(name: string): string | undefined {
  const key = name.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return key !== "" && escapeKey(key) === name ? key : undefined;
}

/** Where everything lies. */
export class Layout {
  readonly root: string;
  readonly head: string;
  readonly entries: string;
  readonly history: string;
  readonly leases: string;
  readonly writers: string;

  /** `root`: with its first slash, without a last one. */
  constructor(root: string) {
    this.root = root;
    this.head = `${root}/head`;
    this.entries = `${root}/kv`;
    this.history = `${root}/history`;
    this.leases = `${root}/leases`;
    this.writers = `${root}/writers`;
  }

  entry(key: string): string {
    return `${this.entries}/${escapeKey(key)}`;
  }

  record(number: number): string {
    return `${this.history}/${String(number).padStart(10, "0")}`;
  }

  lease(id: bigint): string {
    return `${this.leases}/${id.toString(16).padStart(16, "0")}`;
  }

  /** Of a path below `leases`; undefined for any other. */
  leaseOf(path: string): bigint | undefined {
    const name = path.startsWith(`${this.leases}/`) ? path.slice(this.leases.length + 1) : "";
    return /^[0-9a-f]{16}$/.test(name) ? BigInt(`0x${name}`) : undefined;
  }
}

/** A transaction's number in the ensemble as a revision: the epoch is above 32 bits, and up to 2^21 epochs the whole is a safe integer. */
export function revisionOf(zxid: bigint): number {
  if (zxid >= 0n && zxid <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(zxid);
  throw new UnumError("MALFORMED", `The ZooKeeper has reached the transaction ${zxid}, beyond 2^53: its leader was elected too often.`, {
    outcome: "unknown",
    retry: "maybe-applied",
  });
}

function open(data: Uint8Array): Reader {
  const reader = new Reader(data);
  const found = reader.u8();
  if (found !== format) throw new MalformedBytes(`format ${found} of a node, where ${format} was expected`);
  return reader;
}

export function encodeHead({ compactRevision, oldest }: Head): Uint8Array {
  return new Writer(17).u8(format).u64(oldest).u64(compactRevision).take();
}

export function decodeHead(data: Uint8Array): Head {
  const reader = open(data);
  return { oldest: reader.u64(), compactRevision: reader.u64() };
}

export function encodeEntry(value: Uint8Array, lease: bigint): Uint8Array {
  return new Writer(9 + value.length).u8(format).big64(lease).raw(value).take();
}

export function decodeEntry(data: Uint8Array): { readonly value: Uint8Array; readonly lease: bigint } {
  const reader = open(data);
  const lease = reader.big64();
  return { lease, value: reader.rest().slice() };
}

export function encodeLease(ttlMs: number, id: string): Uint8Array {
  return new Writer(32).u8(format).u64(ttlMs).raw(hexDecode(id)).take();
}

/** `id`: of the command that granted it. */
export function decodeLease(data: Uint8Array): { readonly ttlMs: number; readonly id: string } {
  const reader = open(data);
  const ttlMs = reader.u64();
  return { ttlMs, id: hexEncode(reader.raw(idBytes)) };
}

const Flag = { put: 1, previous: 2 } as const;

export function encodeRecord(id: string, changes: readonly Change[]): Uint8Array {
  const writer = new Writer(256).u8(format).raw(hexDecode(id)).u32(changes.length);
  for (const { entry, key, previous } of changes) {
    writer.u8((entry === undefined ? 0 : Flag.put) | (previous === undefined ? 0 : Flag.previous)).latin1(key);
    if (entry !== undefined) writer.big64(entry.lease).blob(entry.value);
    if (previous !== undefined) {
      writer.u64(previous.createRevision).u64(previous.modRevision).u64(previous.version).big64(previous.lease).blob(previous.value);
    }
  }
  return writer.take();
}

/** `revision`: the transaction that created the record's node. */
export function decodeRecord(data: Uint8Array, number: number, revision: number): HistoryRecord {
  const reader = open(data);
  const id = hexEncode(reader.raw(idBytes));
  const changes: Change[] = [];
  for (let count = reader.u32(); count > 0; count--) {
    const flags = reader.u8();
    const key = reader.latin1();
    const written = flags & Flag.put ? { lease: reader.big64(), value: reader.blob().slice() } : undefined;
    const previous = flags & Flag.previous ? readPrevious(reader, key) : undefined;
    changes.push({ key, entry: written === undefined ? undefined : entryAfter(key, written, previous, revision), previous });
  }
  return { number, revision, id, changes, bytes: data.length };
}

function readPrevious(reader: Reader, key: string): KeyValue {
  const [createRevision, modRevision, version] = [reader.u64(), reader.u64(), reader.u64()];
  return { key, createRevision, modRevision, version, lease: reader.big64(), value: reader.blob().slice() };
}

/** What a put makes of the entry that was there. */
export function entryAfter(
  key: string,
  { lease, value }: { readonly value: Uint8Array; readonly lease: bigint },
  previous: KeyValue | undefined,
  revision: number,
): KeyValue {
  return {
    key,
    value,
    lease,
    createRevision: previous?.createRevision ?? revision,
    modRevision: revision,
    version: (previous?.version ?? 0) + 1,
  };
}

/** As a watch tells it. */
export function toldEntry({ entry, key }: Change, revision: number): KeyValue {
  return entry ?? tombstone(key, revision);
}
