import type { Mutant } from "./mutant.ts";

/** Faults in how a node becomes a member, and in what its directory remembers. Each was a real one that the seeds found. */
export const runtimeMutants: readonly Mutant[] = [
  {
    name: "stale-word-releases",
    breaks: "Who has accepted a proposal to form a cluster is released by its proposer only, by what it says after it proposed.",
    file: "src/runtime/membership.ts",
    edits: [
      {
        text: "    else if (accepted.cluster === bound?.cluster) await this.followProposer",
        replacement: "    else await this.followProposer",
      },
    ],
    ground: { profile: "network", nemeses: ["isolate", "broken-cable"], workloads: ["register"] },
  },
  {
    name: "forgotten-replica-made-again",
    breaks: "A replica of which damage left no record is never made again under its id.",
    file: "src/runtime/identity.ts",
    edits: [
      {
        text: "!this.isGone(group, replica) && (known.get(group) ?? 0) < replica);",
        replacement: "!this.isGone(group, replica) && (known.get(group) ?? 0) < replica && false);",
      },
    ],
    ground: { profile: "beyond" },
  },
];
