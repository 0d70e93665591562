import type { Mutant } from "./mutant.ts";

/** What disks must keep, and what is believed of them. */
export const storageMutants: readonly Mutant[] = [
  {
    name: "log-not-synced",
    breaks: "Acknowledged means on stable storage.",
    file: "src/storage/wal.ts",
    edits: [{ text: "[inflight.bytes], { sync: true });", replacement: "[inflight.bytes], { sync: false });" }],
    ground: { profile: "crashes" },
  },
  {
    name: "index-apart-from-state",
    breaks: "A snapshot's state and its applied index are one: taken at one moment.",
    file: "src/replica/snapshots.ts",
    edits: [
      {
        text: "    const source = replica.machine.snapshot();\n",
        replacement: `    let late;
    const source = { next: (bytes) => (late ??= replica.machine.snapshot()).next(bytes), release: () => late?.release() };
`,
      },
    ],
    ground: { profile: "crashes" },
  },
  {
    name: "torn-tail-accepted",
    breaks: "The first damage behind the synced mark ends the log.",
    file: "src/storage/chain.ts",
    edits: [{ text: "while (found.get(end + 1) === true) end++;", replacement: "while (found.has(end + 1)) end++;" }],
    ground: { profile: "crashes" },
  },
  {
    name: "damage-cut-off-as-torn",
    breaks: "Damage below the synced mark is corruption, and no end of the log.",
    file: "src/storage/chain.ts",
    edits: [{ text: "let end = Math.max(synced, next - 1);", replacement: "let end = next - 1;" }],
    ground: { profile: "disk" },
  },
  {
    name: "truncation-not-durable",
    breaks: "What a leader's entries replaced is gone for good, before or with the entry that replaces it.",
    file: "src/storage/replay.ts",
    edits: [
      { text: "      tracked.state.index.truncate(header.index);\n", replacement: "" },
      { text: "      if (index.termAt(at) !== 0) index.truncate(at + 1);\n", replacement: "" },
    ],
    ground: { profile: "dense", nemeses: ["isolate", "crash", "crash-all"] },
  },
  {
    name: "stale-batch-read-again",
    breaks: "A batch behind a cut is never read again once the log has gone on elsewhere.",
    file: "src/storage/recover-wal.ts",
    edits: [{ text: "applyUpTo(replay, held, first - 1);", replacement: "applyUpTo(replay, held, Number.MAX_SAFE_INTEGER);" }],
    ground: { profile: "dense", nemeses: ["crash-write", "isolate"] },
  },
  {
    name: "only-vote-released",
    breaks: "A segment is released only when what it alone knew, an idle group's vote, stands in a later one.",
    file: "src/storage/log-state.ts",
    edits: [{ text: "      hardState: this.hardState,\n", replacement: "      hardState: { ...this.hardState, vote: noReplica },\n" }],
    ground: { profile: "crashes" },
  },
  {
    name: "snapshot-merged",
    breaks: "An installed snapshot takes the place of the state that was there, whole.",
    file: "src/replica/replica.ts",
    edits: [
      {
        text: "    this.check.replaced();\n    this.fetches.applied();\n",
        replacement: `    const older = this.machine.inner?.kv;
    for (const cursor = older?.live.cursor("") ?? {}; cursor.value !== undefined; cursor.next()) {
      if (machine.inner.kv.live.get(cursor.key) !== undefined) continue;
      const { records } = older;
      const at = cursor.value;
      const revisions = [records.createRevision(at), records.modRevision(at), records.version(at)];
      machine.inner.kv.restore(cursor.key, ...revisions, 0, 0, records.value(at).slice(), false);
    }
    this.check.replaced();
    this.fetches.applied();
`,
      },
    ],
    ground: { profile: "network" },
  },
];
