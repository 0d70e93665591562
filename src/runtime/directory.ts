import { systemGroup } from "../base/index.ts";
import type { GroupId, NodeId, ReplicaId } from "../base/index.ts";
import type { SystemGroup, SystemMachine, SystemState } from "../machine/index.ts";
import type { Replica } from "../replica/index.ts";
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

  constructor(bootstrap: Bootstrap, system: () => Replica | undefined) {
    this.bootstrap = bootstrap;
    this.system = system;
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

  addresses(): ReadonlyMap<NodeId, string> {
    const result = new Map<NodeId, string>();
    for (const member of this.members().values()) result.set(member.node, member.address);
    // A member that this node was told of may not be in the applied state yet, and its leader may be the one.
    if (this.state === undefined) return result;
    return result;
  }

  group(group: GroupId): SystemGroup | undefined {
    return this.state?.groups.get(group);
  }

  nodeOf(group: GroupId, replica: ReplicaId): NodeId | undefined {
    const known = this.group(group)?.replicas.find((candidate) => candidate.replica === replica)?.node;
    if (known !== undefined || group !== systemGroup) return known;
    return this.bootstrap.replicas.find((candidate) => candidate.replica === replica)?.node;
  }

  nodesOf(group: GroupId): readonly NodeId[] {
    const replicas = this.group(group)?.replicas ?? (group === systemGroup ? this.bootstrap.replicas : []);
    return replicas.map((replica) => replica.node);
  }

  /** A member by name or id. */
  find(nameOrId: string): Member | undefined {
    for (const member of this.members().values()) if (member.node === nameOrId || member.name === nameOrId) return member;
    return undefined;
  }
}
