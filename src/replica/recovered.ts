import type { Prng } from "../base/index.ts";
import { EntryKind, Raft, decodeConfiguration } from "../raft/index.ts";
import type { Configuration } from "../raft/index.ts";
import type { GroupLog } from "../storage/index.ts";
import type { ReplicaHost } from "./types.ts";

/** Every other tick: a fifth of the shortest election timeout, at half the cost of an idle group. */
const heartbeatTicks = 2;

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

/** Raft as the disk left it. */
export function recoveredRaft(
  options: {
    readonly log: GroupLog;
    readonly prng: Prng;
    readonly electionTicks: number;
    readonly host: Pick<ReplicaHost, "probe" | "raftLimits">;
  },
  older: readonly OlderConfiguration[],
): Raft {
  const { recovered } = options.log;
  return new Raft({
    replica: recovered.replica,
    prng: options.prng,
    hardState: recovered.hardState,
    snapshot: recovered.snapshot,
    entries: recovered.entries,
    terms: recovered.terms,
    firstIndex: recovered.firstIndex,
    lastIndex: recovered.lastIndex,
    configurations: older,
    applied: recovered.snapshot.index,
    electionTicks: options.electionTicks,
    heartbeatTicks,
    suspect: recovered.suspect,
    probe: options.host.probe,
    limits: options.host.raftLimits ?? {},
  });
}
