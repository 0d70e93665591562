import { hexEncode, MalformedBytes, Reader, Writer } from "../base/index.ts";
import { UpgradeRequired, type SnapshotSource } from "./types.ts";

/**
 * The one format of snapshots: [magic u32][format u16], then blocks of [section u8][length u32][payload].
 * The first block is the header, the last one holds the hash of the state that was written.
 */
const magic = 0x534d4e55; // "UNMS", little-endian
const format = 1;
const prefixBytes = 6;
const blockHeaderBytes = 5;
/** A block holds about this much; one item may make it larger. */
const blockBytes = 64 * 1024;
/** No writer makes a larger one: more than that is damage, and nothing is allocated for it. */
const blockBytesMax = 64 * 1024 * 1024;

/** Numbers of sections never change their meaning. */
export const Section = {
  end: 0,
  header: 1,
  sessionTable: 2,
  sessions: 3,
  leases: 16,
  kvMeta: 17,
  kvBase: 18,
  kvEvents: 19,
  kvSum: 20,
  fences: 21,
  system: 32,
} as const;

/** One part of the frozen state. */
export interface SectionSource {
  readonly section: number;
  /** Writes the next items, about `bytes` of them; false when there were none left. */
  fill(writer: Writer, bytes: number): boolean;
}

export interface SnapshotHeader {
  /** The machine's kind. */
  readonly kind: string;
  readonly featureLevel: number;
  /** Features in use beside the level, a bit each; none exists yet. */
  readonly flags: number;
}

/** Streams sections in order. `hash`: of the state as frozen. */
export class SnapshotStream implements SnapshotSource {
  readonly bytes: number;
  private readonly sources: readonly SectionSource[];
  private readonly writer = new Writer(blockBytes);
  private readonly onRelease: () => void;
  private readonly hash: string;
  private at = 0;
  private isDone = false;
  private isReleased = false;

  constructor(header: SnapshotHeader, sources: readonly SectionSource[], hash: string, bytes: number, onRelease: () => void) {
    this.sources = sources;
    this.hash = hash;
    this.bytes = bytes;
    this.onRelease = onRelease;
    this.writer.u32(magic).u16(format);
    this.block(Section.header, (writer) => writer.text(header.kind).u32(header.featureLevel).u32(header.flags));
  }

  private block(section: number, write: (writer: Writer) => unknown): void {
    const { writer } = this;
    const at = writer.length;
    writer.u8(section).u32(0);
    write(writer);
    writer.patchU32(at + 1, writer.length - at - blockHeaderBytes);
  }

  next(maxBytes: number): Uint8Array | undefined {
    while (!this.isDone && this.writer.length < maxBytes) {
      const source = this.sources[this.at];
      if (source === undefined) {
        this.block(Section.end, (writer) => writer.text(this.hash));
        this.isDone = true;
        break;
      }
      let wrote = false;
      this.block(source.section, (writer) => {
        wrote = source.fill(writer, blockBytes);
      });
      if (!wrote) this.at++;
    }
    if (this.writer.length > 0) return this.writer.copy();
    this.release();
    return undefined;
  }

  release(): void {
    if (this.isReleased) return;
    this.isReleased = true;
    this.isDone = true;
    this.onRelease();
  }
}

/** Cuts chunks, wherever they were cut, back into blocks and checks prefix and header. */
export class BlockReader {
  header: SnapshotHeader | undefined;
  /** The hash that the end of the snapshot names; undefined until it is reached. */
  hash: string | undefined;
  private readonly kind: string;
  private readonly featureLevelMax: number;
  private hasPrefix = false;
  /** The beginning of a block, or of the prefix, whose end has not arrived: a copy, since the caller's chunks may be overwritten. */
  private readonly begun = new Writer(blockBytes);
  /** How many bytes `begun` must have before more of it can be read. */
  private wanted = prefixBytes;

  constructor(kind: string, featureLevelMax: number) {
    this.kind = kind;
    this.featureLevelMax = featureLevelMax;
  }

  /** Blocks are read where they lie in the chunk; only the one that its end cuts in two is copied. */
  push(chunk: Uint8Array, each: (section: number, reader: Reader) => void): void {
    const { begun } = this;
    let at = 0;
    while (begun.length > 0) {
      const end = Math.min(chunk.length, at + this.wanted - begun.length);
      begun.raw(chunk.subarray(at, end));
      at = end;
      if (begun.length < this.wanted) return;
      if (this.cut(begun.peek(), each) > 0) begun.reset();
    }
    const whole = chunk.subarray(at);
    const used = this.cut(whole, each);
    if (used < whole.length) begun.raw(whole.subarray(used));
  }

  /** Reads what is complete and returns how far that went; `wanted` is what the rest lacks. */
  private cut(bytes: Uint8Array, each: (section: number, reader: Reader) => void): number {
    let at = 0;
    if (!this.hasPrefix) {
      if (bytes.length < prefixBytes) return 0;
      this.readPrefix(bytes);
      at = prefixBytes;
    }
    for (;;) {
      this.wanted = blockHeaderBytes;
      if (bytes.length - at < blockHeaderBytes) return at;
      const reader = new Reader(bytes, at);
      const section = reader.u8();
      const length = reader.u32();
      if (length > blockBytesMax) throw new MalformedBytes(`snapshot block of ${length} bytes`);
      this.wanted = blockHeaderBytes + length;
      if (bytes.length - at < this.wanted) return at;
      const start = at + blockHeaderBytes;
      this.block(section, new Reader(bytes, start, start + length), each);
      at = start + length;
    }
  }

  private readPrefix(bytes: Uint8Array): void {
    const reader = new Reader(bytes);
    if (reader.u32() !== magic) throw new MalformedBytes(`no snapshot: it begins with ${hexEncode(bytes.subarray(0, 4))}`);
    const version = reader.u16();
    if (version !== format) throw new UpgradeRequired(`snapshot format ${version}`);
    this.hasPrefix = true;
  }

  private block(section: number, reader: Reader, each: (section: number, reader: Reader) => void): void {
    if (this.hash !== undefined) throw new MalformedBytes("snapshot goes on behind its end");
    if (section === Section.header) this.readHeader(reader);
    else if (this.header === undefined) throw new MalformedBytes("snapshot without a header");
    else if (section === Section.end) this.hash = reader.text();
    else each(section, reader);
    reader.finish();
  }

  private readHeader(reader: Reader): void {
    if (this.header !== undefined) throw new MalformedBytes("snapshot with two headers");
    const header: SnapshotHeader = { kind: reader.text(), featureLevel: reader.u32(), flags: reader.u32() };
    if (header.kind !== this.kind) throw new MalformedBytes(`snapshot of a ${header.kind}, not of a ${this.kind}`);
    if (header.featureLevel > this.featureLevelMax) throw new UpgradeRequired(`snapshot at feature level ${header.featureLevel}`);
    if (header.flags !== 0) throw new UpgradeRequired(`snapshot with feature flags ${header.flags}`);
    this.header = header;
  }

  /** The header, when the end was reached and nothing is left over. */
  finish(): SnapshotHeader {
    if (this.header === undefined || this.hash === undefined || this.begun.length > 0) throw new MalformedBytes("snapshot ends too early");
    return this.header;
  }
}
