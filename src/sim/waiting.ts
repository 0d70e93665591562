import type { Replica } from "../replica/index.ts";
import type { Cluster, Member } from "./cluster.ts";

/** Who waits for what, in sentences: what to read when a cluster does not come back. */
export function whoWaits(cluster: Cluster): string[] {
  const leaving = departing(cluster).map(({ groups, name }) => `${name} waits to leave until ${groups.join(", ")} can do without it`);
  return [
    ...[...cluster.members.values()].flatMap(describeAbsence),
    ...leaving,
    ...cluster.groups().flatMap((group) => ofGroup(cluster, group)),
  ];
}

/** Nodes that leave, by what some node knows, each with the groups that still count on it. */
export function departing(cluster: Cluster): { readonly name: string; readonly groups: readonly string[] }[] {
  const found = new Map<string, { readonly name: string; readonly groups: readonly string[] }>();
  for (const { node } of cluster.live()) {
    const state = node?.directory?.state;
    for (const id of state?.leaving ?? []) {
      const held = [...(state?.groups.values() ?? [])].filter(({ replicas }) => replicas.some((replica) => replica.node === id));
      found.set(id, { name: state?.nodes.get(id)?.name ?? id, groups: held.map(({ name }) => name) });
    }
  }
  return [...found.values()];
}

function describeAbsence(member: Member): string[] {
  const { host } = member.machine;
  if (member.removed) return [];
  if (host.state !== "up") return [`${member.name} is ${host.state}: nothing runs there`];
  if (member.node === undefined) return [`${member.name} has not finished starting`];
  return [];
}

function ofGroup(cluster: Cluster, group: number): string[] {
  const replicas = cluster.replicas(group);
  if (replicas.length === 0) return [`group ${group} exists nowhere: the cluster has not formed, or no node that runs has a copy`];
  const leaders = replicas.filter(({ replica }) => replica.isLeader);
  const leader = leaders.reduce<(typeof leaders)[number] | undefined>(
    (best, candidate) => (best === undefined || candidate.replica.term > best.replica.term ? candidate : best),
    undefined,
  );
  return leader === undefined ? withoutLeader(cluster, group, replicas) : withLeader(cluster, group, leader.replica);
}

function withoutLeader(
  cluster: Cluster,
  group: number,
  replicas: readonly { readonly member: Member; readonly replica: Replica }[],
): string[] {
  const newest = replicas.reduce((best, candidate) =>
    candidate.replica.status().lastIndex > best.replica.status().lastIndex ? candidate : best,
  );
  const { outgoing, voters } = newest.replica.raftStatus().configuration;
  const say = (ids: readonly number[]): string => {
    const needed = Math.floor(ids.length / 2) + 1;
    return `${needed} of ${ids.map((id) => ofVoter(cluster, group, id)).join(", ")}`;
  };
  const joint = outgoing.length === 0 ? "" : `, and for ${say(outgoing)}`;
  return [`group ${group} waits for a leader: votes are needed from ${say(voters)}${joint}`];
}

function ofVoter(cluster: Cluster, group: number, id: number): string {
  const owner = cluster.owner(group, id);
  const name = `replica ${id}${owner === undefined ? "" : ` on ${owner.name}`}`;
  const found = cluster.replicas(group).find(({ replica }) => replica.id === id);
  if (found === undefined) return `${name} (${owner?.removed === true ? "removed" : "not running"})`;
  const { failure } = found.replica;
  const { lastIndex, role, suspect, term } = found.replica.status();
  const state = failure === undefined ? (suspect ? "suspect" : role) : `stopped: ${failure.message}`;
  return `${name} (${state}, term ${term}, last ${lastIndex})`;
}

function withLeader(cluster: Cluster, group: number, leader: Replica): string[] {
  const { commit, configuration, lastIndex, persistedIndex, progress, transferee } = leader.raftStatus();
  const lines: string[] = [];
  const name = `the leader of group ${group}, ${ofVoter(cluster, group, leader.id)},`;
  if (!leader.isServing) lines.push(`${name} waits for the first entry of its term to commit`);
  if (configuration.outgoing.length > 0)
    lines.push(`${name} waits for a joint configuration to end: ${configuration.outgoing.join(",")} to ${configuration.voters.join(",")}`);
  if (transferee !== 0) lines.push(`${name} hands over to ${ofVoter(cluster, group, transferee)}`);
  if (persistedIndex < lastIndex) lines.push(`${name} waits for its disk: ${persistedIndex} of ${lastIndex} is durable`);
  if (commit < lastIndex) lines.push(`${name} waits for a quorum: ${commit} of ${lastIndex} is committed`);
  if (leader.applied < commit) lines.push(`${name} has applied ${leader.applied} of ${commit}`);
  for (const [id, { active, match, next, state, suspect }] of progress) {
    if (id === leader.id || (match === lastIndex && active && !suspect)) continue;
    const doubt = `${active ? "" : ", does not answer"}${suspect ? ", reports damage" : ""}`;
    lines.push(`${name} waits for ${ofVoter(cluster, group, id)}: has ${match}, next ${next}, ${state}${doubt}`);
  }
  for (const { member, replica } of cluster.replicas(group)) {
    if (!configuration.voters.includes(replica.id) && !configuration.learners.includes(replica.id))
      lines.push(`replica ${replica.id} of group ${group} on ${member.name} waits to be counted, or to be told that it is not`);
  }
  return lines;
}
