import type { ScannedBatch, ScannedSegment } from "./scan.ts";

/** A segment without its records. */
export type SegmentSummary = Omit<ScannedSegment, "batches"> & { readonly batches: readonly Omit<ScannedBatch, "records">[] };

/** Torn tail or corruption: what all segments together say about where the log ends. */
export interface Chain {
  /** Sequence of the first batch that is kept. */
  readonly start: number;
  /** The largest intact synced mark: everything up to it was on stable storage. */
  readonly synced: number;
  /** Sequence of the last batch of the log. What follows is dropped, intact or not. */
  readonly end: number;
  /** Batches up to `synced` that are damaged or missing: corruption. */
  readonly corrupt: number;
  /** Batches behind `end` that are dropped though their headers are intact. */
  readonly dropped: number;
  /** Per segment, the last sequence that counts: a later segment may have cut it. */
  readonly limits: ReadonlyMap<number, number>;
}

/** `segments` in ascending order. Undefined when there is no batch at all. */
export function analyseChain(segments: readonly SegmentSummary[]): Chain | undefined {
  const limits = new Map<number, number>();
  const found = new Map<number, boolean>();
  let next = Number.MAX_SAFE_INTEGER;
  let synced = 0;
  let highest = 0;
  for (let i = segments.length - 1; i >= 0; i--) {
    const { segment, batches } = segments[i] as SegmentSummary;
    limits.set(segment, next - 1);
    for (const batch of batches) {
      if (batch.sequence >= next) continue;
      found.set(batch.sequence, batch.intact);
      if (!batch.headerIntact) continue;
      synced = Math.max(synced, batch.syncedUpTo);
      highest = Math.max(highest, batch.sequence);
    }
    next = Math.min(next, batches[0]?.first ?? next);
  }
  if (found.size === 0) return undefined;
  let corrupt = 0;
  for (let sequence = next; sequence <= synced; sequence++) if (found.get(sequence) !== true) corrupt++;
  let end = Math.max(synced, next - 1);
  while (found.get(end + 1) === true) end++;
  let dropped = 0;
  for (const sequence of found.keys()) if (sequence > end) dropped++;
  return { start: next, synced, end, corrupt, dropped, limits };
}
