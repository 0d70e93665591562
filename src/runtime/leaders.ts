import type { GroupId, NodeId } from "../base/index.ts";

export interface KnownLeader {
  readonly term: number;
  /** Undefined: the group had no leader in this term when we heard of it. */
  readonly node: NodeId | undefined;
}

/**
 * Who leads which group, as far as this node has heard: from its own replicas, from pushes of other
 * nodes and from hints in refusals. The highest term wins; the knowledge is a hint and nothing more.
 */
export class Leaders {
  private readonly known = new Map<GroupId, KnownLeader>();
  private readonly onChange: (group: GroupId, leader: KnownLeader) => void;

  constructor(onChange: (group: GroupId, leader: KnownLeader) => void) {
    this.onChange = onChange;
  }

  get(group: GroupId): NodeId | undefined {
    return this.known.get(group)?.node;
  }

  learn(group: GroupId, term: number, node: NodeId | undefined): void {
    const before = this.known.get(group);
    if (before !== undefined && (term < before.term || (term === before.term && (node === undefined || before.node === node)))) return;
    const leader = { term, node };
    this.known.set(group, leader);
    this.onChange(group, leader);
  }

  /** What was believed has failed: forget the node, keep the term. */
  doubt(group: GroupId, node: NodeId): void {
    const before = this.known.get(group);
    if (before?.node === node) this.known.set(group, { term: before.term, node: undefined });
  }

  forget(group: GroupId): void {
    this.known.delete(group);
  }

  all(): ReadonlyMap<GroupId, KnownLeader> {
    return this.known;
  }
}
