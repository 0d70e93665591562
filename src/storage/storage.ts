import { UnumError, assert } from "../base/index.ts";
import type { GroupId, Prng, Probe, ReplicaId } from "../base/index.ts";
import { DiskError } from "../ports/index.ts";
import type { Checksum, Clock, Disk, Logger } from "../ports/index.ts";
import type { SnapshotMeta } from "../raft/types.ts";
import { Files } from "./files.ts";
import { LogGroup } from "./group-log.ts";
import type { GroupTools } from "./group-log.ts";
import { LogState, emptyHardState } from "./log-state.ts";
import { groupDirectory, segmentName, walDirectory } from "./names.ts";
import { queuedWrite } from "./queue.ts";
import { recover } from "./recover.ts";
import type { Recovery } from "./recover.ts";
import { Releaser } from "./release.ts";
import { storageSettings } from "./settings.ts";
import type { StorageSettings } from "./settings.ts";
import { createSegment } from "./spare.ts";
import type { PreparedSegment, SpareOptions } from "./spare.ts";
import type { DiscardedReplica, GroupLog, Storage, StorageStats } from "./types.ts";
import { Wal } from "./wal.ts";

export interface OpenStorageOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly checksum: Checksum;
  readonly prng: Prng;
  readonly logger: Logger;
  readonly settings?: Partial<StorageSettings>;
  readonly probe?: Probe | undefined;
}

/**
 * Recovers what the last run left and begins a new segment. Rejects with DATA_DIR_FORMAT when a file is
 * of a newer version, with OUT_OF_SPACE when there is no room for a first segment, with DISK_FAILED
 * when the disk refuses.
 */
export async function openStorage(options: OpenStorageOptions): Promise<Storage> {
  const { disk, checksum } = options;
  const settings = { ...storageSettings, ...options.settings };
  const files = new Files(disk);
  try {
    await disk.makeDirectory(walDirectory);
    await disk.makeDirectory(groupDirectory);
    await disk.syncDirectory("");
    const recovery = await recover({ disk, checksum, files, settings, probe: options.probe });
    const storage = new NodeStorage({ ...options, settings, files }, recovery, await firstSegment({ ...options, settings }, recovery));
    await storage.begin(recovery);
    return storage;
  } catch (error) {
    await files.close();
    if (error instanceof DiskError && error.code === "full") {
      throw new UnumError("OUT_OF_SPACE", "The disk has no room for a first segment of the write-ahead log.", { cause: error });
    }
    if (error instanceof DiskError)
      throw new UnumError("DISK_FAILED", `The data directory could not be read: ${error.message}`, { cause: error });
    throw error;
  }
}

/** The last run's spare segment, or a small new one: the log never goes on in a segment that was written to. */
async function firstSegment(options: SpareOptions, recovery: Recovery): Promise<PreparedSegment> {
  const { spare } = recovery;
  if (spare === undefined || spare.bytes < options.settings.firstSegmentBytes) {
    const { firstSegmentBytes } = options.settings;
    // On a nearly full disk a smaller one will do: a node that can vote is worth more than one that waits for room.
    const bytes = (await options.disk.freeBytes()) < 2 * firstSegmentBytes ? Math.ceil(firstSegmentBytes / 8) : firstSegmentBytes;
    return await createSegment(options, recovery.nextSegment, bytes);
  }
  const path = `${walDirectory}/${segmentName(spare.segment)}`;
  const log = await options.disk.open(path, { create: false, lane: "log" });
  await log.sync();
  return { segment: spare.segment, salt: spare.salt, capacity: spare.bytes, log };
}

class NodeStorage implements Storage {
  readonly groups: ReadonlyMap<GroupId, GroupLog>;
  readonly discarded: readonly DiscardedReplica[];
  readonly report: readonly string[];
  private readonly logs = new Map<GroupId, LogGroup>();
  private readonly tools: GroupTools;
  private readonly wal: Wal;
  private readonly releaser: Releaser;
  /** The largest incarnation ever seen per group. */
  private readonly incarnations = new Map<GroupId, number>();
  private readonly removals = new Set<Promise<void>>();
  private readonly lost = new Map<GroupId, LogState>();

