import type { Disk } from "../ports/index.ts";
import { analyseChain } from "./chain.ts";
import type { Chain, SegmentSummary } from "./chain.ts";
import { ReadBuffer, readWhole } from "./files.ts";
import { segmentName, segmentOf, walDirectory } from "./names.ts";
import type { RecoveredSegment, RecoveryTools } from "./recover.ts";
import { Replay } from "./replay.ts";
import { scanSegment } from "./scan.ts";
import type { ScannedSegment } from "./scan.ts";

/** A segment nothing was ever written to. */
export interface BlankSegment {
  readonly segment: number;
  readonly salt: number;
  readonly bytes: number;
}

export interface RecoveredWal {
  readonly replay: Replay;
  readonly segments: readonly RecoveredSegment[];
  readonly spare: BlankSegment | undefined;
  readonly nextSequence: number;
  readonly nextSegment: number;
  /** Segments that hold nothing. */
  readonly useless: readonly string[];
}

interface Held {
  readonly scanned: ScannedSegment;
  readonly file: number;
}

function pathOf(segment: number): string {
  return `${walDirectory}/${segmentName(segment)}`;
}

/**
 * Reads the segments one after the other, each once. A segment's batches are applied when the next one
 * with batches is known, which tells how far they count: whatever the next segment's head follows was
 * synced before it was written.
 */
export async function recoverWal(tools: RecoveryTools, report: string[]): Promise<RecoveredWal> {
  const { disk, files } = tools;
  const numbers = (await disk.list(walDirectory)).map(segmentOf).filter((segment) => segment !== undefined);
  const summaries: SegmentSummary[] = [];
  const places = new Map<number, number>();
  let replay: Replay | undefined;
  let held: Held | undefined;
  const buffer = new ReadBuffer();
  for (const segment of numbers) {
    const scanned = scanSegment(await readWhole(disk, pathOf(segment), buffer), segment, pathOf(segment), tools.checksum);
    summaries.push({ ...scanned, batches: scanned.batches.map((batch) => ({ ...batch, records: undefined })) });
    if (!scanned.blank) places.set(segment, files.add(pathOf(segment)));
    const first = scanned.batches[0]?.first;
    if (first === undefined) continue;
    replay ??= new Replay(first);
    if (held !== undefined) applyUpTo(replay, held, first - 1);
    held = { scanned, file: places.get(segment) ?? 0 };
  }
  replay ??= new Replay(1);
  const chain = analyseChain(summaries);
  if (chain !== undefined && held !== undefined) applyUpTo(replay, held, chain.end);
  const useful = chooseSegments(summaries);
  if (chain !== undefined) {
    replay.finish(chain.end);
    await makeTailDurable(disk, summaries, chain);
    reportChain(chain, useful, replay, report);
    if (chain.corrupt > 0) tools.probe?.("damage-below-mark");
    if (chain.dropped > 0) tools.probe?.("torn-tail-dropped");
  } else if (useful.length > 0) report.push(`no batch could be read from the write-ahead log, ${useful.length} files of it`);
  const last = summaries[summaries.length - 1];
  const spare = last?.blank === true && last.salt !== undefined ? { segment: last.segment, salt: last.salt, bytes: last.bytes } : undefined;
  const keep = new Set([...useful.map(({ segment }) => segment), spare?.segment]);
  return {
    replay,
    segments: useful.map(({ segment, bytes }) => ({ segment, bytes, file: places.get(segment) ?? 0 })),
    spare,
    nextSequence: (chain?.end ?? 0) + 1,
    nextSegment: (last?.segment ?? 0) + 1,
    useless: numbers.filter((segment) => !keep.has(segment)).map(pathOf),
  };
}

function applyUpTo(replay: Replay, { scanned, file }: Held, limit: number): void {
  for (const batch of scanned.batches) if (batch.sequence <= limit) replay.apply(batch, file);
}

/**
 * Segments to keep: those with batches, and unreadable ones before them. Behind the last batch there
 * are only segments that a crash kept from being begun.
 */
function chooseSegments(summaries: readonly SegmentSummary[]): SegmentSummary[] {
  let count = summaries.length;
  const hasBatches = summaries.some(({ batches }) => batches.length > 0);
  for (let last = summaries[count - 1]; last !== undefined && last.batches.length === 0 && !last.isShort; last = summaries[count - 1]) {
    if (!hasBatches && !last.blank) break;
    count--;
  }
  return summaries.slice(0, count).filter(({ blank }) => !blank);
}

/**
 * After a crash of the process alone, the end of the log was read from the system's cache and may not
 * be on stable storage yet; the new segment's head is about to say that it is. A sync would not do: if the last
 * run ended with a failed one, the system believes those pages clean and never writes them. So
 * the same bytes are written again.
 */
async function makeTailDurable(disk: Disk, summaries: readonly SegmentSummary[], chain: Chain): Promise<void> {
  for (const { segment, batches } of summaries) {
    const tail = batches.filter(({ sequence }) => sequence > chain.synced && sequence <= chain.end);
    const from = tail[0]?.offset;
    const to = tail[tail.length - 1]?.end;
    if (from === undefined || to === undefined) continue;
    const file = await disk.open(pathOf(segment), { create: false, lane: "log" });
    try {
      await file.writeAt(from, [await file.readAt(from, to - from)], { sync: true });
    } finally {
      await file.close();
    }
  }
}

function countBatches(count: number): string {
  return count === 1 ? "1 batch" : `${count} batches`;
}

function reportChain(chain: Chain, useful: readonly SegmentSummary[], replay: Replay, report: string[]): void {
  if (chain.corrupt > 0)
    report.push(`damaged or missing in the write-ahead log, up to the synced mark ${chain.synced}: ${countBatches(chain.corrupt)}`);
  if (chain.dropped > 0) {
    report.push(
      `the write-ahead log ends with batch ${chain.end}; dropped behind it, never completely written: ${countBatches(chain.dropped)}`,
    );
  }
  const newest = useful[useful.length - 1];
  if (newest?.isShort !== true) return;
  replay.doubtAll();
  report.push(`the write-ahead log has lost its end: ${segmentName(newest.segment)} is shorter than it was made`);
}
