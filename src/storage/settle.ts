import { noReplica } from "../base/index.ts";
import { readWhole } from "./files.ts";
import { scanGroupLog } from "./group-log-file.ts";
import type { GroupLogFile } from "./group-log-file.ts";
import type { LogState } from "./log-state.ts";
import { groupDirectory, groupFileName } from "./names.ts";
import type { GroupFileName } from "./names.ts";
import { readTail } from "./read.ts";
import type { RecoveryTools } from "./recover.ts";
import type { Tracked } from "./replay.ts";
import { openSnapshot } from "./snapshot-file.ts";
import type { OpenSnapshot } from "./snapshot-file.ts";
import type { RecoveredLog } from "./types.ts";

/** A replica that recovery could put together, suspect or not. */
export interface SettledReplica {
  readonly state: LogState;
  readonly logFiles: readonly GroupLogFile[];
  readonly snapshot: OpenSnapshot | undefined;
  readonly recovered: RecoveredLog;
  readonly useless: readonly string[];
}

function pathOf(name: GroupFileName): string {
  return `${groupDirectory}/${groupFileName(name)}${name.part ? ".part" : ""}`;
}

/**
 * Joins what the WAL says of a replica with its own files. What was durable and cannot be read any
 * more makes the replica suspect; its log then ends before the first missing entry.
 */
export async function settleReplica(
  tools: RecoveryTools,
  tracked: Tracked,
  names: readonly GroupFileName[],
  report: string[],
): Promise<SettledReplica> {
  const { state } = tracked;
  const wasSuspect = state.suspect;
  const logFiles = await readLogFiles(tools, state, names);
  const snapshot = await newestSnapshot(tools, state, names, report);
  const isWhole = joinSnapshot(state, snapshot);
  const lastKnown = state.index.last;
  const cut = cutAtHole(state);
  if (!isWhole || cut || tracked.doubt) state.suspect = true;
  settleHardState(state);
  if (cut) tools.probe?.("log-cut-at-hole");
  if (tracked.doubt) tools.probe?.("damage-without-owner");
  if (!isWhole) report.push(`group ${state.group}: the snapshot that the log begins at is damaged; the replica is suspect and empty`);
  else if (cut)
    report.push(
      `group ${state.group}: entry ${state.index.last + 1} of ${lastKnown} is damaged; the replica is suspect and its log ends before it`,
    );
  else if (tracked.doubt)
    report.push(`group ${state.group}: damage that belongs to no known record may have been in its log; the replica is suspect`);
  else if (wasSuspect) report.push(`group ${state.group}: the replica was suspect before and no leader has confirmed it yet`);
  const live = logFiles.filter((file) => file.last >= state.index.first && state.index.last >= state.index.first);
  const entries = await readTail(tools.files, tools.checksum, state, tools.settings.recoveredBytesMax);
  return {
    state,
    logFiles: live,
    snapshot,
    recovered: describeRecovered(state, entries),
    useless: uselessFiles(state, names, live, snapshot),
  };
}

function describeRecovered(state: LogState, entries: RecoveredLog["entries"]): RecoveredLog {
  const { index } = state;
  return {
    replica: state.replica,
    incarnation: state.incarnation,
    hardState: state.hardState,
    snapshot: state.snapshot,
    firstIndex: index.first,
    lastIndex: index.last,
    entries,
    terms: index.runs(),
    configurations: [...state.configurations].sort((a, b) => a - b),
    suspect: state.suspect,
  };
}

