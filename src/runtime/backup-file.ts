import { Reader, UnumError, Writer, concatBytes, emptyBytes, utf8Decode } from "../base/index.ts";
import type { Checksum } from "../ports/index.ts";

export const backupMagic = "UNUM-BACKUP";
export const backupVersion = 1;

/** The first record of a backup: JSON. */
export interface BackupManifest {
  readonly magic: typeof backupMagic;
  readonly version: number;
  readonly cluster: string;
  /** `wanted`: copies; older files do not say it. */
  readonly keyspaces: readonly { readonly name: string; readonly revision: number; readonly wanted?: number }[];
}

const headerBytes = 8;
const recordBytesMax = 64 * 1024 * 1024;

/** A record as it stands in the file: [length u32][crc u32][bytes]. */
export function sealRecord(bytes: Uint8Array, checksum: Checksum): Uint8Array {
  return concatBytes([new Writer(headerBytes).u32(bytes.length).u32(checksum.crc32(bytes)).take(), bytes]);
}

/**
 * Reads the records of a backup, [length u32][crc u32][bytes], from chunks cut anywhere. Rejects with
 * CORRUPT for a damaged record and at an end within one.
 */
export class BackupReader {
  private readonly source: AsyncIterator<Uint8Array>;
  private readonly checksum: Checksum;
  private held: Uint8Array = emptyBytes;

  constructor(source: AsyncIterable<Uint8Array>, checksum: Checksum) {
    this.source = source[Symbol.asyncIterator]();
    this.checksum = checksum;
  }

  private async want(bytes: number): Promise<void> {
    const chunks = [this.held];
    let have = this.held.length;
    while (have < bytes) {
      const next = await this.source.next();
      if (next.done === true) throw new UnumError("CORRUPT", "The backup ends within a record: it is incomplete.");
      chunks.push(next.value);
      have += next.value.length;
    }
    this.held = chunks.length === 1 ? this.held : concatBytes(chunks);
  }

  async record(): Promise<Uint8Array> {
    await this.want(headerBytes);
    const reader = new Reader(this.held);
    const length = reader.u32();
    const crc = reader.u32();
    if (length > recordBytesMax) throw new UnumError("CORRUPT", "The file is no backup of Unum, or it is damaged.");
    await this.want(headerBytes + length);
    const bytes = this.held.slice(headerBytes, headerBytes + length);
    this.held = this.held.subarray(headerBytes + length);
    if (this.checksum.crc32(bytes) !== crc) throw new UnumError("CORRUPT", "A record of the backup fails its check: the file is damaged.");
    return bytes;
  }

  async manifest(): Promise<BackupManifest> {
    const record = await this.record();
    let manifest: Partial<BackupManifest>;
    try {
      manifest = JSON.parse(utf8Decode(record)) as Partial<BackupManifest>;
    } catch (cause) {
      throw new UnumError("CORRUPT", "The file is no backup of Unum.", { cause });
    }
    if (manifest.magic !== backupMagic || !Array.isArray(manifest.keyspaces))
      throw new UnumError("CORRUPT", "The file is no backup of Unum.");
    if (manifest.version !== backupVersion)
      throw new UnumError("DATA_DIR_FORMAT", `The backup has format version ${manifest.version}; this build reads ${backupVersion}.`);
    return manifest as BackupManifest;
  }
}
