/**
 * Rare states that a test must have reached before it can say that they are handled. The code names them where they
 * happen; the simulator counts them, and a campaign lists those never seen. In production nobody listens.
 */
export const probeTable = {
  "transfer-loses-quorum": "a leader steps down for want of a quorum while it hands over",
  "transfer-times-out": "leadership was not taken over in time; the leader goes on",
  "transfer-target-lost": "the target of a transfer is no voter any more, or reports damage",
  "leader-loses-quorum": "a leader steps down because no quorum answers",
  "stale-leader-refused": "a leader of an earlier term is told that it is none",
  "vote-refused-for-leader": "a vote of a later term is refused because the leader answers",
  "campaign-yields": "one of two that campaign at once gives way",
  "candidate-loses": "an election was lost after its term was raised",
  "elected-in-joint-configuration": "a leader is elected by two majorities",
  "leader-leaves-itself-out": "a leader steps down because the group goes on without it",
  "suffix-replaced": "entries that were never committed are replaced by another leader's",
  "configuration-rolled-back": "a membership that was never committed is undone",
  "read-waits-for-first-commit": "a read waits for a new leader's first commit",
  "reads-dropped": "reads under way are dropped with the leadership that they counted on",
  "own-entries-fetched": "committed entries are read from disk to be applied after a restart",
  "follower-entries-fetched": "a follower gets entries that memory does not hold any more",
  "fetch-becomes-snapshot": "entries for a follower cannot be read; it gets a snapshot",
  "snapshot-of-earlier-term": "a snapshot is whole only after its sender's term has ended",
  "snapshot-not-wanted": "a snapshot arrives that the log has overtaken",
  "snapshot-keeps-log": "a snapshot arrives that the log reaches already, but not its commit",
  "suspicion-begins": "a leader learns that a replica's disk lost what it had acknowledged",
  "suspect-trusted": "a suspect replica is trusted again",
  "answer-of-earlier-life": "an acknowledgement arrives from before the damage",
  "torn-tail-dropped": "the end of the log was never completely written",
  "damage-below-mark": "the log is damaged where it was synced",
  "damage-without-owner": "damage that belongs to no known record puts replicas in doubt",
  "log-cut-at-hole": "a replica's log ends before a damaged entry",
  "older-snapshot-used": "the newest snapshot is damaged",
  "replica-discarded": "both copies of a hard state are damaged",
  "entries-moved-out": "committed entries leave a segment for the group's own files",
  "entries-rewritten": "uncommitted entries of a released segment are written again",
  "log-full": "the disk has no room for the log",
  "log-failed": "a sync failed; the log takes nothing more",
  "proposals-abandoned": "writes under way lose their leader; their outcome is unknown",
  "snapshot-fails": "a snapshot could not be written",
  "snapshot-resumes": "a snapshot goes on where an earlier transfer broke",
  "snapshot-transfer-silent": "a snapshot's receiver does not answer any more",
  "hint-campaigns": "a lost connection to the leader becomes an election",
  "stuck-leader-hands-over": "a leader whose disk or event loop hangs gives way",
  "leaving-replica-released": "a group does without a replica of a member that leaves",
  "dead-member-replaced": "an empty directory takes the place of a dead member of its name",
  "stray-replica-removed": "a replica that its group does not count any more goes",
  "replica-forgotten": "damage took every record of a replica, and the identity still knows it",
  "discarded-replica-gives-way": "the place of a discarded replica is given up",
} as const satisfies Readonly<Record<string, string>>;

export type ProbeName = keyof typeof probeTable;

/** Told of each rare state as it is reached. Must not change anything. */
export type Probe = (name: ProbeName) => void;
