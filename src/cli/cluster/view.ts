import type { ClusterStatus, NodeStatus, ReplicaReport } from "../client.ts";

/** The group of the default keyspace, which the commands mean when they name none. */
const defaultGroup = 1;

/** A node's copy of the default keyspace. */
export function replicaOf(node: NodeStatus | null): ReplicaReport | undefined {
  return node?.replicas.find((replica) => replica.group === defaultGroup);
}

/** The name of the member that leads the default keyspace. */
export function leaderName(status: ClusterStatus): string | undefined {
  const leader = status.groups.find((group) => group.group === defaultGroup)?.leader;
  return status.members.find((member) => member.node === leader)?.name;
}
