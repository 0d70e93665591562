import { assert } from "../base/index.ts";
import { Outputs } from "./core.ts";
import type { Core } from "./core.ts";
import { flushAcknowledgement } from "./follower.ts";
import { sendToFollowers } from "./sending.ts";
import type { Entry, HardState, Ready } from "./types.ts";

const none: readonly Entry[] = [];

/** Whether `takeReady` has something to give. */
export function hasReady(core: Core): boolean {
  const { out } = core;
  return (
    core.log.hasUnwritten ||
    core.acknowledge >= 0 ||
    core.pendingSnapshot !== undefined ||
    isHardStateDue(core) ||
    (core.sendDue && core.role === "leader") ||
    out.trusted ||
    out.messages.length > 0 ||
    out.messagesAfterPersist.length > 0 ||
    out.readStates.length > 0 ||
    out.readsDropped.length > 0 ||
    out.fetches.length > 0 ||
    out.snapshots.length > 0 ||
    isCommittedDue(core)
  );
}

/** A new term or vote must be durable before anything that follows from it; a commit index alone is a hint and waits for the next write. */
function isHardStateDue(core: Core): boolean {
  return core.term !== core.written.term || core.vote !== core.written.vote;
}

export function takeReady(core: Core): Ready | undefined {
  // What nobody takes now comes from the disk when somebody does.
  if (core.holdsCommitted) core.log.evict(committedEnd(core));
  if (!hasReady(core)) return undefined;
  sendToFollowers(core);
  flushAcknowledgement(core);
  const snapshot = core.pendingSnapshot;
  core.pendingSnapshot = undefined;
  // A snapshot is a write of its own: what is appended above it follows with the next ready.
  const entries = snapshot === undefined ? core.log.unwritten() : none;
  const writes = snapshot !== undefined || entries.length > 0 || isHardStateDue(core);
  const hardState = writes ? takeHardState(core) : undefined;
  let number = 0;
  if (writes) {
    number = ++core.number;
    if (snapshot === undefined) core.log.noteWrite(number, core.log.lastIndex);
    else core.log.noteWrite(number, snapshot.index);
    if (core.role === "candidate" && core.ownVoteNumber === 0) core.ownVoteNumber = number;
  }
  const committed = snapshot === undefined ? takeCommitted(core) : none;
  const { out } = core;
  core.out = new Outputs();
  const ready: Ready = {
    number,
    hardState,
    entries,
    snapshot,
    messages: out.messages,
    messagesAfterPersist: out.messagesAfterPersist,
    committed,
    readStates: out.readStates,
    fetches: out.fetches,
    snapshots: out.snapshots,
    readsDropped: out.readsDropped,
    trusted: out.trusted,
  };
  return isEmpty(ready) ? undefined : ready;
}

function isEmpty(ready: Ready): boolean {
  return (
    ready.number === 0 &&
    ready.messages.length === 0 &&
    ready.messagesAfterPersist.length === 0 &&
    ready.committed.length === 0 &&
    ready.readStates.length === 0 &&
    ready.fetches.length === 0 &&
    ready.snapshots.length === 0 &&
    ready.readsDropped.length === 0 &&
    !ready.trusted
  );
}

/** Undefined when nothing of it changed since it was last written. */
function takeHardState(core: Core): HardState | undefined {
  const { term, vote, commit, written } = core;
  if (term === written.term && vote === written.vote && commit === written.commit) return undefined;
  core.written = { term, vote, commit };
  return core.written;
}

/** The last index that may be handed out: committed, and durable on this replica. */
export function committedEnd(core: Core): number {
  return Math.min(core.commit, core.log.persisted);
}

function isCommittedDue(core: Core): boolean {
  if (core.holdsCommitted || committedEnd(core) <= core.handedOut) return false;
  return core.handedOut + 1 >= core.log.memoryFirst || core.supplied.length > 0 || core.ownFetch === "idle";
}

/** Committed entries, each once. Those that a restart left on disk only are fetched first. */
function takeCommitted(core: Core): readonly Entry[] {
  const { log } = core;
  const end = committedEnd(core);
  const from = core.handedOut + 1;
  if (from > end || core.holdsCommitted) return none;
  let committed: readonly Entry[];
  if (from >= log.memoryFirst) committed = log.slice(from, end, Number.POSITIVE_INFINITY);
  else if (core.supplied.length > 0) {
    committed = stillCommitted(core, end);
    core.supplied = [];
  } else {
    if (core.ownFetch === "idle") {
      core.ownFetch = "asked";
      core.probe?.("own-entries-fetched");
      core.out.fetches.push({ to: core.replica, from, maxBytes: core.limits.appendBytesMax });
    }
    return none;
  }
  const last = committed[committed.length - 1];
  if (last === undefined) return none;
  assert(committed[0]?.index === from, "committed entries are handed out in order");
  core.handedOut = last.index;
  return committed;
}

/**
 * What was supplied, up to `end` and up to the first entry that the log no longer has: a part of it may have been read
 * before another leader replaced it and what follows after that. The rest is fetched again.
 */
function stillCommitted(core: Core, end: number): readonly Entry[] {
  const { supplied } = core;
  const stale = supplied.findIndex((entry) => entry.index > end || !core.log.matches(entry.index, entry.term));
  return stale < 0 ? supplied : supplied.slice(0, stale);
}

/** The answer to a fetch of our own. */
export function supplyOwn(core: Core, entries: readonly Entry[]): void {
  if (core.ownFetch !== "asked") return;
  core.ownFetch = "idle";
  const first = entries[0];
  if (first?.index === core.handedOut + 1 && core.log.matches(first.index, first.term)) core.supplied = entries;
}

/** A state that covers everything up to `index` stands in for what was not handed out. */
export function skipCommitted(core: Core, index: number): void {
  assert(index <= committedEnd(core), "what is skipped is committed and durable");
  if (index <= core.handedOut) return;
  core.handedOut = index;
  core.supplied = core.supplied.filter((entry) => entry.index > index);
}

/** Asked again with the next tick. */
export function failOwnFetch(core: Core): void {
  if (core.ownFetch === "asked") core.ownFetch = "failed";
}
