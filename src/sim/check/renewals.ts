import { Reader, systemGroup } from "../../base/index.ts";
import type { GroupId, ReplicaId } from "../../base/index.ts";
import { Kind, commandKind, decodeCommand, decodeEnvelope, readEntry } from "../../machine/index.ts";
import { EntryKind } from "../../raft/index.ts";
import type { Message } from "../../raft/index.ts";

/** A leader that has proposed to revoke a lease since its time was over renews it no more: its log may hold the revoke already. */
export class Renewals {
  readonly violations: string[] = [];
  /** By leader in a term: the leases whose revokes left it. */
  private readonly revoking = new Map<string, Set<bigint>>();

  sent(group: GroupId, message: Message): void {
    if (message.type !== "append" || group === systemGroup) return;
    for (const { data, kind, term } of message.entries) {
      if (kind !== EntryKind.normal || term !== message.term || data.length === 0) continue;
      for (const command of readEntry(data).commands) {
        if (commandKind(command) !== Kind.leaseRevoke) continue;
        const reader = new Reader(command);
        decodeEnvelope(reader);
        const revoke = decodeCommand(reader);
        // What a client revokes bears no term, and may be renewed until it is applied.
        if (revoke.kind === "lease-revoke" && revoke.term === term) this.of(group, term, message.from).add(revoke.lease);
      }
    }
  }

  renewed(group: GroupId, { replica, term }: { readonly replica: ReplicaId; readonly term: number }, lease: bigint): void {
    if (!this.of(group, term, replica).has(lease) || this.violations.length >= 20) return;
    this.violations.push(`replica ${replica} of group ${group} renews lease ${lease} in term ${term}, after it proposed to revoke it`);
  }

  private of(group: GroupId, term: number, leader: ReplicaId): Set<bigint> {
    const name = `${group}/${term}/${leader}`;
    let leases = this.revoking.get(name);
    if (leases === undefined) {
      leases = new Set();
      this.revoking.set(name, leases);
    }
    return leases;
  }
}
