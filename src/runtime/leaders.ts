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
  /** Groups whose replica here hears of nobody, although the leader that is known may still lead for others. */
  private readonly vacant = new Set<GroupId>();
  private readonly onChange: (group: GroupId, leader: KnownLeader) => void;

  constructor(onChange: (group: GroupId, leader: KnownLeader) => void) {
    this.onChange = onChange;
  }

  get(group: GroupId): NodeId | undefined {
    return this.known.get(group)?.node;
  }

  learn(group: GroupId, term: number, node: NodeId | undefined): void {
    const before = this.known.get(group);
    if (before !== undefined && (term < before.term || (term === before.term && node === undefined))) return;
    const wasVacant = this.vacant.delete(group);
    if (before?.term === term && before.node === node && !wasVacant) return;
    const leader = { term, node };
    this.known.set(group, leader);
    this.onChange(group, leader);
  }

  /** The replica here has lost its leader without a new term: whoever asks for a leader here is told that there is none. */
  vacate(group: GroupId): void {
    const known = this.known.get(group);
    if (known?.node === undefined || this.vacant.has(group)) return;
    this.vacant.add(group);
    this.onChange(group, { term: known.term, node: undefined });
  }

  isVacant(group: GroupId): boolean {
    return this.vacant.has(group);
  }

  /** What was believed has failed: forget the node, keep the term. */
  doubt(group: GroupId, node: NodeId): void {
    const before = this.known.get(group);
    if (before?.node === node) this.known.set(group, { term: before.term, node: undefined });
  }

  forget(group: GroupId): void {
    this.known.delete(group);
    this.vacant.delete(group);
  }

  all(): ReadonlyMap<GroupId, KnownLeader> {
    return this.known;
  }
}
