import { describe, expect, it } from "vitest";
import type { GroupId, ReplicaId } from "../../base/index.ts";
import type { RecoveredLog } from "../../storage/index.ts";
import { DurableLogs } from "./index.ts";
import type { InFlight } from "./index.ts";

const group = 1 as GroupId;
const me = 2 as ReplicaId;

/** A log with an entry for each term, the first at index `from`. */
function recovered(terms: readonly number[], more: Partial<RecoveredLog> = {}, from = 1): RecoveredLog {
  return {
    replica: me,
    incarnation: 1,
    hardState: { term: terms.at(-1) ?? 0, vote: 0 as ReplicaId, commit: 0 },
    snapshot: {
      index: from - 1,
      term: from === 1 ? 0 : 1,
      configuration: { voters: [me], outgoing: [], learners: [], learnersNext: [], autoLeave: false },
    },
    firstIndex: from,
    lastIndex: from + terms.length - 1,
    entries: [],
    terms: terms.map((term, at) => ({ from: from + at, term })),
    configurations: [],
    suspect: false,
    ...more,
  };
}

class Disk {
  readonly logs = new DurableLogs();

  constructor(terms: readonly number[] = []) {
    this.logs.opened(group, recovered(terms), true);
  }

  /** Asks for entries of `term`, in that term. */
  ask(term: number, ...indexes: readonly number[]): InFlight {
    return this.logs.writing(group, me, term, { entries: indexes.map((index) => ({ index, term })), snapshotIndex: 0, keepsLog: true });
  }

  install(snapshotIndex: number, keepsLog: boolean): InFlight {
    return this.logs.writing(group, me, undefined, { entries: [], snapshotIndex, keepsLog });
  }

  done(...writes: readonly InFlight[]): void {
    for (const write of writes) this.logs.written(group, me, write);
  }

  restart(log: RecoveredLog, trusted = true): readonly string[] {
    this.logs.opened(group, log, trusted);
    return this.logs.violations;
  }
}

describe("what is on a replica's disk", () => {
  it("may be applied and acknowledged, and nothing else", () => {
    const disk = new Disk([1]);
    const write = disk.ask(1, 2, 3);
    disk.logs.applied(group, me, { index: 1, term: 1 });
    disk.logs.acknowledged(group, me, 1, 1);
    expect(disk.logs.violations).toEqual([]);
    disk.logs.applied(group, me, { index: 2, term: 1 });
    disk.logs.acknowledged(group, me, 1, 3);
    expect(disk.logs.violations).toEqual([
      "replica 2 of group 1 applies entry 2 of term 1 while its disk has none there",
      "replica 2 of group 1 acknowledges entry 3 in term 1, and its disk ends with 1",
    ]);
    disk.done(write);
    disk.logs.applied(group, me, { index: 3, term: 1 });
    disk.logs.acknowledged(group, me, 1, 3);
    expect(disk.logs.violations).toHaveLength(2);
  });

  it("is the older version as long as the newer one is being written", () => {
    const disk = new Disk([1]);
    const older = disk.ask(1, 2, 3);
    const newer = disk.ask(2, 2, 3);
    disk.done(older);
    disk.logs.acknowledged(group, me, 1, 3);
    expect(disk.logs.violations, "what the leader before was told is true").toEqual([]);
    disk.logs.applied(group, me, { index: 2, term: 2 });
    disk.logs.acknowledged(group, me, 2, 3);
    expect(disk.logs.violations).toEqual([
      "replica 2 of group 1 applies entry 2 of term 2 while its disk has one of term 1 there",
      "replica 2 of group 1 acknowledges entry 3 in term 2 while its disk still writes entry 2 anew",
    ]);
    disk.done(newer);
    disk.logs.acknowledged(group, me, 2, 3);
    expect(disk.logs.violations).toHaveLength(2);
  });
});

describe("after a restart", () => {
  it("may be acknowledged as it was in an earlier term, and no further (campaign of fe8955d, disk 1935)", () => {
    const disk = new Disk([1]);
    disk.done(disk.ask(1, 2, 3), disk.ask(2, 2));
    disk.logs.acknowledged(group, me, 1, 3);
    expect(disk.logs.violations).toEqual([]);
    disk.logs.acknowledged(group, me, 2, 3);
    disk.logs.acknowledged(group, me, 1, 4);
    expect(disk.logs.violations).toHaveLength(2);
    const never = new Disk([1]);
    never.ask(1, 2);
    never.done(never.ask(2, 2));
    never.logs.acknowledged(group, me, 1, 2);
    expect(never.logs.violations).toHaveLength(1);
  });

  it("the log is the one that was durable: no entry less, none that was replaced, none of another term", () => {
    expect(new Disk([1, 1, 2]).restart(recovered([1, 1, 2]))).toEqual([]);
    expect(new Disk([1, 1, 2]).restart(recovered([1, 1]))).toEqual(["replica 2 of group 1 had 3 entries on its disk and is back with 2"]);
    expect(new Disk([1, 1, 2]).restart(recovered([1, 1, 1]))).toEqual([
      "replica 2 of group 1 had entry 3 of term 2 on its disk and is back with one of term 1",
    ]);
    const cut = new Disk([1, 1, 1]);
    cut.done(cut.ask(2, 2));
    expect(cut.restart(recovered([1, 2, 1]))).toEqual([
      "replica 2 of group 1 had entries up to 2 on its disk and is back with 3: what was replaced is there again",
    ]);
  });

  it("what was being written may be there, in part or not at all", () => {
    for (const terms of [
      [1, 1],
      [1, 1, 1],
      [1, 1, 1, 1],
    ]) {
      const disk = new Disk([1, 1]);
      disk.ask(1, 3, 4);
      expect(disk.restart(recovered(terms))).toEqual([]);
    }
    for (const terms of [[1, 1], [1, 2], [1]]) {
      const disk = new Disk([1, 1]);
      disk.ask(2, 2);
      expect(disk.restart(recovered(terms))).toEqual([]);
    }
    const lost = new Disk([1, 1]);
    lost.ask(2, 2);
    expect(lost.restart(recovered([]))).toHaveLength(1);
  });

  it("a snapshot stands for what it replaced, and for what is below it", () => {
    const disk = new Disk([1, 1]);
    disk.done(disk.install(5, false));
    expect(disk.restart(recovered([], {}, 6))).toEqual([]);
    const kept = new Disk([1, 1, 2]);
    kept.done(kept.install(2, true));
    expect(kept.restart(recovered([2], {}, 3))).toEqual([]);
    expect(kept.restart(recovered([], {}, 3))).toHaveLength(1);
  });

  it("nothing is demanded of a damaged disk, of a suspect replica, or of another one under the same id", () => {
    expect(new Disk([1, 1]).restart(recovered([1]), false)).toEqual([]);
    expect(new Disk([1, 1]).restart(recovered([1], { suspect: true }))).toEqual([]);
    expect(new Disk([1, 1]).restart(recovered([1], { incarnation: 2 }))).toEqual([]);
  });
});
