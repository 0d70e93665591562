import { systemGroup } from "../base/index.ts";
import type { GroupId, NodeId, ReplicaId } from "../base/index.ts";
import type { SystemGroup, SystemMachine, SystemState } from "../machine/index.ts";
import type { Replica } from "../replica/index.ts";
import type { Acquaintances } from "./acquaintances.ts";
import type { Bootstrap } from "./identity.ts";

export interface Member {
  readonly node: NodeId;
  readonly name: string;
  readonly address: string;
  readonly zone: string;
  readonly ephemeral: boolean;
  readonly featureLevel: number;
}

/**
 * Who the members are and which node holds which replica: the system group's applied state, or,
 * until there is one, what this node was told when it became a member.
 */
export class Directory {
  private readonly bootstrap: Bootstrap;
  private readonly system: () => Replica | undefined;
  private readonly acquaintances: Acquaintances;

  constructor(bootstrap: Bootstrap, system: () => Replica | undefined, acquaintances: Acquaintances) {
    this.bootstrap = bootstrap;
    this.system = system;
    this.acquaintances = acquaintances;
  }

  /** Undefined until the first entries of the system group are applied here. */
  get state(): SystemState | undefined {
    const replica = this.system();
    if (replica === undefined || replica.failure !== undefined) return undefined;
    const state = (replica.machine as SystemMachine).state;
    return state.nodes.size === 0 ? undefined : state;
  }

  get initialVoters(): readonly number[] {
    return this.bootstrap.initialVoters;
  }

  members(): ReadonlyMap<NodeId, Member> {
    const { state } = this;
    if (state !== undefined) return state.nodes;
    return new Map(this.bootstrap.members.map((member) => [member.node, member]));
  }

  /**
   * Where the nodes of the cluster are reached. What a node said of itself goes before an older record of it, and a node
   * that only its own word makes known is among them: it may be the leader that has to bring this node up to date.
   */
  addresses(): ReadonlyMap<NodeId, string> {
    const members = this.members();
    const removed = this.state?.removed;
    const result = new Map<NodeId, string>();
    for (const { node, address } of members.values()) result.set(node, this.acquaintances.addressOf(node, address) ?? address);
    for (const [node, address] of this.acquaintances.strangers())
      if (!members.has(node) && removed?.has(node) !== true) result.set(node, address);
    return result;
  }

  /** A node has introduced itself. True: `addresses` has changed. */
  met(node: NodeId, address: string): boolean {
    return this.acquaintances.met(node, address, this.members().get(node)?.address);
  }

  /** A node spoke for a replica; this is kept when the records here do not know it. */
  heard(group: GroupId, replica: ReplicaId, node: NodeId): void {
    if (this.nodeOf(group, replica) === undefined) this.acquaintances.heard(group, replica, node);
  }

  group(group: GroupId): SystemGroup | undefined {
    return this.state?.groups.get(group);
  }

  nodeOf(group: GroupId, replica: ReplicaId): NodeId | undefined {
    const known = this.group(group)?.replicas.find((candidate) => candidate.replica === replica)?.node;
    if (known !== undefined) return known;
    const told = group === systemGroup ? this.bootstrap.replicas.find((candidate) => candidate.replica === replica)?.node : undefined;
    return told ?? this.acquaintances.holderOf(group, replica);
  }

  nodesOf(group: GroupId): readonly NodeId[] {
    const replicas = this.group(group)?.replicas ?? (group === systemGroup ? this.bootstrap.replicas : []);
    return replicas.map((replica) => replica.node);
  }

  /** Whether the member is on its way out. */
  isLeaving(node: NodeId): boolean {
    const { state } = this;
    return state === undefined ? this.bootstrap.leaving?.includes(node) === true : state.leaving.has(node);
  }

  /** A member by name or id. Where one that leaves and its successor share a name, the successor has it. */
  find(nameOrId: string): Member | undefined {
    let leaving: Member | undefined;
    for (const member of this.members().values()) {
      if (member.node !== nameOrId && member.name !== nameOrId) continue;
      if (member.node === nameOrId || !this.isLeaving(member.node)) return member;
      leaving = member;
    }
    return leaving;
  }
}
