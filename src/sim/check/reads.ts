import type { GroupId, ReplicaId } from "../../base/index.ts";
import type { Configuration, Message } from "../../raft/index.ts";
import { hasQuorum } from "./quorum.ts";

/** Who asks, and under which configuration. */
export interface Reader {
  readonly replica: ReplicaId;
  readonly term: number;
  readonly configuration: Configuration;
}

interface Asked {
  readonly reign: string;
  readonly configuration: Configuration;
  /** The event at which it was asked. */
  readonly at: number;
}

/** One leader in one term. */
interface Reign {
  /** By number of the round: the event at which its first heartbeat left. */
  readonly begun: Map<number, number>;
  /** The latest beginning of a round that the replica has answered. */
  readonly answered: Map<ReplicaId, number>;
}

/**
 * A linearizable read, and a renewal of a lease, is answered by a leader only once a quorum has answered a heartbeat that left after it was asked (Raft
 * dissertation, section 6.4): counted from the messages that leave machines. Which of them arrived is not known here, so that what is
 * demanded is less than what raft must do, and never more.
 */
export class ReadRounds {
  readonly violations: string[] = [];
  private events = 0;
  private readonly reigns = new Map<string, Reign>();
  private readonly asks = new Map<string, Asked>();

  sent(group: GroupId, message: Message): void {
    if (message.type === "heartbeat" && message.context > 0) {
      const { begun } = this.reign(`${group}/${message.term}/${message.from}`);
      if (!begun.has(message.context)) begun.set(message.context, ++this.events);
    } else if (message.type === "heartbeat-response" && message.context > 0) {
      const { answered, begun } = this.reign(`${group}/${message.term}/${message.to}`);
      answered.set(message.from, Math.max(answered.get(message.from) ?? 0, begun.get(message.context) ?? 0));
    }
  }

  /** `what` is asked of a leader, "read 7" say: by this name it is confirmed. */
  asked(group: GroupId, { configuration, replica, term }: Reader, what: string): void {
    this.asks.set(`${group}/${replica}/${what}`, { reign: `${group}/${term}/${replica}`, configuration, at: ++this.events });
  }

  confirmed(group: GroupId, { configuration, replica }: Reader, what: string): void {
    const name = `${group}/${replica}/${what}`;
    const asked = this.asks.get(name);
    if (asked === undefined) return;
    this.asks.delete(name);
    const { answered } = this.reign(asked.reign);
    const has = (voter: ReplicaId): boolean => voter === replica || (answered.get(voter) ?? 0) > asked.at;
    // A change of configuration may have come between.
    if (hasQuorum(configuration, has) || hasQuorum(asked.configuration, has)) return;
    const who = [...answered.keys()].filter((voter) => has(voter));
    if (this.violations.length < 20)
      this.violations.push(
        `replica ${replica} of group ${group} answers ${what} although of its voters ${configuration.voters.join(", ")} only ${[replica, ...who].join(", ")} followed it since it was asked`,
      );
  }

  private reign(name: string): Reign {
    let reign = this.reigns.get(name);
    if (reign === undefined) {
      reign = { begun: new Map(), answered: new Map() };
      this.reigns.set(name, reign);
    }
    return reign;
  }
}
