import { isWatched } from "../history.ts";
import type { History, SeenChange, Watching } from "../history.ts";
import { agrees } from "./chronicle.ts";
import type { Chronicle } from "./chronicle.ts";

/**
 * What a watch promises, against everything that happened: in order, each once, none missing, a revision whole,
 * and nothing of other keys. A watch that went on must have reached `dueRevision`, the end unless told.
 */
export function checkWatches(history: History, chronicle: Chronicle, dueRevision: number = chronicle.lastRevision): string[] {
  return history.watches.flatMap((watching) => {
    const name = `watch of ${watching.client} on ${watching.prefix}* from ${watching.from}`;
    return [
      ...checkOrder(watching),
      ...checkStart(watching, history),
      ...checkContent(watching, chronicle, dueRevision),
      ...checkPrevious(watching, chronicle),
    ].map((text) => `${name}: ${text}`);
  });
}

function checkOrder(watching: Watching): string[] {
  const found: string[] = [];
  let last = 0;
  for (const { revision, events } of watching.changes) {
    if (revision === last) found.push(`revision ${revision} came twice, or was split`);
    if (revision < last) found.push(`revision ${revision} came after ${last}`);
    if (events.length === 0) found.push(`revision ${revision} came without events`);
    last = Math.max(last, revision);
  }
  return found;
}

/** A write that began after the watch had started is always seen: its revision is not below the start. */
function checkStart(watching: Watching, history: History): string[] {
  const { started, startedAt } = watching;
  if (started === undefined) return [];
  if (watching.from > 0) return started === watching.from ? [] : [`it was to start at ${watching.from} and started at ${started}`];
  for (const call of history.calls) {
    if (call.calledAt < startedAt || call.result?.kind !== "written" || !call.result.existed) continue;
    if (call.result.revision < started)
      return [`it says that it starts at ${started}, but call #${call.id}, made after that, wrote ${call.result.revision}`];
  }
  return [];
}

function checkContent(watching: Watching, chronicle: Chronicle, dueRevision: number): string[] {
  const first = watching.started ?? (watching.from > 0 ? watching.from : watching.changes[0]?.revision);
  if (first === undefined) return watching.ended === "open" ? ["it never started"] : [];
  const lastSeen = watching.changes.at(-1)?.revision ?? 0;
  const end = watching.ended === "open" ? Math.max(dueRevision, lastSeen) : lastSeen;
  const expected = relevant(chronicle, watching, first, end);
  const found: string[] = [];
  for (let i = 0; i < Math.max(expected.length, watching.changes.length) && found.length < 3; i++) {
    const wanted = expected[i];
    const seen = watching.changes[i];
    if (wanted !== undefined && seen !== undefined && describeChange(wanted) === describeChange(seen)) continue;
    found.push(`change ${i} should be ${describeChange(wanted)} and is ${describeChange(seen)}`);
    // What follows a missing or extra change differs all the way.
    if (wanted?.revision !== seen?.revision) break;
  }
  return found;
}

/** Where the entry before was asked for, it is the one that the event replaced; none where there was none. */
function checkPrevious(watching: Watching, chronicle: Chronicle): string[] {
  for (const { events, revision } of watching.changes) {
    for (const { key, previous } of events) {
      const before = chronicle.at(key, revision - 1);
      const expected = watching.previous && before?.value !== undefined ? before : undefined;
      if (expected === undefined ? previous !== undefined : previous === undefined || !agrees(previous, expected))
        return [`before ${key}@${revision} there was ${expected?.value ?? "nothing"}, and it says ${previous?.value ?? "nothing"}`];
    }
  }
  return [];
}

/** A copy that follows a range is at each moment the whole range at the revision that it names. */
export function checkCopies(history: History, chronicle: Chronicle): string[] {
  const found: string[] = [];
  for (const { client, prefix, revision, state } of history.copies) {
    const expected = chronicle.state(prefix, revision);
    if (state !== expected) found.push(`the copy of ${client} of ${prefix}* at ${revision} has ${state}, and not ${expected}`);
  }
  return found.slice(0, 5);
}

function relevant(chronicle: Chronicle, watching: Watching, first: number, last: number): SeenChange[] {
  const list: SeenChange[] = [];
  for (const { revision, events } of chronicle.changes) {
    if (revision < first || revision > last) continue;
    const kept = events.filter(({ key }) => isWatched(watching, key));
    if (kept.length > 0) list.push({ revision, events: kept });
  }
  return list;
}

function describeChange(change: SeenChange | undefined): string {
  if (change === undefined) return "none";
  return `@${change.revision} ${change.events.map(({ key, value }) => (value === undefined ? `-${key}` : `${key}=${value}`)).join(" ")}`;
}
