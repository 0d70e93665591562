import { limits } from "../base/index.ts";
import type { NodeId } from "../base/index.ts";

/** Of so many answers of a peer the one with the shortest way counts (as NTP's clock filter, RFC 5905, section 10). */
const samplesMax = 5;
/** What is older says nothing of now: the peer is gone, or its clock was set. */
const sampleMsMax = 20_000;
/** Two answers that differ by more than their errors and this are of a clock that was set between them. */
const jumpMs = 50;
/** A clock that was off is believed again only below this, so that one at the mark does not move leadership to and fro. */
const trustedMsMax = limits.clockOffsetMsMax * 0.9;

interface Sample {
  /** The peer's wall clock less ours. */
  readonly offsetMs: number;
  /** The truth lies within this: half of the time that question and answer took. */
  readonly errorMs: number;
  readonly atMs: number;
}

/** How far the wall clocks of the other nodes are from this one's, as they said when they were asked. */
export class PeerClocks {
  private readonly samples = new Map<NodeId, Sample[]>();
  private off = false;

  /** An answer to a question that was `roundTripMs` ago: the peer's clock said `wallMs` somewhere between. */
  heard(node: NodeId, peerWallMs: number, ownWallMs: number, roundTripMs: number, nowMs: number): void {
    const errorMs = roundTripMs / 2;
    const offsetMs = peerWallMs - (ownWallMs - errorMs);
    const known = this.samples.get(node) ?? [];
    const samples = known.filter((sample) => Math.abs(sample.offsetMs - offsetMs) <= sample.errorMs + errorMs + jumpMs);
    samples.push({ offsetMs, errorMs, atMs: nowMs });
    if (samples.length > samplesMax) samples.shift();
    this.samples.set(node, samples);
  }

  /** The clocks of all others are no longer of interest: those nodes are away. */
  keep(present: readonly NodeId[]): void {
    for (const node of [...this.samples.keys()]) if (!present.includes(node)) this.samples.delete(node);
  }

  /** Our own wall clock was set: what was measured against it is void. */
  forget(): void {
    this.samples.clear();
  }

  /** The best that is known of each peer. */
  private best(nowMs: number): Map<NodeId, Sample> {
    const result = new Map<NodeId, Sample>();
    for (const [node, samples] of this.samples) {
      let best: Sample | undefined;
      for (const sample of samples) {
        if (nowMs - sample.atMs > sampleMsMax) continue;
        if (best === undefined || sample.errorMs <= best.errorMs) best = sample;
      }
      if (best === undefined) this.samples.delete(node);
      else result.set(node, best);
    }
    return result;
  }

  /** Our wall clock less the median of the peers'; undefined when none has answered lately. */
  offsetMs(nowMs: number): number | undefined {
    const offsets = [...this.best(nowMs).values()].map(({ offsetMs }) => offsetMs).sort((a, b) => a - b);
    const middle = offsets.length >> 1;
    const upper = offsets[middle];
    const lower = offsets[offsets.length % 2 === 1 ? middle : middle - 1];
    return upper === undefined || lower === undefined ? undefined : 0 - (lower + upper) / 2;
  }

  /**
   * Whether our clock is off: a majority of all clocks that are known, ours among them, are more than the limit ahead of it, or more
   * than it behind. So never all are off, and of two that differ neither is.
   */
  isOff(nowMs: number): boolean {
    const others = [...this.best(nowMs).values()];
    this.off = this.off
      ? isFarFromMajority(others, ({ offsetMs }) => offsetMs, trustedMsMax)
      : isFarFromMajority(
          others,
          ({ errorMs, offsetMs }) => Math.sign(offsetMs) * Math.max(0, Math.abs(offsetMs) - errorMs),
          limits.clockOffsetMsMax,
        );
    return this.off;
  }

  /** Whether a peer's clock is known, and not far from the majority's as it is seen here. */
  isSound(node: NodeId, nowMs: number): boolean {
    const best = this.best(nowMs);
    const own = best.get(node);
    if (own === undefined) return false;
    const others = [...best].filter(([other]) => other !== node).map(([, sample]) => sample.offsetMs - own.offsetMs);
    return !isFarFromMajority([...others, 0 - own.offsetMs], (offsetMs) => offsetMs, trustedMsMax);
  }
}

/** Whether a majority, of these and the one that they are compared with, lies beyond the limit on one side. */
function isFarFromMajority<T>(others: readonly T[], offsetOf: (other: T) => number, limitMs: number): boolean {
  const needed = ((others.length + 1) >> 1) + 1;
  const ahead = others.filter((other) => offsetOf(other) > limitMs).length;
  const behind = others.filter((other) => offsetOf(other) < -limitMs).length;
  return ahead >= needed || behind >= needed;
}
