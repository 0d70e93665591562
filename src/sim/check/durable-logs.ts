import type { GroupId, ReplicaId } from "../../base/index.ts";
import type { Entry } from "../../raft/index.ts";
import type { RecoveredLog } from "../../storage/index.ts";

/** A write that the disk was asked for and has not made durable. */
export interface InFlight {
  /** The replica's term when it asked. */
  readonly term: number;
  readonly entries: readonly Pick<Entry, "index" | "term">[];
  /** It replaces the log by a snapshot up to here; 0: it does not. */
  readonly snapshotIndex: number;
  /** The log above the snapshot stays. */
  readonly keepsLog: boolean;
}

/** What one replica's disk holds. */
interface Kept {
  readonly incarnation: number;
  /** By index, the term of each durable entry above `from`. */
  terms: Map<number, number>;
  lastIndex: number;
  /** Of the replica, as of the last write that it asked for. */
  term: number;
  /** By term, how far the log reached on the disk while the replica was there: an acknowledgement may leave when it has gone on. */
  readonly peaks: Map<number, number>;
  inFlight: InFlight[];
}

/**
 * What is on the disk of each replica, counted from the writes that the disk was asked for and said to be done with, held against what the
 * replica does with it: it applies and acknowledges what is durable, in the version that its log has; and after a restart its log is the one
 * that was durable, no entry less, and none more that was replaced.
 */
export class DurableLogs {
  readonly violations: string[] = [];
  private readonly logs = new Map<string, Kept>();

  /** A replica's log was read from its disk. `trusted`: nobody damaged that disk. */
  opened(group: GroupId, log: RecoveredLog, trusted: boolean): void {
    const { entries: _, firstIndex, hardState, incarnation, lastIndex, replica, snapshot, suspect, terms } = log;
    const name = `${group}/${replica}`;
    const known = this.logs.get(name);
    const found = new Map<number, number>();
    terms.forEach(({ from, term }, at) => {
      const end = terms[at + 1]?.from ?? lastIndex + 1;
      for (let index = Math.max(from, firstIndex, snapshot.index + 1); index < end; index++) found.set(index, term);
    });
    const last = Math.max(lastIndex, snapshot.index);
    if (known?.incarnation === incarnation && trusted && !suspect)
      this.compare(`replica ${replica} of group ${group}`, known, found, snapshot.index, last);
    this.logs.set(name, {
      incarnation,
      terms: found,
      lastIndex: last,
      term: hardState.term,
      peaks: new Map([[hardState.term, last]]),
      inFlight: [],
    });
  }

  /** A write was asked for; give it to `written` once the disk says that it is done. `hardTerm`: of its hard state, if it has one. */
  writing(group: GroupId, replica: ReplicaId, hardTerm: number | undefined, write: Omit<InFlight, "term">): InFlight {
    const kept = this.logs.get(`${group}/${replica}`);
    if (kept === undefined) return { ...write, term: 0 };
    kept.term = Math.max(kept.term, hardTerm ?? 0);
    const asked = { ...write, term: kept.term };
    kept.inFlight.push(asked);
    return asked;
  }

  written(group: GroupId, replica: ReplicaId, write: InFlight): void {
    const kept = this.logs.get(`${group}/${replica}`);
    if (kept?.inFlight[0] !== write) return;
    kept.inFlight.shift();
    const { entries, keepsLog, snapshotIndex } = write;
    if (snapshotIndex > 0 && !keepsLog) kept.terms.clear();
    if (snapshotIndex > 0) kept.lastIndex = keepsLog ? Math.max(kept.lastIndex, snapshotIndex) : snapshotIndex;
    for (const { index, term } of entries) kept.terms.set(index, term);
    const last = entries.at(-1)?.index;
    if (last !== undefined) {
      // What the first of them replaced is gone up to the end.
      for (let index = last + 1; index <= kept.lastIndex; index++) kept.terms.delete(index);
      kept.lastIndex = last;
    }
    kept.peaks.set(write.term, Math.max(kept.peaks.get(write.term) ?? 0, kept.lastIndex));
  }

  /** A replica applied an entry. */
  applied(group: GroupId, replica: ReplicaId, { index, term }: Pick<Entry, "index" | "term">): void {
    const kept = this.logs.get(`${group}/${replica}`);
    const there = kept?.terms.get(index);
    if (kept === undefined || there === term || (there === undefined && index <= kept.lastIndex)) return;
    this.report(
      `replica ${replica} of group ${group} applies entry ${index} of term ${term} while its disk has ${there === undefined ? "none" : `one of term ${there}`} there`,
    );
  }

  /** A replica acknowledged its log up to `index` to the leader of `term`. */
  acknowledged(group: GroupId, replica: ReplicaId, term: number, index: number): void {
    const kept = this.logs.get(`${group}/${replica}`);
    if (kept === undefined) return;
    const who = `replica ${replica} of group ${group} acknowledges entry ${index} in term ${term}`;
    if (term < kept.term) {
      // Said of its log as it was in that term: a message may take as long as it likes, within the node as well.
      const peak = Math.max(0, ...[...kept.peaks].filter(([at]) => at <= term).map(([, reached]) => reached));
      if (index > peak) this.report(`${who}, and its disk never reached beyond ${peak} by then`);
      return;
    }
    if (index > kept.lastIndex) return this.report(`${who}, and its disk ends with ${kept.lastIndex}`);
    const replaced = kept.inFlight.find(({ entries, term: at }) => at <= term && (entries[0]?.index ?? Number.POSITIVE_INFINITY) <= index);
    if (replaced !== undefined) this.report(`${who} while its disk still writes entry ${replaced.entries[0]?.index} anew`);
  }

  private compare(who: string, known: Kept, found: ReadonlyMap<number, number>, snapshotIndex: number, last: number): void {
    // What was being written when the node ended may be there, in part: nothing is said of what that replaces.
    if (known.inFlight.some((write) => write.snapshotIndex > 0)) return;
    const firsts = known.inFlight.flatMap(({ entries }) => entries[0]?.index ?? []);
    const sure = Math.min(known.lastIndex, ...firsts.map((index) => index - 1));
    if (last < sure) return this.report(`${who} had ${known.lastIndex} entries on its disk and is back with ${last}`);
    if (firsts.length === 0 && last > Math.max(known.lastIndex, snapshotIndex))
      return this.report(
        `${who} had entries up to ${known.lastIndex} on its disk and is back with ${last}: what was replaced is there again`,
      );
    for (let index = snapshotIndex + 1; index <= sure; index++) {
      const [before, now] = [known.terms.get(index), found.get(index)];
      if (before === undefined || now === undefined || before === now) continue;
      return this.report(`${who} had entry ${index} of term ${before} on its disk and is back with one of term ${now}`);
    }
  }

  private report(text: string): void {
    if (this.violations.length < 20) this.violations.push(text);
  }
}
