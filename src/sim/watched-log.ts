import type { GroupId } from "../base/index.ts";
import type { Entry, HardState, SnapshotMeta } from "../raft/index.ts";
import type { GroupLog, RecoveredLog, SnapshotFile, SnapshotReceiver } from "../storage/index.ts";
import type { DurableLogs } from "./check/index.ts";

/** A replica's log, with somebody who counts what is asked of the disk and when it is done. Changes nothing. */
export class WatchedLog implements GroupLog {
  private readonly inner: GroupLog;
  private readonly logs: DurableLogs;

  /** `trusted`: nobody damaged the disk. */
  constructor(inner: GroupLog, logs: DurableLogs, trusted: boolean) {
    this.inner = inner;
    this.logs = logs;
    logs.opened(inner.group, inner.recovered, trusted);
  }

  get group(): GroupId {
    return this.inner.group;
  }

  get recovered(): RecoveredLog {
    return this.inner.recovered;
  }

  get bytesSinceSnapshot(): number {
    return this.inner.bytesSinceSnapshot;
  }

  get snapshot(): SnapshotFile | undefined {
    return this.inner.snapshot;
  }

  append(write: { readonly hardState: HardState | undefined; readonly entries: readonly Entry[] }, done: () => void): void {
    this.inner.append(write, this.watch(write.hardState, { entries: write.entries, snapshotIndex: 0, keepsLog: true }, done));
  }

  install(file: SnapshotFile, hardState: HardState, keepLog: boolean, done: () => void): void {
    const write = { entries: [], snapshotIndex: file.meta.index, keepsLog: keepLog };
    this.inner.install(file, hardState, keepLog, this.watch(hardState, write, done));
  }

  private watch(hardState: HardState | undefined, write: Parameters<DurableLogs["writing"]>[3], done: () => void): () => void {
    const { replica } = this.recovered;
    const asked = this.logs.writing(this.group, replica, hardState?.term, write);
    return () => {
      this.logs.written(this.group, replica, asked);
      done();
    };
  }

  committed(index: number): void {
    this.inner.committed(index);
  }

  read(from: number, to: number, maxBytes: number): Promise<readonly Entry[]> {
    return this.inner.read(from, to, maxBytes);
  }

  release(index: number): void {
    this.inner.release(index);
  }

  saveSnapshot(meta: SnapshotMeta, pull: () => Uint8Array | undefined, signal?: { readonly aborted: boolean }): Promise<SnapshotFile> {
    return this.inner.saveSnapshot(meta, pull, signal);
  }

  receiveSnapshot(meta: SnapshotMeta, totalBytes: number): Promise<SnapshotReceiver> {
    return this.inner.receiveSnapshot(meta, totalBytes);
  }

  trust(): void {
    this.inner.trust();
  }
}
