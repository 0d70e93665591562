import { UnumError, systemGroup } from "../base/index.ts";
import type { NodeId, ReplicaId } from "../base/index.ts";
import type { SystemGroup, SystemState } from "../machine/index.ts";
import type { Replica } from "../replica/index.ts";

/** The groups that a member still has a replica of. */
export function heldBy(state: SystemState, node: NodeId): SystemGroup[] {
  return [...state.groups.values()].filter(({ replicas }) => replicas.some((replica) => replica.node === node));
}

/**
 * The replicas that a group shall count on from now on: all but those of leaving members. The system group does without such a member
 * last, since from it the member hears what the other groups need of it. While the group may get a copy in the place of one that
 * leaves, it waits for that: with fewer copies it could lose fewer.
 */
export function stayingReplicas(state: SystemState, group: SystemGroup, mayGrow: boolean): ReplicaId[] {
  const stays = ({ node }: SystemGroup["replicas"][number]): boolean =>
    !state.leaving.has(node) || (group.group === systemGroup && heldBy(state, node).length > 1);
  const staying = group.replicas.filter(stays);
  const waits = staying.length === 0 || (mayGrow && staying.length < group.wanted && group.group !== systemGroup);
  return (waits ? group.replicas : staying).map(({ replica }) => replica);
}

/**
 * Whether the replica had its place in the group and lost it. A state that does not know the group or the id yet is older than the
 * replica: a restart replays such states, and a replica that has not heard of itself in its own log either must outlive them.
 */
export function wasSentAway(group: SystemGroup | undefined, replica: ReplicaId): boolean {
  return group !== undefined && replica < group.nextReplica && group.replicas.every((candidate) => candidate.replica !== replica);
}

/** Replicas of leaving members that the group, by what its leader here knows to be committed, does without. */
export function releasedReplicas(state: SystemState, group: SystemGroup, replica: Replica): ReplicaId[] {
  const counted = new Set<ReplicaId>();
  for (const { learners, learnersNext, outgoing, voters } of [replica.configuration, replica.raftStatus().configuration])
    for (const id of [...voters, ...outgoing, ...learners, ...learnersNext]) counted.add(id);
  return group.replicas.filter((held) => state.leaving.has(held.node) && !counted.has(held.replica)).map((held) => held.replica);
}

/** The caller's time is over, and the member is still needed. */
export function removalPending(state: SystemState | undefined, node: NodeId): UnumError {
  const groups = state === undefined ? [] : heldBy(state, node).map(({ name }) => name);
  const name = state?.nodes.get(node)?.name ?? node;
  return new UnumError(
    "REMOVAL_PENDING",
    `${name} is leaving, and goes as soon as no group counts on it any more; it is still needed by ${groups.join(", ")}.`,
    { details: { member: node, groups } },
  );
}
