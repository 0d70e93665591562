import { noReplica } from "../base/index.ts";
import type { ReplicaId } from "../base/index.ts";
import type { Role } from "../raft/index.ts";

/** What of raft the node hears about. */
interface Standings {
  readonly role: Role;
  readonly term: number;
  readonly leader: ReplicaId;
}

/** A replica's role, term and leader as the node was told last. */
export class Standing {
  /** Whether anybody has led in this life. */
  hadLeader = false;
  private told: Standings = { role: "follower", term: 0, leader: noReplica };

  differs({ role, term, leader }: Standings): boolean {
    return role !== this.told.role || term !== this.told.term || leader !== this.told.leader;
  }

  /** Takes what is now; true when the replica has ceased to lead. */
  update({ role, term, leader }: Standings): boolean {
    const lost = this.told.role === "leader" && (role !== "leader" || term !== this.told.term);
    this.told = { role, term, leader };
    this.hadLeader ||= leader !== noReplica;
    return lost;
  }
}
