import type { NodeId, ReplicaId } from "../base/index.ts";
import type { Replica } from "../replica/index.ts";
import { decodeClockAnswer, encodeClockQuestion } from "../wire/index.ts";
import type { UnumNode } from "./node.ts";
import { PeerClocks } from "./peer-clocks.ts";

/** How often the others are asked, but for a clock that was set just now. */
const askMs = 4_000;
/** A later answer comes too late to say anything. */
const answerMsMax = 2_000;
/** Own wall and monotonic clock move apart by no more than this between two ticks, unless somebody set the wall clock or the machine slept. */
const jumpMs = 50;
/** Between two attempts to hand a group over. */
const handOverMs = 5_000;

/**
 * Compares this node's wall clock with its peers'. Timestamps of entries come from the leader's, so a node whose clock is off
 * by more than half a second says so and leaves leading to others while one can. Elections and leases
 * never depend on it.
 */
export class WallClocks {
  private readonly node: UnumNode;
  private readonly peers = new PeerClocks();
  private askedMs = Number.NEGATIVE_INFINITY;
  private skewMs: number;
  private off = false;
  private handedOverMs = Number.NEGATIVE_INFINITY;

  constructor(node: UnumNode) {
    this.node = node;
    this.skewMs = this.skew();
  }

  private skew(): number {
    const { clock } = this.node.platform;
    return clock.wall() - clock.now();
  }

  /** Whether this node leaves leading to others. */
  get isOff(): boolean {
    return this.off;
  }

  /** This node's wall clock less the median of its peers'; undefined: unknown. */
  get offsetMs(): number | undefined {
    return this.peers.offsetMs(this.node.platform.clock.now());
  }

  tick(): void {
    const now = this.node.platform.clock.now();
    this.noticeJump();
    if (now - this.askedMs >= askMs) {
      this.askedMs = now;
      const { directory, links, nodeId } = this.node;
      const present = [...(directory?.members().keys() ?? [])].filter((peer) => peer !== nodeId && links.isConnected(peer));
      this.peers.keep(present);
      for (const peer of present) links.sendControl(peer, encodeClockQuestion(now));
    }
    this.judge(now);
    if (this.off && now - this.handedOverMs >= handOverMs) {
      this.handedOverMs = now;
      for (const replica of this.node.groups.all()) if (replica.isLeader) this.handOver(replica, now);
    }
  }

  private noticeJump(): void {
    const skew = this.skew();
    if (Math.abs(skew - this.skewMs) > jumpMs) {
      this.peers.forget();
      this.askedMs = Number.NEGATIVE_INFINITY;
      this.handedOverMs = Number.NEGATIVE_INFINITY;
    }
    this.skewMs = skew;
  }

  /** A peer says what its wall clock shows. */
  answered(from: NodeId, frame: Uint8Array): void {
    const { clock } = this.node.platform;
    const { askedMs, wallMs } = decodeClockAnswer(frame);
    const now = clock.now();
    this.noticeJump();
    // Repeated, or of an earlier life of this node: no question of ours.
    if (askedMs > now || now - askedMs > answerMsMax) return;
    this.peers.heard(from, wallMs, clock.wall(), now - askedMs, now);
  }

  private judge(now: number): void {
    const off = this.peers.isOff(now);
    if (off === this.off) return;
    this.off = off;
    const { logger } = this.node.platform;
    const offsetMs = Math.round(this.peers.offsetMs(now) ?? 0);
    if (off) logger.warn("this node's wall clock is off: it declines leadership while another node can lead", { offsetMs });
    else logger.info("this node's wall clock agrees with the others' again: it may lead", { offsetMs });
  }

  /** To a voter whose clock is right; without one this node goes on leading. */
  private handOver(replica: Replica, now: number): void {
    const candidates: ReplicaId[] = [];
    for (const id of replica.configuration.voters) {
      const node = this.node.directory?.nodeOf(replica.group, id);
      if (node !== undefined && id !== replica.id && this.peers.isSound(node, now)) candidates.push(id);
    }
    replica.yieldTo(candidates);
  }
}
