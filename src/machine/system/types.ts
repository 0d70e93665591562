import type { ClusterId, GroupId, NodeId, ReplicaId } from "../../base/index.ts";

/** A member as the cluster knows it. */
export interface SystemNode {
  readonly node: NodeId;
  readonly name: string;
  readonly address: string;
  readonly zone: string;
  /** Of its data directory. Another directory under the same id is refused. */
  readonly incarnation: string;
  readonly ephemeral: boolean;
  readonly featureLevel: number;
}

export interface SystemReplica {
  readonly replica: ReplicaId;
  readonly node: NodeId;
}

/** A group and the replicas that it shall have. What it has is its own configuration. */
export interface SystemGroup {
  readonly group: GroupId;
  readonly kind: "system" | "keyspace";
  readonly name: string;
  /** Copies wanted; for the system group every node holds one. */
  readonly wanted: number;
  /** The configuration at index 0, the same for every replica that the group ever has. */
  readonly initialVoters: readonly ReplicaId[];
  /** In ascending order of replica id. */
  readonly replicas: readonly SystemReplica[];
  /** Replica ids are never used twice. */
  readonly nextReplica: number;
  /** Counts changes of `replicas`: a decision about the group names the version that it saw. */
  readonly version: number;
}

/** The cluster's own state, as applied on this node. A view: do not keep it across turns. */
export interface SystemState {
  /** Counts changes. */
  readonly version: number;
  readonly cluster: ClusterId | "";
  readonly featureLevel: number;
  readonly nodes: ReadonlyMap<NodeId, SystemNode>;
  /** Members on their way out: they keep their replicas until each group does without, hold nothing new, and their names are free. */
  readonly leaving: ReadonlySet<NodeId>;
  /** Their ids never return. */
  readonly removed: ReadonlySet<NodeId>;
  readonly groups: ReadonlyMap<GroupId, SystemGroup>;
  /** Keyspaces by name. */
  readonly keyspaces: ReadonlyMap<string, GroupId>;
}

export type SystemCommand =
  /** The first command of a cluster: its founders and the system group's replicas. Repeated, it changes nothing. */
  | {
      readonly kind: "bootstrap";
      readonly cluster: ClusterId;
      readonly initialVoters: readonly ReplicaId[];
      readonly nodes: readonly (SystemNode & { readonly replica: ReplicaId })[];
    }
  /** A new member; it gets a replica of the system group. Repeated with the same incarnation, it changes nothing. NAME_IN_USE, REMOVED. */
  | ({ readonly kind: "register-node" } & SystemNode)
  /** The same directory under a new name, address, zone or feature level. MEMBER_NOT_FOUND, NAME_IN_USE. */
  | ({ readonly kind: "update-node" } & SystemNode)
  /**
   * Gives a member and all its replicas up at once, whoever still counts on them. Nothing proposes it any more: logs may have it.
   * Repeated, it changes nothing. MEMBER_NOT_FOUND for a node that never was.
   */
  | { readonly kind: "remove-node"; readonly node: NodeId }
  /** The member shall go, once no group holds it any more. Repeated, it changes nothing. MEMBER_NOT_FOUND, INVALID_ARGUMENT for the last one. */
  | { readonly kind: "leave-node"; readonly node: NodeId }
  /**
   * A group's leader: its committed configuration does without this replica of a leaving member. With its last replica the member is
   * removed. Repeated, it changes nothing. CONFLICT when the member is not leaving.
   */
  | { readonly kind: "release-replica"; readonly group: GroupId; readonly replica: ReplicaId }
  /** A keyspace with first replicas on the nodes named, all of them voters. Repeated, it changes nothing. */
  | { readonly kind: "create-keyspace"; readonly name: string; readonly wanted: number; readonly nodes: readonly NodeId[] }
  /** The nodes that shall hold the group. CONFLICT when its version is another one. */
  | { readonly kind: "set-replicas"; readonly group: GroupId; readonly version: number; readonly nodes: readonly NodeId[] };