  constructor(options: SpareOptions & { readonly files: Files }, recovery: Recovery, first: PreparedSegment) {
    const recovered = [...recovery.replicas.map(({ state }) => state), ...recovery.discarded];
    this.wal = new Wal({ ...options, recovered, onRoll: () => this.releaser.start() }, recovery.segments, first, recovery.nextSequence);
    this.tools = { ...options, wal: this.wal };
    this.releaser = new Releaser({ ...this.tools, groups: this.logs });
    this.groups = this.logs;
    this.report = recovery.report;
    this.discarded = recovery.discarded.map(({ group, replica, incarnation }) => ({ group, replica, incarnation }));
    for (const state of recovery.discarded) this.lost.set(state.group, state);
    for (const state of recovered) this.incarnations.set(state.group, state.incarnation);
    for (const { state, recovered: found, logFiles, snapshot } of recovery.replicas) {
      this.logs.set(state.group, new LogGroup(this.tools, state, found, logFiles, snapshot));
    }
  }

  /** From here on the recovered state is durable in a new segment, and what recovery had no use for may go. */
  async begin(recovery: Recovery): Promise<void> {
    await this.wal.begin();
    for (const path of recovery.useless) await this.tools.disk.remove(path);
  }

  get queuedBytes(): number {
    return this.wal.queuedBytes;
  }

  get writingSince(): number | undefined {
    return this.wal.writingSince;
  }

  get full(): boolean {
    return this.wal.full;
  }

  get failed(): Promise<Error> {
    return this.wal.failed;
  }

  stats(): StorageStats {
    return this.wal.stats();
  }

  create(group: GroupId, replica: ReplicaId, incarnation: number, initial: SnapshotMeta): GroupLog {
    assert(!this.logs.has(group), `group ${group} has no replica here yet`);
    assert(incarnation > (this.incarnations.get(group) ?? 0), `incarnation ${incarnation} of group ${group} is larger than any before`);
    this.incarnations.set(group, incarnation);
    const predecessor = this.lost.get(group);
    this.lost.delete(group);
    const state = new LogState(group, incarnation, replica, initial.index + 1);
    state.snapshot = initial;
    state.hardState = { ...emptyHardState, term: initial.term, commit: initial.index };
    const recovered = {
      replica,
      incarnation,
      hardState: state.hardState,
      snapshot: initial,
      firstIndex: initial.index + 1,
      lastIndex: initial.index,
      entries: [],
      terms: [],
      configurations: [],
      suspect: false,
    };
    const log = new LogGroup(this.tools, state, recovered, [], undefined);
    this.logs.set(group, log);
    const done =
      predecessor === undefined ? undefined : (): void => this.removeFiles(new LogGroup(this.tools, predecessor, recovered, [], undefined));
    this.wal.push(queuedWrite("create", state, { done }));
    return log;
  }

  destroy(group: GroupId): void {
    const log = this.logs.get(group);
    if (log === undefined) return;
    this.logs.delete(group);
    log.end();
    this.wal.push(queuedWrite("destroy", log.state, { done: () => this.removeFiles(log) }));
  }

  flush(): void {
    this.wal.flush();
  }

  async close(): Promise<void> {
    for (const log of this.logs.values()) log.end();
    await this.wal.close();
    await this.releaser.close();
    await Promise.all(this.removals);
    for (const log of this.logs.values()) await log.close();
    await this.tools.files.close();
  }

  private removeFiles(log: LogGroup): void {
    const removal: Promise<void> = log.removeFiles().finally(() => this.removals.delete(removal));
    this.removals.add(removal);
  }
}
