import { crc32 } from "../base/index.ts";
import type { NodeObserver } from "../runtime/index.ts";
import type { ClusterOptions, Member } from "./cluster.ts";
import { describeError } from "./describe-error.ts";
import { WatchedLog } from "./watched-log.ts";

/** Lets everybody who judges look into a member's node. */
export function observerOf(member: Member, options: ClusterOptions, nowMs: () => number): NodeObserver {
  const { agreement, judges, violation, witness } = options;
  const { machine, name } = member;
  return {
    ...(judges === undefined ? {} : { log: (log) => new WatchedLog(log, judges.logs, !member.damaged) }),
    began: (replica) => {
      member.owned.add(`${replica.group}/${replica.id}`);
      judges?.promises.restarted(`${name} ${machine.host.life}`, replica.group, replica.id, replica.raftStatus(), member.damaged);
      // Its state is still being loaded: it begins again once that stands.
      if (!replica.isReadable) return;
      witness.began(name, replica);
      agreement.began(name, replica.group, replica.applied);
      if (replica.applied > 0) agreement.state(name, replica.group, replica.applied, replica.machine.hash());
    },
    applied: (replica, entry) => {
      if (replica.isLeader) judges?.mandates.applied(replica.group, replica.raftStatus(), entry);
      judges?.promises.applied(replica.group, replica.id, entry.index);
      judges?.logs.applied(replica.group, replica.id, entry);
      witness.applied(name, replica);
      agreement.applied(name, replica.group, {
        index: entry.index,
        term: entry.term,
        checksum: crc32(entry.data, entry.kind),
        stateHash: replica.machine.hash(),
      });
    },
    readsAsked: (replica, context) => judges?.reads.asked(replica.group, replica.raftStatus(), `read ${context}`),
    readsConfirmed: (replica, context) => judges?.reads.confirmed(replica.group, replica.raftStatus(), `read ${context}`),
    renewalAsked: (replica, number) => judges?.reads.asked(replica.group, replica.raftStatus(), `renewal ${number}`),
    renewed: (replica, number, lease) => {
      judges?.reads.confirmed(replica.group, replica.raftStatus(), `renewal ${number}`);
      judges?.renewals.renewed(replica.group, replica.raftStatus(), lease);
    },
    changed: (replica) => {
      if (replica.isLeader) agreement.leads(name, replica.group, replica.term, nowMs());
    },
    discarded: (replica) =>
      options.discarded === undefined
        ? violation(`${name} discarded its state of group ${replica.group}, which nobody made wrong`)
        : options.discarded(member, replica),
    stopped: (replica) => violation(`group ${replica.group} stopped on ${name}: ${describeError(replica.failure)}`),
  };
}
