import type { ReplicaId } from "../base/index.ts";
import type { Machine, MachineFactory } from "../machine/index.ts";
import type { Clock } from "../ports/index.ts";
import type { HardState, RaftStatus } from "../raft/index.ts";
import type { GroupLog, SnapshotFile } from "../storage/index.ts";
import type { Replica } from "./replica.ts";
import type { ReplicaHost } from "./types.ts";

/** What a machine is given at once, and how long a turn of the loop may go on with it: heartbeats and votes wait for no load. */
const pieceBytes = 128 * 1024;
const turnMs = 8;

/** Builds a machine from a snapshot file; the loop turns meanwhile. */
export async function loadMachine(file: SnapshotFile, factory: MachineFactory, clock: Clock): Promise<Machine> {
  const restorer = factory.restore();
  let turned = clock.now();
  await file.readAll(async (chunk) => {
    for (let at = 0; at < chunk.length; at += pieceBytes) {
      restorer.push(chunk.subarray(at, at + pieceBytes));
      if (clock.now() - turned < turnMs) continue;
      await new Promise<void>((resolve) => clock.defer(resolve));
      turned = clock.now();
    }
  });
  return restorer.finish();
}

/** Replaces state, and log unless it is kept, by a received snapshot: fulfils with the new machine once both are done. Rejects when it is damaged. */
export function installSnapshot(
  log: GroupLog,
  factory: MachineFactory,
  clock: Clock,
  file: SnapshotFile,
  hardState: HardState,
  keepLog: boolean,
  onDurable: () => void,
): Promise<Machine> {
  const durable = new Promise<void>((resolve) => {
    log.install(file, hardState, keepLog, () => {
      onDurable();
      resolve();
    });
  });
  return Promise.all([loadMachine(file, factory, clock), durable]).then(([machine]) => machine);
}

const retryMs = 5_000;
/** What a snapshot takes from the machine at once: a millisecond or two of work. */
const chunkBytes = 64 * 1024;
/** A log that grows by less than `quietBytes` in this time is quiet: a snapshot now disturbs nobody, and spares the next start the replay. */
const quietMs = 5_000;
const quietBytes = 64 * 1024;
/** What must have gathered since the last snapshot, as a part of what makes one due under load, for a quiet moment to be used. */
const quietShare = 1 / 16;
/** Entries behind a snapshot that are kept for followers that lag; each is a turn's batch. */
const tailEntriesMax = 2_000;

/** Up to which index the log may go behind a snapshot; what is above `keepFrom` stays in any case. */
export function releasable(status: RaftStatus, snapshotIndex: number, keepFrom: number): number {
  let tail = snapshotIndex;
  for (const peer of status.progress.values()) if (peer.active) tail = Math.min(tail, peer.match);
  return Math.min(keepFrom - 1, Math.max(tail, snapshotIndex - tailEntriesMax));
}

/** When a replica's snapshot is taken, which one goes to whom, and how much log stays behind it. */
export class Snapshots {
  private readonly replica: Replica;
  private readonly host: ReplicaHost;
  private readonly logBytes: number;
  private saving = false;
  /** After a failure, on a full disk say: not with every entry that is applied. */
  private retryAtMs = Number.NEGATIVE_INFINITY;
  /** Since when the log has grown by less than `quietBytes`, and how long it was then. */
  private quietSinceMs = Number.NEGATIVE_INFINITY;
  private quietFromBytes = Number.NEGATIVE_INFINITY;
  private readonly cancel = { aborted: false };
  /** Followers that wait for a snapshot, with the index that it must reach at least. */
  private readonly wanted = new Map<ReplicaId, number>();
  /** Followers that receive one now: the log from its index + 1 on is kept for them. */
  private readonly sending = new Map<ReplicaId, number>();

  constructor(replica: Replica, logBytes: number, host: ReplicaHost) {
    this.replica = replica;
    this.logBytes = logBytes;
    this.host = host;
  }

  /** The log since the last snapshot that makes the next one due: a start replays no more than half of what it loads. */
  private get dueBytes(): number {
    return Math.max(this.logBytes, (this.replica.log.snapshot?.bytes ?? 0) / 2);
  }

  /** Takes a snapshot when the log since the last one has grown past its limit. */
  maybe(): void {
    if (this.replica.check.isDiscarded || this.replica.log.bytesSinceSnapshot <= this.dueBytes) return;
    if (this.host.clock.now() >= this.retryAtMs) void this.save();
  }

  /** Takes one in a quiet moment, too, when it is worth it. */
  tick(): void {
    const bytes = this.replica.log.bytesSinceSnapshot;
    const now = this.host.clock.now();
    // Some need one that this replica could not make when they asked, since it had not applied so much.
    if (now >= this.retryAtMs && [...this.wanted.values()].some((minIndex) => minIndex <= this.replica.applied)) void this.save();
    if (bytes <= this.dueBytes * quietShare) return;
    if (bytes < this.quietFromBytes || bytes - this.quietFromBytes > quietBytes) {
      this.quietFromBytes = bytes;
      this.quietSinceMs = now;
    } else if (now - this.quietSinceMs >= quietMs && now >= this.retryAtMs) void this.save();
  }

  send(to: ReplicaId, minIndex: number): void {
    if (this.replica.check.isDiscarded) {
      this.replica.snapshotFailed(to);
      return;
    }
    const file = this.replica.log.snapshot;
    if (file !== undefined && file.meta.index >= minIndex) {
      this.sending.set(to, file.meta.index);
      this.host.sendSnapshot(this.replica, to, file);
    } else {
      this.wanted.set(to, minIndex);
      void this.save();
    }
  }

  transferEnded(to: ReplicaId): void {
    this.sending.delete(to);
  }

  close(): void {
    this.cancel.aborted = true;
  }

  private async save(): Promise<void> {
    if (this.saving || this.cancel.aborted || this.replica.failure !== undefined) return;
    const { replica } = this;
    if (!replica.isReadable || replica.applied === 0 || replica.applied === replica.log.snapshot?.meta.index) return;
    this.saving = true;
    const source = replica.machine.snapshot();
    const meta = { index: replica.applied, term: replica.appliedTerm, configuration: replica.configuration };
    try {
      const file = await replica.log.saveSnapshot(meta, () => source.next(chunkBytes), this.cancel);
      if (!this.cancel.aborted) {
        replica.compacted(file, Math.min(meta.index + 1, ...this.sending.values()));
        const waiting = [...this.wanted];
        this.wanted.clear();
        // Whoever needs a later one is put down again, for the next.
        for (const [to, minIndex] of waiting) this.send(to, minIndex);
      }
    } catch (error) {
      if (!this.cancel.aborted) {
        this.host.probe?.("snapshot-fails");
        this.host.logger.error("snapshot failed; the log is kept and another is tried later", {
          group: replica.group,
          error: String(error),
        });
      }
      this.retryAtMs = this.host.clock.now() + retryMs;
      for (const to of this.wanted.keys()) replica.snapshotFailed(to);
      this.wanted.clear();
    } finally {
      source.release();
      this.saving = false;
    }
  }
}
