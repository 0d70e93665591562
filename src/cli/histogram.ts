import { assert } from "../base/index.ts";

const subBucketBits = 6;
const subBuckets = 1 << subBucketBits;
const powers = 40;

/**
 * Latencies in buckets whose width grows with the value: every quantile is right to 1.6 %, the
 * maximum exactly, in 20 KB whatever the number of samples. Milliseconds in and out; a tenth of a
 * microsecond is the finest step.
 */
export class Histogram {
  private readonly counts = new Float64Array(powers * subBuckets);
  private total = 0;
  private sum = 0;
  private largest = 0;

  get count(): number {
    return this.total;
  }

  get maxMs(): number {
    return this.largest;
  }

  get meanMs(): number {
    return this.total === 0 ? 0 : this.sum / this.total;
  }

  record(ms: number): void {
    assert(ms >= 0, "a latency is not negative");
    const at = bucketOf(Math.round(ms * 10_000));
    this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.total++;
    this.sum += ms;
    if (ms > this.largest) this.largest = ms;
  }

  /** The latency that `ratio` (0 to 1) of the samples do not exceed; 0 without samples. */
  quantileMs(ratio: number): number {
    if (this.total === 0) return 0;
    const wanted = Math.max(1, Math.ceil(ratio * this.total));
    let seen = 0;
    for (let at = 0; at < this.counts.length; at++) {
      seen += this.counts[at] ?? 0;
      if (seen >= wanted) return Math.min(this.largest, upperEdge(at) / 10_000);
    }
    return this.largest;
  }

  add(other: Histogram): void {
    for (let at = 0; at < this.counts.length; at++) this.counts[at] = (this.counts[at] ?? 0) + (other.counts[at] ?? 0);
    this.total += other.total;
    this.sum += other.sum;
    this.largest = Math.max(this.largest, other.largest);
  }
}

/** The first 64 buckets hold one step each; then 64 buckets per power of two. */
function bucketOf(steps: number): number {
  if (steps < subBuckets) return steps;
  const power = Math.min(Math.floor(Math.log2(steps)) - subBucketBits + 1, powers - 1);
  const within = Math.min(Math.floor(steps / 2 ** (power - 1)) - subBuckets, subBuckets - 1);
  return power * subBuckets + within;
}

/** The largest number of steps that falls into a bucket. */
function upperEdge(bucket: number): number {
  const power = Math.floor(bucket / subBuckets);
  if (power === 0) return bucket;
  return ((bucket % subBuckets) + subBuckets + 1) * 2 ** (power - 1) - 1;
}
