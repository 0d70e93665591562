import type { Mutant } from "./mutant.ts";

/** What the consensus core promises. */
export const raftMutants: readonly Mutant[] = [
  {
    name: "vote-before-sync",
    breaks: "A vote leaves only when term and vote are durable.",
    file: "src/raft/election.ts",
    edits: [
      {
        text: 'core.sendAfterPersist({ type: "vote-response", from: core.replica, to: message.from, term: core.term, granted });',
        replacement: 'core.send({ type: "vote-response", from: core.replica, to: message.from, term: core.term, granted });',
      },
    ],
    ground: { profile: "crashes" },
  },
  {
    name: "acknowledged-before-sync",
    breaks: "An append is acknowledged only when its entries are durable.",
    file: "src/raft/follower.ts",
    edits: [
      {
        text: "if (core.leader === noReplica || core.leader === core.replica) return;\n  core.sendAfterPersist({",
        replacement: "if (core.leader === noReplica || core.leader === core.replica) return;\n  core.send({",
      },
    ],
    ground: { profile: "crashes" },
  },
  {
    name: "older-term-counted",
    breaks: "Only an entry of the leader's own term is committed by counting.",
    file: "src/raft/replication.ts",
    edits: [
      {
        text: "if (index <= core.commit || log.term(index) !== core.term) return;",
        replacement: "if (index <= core.commit) return;",
      },
    ],
    ground: { profile: "crashes" },
  },
  {
    name: "leader-counts-itself-early",
    breaks: "The leader counts itself only for what its own disk has.",
    file: "src/raft/replication.ts",
    edits: [
      {
        text: "if (replica === core.replica) return log.persisted;",
        replacement: "if (replica === core.replica) return log.lastIndex;",
      },
    ],
    ground: { profile: "crashes" },
  },
  {
    name: "read-without-quorum",
    breaks: "A linearizable read waits for a quorum that still follows the leader.",
    file: "src/raft/reads.ts",
    edits: [{ text: "    if (round.attempt > confirmed) break;\n", replacement: "" }],
    ground: { profile: "network" },
  },
  {
    name: "read-before-first-commit",
    breaks: "A new leader answers no read before it has committed an entry of its own term.",
    file: "src/raft/reads.ts",
    edits: [
      {
        text: "const begins = reads.waiting.length > 0 && core.hasCommittedInTerm;",
        replacement: "const begins = reads.waiting.length > 0;",
      },
    ],
    ground: { profile: "crashes" },
  },
  {
    name: "read-context-reused",
    breaks: "An answer to an earlier round of heartbeats confirms no later read.",
    file: "src/raft/replication.ts",
    edits: [
      {
        text: "if (message.context > progress.attempt) progress.attempt = message.context;",
        replacement: "progress.attempt = core.reads.attempt;",
      },
    ],
    ground: { profile: "network" },
  },
  {
    name: "suspect-votes",
    breaks: "A replica that cannot trust its disk does not vote.",
    file: "src/raft/election.ts",
    edits: [
      {
        text: "const granted = mayVote && !core.isSuspect && core.log.isUpToDate(message.lastIndex, message.lastTerm);",
        replacement: "const granted = mayVote && core.log.isUpToDate(message.lastIndex, message.lastTerm);",
      },
    ],
    ground: { profile: "disk" },
  },
  {
    name: "log-matched-by-index",
    breaks: "Two logs agree up to an index only if its entry has the same term in both.",
    file: "src/raft/follower.ts",
    edits: [
      {
        text: "} else if (!log.matches(prevIndex, message.prevTerm)) {",
        replacement: "} else if (prevIndex > log.lastIndex) {",
      },
    ],
    ground: { profile: "network" },
  },
  {
    name: "joint-counts-one-half",
    breaks: "While a configuration is joint, a decision needs a majority of both sides.",
    file: "src/raft/quorum.ts",
    edits: [
      {
        text: "return configuration.outgoing.length === 0 ? incoming : Math.min(incoming, majorityIndex(configuration.outgoing, indexOf));",
        replacement: "return incoming;",
      },
    ],
    ground: { profile: "members" },
  },
  {
    name: "learner-counted",
    breaks: "A learner's copy of an entry counts to no quorum.",
    file: "src/raft/replication.ts",
    edits: [
      {
        text: "const index = quorumIndex(core.configuration, (replica) => {",
        replacement:
          "const { configuration } = core;\n  const index = quorumIndex({ ...configuration, voters: [...configuration.voters, ...configuration.learners] }, (replica) => {",
      },
    ],
    ground: { profile: "members" },
  },
  {
    name: "strangers-vote-accepted",
    breaks: "The vote of one who is no voter, not any more or not yet, elects nobody.",
    file: "src/raft/roles.ts",
    edits: [
      {
        text: "  const result = quorumVote(core.configuration, (replica) => core.votes.get(replica));",
        replacement:
          '  const granting = [...core.votes.values()].filter((vote) => vote).length;\n  const result = granting > core.configuration.voters.length / 2 ? "won" : quorumVote(core.configuration, (replica) => core.votes.get(replica));',
      },
      {
        text: "  core.vote = core.replica;\n  for (const voter of votersOf(core.configuration)) {",
        replacement: "  core.vote = core.replica;\n  for (const voter of membersOf(core.configuration)) {",
      },
    ],
    ground: { profile: "members" },
  },
  {
    name: "transfer-accepts-proposals",
    breaks: "A leader that is handing over takes no more proposals.",
    file: "src/raft/proposals.ts",
    edits: [{ text: '  if (core.transferee !== noReplica) return refused(core, "transferring");\n', replacement: "" }],
    ground: { profile: "members" },
  },
  {
    name: "two-changes-in-flight",
    breaks: "The next change of configuration waits until the last one is committed.",
    file: "src/raft/membership.ts",
    edits: [
      {
        text: "if (core.configurations.index > core.commit || isJoint(core.configuration)) return",
        replacement: "if (isJoint(core.configuration)) return",
      },
    ],
    ground: { profile: "dense", nemeses: ["add-member", "remove-member", "slow-disk"] },
  },
  {
    name: "older-write-proves-newer",
    breaks: "A write that was replaced while in flight proves nothing of what replaced it.",
    file: "src/raft/log.ts",
    edits: [{ text: "    for (const write of this.writes) write.to = Math.min(write.to, from - 1);\n", replacement: "" }],
    ground: { profile: "dense", nemeses: ["slow-disk", "isolate", "crash"] },
  },
];
