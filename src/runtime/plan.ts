import type { ReplicaId } from "../base/index.ts";
import type { ConfigurationChange } from "../raft/index.ts";

/**
 * The changes towards `wanted`. New replicas come as learners; voters change only when as many as
 * wanted are ready, so that the group never counts on a copy that is still being made; their number
 * stays odd.
 */
export function planChanges(
  current: { readonly voters: readonly ReplicaId[]; readonly learners: readonly ReplicaId[] },
  wanted: readonly ReplicaId[],
  votersMax: number,
  ready: (id: ReplicaId) => boolean,
  leader: ReplicaId,
): ConfigurationChange[] {
  const changes: ConfigurationChange[] = [];
  const present = new Set([...current.voters, ...current.learners]);
  for (const id of wanted) if (!present.has(id)) changes.push({ kind: "add-learner", replica: id });
  for (const id of current.learners) if (!wanted.includes(id)) changes.push({ kind: "remove", replica: id });
  const target = votersOf(wanted.length, votersMax);
  const kept = current.voters.filter((id) => wanted.includes(id));
  const promotable = current.learners.filter((id) => wanted.includes(id) && ready(id));
  // The leader surely lives. The others only answered a while ago: a vote that is counted on and just died would halt the group.
  const rank = (id: ReplicaId): number => (id === leader ? 0 : ready(id) ? 1 : 2);
  const next = [0, 1, 2].flatMap((wantedRank) => kept.filter((id) => rank(id) === wantedRank)).slice(0, target);
  for (const id of promotable) if (next.length < target) next.push(id);
  if (next.length < target) return changes;
  for (const id of next) if (!current.voters.includes(id)) changes.push({ kind: "add-voter", replica: id });
  for (const id of current.voters) {
    if (next.includes(id)) continue;
    changes.push(wanted.includes(id) ? { kind: "add-learner", replica: id } : { kind: "remove", replica: id });
  }
  return changes;
}

/** Voter counts stay odd: an even one more costs a copy and tolerates no more failures. */
export function votersOf(nodes: number, most = 5): number {
  const count = Math.min(nodes, most);
  return count % 2 === 1 ? count : Math.max(1, count - 1);
}
