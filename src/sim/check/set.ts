import { describeCall } from "../history.ts";
import type { Call, History } from "../history.ts";

/**
 * A set of keys that only grows: whoever looks sees every element whose adding was acknowledged before, none whose adding
 * was not asked for before it answered, and none that was refused.
 */
export function checkSet(history: History, prefix: string): string[] {
  const adds = new Map<string, Call>();
  for (const call of history.calls)
    if (call.operation.kind === "put" && call.operation.key.startsWith(prefix)) adds.set(call.operation.key, call);
  const found: string[] = [];
  for (const read of history.calls) {
    const { operation, result } = read;
    if (operation.kind !== "range" || operation.prefix !== prefix || result?.kind !== "page" || found.length >= 5) continue;
    const seen = new Set(result.entries.map(({ key }) => key));
    for (const [key, add] of adds) {
      const done = add.outcome === "ok" && add.result?.kind === "written" && add.returnedAt < read.calledAt;
      if (done && !operation.stale && !seen.has(key)) found.push(`${key} is missing: ${describeCall(add)}, and then ${describeCall(read)}`);
      if (seen.has(key) && (add.calledAt > read.returnedAt || add.outcome === "not-applied"))
        found.push(`${key} cannot be there: ${describeCall(add)}, and ${describeCall(read)}`);
    }
    for (const key of seen) if (!adds.has(key)) found.push(`${key} was never added: ${describeCall(read)}`);
  }
  return found;
}
