import { limits } from "../base/index.ts";
import { EntryKind, decodeConfiguration } from "../raft/index.ts";
import type { Configuration } from "../raft/index.ts";
import type { GroupLog } from "../storage/index.ts";

export interface OlderConfiguration {
  readonly index: number;
  readonly configuration: Configuration;
}

/** The configurations in the log that are older than the tail which recovery left in memory. */
export async function olderConfigurations(log: GroupLog): Promise<readonly OlderConfiguration[]> {
  const { entries, firstIndex, snapshot, lastIndex } = log.recovered;
  const end = entries[0]?.index ?? lastIndex + 1;
  const found: OlderConfiguration[] = [];
  for (let at = Math.max(firstIndex, snapshot.index + 1); at < end; ) {
    const older = await log.read(at, end - 1, limits.snapshotStepBytes);
    for (const { data, index, kind } of older) {
      at = index + 1;
      if (kind === EntryKind.configuration) found.push({ index, configuration: decodeConfiguration(data) });
    }
  }
  return found;
}