async function readLogFiles(tools: RecoveryTools, state: LogState, names: readonly GroupFileName[]): Promise<GroupLogFile[]> {
  const { index } = state;
  const logFiles: GroupLogFile[] = [];
  for (const name of names) {
    if (name.kind !== "log" || name.part || name.b < index.first) continue;
    const path = pathOf(name);
    const bytes = await readWhole(tools.disk, path);
    const file = tools.files.add(path);
    logFiles.push({ path, file, first: name.a, last: name.b, bytes: bytes.length });
    for (const found of scanGroupLog(bytes, state, tools.checksum)) {
      if (found.isConfiguration) state.configurations.add(found.index);
      // Even where the WAL has the entry: what moved already need not move again.
      if (index.has(found.index) && index.termAt(found.index) === found.term)
        index.put(found.index, found.term, file, found.offset, found.length);
    }
  }
  return logFiles;
}

/** A received snapshot counts only once the WAL says that it was installed: the log below it may not fit. */
async function newestSnapshot(
  tools: RecoveryTools,
  state: LogState,
  names: readonly GroupFileName[],
  report: string[],
): Promise<OpenSnapshot | undefined> {
  const candidates = names.filter(
    (name) =>
      !name.part && (name.kind === "snapshot" || (name.kind === "received" && state.snapshotHasBytes && name.a <= state.snapshot.index)),
  );
  candidates.sort((x, y) => y.a - x.a);
  for (const name of candidates) {
    const opened = await openSnapshot(tools.disk, pathOf(name), state, tools.checksum);
    if (opened !== undefined) return opened;
    report.push(`group ${state.group}: the snapshot ${pathOf(name)} is damaged`);
    tools.probe?.("older-snapshot-used");
  }
  return undefined;
}

/** Puts the snapshot under the log. False when there is none that the log continues. */
function joinSnapshot(state: LogState, snapshot: OpenSnapshot | undefined): boolean {
  const { index } = state;
  if (snapshot === undefined && state.snapshotHasBytes) {
    state.snapshot = { index: 0, term: 0, configuration: state.snapshot.configuration };
    state.snapshotHasBytes = false;
    index.reset(1);
    return false;
  }
  const wanted = state.snapshot.index;
  if (snapshot !== undefined && (snapshot.meta.index >= wanted || state.snapshotHasBytes)) {
    state.snapshot = snapshot.meta;
    state.snapshotHasBytes = true;
  }
  const base = state.snapshot.index;
  releaseHolesBelow(state, base);
  if (index.last < base) index.reset(base + 1);
  if (index.first <= base + 1) return base >= wanted || index.last >= wanted;
  index.reset(base + 1);
  return false;
}

/** Entries below the snapshot are a courtesy to followers: holes among them only shorten it. */
function releaseHolesBelow(state: LogState, base: number): void {
  const { index } = state;
  for (let at = Math.min(base, index.last); at >= index.first; at--) {
    if (index.fileAt(at) !== 0) continue;
    index.releaseBelow(at + 1);
    return;
  }
}

function cutAtHole(state: LogState): boolean {
  const { index } = state;
  for (let at = index.first; at <= index.last; at++) {
    if (index.fileAt(at) !== 0) continue;
    index.truncate(at);
    return true;
  }
  return false;
}

/** A term seen in the log or in the snapshot was this replica's term once. */
function settleHardState(state: LogState): void {
  const { index, hardState, snapshot } = state;
  const lastTerm = Math.max(snapshot.term, index.last >= index.first ? index.termAt(index.last) : 0);
  const commit = Math.min(Math.max(hardState.commit, snapshot.index), Math.max(index.last, snapshot.index));
  const term = Math.max(hardState.term, lastTerm);
  state.hardState = { term, vote: term === hardState.term ? hardState.vote : noReplica, commit };
}

function uselessFiles(
  state: LogState,
  names: readonly GroupFileName[],
  live: readonly GroupLogFile[],
  snapshot: OpenSnapshot | undefined,
): string[] {
  const kept = new Set([...live.map(({ path }) => path), snapshot?.path]);
  return names
    .filter((name) => {
      if (kept.has(pathOf(name))) return false;
      // A snapshot being received may be continued.
      return !(name.kind === "received" && name.a > state.snapshot.index);
    })
    .map(pathOf);
}
