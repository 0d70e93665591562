import { EntryKind, decodeConfiguration } from "../raft/index.ts";
import type { Configuration } from "../raft/index.ts";
import type { GroupLog } from "../storage/index.ts";

export interface OlderConfiguration {
  readonly index: number;
  readonly configuration: Configuration;
}

/** The configurations in the log that are older than the tail which recovery left in memory. */
export async function olderConfigurations(log: GroupLog): Promise<readonly OlderConfiguration[]> {
  const { configurations, entries, firstIndex, snapshot, lastIndex } = log.recovered;
  const end = entries[0]?.index ?? lastIndex + 1;
  const found: OlderConfiguration[] = [];
  for (const at of configurations) {
    if (at < firstIndex || at <= snapshot.index || at >= end) continue;
    for (const { data, index, kind } of await log.read(at, at, 1)) {
      if (kind === EntryKind.configuration) found.push({ index, configuration: decodeConfiguration(data) });
    }
  }
  return found;
}
