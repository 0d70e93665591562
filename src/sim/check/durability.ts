import { describeCall, writesOf } from "../history.ts";
import type { Call, History, Seen } from "../history.ts";
import { agrees } from "./chronicle.ts";
import type { Chronicle, KeyWrite } from "./chronicle.ts";

/** What a linearizable read of everything through one node gave, after the faults were over. */
export interface FinalRead {
  readonly node: string;
  readonly revision: number;
  readonly entries: readonly Seen[];
}

/**
 * Nothing acknowledged is lost, nothing refused is there, nothing is there twice, and nothing is
 * there that nobody wrote.
 */
export function checkDurability(history: History, chronicle: Chronicle, finals: readonly FinalRead[]): string[] {
  const found: string[] = [];
  const writers = new Map<string, Call>();
  for (const call of history.calls) {
    const { operation, outcome, result } = call;
    for (const { key, value } of writesOf(operation)) {
      if (value !== undefined) writers.set(`${key}=${value}`, call);
      if (outcome !== "ok" || result?.kind !== "written" || !result.existed) continue;
      const write = chronicle.writtenAt(key, result.revision);
      // A transaction may delete what is not there.
      if (operation.kind === "txn" && value === undefined && write === undefined) continue;
      if (write === undefined || write.value !== value) found.push(`lost: ${describeCall(call)}`);
    }
    if (operation.kind === "append" && outcome === "ok" && result?.kind === "entry") checkEntry(call, result.entry, chronicle, found);
  }
  found.push(...checkOrigins(history, chronicle, writers));
  for (const final of finals) {
    const seen = [...final.entries].map(({ key, value, revision }) => `${key}=${value}@${revision}`).join(" ");
    const wrong = final.entries.find((entry) => !agrees(entry, chronicle.writtenAt(entry.key, entry.revision)));
    if (wrong !== undefined)
      found.push(`${final.node} has ${JSON.stringify(wrong)}, but everything that happened gives another creation or version`);
    if (seen !== chronicle.state("", final.revision))
      found.push(
        `${final.node} at revision ${final.revision} has ${seen}, but everything that happened gives ${chronicle.state("", final.revision)}`,
      );
  }
  return found;
}

function checkEntry(call: Call, entry: Seen | undefined, chronicle: Chronicle, found: string[]): void {
  if (entry === undefined || chronicle.writtenAt(entry.key, entry.revision)?.value !== entry.value)
    found.push(`lost: ${describeCall(call)}`);
}

function checkOrigins(history: History, chronicle: Chronicle, writers: ReadonlyMap<string, Call>): string[] {
  const found: string[] = [];
  const appends = new Map<string, Call>();
  for (const call of history.calls) if (call.operation.kind === "append") appends.set(`${call.operation.key}+${call.operation.item}`, call);
  for (const key of chronicle.keys()) {
    if ([...history.lines].some((line) => key.startsWith(line))) continue;
    const seen = new Set<string>();
    let before: KeyWrite | undefined;
    for (const write of chronicle.writes(key)) {
      const { revision, value } = write;
      const last = before;
      before = write;
      if (value === undefined) {
        if (!leased(writers, key, last) && !history.calls.some((call) => maybeDeleted(call, key, revision)))
          found.push(`nobody deleted ${key}, which is gone at revision ${revision}`);
        continue;
      }
      const item = value.split(";").at(-2);
      const writer = (item === undefined ? undefined : appends.get(`${key}+${item}`)) ?? writers.get(`${key}=${value}`);
      const what = item ?? value;
      if (writer === undefined) found.push(`nobody wrote ${key}=${value}, which is there at revision ${revision}`);
      else if (writer.outcome === "not-applied") found.push(`refused, but there at revision ${revision}: ${describeCall(writer)}`);
      else if (writer.result?.kind === "conflict") found.push(`in conflict, but there at revision ${revision}: ${describeCall(writer)}`);
      else if (seen.has(what)) found.push(`applied again at revision ${revision}: ${describeCall(writer)}`);
      seen.add(what);
    }
  }
  return found;
}

/** An entry on a lease goes without anybody's deleting it; whether it went in time is another check. */
function leased(writers: ReadonlyMap<string, Call>, key: string, last: KeyWrite | undefined): boolean {
  const operation = writers.get(`${key}=${last?.value}`)?.operation;
  return operation?.kind === "put" && operation.lease !== undefined;
}

function maybeDeleted(call: Call, key: string, revision: number): boolean {
  const { operation, outcome, result } = call;
  if (!writesOf(operation).some((write) => write.key === key && write.value === undefined)) return false;
  return outcome === "unknown" || outcome === "pending" || (result?.kind === "written" && result.revision === revision);
}
