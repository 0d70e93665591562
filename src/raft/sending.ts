import type { ReplicaId } from "../base/index.ts";
import type { Core } from "./core.ts";
import type { Progress } from "./progress.ts";
import { beginRound } from "./reads.ts";
import { maybeTrust } from "./suspects.ts";
import type { Entry } from "./types.ts";

/**
 * Builds what the leader sends, once per ready: several proposals of a turn travel in one append to
 * each follower, a new commit index travels with them, with a heartbeat that is due, or else alone.
 */
export function sendToFollowers(core: Core): void {
  if (!core.sendDue || core.role !== "leader") return;
  core.sendDue = false;
  beginRound(core);
  maybeTrust(core);
  const batch: Batch = { from: 0, entries: [] };
  for (const [to, progress] of core.progress) {
    sendAppends(core, to, progress, batch);
    if (progress.heartbeatDue) sendHeartbeat(core, to, progress);
    else if (progress.state === "replicate") tellCommit(core, to, progress);
  }
}

/** Followers that keep up want the same entries: they share one list. */
interface Batch {
  from: number;
  entries: readonly Entry[];
}

function sendHeartbeat(core: Core, to: ReplicaId, progress: Progress): void {
  progress.heartbeatDue = false;
  const commit = Math.min(core.commit, progress.match);
  // Rounds are numbered for voters and learners alike; an answer that nobody waits for is ignored.
  const context = core.reads.rounds.length > 0 || progress.attempt < core.reads.attempt ? core.reads.attempt : 0;
  core.send({ type: "heartbeat", from: core.replica, to, term: core.term, commit, context });
  progress.toldCommit = Math.max(progress.toldCommit, commit);
}

function tellCommit(core: Core, to: ReplicaId, progress: Progress): void {
  const commit = Math.min(core.commit, progress.match);
  if (commit <= progress.toldCommit) return;
  core.send({ type: "commit", from: core.replica, to, term: core.term, commit });
  progress.toldCommit = commit;
}

function sendAppends(core: Core, to: ReplicaId, progress: Progress, batch: Batch): void {
  if (progress.state === "probe") {
    if (!progress.paused) sendNext(core, to, progress, batch);
  } else if (progress.state === "replicate") {
    while (progress.next <= core.log.lastIndex && !progress.inflights.full) if (!sendNext(core, to, progress, batch)) break;
  }
  if (progress.state === "replicate" && (progress.appendDue || progress.trustDue)) {
    const prevTerm = core.log.term(progress.next - 1);
    if (prevTerm !== undefined) sendAppend(core, to, progress, prevTerm, []);
    else {
      // What is in flight was released meanwhile, and can be asked about no more.
      progress.becomeProbe(progress.match + 1);
      sendNext(core, to, progress, batch);
    }
  }
}

/** Sends the next entries, or asks the shell for what memory does not hold. False: nothing more can be sent now. */
function sendNext(core: Core, to: ReplicaId, progress: Progress, batch: Batch): boolean {
  const { log } = core;
  const { next } = progress;
  const prevTerm = log.term(next - 1);
  if (next < log.firstIndex || prevTerm === undefined) {
    requestSnapshot(core, to, progress, prevTerm === undefined ? next - 1 : 0);
    return false;
  }
  if (next < log.memoryFirst) {
    if (progress.state === "replicate") requestEntries(core, to, progress);
    // While the logs have not met, there is no use in loading entries.
    else sendAppend(core, to, progress, prevTerm, []);
    return false;
  }
  if (batch.from !== next || batch.entries.length === 0) {
    batch.from = next;
    batch.entries = log.slice(next, log.lastIndex, core.limits.appendBytesMax);
  }
  sendAppend(core, to, progress, prevTerm, batch.entries);
  return true;
}

