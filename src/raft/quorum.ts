import { assert } from "../base/index.ts";
import type { ReplicaId } from "../base/index.ts";
import type { Configuration } from "./types.ts";

/** What is known of one replica, 0 when nothing is. */
export type IndexOf = (replica: ReplicaId) => number;
/** A vote, undefined while there is none. */
export type VoteOf = (replica: ReplicaId) => boolean | undefined;

export type VoteResult = "won" | "lost" | "pending";

/** The largest index that a majority of `voters` has reached; without voters everything has been. */
export function majorityIndex(voters: readonly ReplicaId[], indexOf: IndexOf): number {
  const count = voters.length;
  if (count === 0) return Number.POSITIVE_INFINITY;
  if (count === 1) return indexOf(voters[0] as ReplicaId);
  const descending: number[] = [];
  for (const voter of voters) {
    const index = indexOf(voter);
    let at = descending.length;
    descending.push(index);
    while (at > 0 && (descending[at - 1] as number) < index) {
      descending[at] = descending[at - 1] as number;
      at--;
    }
    descending[at] = index;
  }
  return descending[count >> 1] as number;
}

/** The largest index that a quorum has reached: a majority of each side while joint (paper, section 6). */
export function quorumIndex(configuration: Configuration, indexOf: IndexOf): number {
  assert(configuration.voters.length > 0, "a configuration that decides has voters");
  const incoming = majorityIndex(configuration.voters, indexOf);
  return configuration.outgoing.length === 0 ? incoming : Math.min(incoming, majorityIndex(configuration.outgoing, indexOf));
}

export function majorityVote(voters: readonly ReplicaId[], voteOf: VoteOf): VoteResult {
  if (voters.length === 0) return "won";
  const needed = (voters.length >> 1) + 1;
  let granted = 0;
  let missing = 0;
  for (const voter of voters) {
    const vote = voteOf(voter);
    if (vote === true) granted++;
    else if (vote === undefined) missing++;
  }
  if (granted >= needed) return "won";
  return granted + missing >= needed ? "pending" : "lost";
}

export function quorumVote(configuration: Configuration, voteOf: VoteOf): VoteResult {
  const incoming = majorityVote(configuration.voters, voteOf);
  if (configuration.outgoing.length === 0) return incoming;
  const outgoing = majorityVote(configuration.outgoing, voteOf);
  if (incoming === "lost" || outgoing === "lost") return "lost";
  return incoming === "won" && outgoing === "won" ? "won" : "pending";
}

export function hasQuorum(configuration: Configuration, has: (replica: ReplicaId) => boolean): boolean {
  return quorumVote(configuration, has) === "won";
}

/** One line per voter, each with a bar as long as the number of voters behind it. */
export function describeQuorum(voters: readonly ReplicaId[], indexOf: IndexOf): string {
  const lines = voters.map((voter) => {
    const index = indexOf(voter);
    const behind = voters.filter((other) => indexOf(other) < index).length;
    return `${"=".repeat(behind)}>${" ".repeat(voters.length - behind)}${index} (replica ${voter})`;
  });
  return [...lines, `quorum: ${majorityIndex(voters, indexOf)}`].join("\n");
}
