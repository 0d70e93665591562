import type { Ground, Mutant } from "./mutant.ts";

const contended: Ground = { profile: "network", workloads: ["claims"] };
/** Clients stand still for longer than their leases last. */
const stalled: Ground = { profile: "clocks", nemeses: ["pause-client"], workloads: ["claims"] };

/** Of claims: who holds, who believes to hold, and what the fence lets through. */
export const claimMutants: readonly Mutant[] = [
  {
    name: "woken-without-second-look",
    breaks: "Whoever is woken looks at the whole line again: the one before may have been a waiter that gave up.",
    file: "src/api/claims/acquire.ts",
    edits: [
      {
        text: "      if (nearest !== undefined && rule.allowed === 0) await gone(space, nearest.key, seen.revision + 1, either.signal);\n      else await",
        replacement:
          "      if (nearest !== undefined && rule.allowed === 0) {\n        await gone(space, nearest.key, seen.revision + 1, either.signal);\n        return true;\n      } else await",
      },
    ],
    ground: contended,
  },
  {
    name: "readers-beside-a-writer",
    breaks: "A reader waits for every writer that came before.",
    file: "src/api/claims/lock.ts",
    edits: [{ text: "blocks: (entry) => !isShared(entry)", replacement: "blocks: () => false" }],
    ground: contended,
  },
  {
    name: "fence-not-compared",
    breaks: "A fenced write stands behind the claim's key and its create revision.",
    file: "src/api/kv/fence.ts",
    edits: [{ text: "compare: [compare], success", replacement: "compare: [], success" }],
    ground: stalled,
  },
  {
    name: "guards-not-told",
    breaks: "A claim is given out only after the guarded keyspaces know its fence.",
    file: "src/api/claims/acquire.ts",
    edits: [{ text: "      await raiseMarks(host, mark, signal);\n", replacement: "" }],
    ground: stalled,
  },
  {
    name: "mark-not-compared",
    breaks: "Another keyspace refuses a fence that is lower than the highest it has seen.",
    file: "src/machine/fence/marks.ts",
    edits: [{ text: "    if (fence < least)\n", replacement: "    if (fence < 0)\n" }],
    ground: stalled,
  },
  {
    name: "held-without-the-clock",
    breaks: "Whether a claim is held is a question to the clock, right in the first statement after a stall.",
    file: "src/api/claims/claim.ts",
    edits: [{ text: "    if (!this.over && !this.seat.lease.held) this.lose();\n", replacement: "" }],
    ground: stalled,
  },
  {
    name: "lease-counted-from-the-answer",
    breaks: "A renewed lease is counted from when the renewal was sent, not from when it was answered.",
    file: "src/api/renewal.ts",
    edits: [{ text: "    this.since = sent;\n", replacement: "    this.since = momentOf(this.host.clock);\n" }],
    // What stands still between the question and its answer is rare: many pauses in a row.
    ground: { profile: "dense", nemeses: ["pause-client"], workloads: ["claims"] },
  },
];
