import { describe, expect, it } from "vitest";
import { replicaId } from "../base/index.ts";
import { silentLogger } from "../ports/index.ts";
import { EntryKind } from "../raft/index.ts";
import type { Entry, Raft } from "../raft/index.ts";
import type { GroupLog } from "../storage/index.ts";
import { Applier } from "./applier.ts";
import { Fetches } from "./fetches.ts";

const MiB = 1024 * 1024;
const own = replicaId(1);
const other = replicaId(2);

function entries(from: number, count: number, bytes: number): Entry[] {
  return Array.from({ length: count }, (_, i) => ({ index: from + i, term: 1, kind: EntryKind.normal, data: new Uint8Array(bytes) }));
}

describe("entries that raft does not keep", () => {
  it("P7: are read for the own machine only as fast as it applies them, for others at once", async () => {
    const read: number[] = [];
    const supplied: number[] = [];
    const applier = new Applier(0);
    const log = { group: 1, read: (from: number) => Promise.resolve(read.push(from)).then(() => []) } as unknown as GroupLog;
    const raft = { replica: own, lastIndex: 100, supply: (to: number) => supplied.push(to) } as unknown as Raft;
    let told = 0;
    const fetches = new Fetches({ applier, log, raft, logger: silentLogger, supplied: () => told++ });
    applier.add(entries(1, 4, MiB));
    fetches.ask({ to: own, from: 5, maxBytes: MiB });
    expect(read).toEqual([5]);
    applier.add(entries(5, 1, 1));
    fetches.ask({ to: own, from: 6, maxBytes: MiB });
    fetches.ask({ to: other, from: 2, maxBytes: MiB });
    expect(read).toEqual([5, 2]);
    applier.done(applier.take());
    fetches.applied();
    fetches.applied();
    expect(read).toEqual([5, 2, 6]);
    while (told < 3) await Promise.resolve();
    expect(supplied).toEqual([own, other, own]);
  });

  it("P7: count as waiting until they are taken, or a snapshot has taken their place", () => {
    const applier = new Applier(0);
    applier.add(entries(1, 3, 1000));
    expect(applier.waitingBytes).toBe(3000);
    applier.skipTo(2, 1);
    expect(applier.waitingBytes).toBe(1000);
    applier.reset(9, 1);
    expect(applier.waitingBytes).toBe(0);
  });
});
