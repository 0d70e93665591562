import type { GroupId, NodeId, ReplicaId } from "../base/index.ts";
import { Acquaintances } from "./acquaintances.ts";
import type { UnumNode } from "./node.ts";
import { Seeker } from "./seeker.ts";

/** Which nodes this one is connected to, and where they are: what is recorded, and what they say themselves. */
export class Neighbours {
  readonly acquaintances = new Acquaintances();
  private readonly node: UnumNode;
  private readonly seeker: Seeker;

  constructor(node: UnumNode) {
    this.node = node;
    const { clock, logger, names, streams } = node.platform;
    this.seeker = new Seeker({
      clock,
      logger,
      names,
      streams,
      seeds: node.options.seeds,
      hello: (purpose) => node.introduction.hello(purpose),
      isMissing: () => node.directory !== undefined && !node.links.isComplete,
      met: (id, address) => this.met(id, address),
    });
  }

  /** A node of this cluster has said where it is. */
  met(id: NodeId, address: string): void {
    if (id !== this.node.nodeId && this.node.directory?.met(id, address) === true) this.refresh();
  }

  /** A node spoke for a replica of a group that this node has a replica of, too. */
  heard(group: GroupId, replica: ReplicaId, id: NodeId): void {
    this.node.directory?.heard(group, replica, id);
  }

  /** What is known of the members has changed. */
  refresh(): void {
    const peers = new Map(this.node.directory?.addresses() ?? []);
    peers.delete(this.node.nodeId);
    this.node.links.setPeers(peers);
    this.node.router.setPeers(peers);
  }

  tick(): void {
    this.seeker.tick();
  }
}
