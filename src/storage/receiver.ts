import { UnumError, assert } from "../base/index.ts";
import type { SnapshotMeta } from "../raft/types.ts";
import type { LogState } from "./log-state.ts";
import { groupDirectory, groupFileName, parseGroupFileName } from "./names.ts";
import type { RecoveryTools } from "./recover.ts";
import { SnapshotWriter, openSnapshot } from "./snapshot-file.ts";
import type { OpenSnapshot } from "./snapshot-file.ts";
import { damagedSnapshot } from "./snapshot-format.ts";
import { publishSnapshot } from "./snapshot-save.ts";
import type { SnapshotFile, SnapshotReceiver } from "./types.ts";

/**
 * A snapshot that arrives in chunks. Whole steps are synced; after a crash or a broken connection they
 * need not be sent again. Calls are carried out one after the other.
 */
export class Receiver implements SnapshotReceiver {
  private readonly tools: RecoveryTools;
  private readonly path: string;
  private readonly totalBytes: number;
  private writer: SnapshotWriter | undefined;
  private finished: OpenSnapshot | undefined;
  private tail: Promise<unknown> = Promise.resolve();

  private constructor(
    tools: RecoveryTools,
    path: string,
    totalBytes: number,
    writer: SnapshotWriter | undefined,
    finished: OpenSnapshot | undefined,
  ) {
    this.tools = tools;
    this.path = path;
    this.totalBytes = totalBytes;
    this.writer = writer;
    this.finished = finished;
  }

  static async open(tools: RecoveryTools, state: LogState, meta: SnapshotMeta, totalBytes: number): Promise<Receiver> {
    const { disk, checksum, settings } = tools;
    const owner = { group: state.group, incarnation: state.incarnation };
    const name = groupFileName({ ...owner, kind: "received", a: meta.index, b: meta.term });
    const path = `${groupDirectory}/${name}`;
    await forgetOthers(tools, state, name);
    const names = await disk.list(groupDirectory);
    if (names.includes(name)) {
      const finished = await openSnapshot(disk, path, owner, checksum);
      if (finished !== undefined && finished.bytes === totalBytes) return new Receiver(tools, path, totalBytes, undefined, finished);
      await finished?.close();
      await disk.remove(path);
    }
    const header = { ...owner, stepBytes: settings.stepBytes, meta, totalBytes };
    const part = `${path}.part`;
    const resumed = names.includes(`${name}.part`) ? await SnapshotWriter.resume(disk, part, header, checksum) : undefined;
    if (resumed !== undefined) {
      if (resumed.durableBytes > 0) tools.probe?.("snapshot-resumes");
      return new Receiver(tools, path, totalBytes, resumed, undefined);
    }
    const writer = await SnapshotWriter.create(disk, part, header, checksum);
    await disk.syncDirectory(groupDirectory);
    return new Receiver(tools, path, totalBytes, writer, undefined);
  }

  get received(): number {
    return this.finished !== undefined ? this.totalBytes : (this.writer?.durableBytes ?? 0);
  }

  write(offset: number, bytes: Uint8Array): Promise<number> {
    return this.inOrder(async () => {
      if (this.finished !== undefined) return this.totalBytes;
      const writer = this.open();
      const wanted = writer.bytes;
      if (offset > wanted || offset + bytes.length <= wanted) return wanted;
      const fresh = bytes.subarray(wanted - offset);
      if (wanted + fresh.length > this.totalBytes)
        throw new UnumError("CORRUPT", `More than the announced ${this.totalBytes} bytes of a snapshot arrived.`);
      await writer.add(fresh);
      if (writer.bytes === this.totalBytes) await writer.writeStep();
      return writer.bytes;
    });
  }

  finish(): Promise<SnapshotFile> {
    return this.inOrder(async () => {
      if (this.finished !== undefined) return this.finished;
      const writer = this.open();
      if (writer.bytes !== this.totalBytes)
        throw new UnumError("CORRUPT", `Of the snapshot's ${this.totalBytes} bytes ${writer.bytes} have arrived.`);
      await writer.finish();
      if (!(await writer.verify())) {
        await this.forget();
        throw damagedSnapshot(this.path);
      }
      this.finished = await publishSnapshot(this.tools.disk, writer, this.path);
      this.writer = undefined;
      return this.finished;
    });
  }

  abandon(): Promise<void> {
    return this.inOrder(() => this.forget());
  }

  /** Closes what is not finished; it may be resumed. A finished file belongs to whoever called `finish`. */
  release(): Promise<void> {
    return this.inOrder(async () => {
      await this.writer?.close();
      this.writer = undefined;
    });
  }

  private async forget(): Promise<void> {
    const { writer } = this;
    this.writer = undefined;
    if (writer === undefined) return;
    await writer.close();
    await this.tools.disk.remove(writer.path);
  }

  private open(): SnapshotWriter {
    if (this.writer === undefined) throw new UnumError("CLOSED", "This transfer was given up.");
    assert(this.finished === undefined, "a finished snapshot takes no more bytes");
    return this.writer;
  }

  private inOrder<T>(task: () => Promise<T>): Promise<T> {
    const result = this.tail.then(task);
    this.tail = result.catch(() => undefined);
    return result;
  }
}

/** One snapshot is received at a time: what another attempt left is of no use any more. */
async function forgetOthers(tools: RecoveryTools, state: LogState, keep: string): Promise<void> {
  for (const text of await tools.disk.list(groupDirectory)) {
    const name = parseGroupFileName(text);
    if (name === undefined || name.group !== state.group || name.incarnation !== state.incarnation || name.kind !== "received") continue;
    const isOwn = text === keep || text === `${keep}.part`;
    const isInstalled = !name.part && state.snapshotHasBytes && name.a === state.snapshot.index;
    if (!isOwn && !isInstalled) await tools.disk.remove(`${groupDirectory}/${text}`);
  }
}
