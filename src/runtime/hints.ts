import type { NodeId, Prng, Probe } from "../base/index.ts";
import type { Clock, Timer } from "../ports/index.ts";
import type { Replica } from "../replica/index.ts";

export interface HintsHost {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly probe?: Probe | undefined;
  isConnected(node: NodeId): boolean;
  /** Replicas here whose leader is on the node. */
  followersOf(node: NodeId): readonly Replica[];
}

const delayMsMin = 20;
const delayMsMax = 80;
/** Groups that campaign at once; the next ones wait a little, so that a lost node is no storm. */
const batchGroups = 16;
const batchPauseMs = 10;

/**
 * A dead leader is noticed by its connection: when it was lost and could not be made again, the
 * replicas drop their loyalty at once and one of them stands for election after a random 20 to
 * 80 ms, so that a killed process is replaced in about a tenth of a second. It is a hint: the quorum
 * decides, and a broken cable that only one node sees disturbs nobody.
 */
export class Hints {
  private readonly host: HintsHost;
  private readonly timers = new Map<NodeId, Timer>();
  private readonly lost = new Set<NodeId>();

  constructor(host: HintsHost) {
    this.host = host;
  }

  /** The connection ended without a goodbye; it is being made again. */
  onBroken(node: NodeId): void {
    if (this.timers.has(node)) return;
    const delay = this.host.prng.between(delayMsMin, delayMsMax);
    this.timers.set(
      node,
      this.host.clock.after(delay, () => this.campaign(node)),
    );
  }

  /** It could not be made again: nobody listens there. */
  onLost(node: NodeId): void {
    this.onBroken(node);
    this.disown(node);
  }

  private disown(node: NodeId): void {
    if (this.lost.has(node)) return;
    this.lost.add(node);
    for (const replica of this.host.followersOf(node)) replica.leaderLost(replica.leader);
  }

  private campaign(node: NodeId): void {
    this.timers.delete(node);
    if (this.host.isConnected(node)) return;
    this.disown(node);
    const replicas = this.host.followersOf(node);
    if (replicas.length > 0) this.host.probe?.("hint-campaigns");
    for (const replica of replicas.slice(0, batchGroups)) replica.campaign();
    if (replicas.length > batchGroups)
      this.timers.set(
        node,
        this.host.clock.after(batchPauseMs, () => this.campaign(node)),
      );
  }

  onBack(node: NodeId): void {
    this.timers.get(node)?.cancel();
    this.timers.delete(node);
    if (!this.lost.delete(node)) return;
    for (const replica of this.host.followersOf(node)) replica.leaderBack(replica.leader);
  }

  /** A new leader was learned: if its node is known to be lost already, the hint holds for it too. */
  isLost(node: NodeId): boolean {
    return this.lost.has(node);
  }

  close(): void {
    for (const timer of this.timers.values()) timer.cancel();
    this.timers.clear();
  }
}
