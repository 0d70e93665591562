import { Keyspace, KeyspaceMachine } from "./keyspace.ts";

/** Added to every revision by a restore and a recovery, so that nothing kept outside goes back. */
export const rebaseRevisions: number = 2 ** 40;

/**
 * The entries of a keyspace as another cluster begins with them: its revision is `rebaseRevisions`
 * further, everything before is compacted, and sessions, leases and what hung on leases are gone,
 * since their owners belong to the old cluster.
 */
export function rebaseKeyspace(machine: KeyspaceMachine): KeyspaceMachine {
  const { kv } = machine.inner;
  const fresh = new Keyspace({ ...kv.settings });
  const revision = kv.revision + rebaseRevisions;
  fresh.kv.revision = revision;
  fresh.kv.history.compactRevision = revision;
  fresh.kv.restoreTime(kv.lastTimestamp);
  const { records } = kv;
  for (const cursor = kv.live.cursor(""); cursor.key !== undefined && cursor.value !== undefined; cursor.next()) {
    const handle = cursor.value;
    if (records.leaseLow(handle) !== 0 || records.leaseHigh(handle) !== 0) continue;
    fresh.kv.restore(
      cursor.key,
      records.createRevision(handle),
      records.modRevision(handle),
      records.version(handle),
      0,
      0,
      records.value(handle),
      false,
    );
  }
  fresh.fences.supersedeAll(machine.inner.fences, rebaseRevisions);
  return new KeyspaceMachine(fresh, undefined, machine.featureLevel);
}
