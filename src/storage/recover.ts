import type { GroupId, Probe } from "../base/index.ts";
import type { Checksum, Disk } from "../ports/index.ts";
import type { Files } from "./files.ts";
import type { LogState } from "./log-state.ts";
import type { GroupFileName } from "./names.ts";
import { groupDirectory, parseGroupFileName, walDirectory } from "./names.ts";
import { recoverWal } from "./recover-wal.ts";
import type { BlankSegment } from "./recover-wal.ts";
import type { Replay } from "./replay.ts";
import { settleReplica } from "./settle.ts";
import type { SettledReplica } from "./settle.ts";
import type { StorageSettings } from "./settings.ts";

export interface RecoveryTools {
  readonly disk: Disk;
  readonly checksum: Checksum;
  readonly files: Files;
  readonly settings: StorageSettings;
  readonly probe?: Probe | undefined;
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
  readonly spare: BlankSegment | undefined;
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
  const wal = await recoverWal(tools, report);
  const settled = await settleAll(tools, wal.replay, report);
  return { ...wal, ...settled, report, useless: [...settled.useless, ...wal.useless] };
}

async function settleAll(
  tools: RecoveryTools,
  replay: Replay,
  report: string[],
): Promise<Pick<Recovery, "replicas" | "discarded" | "useless">> {
  const names = new Map<GroupId, GroupFileName[]>();
  const useless: string[] = [];
  const orphans = new Set<GroupId>();
  const destroyed = new Set(replay.destroyed.map(({ group, incarnation }) => `${group}.${incarnation}`));
  for (const text of await tools.disk.list(groupDirectory)) {
    const name = parseGroupFileName(text);
    if (name === undefined) continue;
    const incarnation = replay.tracked.get(name.group)?.state.incarnation;
    if (incarnation === name.incarnation) names.set(name.group, [...(names.get(name.group) ?? []), name]);
    else if (destroyed.has(`${name.group}.${name.incarnation}`) || (incarnation !== undefined && name.incarnation < incarnation))
      useless.push(`${groupDirectory}/${text}`);
    else orphans.add(name.group);
  }
  for (const group of orphans)
    report.push(`files of group ${group} are there, but the write-ahead log does not know the group; they are left alone`);
  const replicas: SettledReplica[] = [];
  const discarded: LogState[] = [];
  for (const tracked of replay.tracked.values()) {
    const { state } = tracked;
    if (tracked.hardDoubt || !tracked.known || state.discarded) {
      state.discarded = true;
      tools.probe?.("replica-discarded");
      discarded.push(state);
      report.push(
        `group ${state.group}: both copies of the hard state are lost; replica ${state.replica} is discarded and must be added again under a new id`,
      );
    } else {
      const settled = await settleReplica(tools, tracked, names.get(state.group) ?? [], report);
      replicas.push(settled);
      useless.push(...settled.useless);
    }
  }
  return { replicas, discarded, useless };
}
