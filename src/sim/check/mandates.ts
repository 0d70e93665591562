import type { GroupId, ReplicaId } from "../../base/index.ts";
import { EntryKind } from "../../raft/index.ts";
import type { Configuration, Entry, Message } from "../../raft/index.ts";
import { hasQuorum } from "./quorum.ts";

/** What is known of a replica at the moment at which it says or does something. */
export interface Standing {
  readonly replica: ReplicaId;
  readonly term: number;
  readonly commit: number;
  /** The last index that is durable on it. */
  readonly persistedIndex: number;
  readonly lastIndex: number;
  readonly configuration: Configuration;
  readonly suspect: boolean;
  /** Whom it hands its leadership to; 0: nobody. */
  readonly transferee: ReplicaId;
}

/** One leader in one term. */
interface Reign {
  readonly group: GroupId;
  readonly term: number;
  readonly leader: ReplicaId;
  /** Configurations that it was seen to lead with, the last ones: what one of them decided may be told under the next. */
  configurations: readonly Configuration[];
  /** The commit index that it began with. */
  readonly inherited: number;
  persistedIndex: number;
  /** Indexes of configurations in the entries that it sent. */
  readonly changes: Set<number>;
  /** While it hands over: the last index that it had when that was first seen. */
  handover: { readonly to: ReplicaId; readonly last: number } | undefined;
}

/**
 * Who leads was elected by a quorum of voters, and what is committed was acknowledged by one: counted from the messages that
 * leave machines, not from what the replicas believe of each other. Within such a reign, entries of earlier ones are committed only together
 * with one of its own, nothing is proposed while it is handed over, and one change of configuration is under way at a time.
 */
export class Mandates {
  readonly violations: string[] = [];
  private readonly reigns = new Map<string, Reign>();
  /** By group and term: who voted for whom. */
  private readonly votes = new Map<string, Map<ReplicaId, ReplicaId>>();
  /** By group, term and leader: how far each replica said to it that its log is durable. */
  private readonly acknowledgements = new Map<string, Map<ReplicaId, number>>();
  /** By group: the highest index known to be committed. */
  private readonly committed = new Map<GroupId, number>();

  /** `standing`: of the sender, when the message leaves it; undefined when it is not there any more. */
  sent(group: GroupId, message: Message, standing: Standing | undefined): void {
    switch (message.type) {
      case "vote-response":
        if (message.granted) this.voted(group, message.term, message.from, message.to, standing);
        return;
      case "append-response":
        if (!message.rejected) this.acknowledged(group, message.term, message.to, message.from, message.index);
        return;
      case "append":
      case "heartbeat":
        if (standing?.term !== message.term) return;
        this.leads(group, standing);
        if (message.type === "append") this.appends(group, message.term, message.from, message.entries, message.commit);
        return this.commits(group, standing, message.commit);
      default:
    }
  }

  /** A leader has applied an entry. */
  applied(group: GroupId, standing: Standing, entry: { readonly index: number; readonly term: number }): void {
    const { commit, replica, term } = standing;
    const { inherited } = this.leads(group, standing);
    if (entry.term < term && entry.index === commit && commit > inherited)
      this.report(`replica ${replica} of group ${group} commits ${commit}, of term ${entry.term}, by counting in term ${term}`);
    this.commits(group, standing, commit);
  }

  private voted(group: GroupId, term: number, from: ReplicaId, candidate: ReplicaId, standing: Standing | undefined): void {
    if (standing?.suspect === true) this.report(`replica ${from} of group ${group} votes in term ${term} although it is suspect`);
    const name = `${group}/${term}`;
    const votes = this.votes.get(name) ?? new Map<ReplicaId, ReplicaId>();
    this.votes.set(name, votes);
    votes.set(from, candidate);
  }

