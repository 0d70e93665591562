import type { GroupId, ReplicaId } from "../../base/index.ts";
import type { Message } from "../../raft/index.ts";

interface Sent {
  /** The highest term that it bound itself in. */
  term: number;
  /** Its latest acknowledgement: the term it was given in, and the index up to which its log is durable. */
  ackTerm: number;
  ackIndex: number;
  /** The last index that it applied. */
  applied: number;
  /** Whom it gave its vote in each term. */
  readonly votes: Map<number, ReplicaId>;
}

/** Whether it may only be said in a term that is on disk. A refusal, or an answer to a heartbeat, gives nothing away; a pre-vote speaks of a term that has not begun. */
function binds(message: Message): boolean {
  switch (message.type) {
    case "vote":
    case "vote-response":
    case "append":
    case "heartbeat":
    case "timeout-now":
      return true;
    case "append-response":
      return !message.rejected;
    default:
      return false;
  }
}

/** What a replica knows of itself. */
interface Known {
  readonly term: number;
  readonly vote: ReplicaId;
  readonly lastIndex: number;
  readonly suspect: boolean;
}

/**
 * What replicas promise each other in the messages that leave their machines, held against later messages and against what
 * they know after a restart: a term has one leader; a replica votes once in a term, whatever happens to it; the term that it spoke
 * in, and the entries that it acknowledged, are on its disk.
 */
export class WirePromises {
  readonly violations: string[] = [];
  /** Messages looked at. */
  messages = 0;
  private readonly leaders = new Map<string, ReplicaId>();
  private readonly replicas = new Map<string, Sent>();
  private readonly lives = new Set<string>();

  sent(group: GroupId, message: Message): void {
    this.messages++;
    const sent = this.replica(group, message.from);
    if (binds(message)) sent.term = Math.max(sent.term, message.term);
    switch (message.type) {
      case "append":
      case "heartbeat":
      case "timeout-now":
        return this.leads(group, message.from, message.term);
      case "vote":
        return this.votes(group, sent, message.from, message.term, message.from);
      case "vote-response":
        if (message.granted) this.votes(group, sent, message.from, message.term, message.to);
        return;
      case "append-response":
        if (message.rejected) return;
        if (message.term > sent.ackTerm) sent.ackIndex = 0;
        sent.ackTerm = Math.max(sent.ackTerm, message.term);
        if (message.term === sent.ackTerm) sent.ackIndex = Math.max(sent.ackIndex, message.index);
        return;
      default:
    }
  }

  /** A replica applied an entry, which is on its disk then. */
  applied(group: GroupId, replica: ReplicaId, index: number): void {
    const known = this.replica(group, replica);
    known.applied = Math.max(known.applied, index);
  }

  /**
   * A replica is back from its disk, and has sent nothing yet in this `life` of its node; heard of again, it was sent a snapshot.
   * `damaged`: somebody damaged that disk, once. What is lost by that makes the replica suspect, and nothing else does.
   */
  restarted(life: string, group: GroupId, replica: ReplicaId, known: Known, damaged: boolean): void {
    const name = `${life} ${group}/${replica}`;
    if (this.lives.has(name)) return;
    this.lives.add(name);
    const sent = this.replicas.get(`${group}/${replica}`);
    const who = `replica ${replica} of group ${group}`;
    if (known.suspect && !damaged) this.report(`${who} finds its disk damaged, which nobody did`);
    if (sent === undefined || known.suspect) return;
    const vote = sent.votes.get(known.term);
    if (known.term < sent.term) this.report(`${who} spoke in term ${sent.term} and is back in term ${known.term}`);
    // A later leader may have cut the log, which its own term then tells.
    else if (known.term === sent.ackTerm && known.lastIndex < sent.ackIndex)
      this.report(`${who} acknowledged its log up to ${sent.ackIndex} in term ${sent.ackTerm} and is back with ${known.lastIndex}`);
    else if (vote !== undefined && known.vote !== vote)
      this.report(`${who} voted for ${vote} in term ${known.term} and is back with a vote for ${known.vote}`);
    if (known.lastIndex < sent.applied) this.report(`${who} applied entry ${sent.applied} and is back with ${known.lastIndex}`);
  }

  private leads(group: GroupId, from: ReplicaId, term: number): void {
    const name = `${group}/${term}`;
    const known = this.leaders.get(name);
    if (known === undefined) this.leaders.set(name, from);
    else if (known !== from) this.report(`replicas ${known} and ${from} of group ${group} both lead in term ${term}`);
  }

  private votes(group: GroupId, sent: Sent, voter: ReplicaId, term: number, candidate: ReplicaId): void {
    const known = sent.votes.get(term);
    if (known === undefined) sent.votes.set(term, candidate);
    else if (known !== candidate) this.report(`replica ${voter} of group ${group} voted for ${known} and for ${candidate} in term ${term}`);
  }

  private replica(group: GroupId, replica: ReplicaId): Sent {
    const name = `${group}/${replica}`;
    let sent = this.replicas.get(name);
    if (sent === undefined) {
      sent = { term: 0, ackTerm: 0, ackIndex: 0, applied: 0, votes: new Map() };
      this.replicas.set(name, sent);
    }
    return sent;
  }

  private report(text: string): void {
    if (this.violations.length < 20) this.violations.push(text);
  }
}
