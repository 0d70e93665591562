import type { GroupId } from "../base/index.ts";
import type { Checksum, Disk } from "../ports/index.ts";
import { analyseChain } from "./chain.ts";
import type { Chain } from "./chain.ts";
import { readWhole } from "./files.ts";
import type { Files } from "./files.ts";
import type { LogState } from "./log-state.ts";
import type { GroupFileName } from "./names.ts";
import { groupDirectory, parseGroupFileName, segmentName, segmentOf, walDirectory } from "./names.ts";
import { Replay } from "./replay.ts";
import { scanSegment } from "./scan.ts";
import type { ScannedSegment } from "./scan.ts";
import { settleReplica } from "./settle.ts";
import type { SettledReplica } from "./settle.ts";
import type { StorageSettings } from "./settings.ts";

export interface RecoveryTools {
  readonly disk: Disk;
  readonly checksum: Checksum;
  readonly files: Files;
  readonly settings: StorageSettings;
}

export interface RecoveredSegment {
  readonly segment: number;
  readonly file: number;
  readonly bytes: number;
}

export interface Recovery {
  readonly replicas: readonly SettledReplica[];
  readonly discarded: readonly LogState[];
  readonly report: readonly string[];
  /** Sequence of the batch that the log goes on with. */
  readonly nextSequence: number;
  readonly nextSegment: number;
  /** An unused segment at the end, preallocated by the last start. */
  readonly spare: { readonly segment: number; readonly salt: number; readonly bytes: number } | undefined;
  readonly segments: readonly RecoveredSegment[];
  /** Files that hold nothing, to be removed once the new segment's head is durable. */
  readonly useless: readonly string[];
}

/** Reads everything that the last run left. Changes nothing but to sync what it found. */
export async function recover(tools: RecoveryTools): Promise<Recovery> {
  const { disk } = tools;
  const report: string[] = [];
  // Names, too, may be only in the system's cache after a crash of the process: what is trusted from here on must last.
  await disk.syncDirectory(walDirectory);
  await disk.syncDirectory(groupDirectory);
  const numbers = (await disk.list(walDirectory)).map(segmentOf).filter((segment) => segment !== undefined);
  const scanned: ScannedSegment[] = [];
  for (const segment of numbers) {
    const path = `${walDirectory}/${segmentName(segment)}`;
    scanned.push(scanSegment(await readWhole(disk, path), segment, path, tools.checksum));
  }
  const chain = analyseChain(scanned);
  const useful = chooseSegments(scanned);
  const segments = useful.map(({ segment, bytes }) => ({ segment, bytes, file: tools.files.add(`${walDirectory}/${segmentName(segment)}`) }));
  const replay = new Replay(chain?.start ?? 1);
  if (chain !== undefined) {
    const places = new Map(segments.map(({ segment, file }) => [segment, file]));
    for (const { segment, batches } of useful) {
      const limit = Math.min(chain.limits.get(segment) ?? 0, chain.end);
      for (const batch of batches) if (batch.sequence <= limit) replay.apply(batch, places.get(segment) ?? 0);
    }
    replay.finish(chain.end);
    await syncTail(disk, scanned, chain);
    reportChain(chain, report);
    const short = useful[useful.length - 1];
    if (short?.isShort === true) {
      replay.doubtAll();
      report.push(`the write-ahead log has lost its end: ${segmentName(short.segment)} is shorter than it was made`);
    }
  } else if (useful.length > 0) report.push(`no batch could be read from ${useful.length} segments of the write-ahead log`);
  const last = scanned[scanned.length - 1];
  const spare = last?.blank === true && last.salt !== undefined ? { segment: last.segment, salt: last.salt, bytes: last.bytes } : undefined;
  const keep = new Set([...segments.map(({ segment }) => segment), spare?.segment]);
  const settled = await settleAll(tools, replay, report);
  return {
    ...settled, report, segments, spare,
    nextSequence: (chain?.end ?? 0) + 1, nextSegment: (last?.segment ?? 0) + 1,
    useless: [...settled.useless, ...numbers.filter((segment) => !keep.has(segment)).map((segment) => `${walDirectory}/${segmentName(segment)}`)],
  };
}

/**
 * Segments to keep: those with batches, and unreadable ones before them. Behind the last batch there
 * are only segments that a crash kept from being begun.
 */
function chooseSegments(scanned: readonly ScannedSegment[]): ScannedSegment[] {
  let count = scanned.length;
  const hasBatches = scanned.some(({ batches }) => batches.length > 0);
  for (let last = scanned[count - 1]; last !== undefined && last.batches.length === 0 && !last.isShort; last = scanned[count - 1]) {
    if (!hasBatches && !last.blank) break;
    count--;
  }
  return scanned.slice(0, count).filter(({ blank }) => !blank);
}

/**
 * After a crash of the process alone, the end of the log was read from the system's cache and may not
 * be on stable storage yet; the new segment's head is about to say that it is.
 */
async function syncTail(disk: Disk, scanned: readonly ScannedSegment[], chain: Chain): Promise<void> {
  for (const { segment, batches } of scanned) {
    if (!batches.some(({ sequence }) => sequence > chain.synced && sequence <= chain.end)) continue;
    const file = await disk.open(`${walDirectory}/${segmentName(segment)}`, { create: false, lane: "log" });
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }
}

function batches(count: number): string {
  return count === 1 ? "1 batch" : `${count} batches`;
}

function reportChain(chain: Chain, report: string[]): void {
  if (chain.corrupt > 0) report.push(`damaged or missing in the write-ahead log, up to the synced mark ${chain.synced}: ${batches(chain.corrupt)}`);
  if (chain.dropped > 0) report.push(`the write-ahead log ends with batch ${chain.end}; dropped behind it, never completely written: ${batches(chain.dropped)}`);
}

async function settleAll(tools: RecoveryTools, replay: Replay, report: string[]): Promise<Pick<Recovery, "replicas" | "discarded" | "useless">> {
  const names = new Map<GroupId, GroupFileName[]>();
  const useless: string[] = [];
  const orphans = new Set<GroupId>();
  const destroyed = new Set(replay.destroyed.map(({ group, incarnation }) => `${group}.${incarnation}`));
  for (const text of await tools.disk.list(groupDirectory)) {
    const name = parseGroupFileName(text);
    if (name === undefined) continue;
    const incarnation = replay.tracked.get(name.group)?.state.incarnation;
    if (incarnation === name.incarnation) names.set(name.group, [...(names.get(name.group) ?? []), name]);
    else if (destroyed.has(`${name.group}.${name.incarnation}`) || (incarnation !== undefined && name.incarnation < incarnation)) useless.push(`${groupDirectory}/${text}`);
    else orphans.add(name.group);
  }
  for (const group of orphans) report.push(`files of group ${group} are there, but the write-ahead log does not know the group; they are left alone`);
  const replicas: SettledReplica[] = [];
  const discarded: LogState[] = [];
  for (const tracked of replay.tracked.values()) {
    const { state } = tracked;
    if (tracked.hardDoubt || !tracked.known || state.discarded) {
      state.discarded = true;
      discarded.push(state);
      report.push(`group ${state.group}: both copies of the hard state are lost; replica ${state.replica} is discarded and must be added again under a new id`);
    } else {
      const settled = await settleReplica(tools, tracked, names.get(state.group) ?? [], report);
      replicas.push(settled);
      useless.push(...settled.useless);
    }
  }
  return { replicas, discarded, useless };
}