function sendAppend(core: Core, to: ReplicaId, progress: Progress, prevTerm: number, entries: readonly Entry[]): void {
  const prevIndex = progress.next - 1;
  const last = prevIndex + entries.length;
  // Only to one whose log is known to reach what its trust rests on.
  const trusted = progress.trustDue && progress.trustedReport !== 0 && progress.state === "replicate";
  core.send({
    type: "append",
    from: core.replica,
    to,
    term: core.term,
    prevIndex,
    prevTerm,
    entries,
    commit: core.commit,
    ...(trusted ? { trusted: progress.trustedReport } : {}),
  });
  if (trusted) progress.trustDue = false;
  progress.appendDue = false;
  progress.toldCommit = Math.max(progress.toldCommit, Math.min(core.commit, last));
  if (progress.state === "probe") progress.paused = true;
  else if (entries.length > 0) {
    let bytes = 0;
    for (const entry of entries) bytes += entry.data.length;
    progress.inflights.add(last, bytes);
    progress.next = last + 1;
  }
}

/** One fetch per follower at a time; its answer sends the entries. */
function requestEntries(core: Core, to: ReplicaId, progress: Progress): void {
  if (progress.fetching !== 0) return;
  core.probe?.("follower-entries-fetched");
  progress.fetching = progress.next;
  core.out.fetches.push({ to, from: progress.next, maxBytes: core.limits.appendBytesMax });
}

/** Only for one that answers: a snapshot for a dead follower would be made in vain. */
function requestSnapshot(core: Core, to: ReplicaId, progress: Progress, minIndex: number): void {
  if (!progress.active) return;
  beginSnapshot(core, to, progress, minIndex);
}

function beginSnapshot(core: Core, to: ReplicaId, progress: Progress, minIndex: number): void {
  progress.becomeSnapshot();
  core.out.snapshots.push({ to, minIndex: Math.max(minIndex, core.log.firstIndex - 1) });
}

/** The entries of a fetch for a follower. They are sent if they are still what it wants next, and still in the log. */
export function supplyFollower(core: Core, to: ReplicaId, entries: readonly Entry[]): void {
  const progress = core.progress.get(to);
  if (core.role !== "leader" || progress === undefined || progress.fetching === 0) return;
  progress.fetching = 0;
  core.sendDue = true;
  const first = entries[0];
  const prevTerm = core.log.term(progress.next - 1);
  if (first === undefined || first.index !== progress.next || prevTerm === undefined) return;
  if (progress.state !== "replicate" || progress.inflights.full || !areInLog(core, entries)) return;
  sendAppend(core, to, progress, prevTerm, entries);
}

function areInLog(core: Core, entries: readonly Entry[]): boolean {
  return entries.every((entry) => core.log.matches(entry.index, entry.term));
}

/** They cannot be read (released meanwhile, or damaged): the follower gets a snapshot that reaches beyond them. */
export function failFetch(core: Core, to: ReplicaId): void {
  const progress = core.progress.get(to);
  if (core.role !== "leader" || progress === undefined || progress.fetching === 0) return;
  const { fetching } = progress;
  progress.fetching = 0;
  core.sendDue = true;
  if (progress.state !== "replicate" || progress.next !== fetching) return;
  core.probe?.("fetch-becomes-snapshot");
  beginSnapshot(core, to, progress, fetching);
}

/** The receiver holds the snapshot, durable, and its raft was told: its answer decides; until then one probe. */
export function snapshotSent(core: Core, to: ReplicaId, index: number): void {
  const progress = core.progress.get(to);
  if (core.role !== "leader" || progress === undefined || progress.state !== "snapshot") return;
  progress.becomeProbe(Math.min(index, core.log.lastIndex) + 1);
  progress.paused = true;
}

/** The next answer of the follower begins anew, so that a broken transfer is not repeated in a loop. */
export function snapshotFailed(core: Core, to: ReplicaId): void {
  const progress = core.progress.get(to);
  if (core.role !== "leader" || progress === undefined || progress.state !== "snapshot") return;
  progress.becomeProbe(progress.match + 1);
  progress.paused = true;
}
