import { limits } from "../base/index.ts";

/** Sizes and times of storage. Tests override them; a node uses the defaults. */
export interface StorageSettings {
  /** Bytes of a WAL segment. */
  readonly segmentBytes: number;
  /** Bytes of the segment that a start begins with when no spare one is there, so that a start need not write a whole one. */
  readonly firstSegmentBytes: number;
  /** The WAL releases its oldest segment above either of these. */
  readonly walBytesMax: number;
  readonly walSegmentsMax: number;
  /** Entries gathered into one write and sync. One write of a group is never split. */
  readonly batchBytesMax: number;
  /** The end of a segment that only hard states may use while there is no room for a next segment. */
  readonly reserveBytes: number;
  /** A snapshot is written and synced in steps of this size. */
  readonly stepBytes: number;
  /** Bytes per second of a snapshot being written; 0: no limit. */
  readonly snapshotBytesPerSecond: number;
  /** A group's own segments are merged up to this size. */
  readonly groupFileBytes: number;
  /** Time without a write after which an empty batch carries the synced mark on. */
  readonly markDelayMs: number;
  /** Time between attempts to find room on a full disk. */
  readonly retryMs: number;
  /** Bytes of entries that recovery gives back in memory, per group, the newest first. */
  readonly recoveredBytesMax: number;
}

const MiB = 1024 * 1024;

export const storageSettings: StorageSettings = {
  segmentBytes: limits.walSegmentBytes,
  firstSegmentBytes: 4 * MiB,
  walBytesMax: 4 * limits.walSegmentBytes,
  walSegmentsMax: 8,
  batchBytesMax: 4 * MiB,
  reserveBytes: 1 * MiB,
  stepBytes: limits.snapshotStepBytes,
  snapshotBytesPerSecond: 256 * MiB,
  groupFileBytes: 4 * MiB,
  markDelayMs: 10,
  retryMs: 1000,
  recoveredBytesMax: limits.logCacheBytesMax,
};
