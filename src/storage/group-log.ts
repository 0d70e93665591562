import { UnumError, assert } from "../base/index.ts";
import type { GroupId } from "../base/index.ts";
import type { Clock, Logger } from "../ports/index.ts";
import type { Entry, HardState, SnapshotMeta } from "../raft/types.ts";
import { writeGroupLog } from "./group-log-file.ts";
import type { GroupLogFile } from "./group-log-file.ts";
import type { LogState } from "./log-state.ts";
import { groupDirectory, parseGroupFileName } from "./names.ts";
import { queuedWrite } from "./queue.ts";
import { readEntries } from "./read.ts";
import type { RecoveryTools } from "./recover.ts";
import { Receiver } from "./receiver.ts";
import { OpenSnapshot } from "./snapshot-file.ts";
import { saveSnapshotFile } from "./snapshot-save.ts";
import type { GroupLog, RecoveredLog, SnapshotFile, SnapshotReceiver } from "./types.ts";
import type { Wal } from "./wal.ts";

export interface GroupTools extends RecoveryTools {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly wal: Wal;
}

const moveBytes = 1024 * 1024;

/** One replica's log and snapshots. What it queues goes through the WAL that all groups share. */
export class LogGroup implements GroupLog {
  readonly group: GroupId;
  readonly recovered: RecoveredLog;
  readonly state: LogState;
  private readonly tools: GroupTools;
  /** Ascending by `first`. */
  private logFiles: GroupLogFile[];
  private current: OpenSnapshot | undefined;
  /** The one before, still open for whoever reads it. */
  private previous: OpenSnapshot | undefined;
  private receiver: Receiver | undefined;
  private committedIndex: number;
  private bytesSince: number;
  /** Removal of files, one after the other. */
  private cleaning: Promise<void> = Promise.resolve();
  /** Entries on their way to a segment of the group's own. */
  private moving: Promise<void> = Promise.resolve();
  private saving: Promise<unknown> = Promise.resolve();
  private closed = false;

  constructor(
    tools: GroupTools,
    state: LogState,
    recovered: RecoveredLog,
    logFiles: readonly GroupLogFile[],
    snapshot: OpenSnapshot | undefined,
  ) {
    this.tools = tools;
    this.group = state.group;
    this.state = state;
    this.recovered = recovered;
    this.logFiles = [...logFiles].sort((a, b) => a.first - b.first);
    this.current = snapshot;
    this.committedIndex = recovered.hardState.commit;
    this.bytesSince = state.index.bytesFrom(state.snapshot.index + 1);
  }

  get commit(): number {
    return Math.min(this.committedIndex, this.state.index.last);
  }

  get bytesSinceSnapshot(): number {
    return this.bytesSince;
  }

  get snapshot(): SnapshotFile | undefined {
    return this.current;
  }

  append(write: { readonly hardState: HardState | undefined; readonly entries: readonly Entry[] }, done: () => void): void {
    if (this.closed) return;
    for (const entry of write.entries) this.bytesSince += entry.data.length;
    this.tools.wal.push(queuedWrite("append", this.state, { hardState: write.hardState, entries: write.entries, done }));
  }

  read(from: number, to: number, maxBytes: number): Promise<readonly Entry[]> {
    return readEntries(this.tools.files, this.tools.checksum, this.state, from, to, maxBytes);
  }

  committed(index: number): void {
    if (index > this.committedIndex) this.committedIndex = index;
  }

  release(index: number): void {
    assert(index <= this.state.snapshot.index, `group ${this.group}: only what a durable snapshot covers is released`);
    this.state.index.releaseBelow(index + 1);
    this.dropLogFiles();
  }

  saveSnapshot(meta: SnapshotMeta, pull: () => Uint8Array | undefined, signal?: { readonly aborted: boolean }): Promise<SnapshotFile> {
    const saved = this.save(meta, pull, signal);
    this.saving = saved.catch(() => undefined);
    return saved;
  }

  private async save(
    meta: SnapshotMeta,
    pull: () => Uint8Array | undefined,
    signal?: { readonly aborted: boolean },
  ): Promise<SnapshotFile> {
    const stop = { isAborted: (): boolean => this.closed || signal?.aborted === true };
    const opened = await saveSnapshotFile(this.tools, this.state, meta, pull, stop);
    if (this.closed || this.state.snapshot.index > meta.index) {
      await opened.close();
      await this.tools.disk.remove(opened.path);
      throw new UnumError("CLOSED", "The replica has ended, or a newer snapshot was installed meanwhile.");
    }
    this.state.snapshot = meta;
    this.state.snapshotHasBytes = true;
    this.bytesSince = this.state.index.bytesFrom(meta.index + 1);
    this.adoptSnapshot(opened);
    return opened;
  }

  async receiveSnapshot(meta: SnapshotMeta, totalBytes: number): Promise<SnapshotReceiver> {
    await this.receiver?.release();
    this.receiver = await Receiver.open(this.tools, this.state, meta, totalBytes);
    return this.receiver;
  }

