/** From `begin` on, up to `end` or, undefined, without end. Byte strings. */
export interface Interval {
  readonly begin: string;
  readonly end: string | undefined;
}

/** What a key and a range end of etcd's mean. */
export function intervalOf(key: string, end: string): Interval {
  if (end === "") return { begin: key, end: `${key}\0` };
  return { begin: key, end: end === "\0" ? undefined : end };
}

/** Ranges joined where they touch, in order: what several permissions cover together is covered. */
export class Ranges {
  private readonly intervals: readonly Interval[];

  constructor(intervals: readonly Interval[]) {
    this.intervals = join(intervals);
  }

  /** Whether every key of the interval lies in one of the ranges. */
  covers({ begin, end }: Interval): boolean {
    const nearest = this.lastFrom(begin);
    if (nearest === undefined) return false;
    return nearest.end === undefined || (end !== undefined && end <= nearest.end && begin < nearest.end);
  }

  /** The last one that begins at `key` or before it. */
  private lastFrom(key: string): Interval | undefined {
    let low = 0;
    let high = this.intervals.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.intervals[middle]?.begin ?? "") <= key) low = middle + 1;
      else high = middle;
    }
    return this.intervals[low - 1];
  }
}

function join(intervals: readonly Interval[]): Interval[] {
  // One that ends before it begins holds nothing.
  const sorted = intervals.filter(({ begin, end }) => end === undefined || begin < end);
  sorted.sort((a, b) => (a.begin < b.begin ? -1 : a.begin > b.begin ? 1 : 0));
  const joined: Interval[] = [];
  for (const next of sorted) {
    const last = joined[joined.length - 1];
    if (last === undefined || (last.end !== undefined && last.end < next.begin)) joined.push(next);
    else joined[joined.length - 1] = { begin: last.begin, end: later(last.end, next.end) };
  }
  return joined;
}

function later(a: string | undefined, b: string | undefined): string | undefined {
  return a === undefined || b === undefined ? undefined : a > b ? a : b;
}
