import { assert, noReplica } from "../base/index.ts";
import type { ReplicaId } from "../base/index.ts";
import { decodeConfiguration } from "./configuration.ts";
import type { Core } from "./core.ts";
import { becomeFollower, setLeader } from "./roles.ts";
import { EntryKind } from "./types.ts";
import type { Configuration, Entry, Message } from "./types.ts";

type Append = Extract<Message, { type: "append" }>;
type Commit = Extract<Message, { type: "commit" }>;
type Heartbeat = Extract<Message, { type: "heartbeat" }>;
type Snapshot = Extract<Message, { type: "snapshot" }>;

/** A message that only the leader of the current term sends. */
export function hearLeader(core: Core, from: ReplicaId): void {
  assert(core.role !== "leader", "a term has one leader");
  if (core.role !== "follower") becomeFollower(core, core.term, from);
  else {
    assert(core.leader === noReplica || core.leader === from, "a term has one leader");
    core.electionElapsed = 0;
    setLeader(core, from);
  }
}

export function handleAppend(core: Core, message: Append): void {
  hearLeader(core, message.from);
  const { log } = core;
  let { prevIndex, entries } = message;
  const last = prevIndex + entries.length;
  if (last < core.commit) {
    acknowledge(core, core.commit);
    return;
  }
  if (prevIndex < core.commit) {
    // What is committed is equal to the leader's; only the rest is looked at.
    entries = entries.slice(core.commit - prevIndex);
    prevIndex = core.commit;
  } else if (!log.matches(prevIndex, message.prevTerm)) {
    reject(core, message);
    return;
  }
  take(core, entries);
  core.matched = Math.max(core.matched, last);
  core.commitTo(Math.min(message.commit, last));
  if (message.trusted !== undefined && message.trusted === core.report) becomeTrusted(core);
  acknowledge(core, last);
}

/** Appends what the log does not hold yet. Only a conflict truncates: a delayed append never shortens the log. */
function take(core: Core, entries: readonly Entry[]): void {
  const { log } = core;
  let at = 0;
  while (at < entries.length && log.matches((entries[at] as Entry).index, (entries[at] as Entry).term)) at++;
  if (at === entries.length) return;
  const added = at === 0 ? entries : entries.slice(at);
  const first = added[0] as Entry;
  assert(first.index > core.commit, "a committed entry is never replaced");
  const configurations: [number, Configuration][] = [];
  for (const entry of added)
    if (entry.kind === EntryKind.configuration) configurations.push([entry.index, decodeConfiguration(entry.data)]);
  if (first.index <= log.lastIndex) core.probe?.("suffix-replaced");
  log.append(added);
  if (core.configurations.index >= first.index) core.probe?.("configuration-rolled-back");
  core.configurations.truncate(first.index);
  for (const [index, configuration] of configurations) core.configurations.append(index, configuration);
}

/** Leaves once everything written before is durable; later ones of the same turn take its place. */
function acknowledge(core: Core, index: number): void {
  if (index > core.acknowledge) core.acknowledge = index;
}

/** Names where the logs may meet, so that the leader skips a whole term per round trip (paper, end of section 5.3). */
function reject(core: Core, message: Append): void {
  const { log } = core;
  const hintIndex = Math.max(core.commit, log.lastIndexWithTerm(message.prevIndex, message.prevTerm));
  answerRejected(core, message.from, message.prevIndex, hintIndex);
}

function answerRejected(core: Core, to: ReplicaId, index: number, hintIndex: number): void {
  const { report, log } = core;
  core.sendAfterPersist({
    type: "append-response",
    from: core.replica,
    to,
    term: core.term,
    index,
    rejected: true,
    hintIndex,
    hintTerm: log.term(hintIndex) ?? 0,
    ...(report === 0 ? {} : { suspect: report }),
  });
}

/** The answer to this turn's accepted appends. */
export function flushAcknowledgement(core: Core): void {
  if (core.acknowledge < 0) return;
  const index = core.acknowledge;
  core.acknowledge = -1;
  if (core.leader === noReplica || core.leader === core.replica) return;
  core.sendAfterPersist({
    type: "append-response",
    from: core.replica,
    to: core.leader,
    term: core.term,
    index,
    rejected: false,
    hintIndex: 0,
    hintTerm: 0,
    ...(core.report === 0 ? {} : { suspect: core.report }),
  });
}

export function handleHeartbeat(core: Core, message: Heartbeat): void {
  hearLeader(core, message.from);
  leaderIsBack(core, message.from);
  if (core.isSuspect) {
    // What the leader knows of an earlier life does not hold any more: only what this life's appends proved is committed here.
    const known = Math.max(core.matched, core.commit);
    core.commitTo(Math.min(message.commit, known));
    if (known > 0) acknowledge(core, known);
    else answerRejected(core, message.from, 0, core.log.lastIndex);
    return;
  }
  core.commitTo(message.commit);
  core.send({ type: "heartbeat-response", from: core.replica, to: message.from, term: core.term, context: message.context });
}

export function handleCommit(core: Core, message: Commit): void {
  hearLeader(core, message.from);
  leaderIsBack(core, message.from);
  // What the leader knows of an earlier life does not hold any more.
  core.commitTo(core.isSuspect ? Math.min(message.commit, Math.max(core.matched, core.commit)) : message.commit);
}

/** Heartbeats travel on the control connection: one that arrives proves that it stands again. */
function leaderIsBack(core: Core, leader: ReplicaId): void {
  if (core.lostLeader === leader) core.lostLeader = noReplica;
}

/**
 * All chunks are on this node's disk. Whether they are still wanted is decided here. A snapshot is
 * committed state and true whoever sent it, in whatever term: transfers take long, leaders change
 * meanwhile. Therefore it proves no leadership either.
 */
export function handleSnapshot(core: Core, message: Snapshot): void {
  if (core.role === "leader") return;
  const { meta } = message;
  const { log } = core;
  if (meta.index <= core.commit) {
    core.probe?.("snapshot-not-wanted");
    acknowledge(core, core.commit);
    return;
  }
  core.matched = Math.max(core.matched, meta.index);
  if (log.matches(meta.index, meta.term)) {
    core.probe?.("snapshot-keeps-log");
    core.commitTo(meta.index);
  } else {
    if (core.role !== "follower") becomeFollower(core, core.term, noReplica);
    log.restore(meta, core.commit);
    core.configurations.reset(meta.index, meta.configuration);
    core.commit = meta.index;
    core.handedOut = meta.index;
    core.supplied = [];
    core.pendingSnapshot = meta;
  }
  acknowledge(core, meta.index);
}

/** A message of a leader whose term has passed: it learns of ours and steps down. */
export function refuseStaleLeader(core: Core, from: ReplicaId): void {
  core.probe?.("stale-leader-refused");
  answerRejected(core, from, 0, core.log.lastIndex);
}

/** Nobody doubts this replica any more. */
export function becomeTrusted(core: Core): void {
  if (!core.isSuspect) return;
  core.probe?.("suspect-trusted");
  core.report = 0;
  core.out.trusted = true;
}