  private acknowledged(group: GroupId, term: number, leader: ReplicaId, from: ReplicaId, index: number): void {
    const name = `${group}/${term}/${leader}`;
    const indexes = this.acknowledgements.get(name) ?? new Map<ReplicaId, number>();
    this.acknowledgements.set(name, indexes);
    indexes.set(from, Math.max(indexes.get(from) ?? 0, index));
  }

  private leads(group: GroupId, standing: Standing): Reign {
    const { commit, configuration, lastIndex, persistedIndex, replica, term, transferee } = standing;
    const name = `${group}/${term}/${replica}`;
    let reign = this.reigns.get(name);
    if (reign === undefined) {
      reign = {
        group,
        term,
        leader: replica,
        configurations: [],
        inherited: commit,
        persistedIndex: 0,
        changes: new Set(),
        handover: undefined,
      };
      this.reigns.set(name, reign);
      const votes = this.votes.get(`${group}/${term}`);
      if (!hasQuorum(configuration, (voter) => voter === replica || votes?.get(voter) === replica))
        this.report(
          `replica ${replica} of group ${group} leads in term ${term}, and ${listed([...(votes?.keys() ?? [])])} voted, which is no quorum`,
        );
    }
    reign.persistedIndex = Math.max(reign.persistedIndex, persistedIndex);
    if (reign.configurations.at(-1) !== configuration) reign.configurations = [...reign.configurations.slice(-3), configuration];
    if (transferee === 0) reign.handover = undefined;
    else if (reign.handover?.to !== transferee) reign.handover = { to: transferee, last: lastIndex };
    return reign;
  }

  private appends(group: GroupId, term: number, leader: ReplicaId, entries: readonly Entry[], commit: number): void {
    const reign = this.reigns.get(`${group}/${term}/${leader}`);
    if (reign === undefined) return;
    for (const { data, index, kind, term: of } of entries) {
      if (kind === EntryKind.configuration) this.changes(group, reign, index, commit, of === term);
      else if (reign.handover !== undefined && index > reign.handover.last && data.length > 0)
        this.report(`replica ${leader} of group ${group} proposes entry ${index} while it hands over to ${reign.handover.to}`);
    }
  }

  private changes(group: GroupId, reign: Reign, index: number, commit: number, own: boolean): void {
    if (reign.changes.has(index)) return;
    const before = Math.max(0, ...[...reign.changes].filter((at) => at < index));
    reign.changes.add(index);
    if (own && before > commit)
      this.report(
        `replica ${reign.leader} of group ${group} changes the configuration at ${index} before the change at ${before} is committed`,
      );
  }

  private commits(group: GroupId, { replica, term }: Standing, commit: number): void {
    if (commit <= (this.committed.get(group) ?? 0)) return;
    this.committed.set(group, commit);
    // By an earlier reign at last, whose leader had no time to tell.
    const reigns = [...this.reigns.values()].filter((reign) => reign.group === group && reign.term <= term);
    if (reigns.some((reign) => this.isDecided(reign, commit))) return;
    const own = this.acknowledgements.get(`${group}/${term}/${replica}`);
    const claims = [...(own ?? [])].map(([voter, index]) => `${voter} up to ${index}`);
    const mine = this.reigns.get(`${group}/${term}/${replica}`)?.persistedIndex ?? 0;
    this.report(
      `replica ${replica} of group ${group} commits ${commit} in term ${term}, which no quorum has: ${[`itself up to ${mine}`, ...claims].join(", ")}`,
    );
  }

  private isDecided({ configurations, group, leader, persistedIndex, term }: Reign, index: number): boolean {
    const acknowledged = this.acknowledgements.get(`${group}/${term}/${leader}`);
    const has = (voter: ReplicaId): boolean => (voter === leader ? persistedIndex : (acknowledged?.get(voter) ?? 0)) >= index;
    return configurations.some((configuration) => hasQuorum(configuration, has));
  }

  private report(text: string): void {
    if (this.violations.length < 20) this.violations.push(text);
  }
}

function listed(replicas: readonly ReplicaId[]): string {
  return replicas.length === 0 ? "nobody" : replicas.join(", ");
}
