import { describeCall } from "../history.ts";
import type { Call, History, Read } from "../history.ts";
import { agrees } from "./chronicle.ts";
import type { Chronicle } from "./chronicle.ts";
import { told } from "./registers.ts";

/**
 * Revisions are one order of all writes of the keyspace: without gaps, in agreement with real time
 * across keys, and every read is the state at one of them. Together with the register check this
 * makes transactions and range reads strictly serializable.
 */
export function checkRevisions(history: History, chronicle: Chronicle): string[] {
  return [...checkGaps(chronicle), ...checkReads(history, chronicle), ...checkRealTime(history), ...checkSessions(history, chronicle)];
}

function checkGaps(chronicle: Chronicle): string[] {
  let last = 1;
  for (const { revision } of chronicle.changes) {
    if (revision !== last + 1) return [`revision ${revision} follows ${last} in the history of the keyspace`];
    last = revision;
  }
  return [];
}

function checkReads(history: History, chronicle: Chronicle): string[] {
  const found: string[] = [];
  for (const call of history.calls) {
    for (const seen of told(call)) {
      if (!agrees(seen, chronicle.writtenAt(seen.key, seen.revision)))
        found.push(`${JSON.stringify(seen)} is nothing that was ever written: ${describeCall(call)}`);
    }
    const wrong = notTheState(call, chronicle);
    if (wrong !== undefined) found.push(`not the state at its revision (${wrong}): ${describeCall(call)}`);
  }
  return found;
}

/** What the answer should have been, if it is not the keyspace's state at the revision that it names. */
function notTheState(call: Call, chronicle: Chronicle): string | undefined {
  const { operation, result } = call;
  if (result?.kind === "reads") return wrongReads(result.reads, result.revision, chronicle);
  if (result?.kind === "conflict" && result.revision !== undefined) return wrongReads(result.reads ?? [], result.revision, chronicle);
  if (result?.kind === "written") return wrongReads(result.reads ?? [], result.revision, chronicle);
  if (result?.kind !== "page" || (operation.kind !== "range" && operation.kind !== "list")) return undefined;
  const seen = result.entries.map(({ key, value, revision }) => `${key}=${value}@${revision}`).join(" ");
  const isList = operation.kind === "list";
  const all = chronicle.entries(
    operation.prefix,
    isList ? operation.from : "",
    isList && operation.revision > 0 ? operation.revision : result.revision,
  );
  const page = isList ? all.slice(0, operation.limit) : all;
  const expected = page.map(({ key, write }) => `${key}=${write.value}@${write.revision}`).join(" ");
  if (seen !== expected) return expected;
  if (result.more !== undefined && result.more !== all.length > page.length) return `more: ${all.length > page.length}`;
  return result.count !== undefined && result.count !== all.length ? `${all.length} in all, not ${result.count}` : undefined;
}

function wrongReads(reads: readonly Read[], revision: number, chronicle: Chronicle): string | undefined {
  for (const { entry, key } of reads) {
    const write = chronicle.at(key, revision);
    if (entry?.value !== write?.value || (entry !== undefined && entry.revision !== write?.revision))
      return `${key} is ${write?.value === undefined ? "nothing" : `${write.value}@${write.revision}`}`;
  }
  return undefined;
}

/** The revision that a call took effect at, or saw; undefined when it is not known. */
function effectRevision(call: Call): { readonly revision: number; readonly wrote: boolean } | undefined {
  const { operation, result } = call;
  if (call.outcome !== "ok" || result === undefined) return undefined;
  if (result.kind === "written") return { revision: result.revision, wrote: result.existed };
  if (result.kind === "page" && operation.kind === "range" && !operation.stale) return { revision: result.revision, wrote: false };
  if (result.kind === "page" && operation.kind === "list" && operation.revision === 0) return { revision: result.revision, wrote: false };
  if (result.kind === "reads") return { revision: result.revision, wrote: false };
  if (result.kind === "conflict" && result.revision !== undefined) return { revision: result.revision, wrote: false };
  if (result.kind === "entry" && operation.kind === "append" && result.entry !== undefined)
    return { revision: result.entry.revision, wrote: true };
  return undefined;
}

/** If one call returned before another was made, its revision is lower; equal is right only where the later one wrote nothing. */
function checkRealTime(history: History): string[] {
  const events: {
    readonly at: number;
    readonly call: Call;
    readonly begins: boolean;
    readonly revision: number;
    readonly wrote: boolean;
  }[] = [];
  for (const call of history.calls) {
    const effect = effectRevision(call);
    if (effect === undefined) continue;
    events.push({ at: call.calledAt, call, begins: true, ...effect }, { at: call.returnedAt, call, begins: false, ...effect });
  }
  events.sort((a, b) => a.at - b.at);
  const found: string[] = [];
  let highest = 0;
  let highestCall: Call | undefined;
  for (const { call, begins, revision, wrote } of events) {
    if (begins && highestCall !== undefined && (revision < highest || (wrote && revision === highest))) {
      found.push(`went back in time:\n    ${describeCall(highestCall)}\n    ${describeCall(call)}`);
    }
    if (begins || revision <= highest) continue;
    highest = revision;
    highestCall = call;
  }
  return found;
}

/** A stale read may be old, but never older than what its own client had seen before it asked. */
function checkSessions(history: History, chronicle: Chronicle): string[] {
  const found: string[] = [];
  const seenBy = new Map<string, { readonly at: number; readonly revision: number }[]>();
  for (const call of history.calls) {
    const highest = Math.max(0, ...told(call).map(({ revision }) => revision), effectRevision(call)?.revision ?? 0);
    if (highest === 0) continue;
    const list = seenBy.get(call.client) ?? [];
    list.push({ at: call.returnedAt, revision: highest });
    seenBy.set(call.client, list);
  }
  for (const call of history.calls) {
    const { operation, result } = call;
    if (!("stale" in operation) || !operation.stale || result === undefined) continue;
    const before = (seenBy.get(call.client) ?? []).filter(({ at }) => at < call.calledAt);
    const floor = Math.max(0, ...before.map(({ revision }) => revision));
    if (result.kind === "page" && result.revision < floor)
      found.push(`older than ${floor}, which its client had seen: ${describeCall(call)}`);
    if (result.kind !== "entry" || operation.kind !== "get") continue;
    const until = validUntil(chronicle, operation.key, result.entry?.revision, floor);
    if (until <= floor) found.push(`its value ended at ${until}, and its client had seen ${floor}: ${describeCall(call)}`);
  }
  return found;
}

/** When what a read gave stopped being so. Of "nothing": the key's first write after an absence that reached `floor` at least. */
function validUntil(chronicle: Chronicle, key: string, revision: number | undefined, floor: number): number {
  if (revision !== undefined) return chronicle.changedAfter(key, revision);
  return chronicle.at(key, floor)?.value === undefined ? Number.POSITIVE_INFINITY : absentLater(chronicle, key, floor);
}

function absentLater(chronicle: Chronicle, key: string, floor: number): number {
  return chronicle.writes(key).some((write) => write.revision > floor && write.value === undefined) ? Number.POSITIVE_INFINITY : floor;
}
