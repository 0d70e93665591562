import { describeCall } from "../history.ts";
import type { Call, History } from "../history.ts";
import type { Chronicle } from "./chronicle.ts";

/**
 * Counters below `prefix`: each write counts one, since an entry's version is the number of its writes. A handle repeats a
 * write whose answer it did not get, through its session. So the version that is read is at least the number of writes
 * acknowledged before and at most that of the writes begun by then, and at the end each write counts once or, if unknown, perhaps.
 */
export function checkExactlyOnce(history: History, chronicle: Chronicle, prefix: string): string[] {
  const found: string[] = [];
  const writes = new Map<string, Call[]>();
  for (const call of history.calls) {
    if (call.operation.kind !== "put" || !call.operation.key.startsWith(prefix) || call.outcome === "not-applied") continue;
    const list = writes.get(call.operation.key) ?? [];
    list.push(call);
    writes.set(call.operation.key, list);
  }
  for (const read of history.calls) {
    const { operation, result } = read;
    if (operation.kind !== "get" || operation.stale || result?.kind !== "entry" || !operation.key.startsWith(prefix)) continue;
    const version = result.entry?.version ?? 0;
    const of = writes.get(operation.key) ?? [];
    const least = of.filter((call) => call.outcome === "ok" && call.returnedAt < read.calledAt).length;
    const most = of.filter((call) => call.calledAt < read.returnedAt).length;
    if (version < least) found.push(`counted ${version}, and ${least} were acknowledged before: ${describeCall(read)}`);
    if (version > most) found.push(`counted ${version}, and no more than ${most} had been asked for: ${describeCall(read)}`);
  }
  for (const [key, calls] of writes) {
    const version = chronicle.writes(key).at(-1)?.version ?? 0;
    const least = calls.filter((call) => call.outcome === "ok").length;
    if (version < least || version > calls.length)
      found.push(`${key} counts ${version} at the end: ${least} writes were acknowledged, ${calls.length - least} are unknown`);
  }
  return found;
}
