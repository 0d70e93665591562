import { limits } from "../base/index.ts";
import type { GroupId, NodeId, ReplicaId } from "../base/index.ts";
import type { Clock } from "../ports/index.ts";
import type { Replica } from "../replica/index.ts";

export interface MemoryOptions {
  readonly clock: Clock;
  /** What state, history, log tails and buffers may take together. */
  readonly budgetBytes: number;
  /** The language's own heap is nearly used, whatever the budget says. */
  readonly isHeapFull: () => boolean;
  readonly node: NodeId;
  replicas(): Iterable<Replica>;
  /** Bytes in buffers: requests in flight, answers not taken yet, writes queued for the disk. */
  bufferedBytes(): number;
  nodeOf(group: GroupId, replica: ReplicaId): NodeId | undefined;
}

/** A headroom as it travels: 0 nothing is left, 255 everything. */
export const headroomWhole = 255;

/** What a node said longer ago counts no more: it may be gone. */
const reportAgeMsMax = 3_000;
/** So much of the budget is for the tails of logs, all groups together; but at least so much for each. */
const tailShare = 1 / 8;
const tailBytesMin = 64 * 1024;
/** So much of the budget may be proposed before it is measured again. */
const unmeasuredShare = 1 / 64;
const headroomMin = Math.floor(headroomWhole * limits.memoryHeadroomRatio);

/**
 * How much of its memory budget this node has left, and what the others said of theirs. It is
 * counted, not measured: what is dead and not collected yet does not count. The leader of a group
 * refuses growing writes while any of its voters has too little; it asks `lowVoter`, which looks only
 * at what the last `measure` decided.
 */
export class Memory {
  /** As of the last `measure`. */
  usedBytes = 0;
  /** Of 255, as of the last `measure`. */
  headroom: number = headroomWhole;
  private readonly options: MemoryOptions;
  private readonly reports = new Map<NodeId, { readonly headroom: number; readonly atMs: number }>();
  /** Of commands, since the last `measure`. */
  private grownBytes = 0;
  private low: ReadonlyMap<GroupId, NodeId> = new Map();

  constructor(options: MemoryOptions) {
    this.options = options;
  }

  /** Called with every tick. */
  measure(): void {
    const { budgetBytes, bufferedBytes, isHeapFull } = this.options;
    const replicas = [...this.options.replicas()];
    this.grownBytes = 0;
    const tailBytesMax = Math.max(tailBytesMin, Math.floor((budgetBytes * tailShare) / Math.max(1, replicas.length)));
    let used = bufferedBytes();
    for (const replica of replicas) {
      replica.limitTail(tailBytesMax);
      used += replica.memoryBytes;
    }
    this.usedBytes = used;
    this.headroom = isHeapFull() ? 0 : Math.max(0, Math.floor((1 - used / budgetBytes) * headroomWhole));
    this.decide();
  }

  /** A command enters a log: between two ticks a small budget may be spent. */
  grew(bytes: number): void {
    this.grownBytes += bytes;
    if (this.grownBytes > this.options.budgetBytes * unmeasuredShare) this.measure();
  }

  /** Another node has said how much it has left. */
  heard(node: NodeId, headroom: number): void {
    this.reports.set(node, { headroom, atMs: this.options.clock.now() });
  }

  /** Of a group that this node leads, a voter whose memory is nearly used; undefined while there is room. */
  lowVoter(group: GroupId): NodeId | undefined {
    return this.low.size === 0 ? undefined : this.low.get(group);
  }

  private decide(): void {
    const low = this.lowNodes();
    if (low.size === 0) {
      if (this.low.size > 0) this.low = new Map();
      return;
    }
    const found = new Map<GroupId, NodeId>();
    for (const replica of this.options.replicas()) {
      if (!replica.isLeader) continue;
      const { outgoing, voters } = replica.configuration;
      for (const id of [...voters, ...outgoing]) {
        const node = this.options.nodeOf(replica.group, id);
        if (node !== undefined && low.has(node)) found.set(replica.group, node);
      }
    }
    this.low = found;
  }

  private lowNodes(): ReadonlySet<NodeId> {
    const low = new Set<NodeId>();
    if (this.headroom < headroomMin) low.add(this.options.node);
    const since = this.options.clock.now() - reportAgeMsMax;
    for (const [node, { atMs, headroom }] of this.reports) {
      if (atMs < since) this.reports.delete(node);
      else if (headroom < headroomMin) low.add(node);
    }
    return low;
  }
}
