import type { Mutant } from "./mutant.ts";

/** What entries, revisions, sessions, leases and watches promise. */
export const machineMutants: readonly Mutant[] = [
  {
    name: "stale-leader-keeps-leases",
    breaks: "A keep-alive is answered only after a round with a quorum that began after it arrived.",
    file: "src/runtime/gate.ts",
    edits: [
      {
        text: "replica.read(new KeepAlive(call, replica, ++this.counters.keepAlives, this.host.observer));",
        replacement: "new KeepAlive(call, replica, ++this.counters.keepAlives, this.host.observer).run();",
      },
    ],
    ground: { profile: "network", nemeses: ["isolate"], workloads: ["lease", "claims"] },
  },
  {
    name: "kept-though-revoked",
    breaks: "No keep-alive is answered once a revoke of the lease is proposed.",
    file: "src/machine/lease/timers.ts",
    edits: [
      {
        text: "if (timer === undefined || timer.revoking) return undefined;",
        replacement: "if (timer === undefined) return undefined;",
      },
    ],
    ground: { profile: "clocks", nemeses: ["slow-disk", "clog"], workloads: ["etcd"] },
  },
  {
    name: "lease-clock-short",
    breaks: "A new leader gives every lease its full time again.",
    file: "src/machine/lease/timers.ts",
    edits: [
      {
        text: "this.start(cursor.value, now.nowMs);\n  }\n\n  follow",
        replacement: "this.start(cursor.value, now.nowMs - cursor.value.ttlMs / 2);\n  }\n\n  follow",
      },
    ],
    ground: { profile: "crashes", workloads: ["lease"] },
  },
  {
    name: "duplicate-applied",
    breaks: "A command that comes again through its session is answered, not applied.",
    file: "src/machine/session/table.ts",
    edits: [
      {
        text: 'return typeof known === "number" ? plainReply(known) : known;',
        replacement: "this.drop(session, sequence);",
      },
    ],
    ground: { profile: "network", workloads: ["counter"] },
  },
  {
    name: "late-taken-for-duplicate",
    breaks: "A command that comes behind later ones of its session is applied all the same.",
    file: "src/machine/session/table.ts",
    edits: [
      {
        text: "const known = session.replies.get(sequence);\n    if (known",
        replacement:
          "const known = session.replies.get(sequence) ?? [...session.replies].find(([later]) => later > sequence)?.[1];\n    if (known",
      },
    ],
    ground: { profile: "network", workloads: ["counter"] },
  },
  {
    name: "expired-taken-as-new",
    breaks: "A session that the machine does not know is refused, never begun anew.",
    file: "src/machine/session/table.ts",
    edits: [
      {
        text: "    const session = this.sessions.get(id);\n    if (session === undefined) return errorReply(",
        replacement:
          "    const session = this.sessions.get(id) ?? { id, floor: 1, usedAt: timestamp, replies: new Map(), replyBytes: 0 };\n    this.sessions.set(id, session);\n    if (id === 0) return errorReply(",
      },
    ],
    ground: { profile: "network", nemeses: ["isolate", "split", "crash", "pause"], workloads: ["counter"] },
  },
  {
    name: "sessions-not-in-snapshot",
    breaks: "What was answered to whom is part of the state, and of its snapshot.",
    file: "src/machine/session/table.ts",
    edits: [
      {
        text: "    for (const session of this.sessions.values()) {\n      mixer.begin(5);",
        replacement: "    for (const session of [] as Session[]) {\n      mixer.begin(5);",
      },
      {
        text: "for (const word of [all.low, all.high, this.hash.low, this.hash.high]) mixer.word(word);",
        replacement: "for (const word of [all.low, all.high]) mixer.word(word);",
      },
      { text: "[onceSource(Section.sessionTable, table.take()), view]", replacement: "[onceSource(Section.sessionTable, table.take())]" },
    ],
    ground: { profile: "crashes", workloads: ["counter"] },
  },
  {
    name: "watch-resumes-late",
    breaks: "A watch goes on at the revision behind the last one told.",
    file: "src/api/client/subscription.ts",
    edits: [
      {
        text: "from: this.next, previous: this.previous",
        replacement: "from: this.next > 0 && this.told ? this.next + 1 : this.next, previous: this.previous",
      },
    ],
    ground: { profile: "network", workloads: ["watch"] },
  },
  {
    name: "watch-splits-revision",
    breaks: "The events of a revision come together.",
    file: "src/machine/kv/watch.ts",
    edits: [
      {
        text: "      while (this.taken < this.matches.length && history.revisionAt(this.matches[this.taken] as number) === revision) {",
        replacement: "      if (this.taken < this.matches.length && history.revisionAt(this.matches[this.taken] as number) === revision) {",
      },
    ],
    ground: { profile: "calm", workloads: ["watch"] },
  },
  {
    name: "slow-watcher-loses-event",
    breaks: "A watcher that falls behind reads on in the history from the first event that it has not seen.",
    file: "src/machine/kv/watch.ts",
    edits: [{ text: "      this.scanAt = this.matches[this.taken] as number;\n", replacement: "      this.scanAt = position;\n" }],
    ground: { profile: "network", workloads: ["watch"] },
  },
  {
    name: "compacted-watch-goes-on",
    breaks: "A watch that compaction has overtaken ends with COMPACTED: what it would miss, tombstones too, is never left out in silence.",
    file: "src/machine/kv/watch.ts",
    edits: [
      {
        text: "    if (this.scanAt >= 0) return this.progressed + 1 < history.compactRevision;\n",
        replacement: "    if (this.scanAt >= 0) return false;\n",
      },
    ],
    ground: { profile: "clocks", workloads: ["watch"] },
  },
  {
    name: "delete-without-revision",
    breaks: "A deletion makes a revision as a write does.",
    file: "src/machine/kv/state.ts",
    edits: [
      {
        text: "    this.revision++;\n",
        replacement: "    if (!this.records.isTombstone(history.at(history.end - 1))) this.revision++;\n",
      },
    ],
    ground: { profile: "calm" },
  },
];
