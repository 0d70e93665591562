import { UnumError, limits } from "../base/index.ts";
import type { NodeId } from "../base/index.ts";
import type { SnapshotSource } from "../machine/index.ts";
import { fromWireError } from "../wire/index.ts";
import type { Answer } from "../wire/index.ts";
import { BackupReader, sealRecord } from "./backup-file.ts";
import type { BackupManifest } from "./backup-file.ts";
import type { Checksum } from "../ports/index.ts";

type NamedRevision = BackupManifest["keyspaces"][number];

/** The records of one or more keyspaces, in the manifest's order, each keyspace's ended by an empty record. */
export interface BackupSource {
  readonly keyspaces: readonly NamedRevision[];
  /** The next record, sealed; undefined after the last. */
  next(): Promise<Uint8Array | undefined>;
  close(): void;
}

const chunkBytes = 256 * 1024;

/** A keyspace that has a replica on this node: its state at the moment of the snapshot. */
export class LocalSource implements BackupSource {
  readonly keyspaces: readonly NamedRevision[];
  private readonly snapshot: SnapshotSource;
  private readonly checksum: Checksum;
  private ended = false;

  constructor(keyspace: NamedRevision, snapshot: SnapshotSource, checksum: Checksum) {
    this.keyspaces = [keyspace];
    this.snapshot = snapshot;
    this.checksum = checksum;
  }

  async next(): Promise<Uint8Array | undefined> {
    if (this.ended) return undefined;
    let chunk = this.snapshot.next(chunkBytes);
    while (chunk?.length === 0) chunk = this.snapshot.next(chunkBytes);
    if (chunk === undefined) this.ended = true;
    return sealRecord(chunk ?? new Uint8Array(0), this.checksum);
  }

  close(): void {
    this.snapshot.release();
  }
}

/** What it takes to ask another node: the forwarder's stream. */
export type OpenStream = (sink: { onItem(body: Uint8Array): void; onEnd(answer: Answer): void }) => {
  cancel(): void;
  credit(bytes: number): void;
};

/**
 * Keyspaces that another node has: its own backup of them. The records pass through as that node sealed
 * them. At most `streamCreditBytes` wait here.
 */
export class RemoteSource implements BackupSource {
  keyspaces: readonly NamedRevision[] = [];
  private readonly items: Uint8Array[] = [];
  private readonly stream: { cancel(): void; credit(bytes: number): void };
  private answer: Answer | undefined;
  private wake: (() => void) | undefined;
  private owed = 0;

  private constructor(open: OpenStream) {
    this.stream = open({
      onItem: (body) => {
        this.items.push(body.slice());
        this.wake?.();
      },
      onEnd: (answer) => {
        this.answer = answer;
        this.wake?.();
      },
    });
  }

  /** Fulfils once the other node has said what it will send. Rejects with its error, CORRUPT or UNAVAILABLE. */
  static async open(node: NodeId, open: OpenStream, checksum: Checksum): Promise<RemoteSource> {
    const source = new RemoteSource(open);
    try {
      const first = await source.next();
      if (first === undefined) throw new UnumError("UNAVAILABLE", `Node ${node} sent no backup.`);
      source.keyspaces = (await new BackupReader(only(first), checksum).manifest()).keyspaces;
      return source;
    } catch (error) {
      source.close();
      throw error;
    }
  }

  async next(): Promise<Uint8Array | undefined> {
    while (this.items.length === 0 && this.answer === undefined) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      this.wake = undefined;
    }
    const item = this.items.shift();
    if (item === undefined) {
      if (this.answer?.ok === false) throw fromWireError(this.answer.error);
      return undefined;
    }
    this.owed += item.length;
    if (this.owed >= limits.streamCreditBytes / 4) {
      this.stream.credit(this.owed);
      this.owed = 0;
    }
    return item;
  }

  close(): void {
    this.answer ??= { ok: true, body: new Uint8Array(0) };
    this.stream.cancel();
    this.wake?.();
  }
}

async function* only(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
