import type { ReplicaId } from "../base/index.ts";
import { quorumVote } from "../raft/index.ts";
import type { Configuration } from "../raft/index.ts";

/** Checkpoints that are remembered: reports of a replica that is later than the others still find their index. */
const rememberedMax = 8;
/** For so long replicas that say different things wait for the word of those that say nothing. */
export const disputeMs = 5_000;

export type Verdict =
  /** Nothing is known, or not enough. */
  | { readonly kind: "open" }
  | { readonly kind: "agreed"; readonly index: number }
  /** A majority agrees on another state than this replica's; `sound` are those that have it. */
  | { readonly kind: "minority"; readonly index: number; readonly sound: readonly ReplicaId[] }
  /** The voters differ, and no state has a majority. */
  | { readonly kind: "split"; readonly index: number };

interface Checkpoint {
  readonly hashes: Map<ReplicaId, string>;
  disputedSinceMs: number | undefined;
}

/** What the replicas of a group say of their states at equal indexes, as one of them hears it. */
export class StateHashes {
  private readonly self: ReplicaId;
  private readonly checkpoints = new Map<number, Checkpoint>();

  constructor(self: ReplicaId) {
    this.self = self;
  }

  note(index: number, replica: ReplicaId, hash: string): void {
    let checkpoint = this.checkpoints.get(index);
    if (checkpoint === undefined) {
      checkpoint = { hashes: new Map(), disputedSinceMs: undefined };
      this.checkpoints.set(index, checkpoint);
      while (this.checkpoints.size > rememberedMax) this.checkpoints.delete(Math.min(...this.checkpoints.keys()));
    }
    checkpoint.hashes.set(replica, hash);
  }

  hashOf(index: number, replica: ReplicaId): string | undefined {
    return this.checkpoints.get(index)?.hashes.get(replica);
  }

  /** What was said up to `index` is about a state that is no more. */
  forgetTo(index: number): void {
    for (const known of [...this.checkpoints.keys()]) if (known <= index) this.checkpoints.delete(known);
  }

  /** The newest checkpoint that allows a verdict decides. */
  judge(configuration: Configuration, nowMs: number): Verdict {
    for (const index of [...this.checkpoints.keys()].sort((a, b) => b - a)) {
      const checkpoint = this.checkpoints.get(index);
      const verdict = checkpoint === undefined ? undefined : this.judgeOne(index, checkpoint, configuration, nowMs);
      if (verdict !== undefined) return verdict;
    }
    return { kind: "open" };
  }

  private judgeOne(index: number, checkpoint: Checkpoint, configuration: Configuration, nowMs: number): Verdict | undefined {
    const { hashes } = checkpoint;
    const own = hashes.get(this.self);
    if (own === undefined) return undefined;
    const voters = new Set([...configuration.voters, ...configuration.outgoing]);
    const said = new Set<string>();
    for (const [replica, hash] of hashes) if (voters.has(replica)) said.add(hash);
    // Whether those that have not spoken could still be a majority by themselves.
    let mayAgree = quorumVote(configuration, (replica) => (hashes.has(replica) ? false : undefined)) !== "lost";
    for (const hash of said) {
      const result = quorumVote(configuration, (replica) => (hashes.has(replica) ? hashes.get(replica) === hash : undefined));
      if (result === "won") {
        if (own === hash) return { kind: "agreed", index };
        return { kind: "minority", index, sound: configuration.voters.filter((replica) => hashes.get(replica) === hash) };
      }
      if (result === "pending") mayAgree = true;
    }
    if (said.size < 2) return undefined;
    checkpoint.disputedSinceMs ??= nowMs;
    return !mayAgree || nowMs - checkpoint.disputedSinceMs >= disputeMs ? { kind: "split", index } : undefined;
  }

  /** Voters differ at some checkpoint that is not decided. */
  isDisputed(): boolean {
    for (const checkpoint of this.checkpoints.values()) if (checkpoint.disputedSinceMs !== undefined) return true;
    return false;
  }
}
