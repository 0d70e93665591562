import type { Mutant } from "./mutant.ts";

const ground = { profile: "swarm", workloads: ["etcd"] } as const;

/** What etcd's clients are told. */
export const gatewayMutants: readonly Mutant[] = [
  {
    name: "gateway-reads-stale",
    breaks: "a range that does not ask for a member's own state sees every write that was answered before it",
    file: "src/gateway/etcd/kv/range.ts",
    edits: [{ text: 'consistency: request.serializable ? "stale" : "linearizable"', replacement: 'consistency: "stale"' }],
    ground,
  },
  {
    name: "gateway-page-of-now",
    breaks: "the pages of a list are of one revision",
    file: "src/gateway/etcd/kv/operations.ts",
    edits: [{ text: "    revision: boundedNumber(request.revision),", replacement: "    revision: 0," }],
    ground,
  },
  {
    name: "gateway-compares-version",
    breaks: "an object is updated only if nobody has since it was read",
    file: "src/gateway/etcd/kv/operations.ts",
    edits: [
      {
        text: 'target: "mod", ...numbers(relation, union.case === "modRevision"',
        replacement: 'target: "mod", ...numbers("not-equal", union.case === "modRevision"',
      },
    ],
    ground,
  },
  {
    name: "gateway-progress-ahead",
    breaks: "a progress is told behind every event up to its revision",
    file: "src/gateway/etcd/watch/service.ts",
    edits: [
      {
        text: "this.ground.header(Math.min(revision, this.ground.kv.revision))",
        replacement: "this.ground.header(this.ground.kv.revision)",
      },
    ],
    ground,
  },
  {
    name: "gateway-slow-watch-skips",
    breaks: "a watch whose client reads slowly goes on where it was",
    file: "src/gateway/etcd/watch/watcher.ts",
    edits: [{ text: "this.open(this.toldRevision + 1);", replacement: "this.open(this.ground.kv.revision + 1);" }],
    ground,
  },
  {
    name: "gateway-lease-of-others",
    breaks: "an entry goes with the lease that it was put on",
    file: "src/gateway/etcd/kv/operations.ts",
    edits: [{ text: "    lease: leaseOf(request.lease),\n    previous", replacement: "    lease: 0n,\n    previous" }],
    ground,
  },
];