  install(file: SnapshotFile, hardState: HardState, keepLog: boolean, done: () => void): void {
    if (this.closed) return;
    assert(file instanceof OpenSnapshot, "what is installed was received here");
    const { meta } = file;
    this.bytesSince = keepLog ? this.bytesSince : 0;
    const durable = (): void => {
      if (keepLog) this.bytesSince = this.state.index.bytesFrom(meta.index + 1);
      this.committed(meta.index);
      this.dropLogFiles();
      this.adoptSnapshot(file);
      done();
    };
    this.tools.wal.push(queuedWrite("install", this.state, { hardState, meta, keepLog, done: durable }));
  }

  trust(): void {
    if (!this.closed) this.tools.wal.push(queuedWrite("trust", this.state, {}));
  }

  /** Runs of entries that lie in the file. */
  runsIn(file: number): { readonly from: number; readonly to: number }[] {
    const { index } = this.state;
    const runs: { from: number; to: number }[] = [];
    for (let at = index.first; at <= index.last; at++) {
      if (index.fileAt(at) !== file) continue;
      const last = runs[runs.length - 1];
      if (last !== undefined && last.to === at - 1) last.to = at;
      else runs.push({ from: at, to: at });
    }
    return runs;
  }

  bytesOf(from: number, to: number): number {
    let sum = 0;
    for (let at = from; at <= Math.min(to, this.state.index.last); at++)
      if (this.state.index.has(at)) sum += this.state.index.placeAt(at).length;
    return sum;
  }

  /** Copies committed entries into a segment of the group's own and then reads them there. */
  moveOut(from: number, to: number): Promise<void> {
    const moved = this.closed ? Promise.resolve() : this.copyOut(from, to);
    this.moving = moved.catch(() => undefined);
    return moved;
  }

  private async copyOut(from: number, to: number): Promise<void> {
    const { disk, checksum, files, settings } = this.tools;
    const { index } = this.state;
    const merged = this.mergeable(from, this.bytesOf(from, to), settings.groupFileBytes);
    let at = Math.max(index.first, merged?.first ?? from);
    const first = at;
    const next = async (): Promise<readonly Entry[] | undefined> => {
      at = Math.max(at, index.first);
      if (at > Math.min(to, index.last)) return undefined;
      const entries = await readEntries(files, checksum, this.state, at, to, moveBytes);
      at += entries.length;
      return entries;
    };
    if (first > to) return;
    const written = await writeGroupLog(disk, checksum, this.state, { first, last: to }, next);
    const file = files.add(written.path);
    this.logFiles.push({ path: written.path, file, first, last: to, bytes: written.bytes });
    this.logFiles.sort((a, b) => a.first - b.first);
    for (const { index: entry, offset } of written.places) {
      if (index.has(entry)) index.put(entry, index.termAt(entry), file, offset, index.placeAt(entry).length);
    }
    if (merged !== undefined) this.dropFile(merged);
    this.dropLogFiles();
  }

  /** Takes nothing more: the record that ends the replica is queued. */
  end(): void {
    this.closed = true;
  }

  /** Removes everything of this replica, once its end is durable. */
  async removeFiles(): Promise<void> {
    const { disk, files, logger } = this.tools;
    this.closed = true;
    await this.saving;
    await this.moving;
    await this.cleaning;
    await this.receiver?.release();
    try {
      for (const file of this.logFiles) await files.remove(file.file);
      await this.closeSnapshots();
      for (const text of await disk.list(groupDirectory)) {
        const name = parseGroupFileName(text);
        if (name?.group === this.group && name.incarnation === this.state.incarnation) await disk.remove(`${groupDirectory}/${text}`);
      }
      await disk.syncDirectory(groupDirectory);
    } catch (error) {
      logger.warn("files of a removed replica could not be deleted", { group: this.group, error: String(error) });
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.saving;
    await this.moving;
    await this.cleaning;
    await this.receiver?.release();
    await this.closeSnapshots();
  }

  private async closeSnapshots(): Promise<void> {
    await this.previous?.close();
    await this.current?.close();
    this.previous = undefined;
    this.current = undefined;
  }

  /** The newest segment, when it ends right before `from` and both together are small enough for one. */
  private mergeable(from: number, bytes: number, limit: number): GroupLogFile | undefined {
    const last = this.logFiles[this.logFiles.length - 1];
    return last !== undefined && last.last === from - 1 && last.bytes + bytes <= limit ? last : undefined;
  }

  /** Lets go of segments whose entries are all released. */
  private dropLogFiles(): void {
    const { index } = this.state;
    for (const file of [...this.logFiles]) if (file.last < index.first) this.dropFile(file);
  }

  private dropFile(file: GroupLogFile): void {
    this.logFiles = this.logFiles.filter((other) => other !== file);
    this.clean(() => this.tools.files.remove(file.file));
  }

  private clean(task: () => Promise<void>): void {
    this.cleaning = this.cleaning
      .then(task)
      .catch((error: unknown) => this.tools.logger.warn("a file could not be removed", { group: this.group, error: String(error) }));
  }

  /** Makes it the newest, and removes the one before; that one's handle stays open for its readers until the next. */
  private adoptSnapshot(opened: OpenSnapshot): void {
    const oldest = this.previous;
    const replaced = this.current;
    this.previous = replaced;
    this.current = opened;
    this.clean(async () => {
      await oldest?.close();
      if (replaced !== undefined && replaced.path !== opened.path) await this.tools.disk.remove(replaced.path);
    });
  }
}
