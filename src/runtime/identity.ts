import { UnumError, hexId } from "../base/index.ts";
import type { ClusterId, GroupId, NodeId, ReplicaId } from "../base/index.ts";
import { DiskError } from "../ports/index.ts";
import type { Disk, Random } from "../ports/index.ts";
import { mendIdentity, readIdentity, writeIdentity } from "../storage/index.ts";

/** How a node introduces itself to others. */
export interface NodeCard {
  readonly node: NodeId;
  readonly name: string;
  readonly address: string;
  readonly zone: string;
  /** Drawn when the data directory was made: tells it from another directory under the same id. */
  readonly incarnation: string;
  readonly ephemeral: boolean;
  readonly featureLevel: number;
}

/** A cluster as one node proposes it. It exists once all members have accepted it. */
export interface FormingProposal {
  readonly proposer: NodeId;
  readonly cluster: ClusterId;
  /** In ascending order of node id: the first is the proposer. */
  readonly members: readonly NodeCard[];
}

/** What a new member needs before its copy of the system group has caught up. */
export interface Bootstrap {
  /** Voters of the system group when it was created: the configuration at index 0. */
  readonly initialVoters: readonly number[];
  /** The system group's replicas as they were when this node learned of the cluster. */
  readonly replicas: readonly { readonly replica: number; readonly node: NodeId }[];
  readonly members: readonly NodeCard[];
  /** Of them, those on their way out: a successor may have the name of one. Absent in what older builds wrote. */
  readonly leaving?: readonly NodeId[];
  /** This node's replica of the system group. */
  readonly replica: number;
}

/** What a data directory says about its node. Kept twice, with a checksum. */
export interface Identity {
  readonly node: NodeId;
  readonly incarnation: string;
  /** Undefined until the node is a member. */
  readonly cluster?: ClusterId;
  readonly bootstrap?: Bootstrap;
  /** The one proposal that this node has accepted, recorded before it answered. */
  readonly accepted?: FormingProposal | undefined;
  /** Older builds: the system group's replica was durable once. Since then `held` says so of every group. */
  readonly created?: boolean;
  /**
   * By group, the newest replica that was durable here, recorded before it first acted: when the log knows it no more, the directory has
   * lost it with its votes, and it must not be made again under its id.
   */
  readonly held?: Readonly<Record<number, number>>;
  /** The node was removed from its cluster; the id never returns. */
  readonly removed?: boolean;
  /** Counts replicas created in this directory, so that none reads another's records. */
  readonly incarnations: number;
  /**
   * By group, the newest replica that was here and went: its votes and acknowledgements went with it, so it is never made again, whatever
   * an older state of the system group says that a restart replays. A node's replicas of a group have ascending ids.
   */
  readonly gone?: Readonly<Record<number, number>>;
}

export class IdentityStore {
  private readonly disk: Disk;
  private current: Identity;
  private tail: Promise<void> = Promise.resolve();

  private constructor(disk: Disk, current: Identity) {
    this.disk = disk;
    this.current = current;
  }

  /** Reads the directory's identity, or draws a new one and makes it durable. Rejects with CORRUPT when both copies are damaged. */
  static async open(disk: Disk, random: Random): Promise<IdentityStore> {
    const found = (await readIdentity(disk)) as Identity | undefined;
    if (found !== undefined) {
      await mend(disk);
      return new IdentityStore(disk, found);
    }
    const fresh: Identity = { node: hexId<NodeId>(random.bytes(8)), incarnation: hexId(random.bytes(8)), incarnations: 0 };
    await writeIdentity(disk, fresh);
    return new IdentityStore(disk, fresh);
  }

  get value(): Identity {
    return this.current;
  }

  /** Durable when it fulfils; changes are written one after the other. */
  update(change: Partial<Identity>): Promise<void> {
    const written = this.tail.then(async () => {
      const next = { ...this.current, ...change };
      await writeIdentity(this.disk, next);
      this.current = next;
    });
    this.tail = written.catch(() => undefined);
    return written;
  }

  /** Binds this node to a proposal, durably, unless it is bound to another one or is a member already. */
  accept(proposal: FormingProposal): Promise<boolean> {
    const written = this.tail.then(async () => {
      const { accepted, cluster } = this.current;
      if (accepted?.cluster === proposal.cluster) return true;
      if (cluster !== undefined || accepted !== undefined) return false;
      const next = { ...this.current, accepted: proposal };
      await writeIdentity(this.disk, next);
      this.current = next;
      return true;
    });
    this.tail = written.then(
      () => undefined,
      () => undefined,
    );
    return written;
  }

  /** Forgets this accepted proposal, which its proposer has withdrawn. */
  withdraw(proposed: ClusterId): Promise<void> {
    const written = this.tail.then(async () => {
      const { accepted, ...next } = this.current;
      if (accepted?.cluster !== proposed) return;
      await writeIdentity(this.disk, next);
      this.current = next;
    });
    this.tail = written.catch(() => undefined);
    return written;
  }

  /** Fulfils when it is durable that this replica, which is about to be destroyed, is not to be made again. */
  giveUp(group: GroupId, replica: ReplicaId): Promise<void> {
    const written = this.tail.then(async () => {
      const next = { ...this.current, gone: { ...this.current.gone, [group]: Math.max(replica, this.current.gone?.[group] ?? 0) } };
      await writeIdentity(this.disk, next);
      this.current = next;
    });
    this.tail = written.catch(() => undefined);
    return written;
  }

  /** Fulfils when it is durable that these replicas are here: none acts before. Writes nothing that is known already. */
  hold(replicas: Iterable<readonly [GroupId, ReplicaId]>): Promise<void> {
    const written = this.tail.then(async () => {
      const held: Record<number, number> = { ...this.current.held };
      let isNews = false;
      for (const [group, replica] of replicas) {
        if (replica <= (held[group] ?? 0)) continue;
        held[group] = replica;
        isNews = true;
      }
      if (!isNews) return;
      const next = { ...this.current, held };
      await writeIdentity(this.disk, next);
      this.current = next;
    });
    this.tail = written.catch(() => undefined);
    return written;
  }

  /** Replicas that were here, did not go, and are not among those the log still knows. */
  missing(known: ReadonlyMap<GroupId, ReplicaId>): [GroupId, ReplicaId][] {
    return Object.entries(this.current.held ?? {})
      .map(([group, replica]): [GroupId, ReplicaId] => [Number(group) as GroupId, replica as ReplicaId])
      .filter(([group, replica]) => !this.isGone(group, replica) && (known.get(group) ?? 0) < replica);
  }

  /** Whether the replica was here and went. */
  isGone(group: GroupId, replica: ReplicaId): boolean {
    return replica <= (this.current.gone?.[group] ?? 0);
  }

  /** A number larger than every one before: for a replica about to be created. */
  async nextIncarnation(): Promise<number> {
    const next = this.current.incarnations + 1;
    await this.update({ incarnations: next });
    return next;
  }
}

/** A start needs no room on the disk: what has none now is mended by the next start, or by the next change. */
async function mend(disk: Disk): Promise<void> {
  try {
    await mendIdentity(disk);
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== "full") throw error;
  }
}

export function removedError(): UnumError {
  return new UnumError("REMOVED");
}
