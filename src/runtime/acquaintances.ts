import type { GroupId, NodeId, ReplicaId } from "../base/index.ts";

/** Beyond it the oldest is forgotten. */
const acquaintancesMax = 1_000;

interface Acquaintance {
  readonly address: string;
  /** What was recorded of it when it said so: a record that changed since is the newer word. */
  readonly recorded: string | undefined;
}

/**
 * What other nodes said of themselves when they introduced themselves, all of them with this
 * cluster's id. It stands in where the system group's state here is older than the speaker: a node
 * that has moved to another address, a leader that joined after this node's copy was lost. It is
 * not durable: it is said again with every connection.
 */
export class Acquaintances {
  private readonly nodes = new Map<NodeId, Acquaintance>();
  private readonly holders = new Map<GroupId, Map<ReplicaId, NodeId>>();

  /** True: this was news, and `addressOf` answers differently now. */
  met(node: NodeId, address: string, recorded: string | undefined): boolean {
    if (address === "" || this.addressOf(node, recorded) === address) return false;
    this.nodes.delete(node);
    if (address === recorded) return true;
    if (this.nodes.size >= acquaintancesMax) {
      const [oldest] = this.nodes.keys();
      if (oldest !== undefined) this.nodes.delete(oldest);
    }
    this.nodes.set(node, { address, recorded });
    return true;
  }

  /** Where the node is to be reached: what it said, unless the record was changed since. */
  addressOf(node: NodeId, recorded: string | undefined): string | undefined {
    const said = this.nodes.get(node);
    return said !== undefined && said.recorded === recorded ? said.address : recorded;
  }

  /** Nodes of which nothing is recorded. */
  *strangers(): Iterable<readonly [NodeId, string]> {
    for (const [node, { address, recorded }] of this.nodes) if (recorded === undefined) yield [node, address];
  }

  /** A node spoke for a replica of a group: ids of replicas are never given twice, so this stays true. */
  heard(group: GroupId, replica: ReplicaId, node: NodeId): void {
    let replicas = this.holders.get(group);
    if (replicas === undefined) {
      replicas = new Map();
      this.holders.set(group, replicas);
    }
    replicas.set(replica, node);
  }

  holderOf(group: GroupId, replica: ReplicaId): NodeId | undefined {
    return this.holders.get(group)?.get(replica);
  }
}
