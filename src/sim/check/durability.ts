import type { Call, History, Seen } from "../history.ts";
import { describeCall } from "../history.ts";
import type { Chronicle } from "./chronicle.ts";

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
    for (const { key, value } of written(call)) {
      writers.set(`${key}=${value}`, call);
      if (call.outcome === "ok" && call.result?.kind === "written" && chronicle.writtenAt(key, call.result.revision)?.value !== value) {
        found.push(`lost: ${describeCall(call)}`);
      }
    }
    if (call.operation.kind === "append" && call.outcome === "ok" && call.result?.kind === "entry")
      checkEntry(call, call.result.entry, chronicle, found);
    if (call.operation.kind === "delete" && call.result?.kind === "written" && call.result.existed) {
      const write = chronicle.writtenAt(call.operation.key, call.result.revision);
      if (write === undefined || write.value !== undefined) found.push(`lost: ${describeCall(call)}`);
    }
  }
  found.push(...checkOrigins(history, chronicle, writers));
  for (const final of finals) {
    const seen = [...final.entries].map(({ key, value, revision }) => `${key}=${value}@${revision}`).join(" ");
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
    const seen = new Set<string>();
    for (const { revision, value } of chronicle.writes(key)) {
      if (value === undefined) {
        if (!history.calls.some((call) => maybeDeleted(call, key, revision)))
          found.push(`nobody deleted ${key}, which is gone at revision ${revision}`);
        continue;
      }
      const item = value.split(";").at(-2);
      const writer = item === undefined ? writers.get(`${key}=${value}`) : appends.get(`${key}+${item}`);
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

function maybeDeleted(call: Call, key: string, revision: number): boolean {
  const { operation, outcome, result } = call;
  if (operation.kind !== "delete" || operation.key !== key) return false;
  return outcome === "unknown" || outcome === "pending" || (result?.kind === "written" && result.revision === revision);
}

function written(call: Call): readonly { readonly key: string; readonly value: string }[] {
  const { operation } = call;
  if (operation.kind === "put") return [{ key: operation.key, value: operation.value }];
  return operation.kind === "txn" ? operation.puts : [];
}
