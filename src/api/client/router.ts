import { UnumError, isUnumError } from "../../base/index.ts";
import type { ClusterId, GroupId, NodeId } from "../../base/index.ts";
import type { Carrier, Push } from "../../wire/index.ts";
import type { Environment } from "../types.ts";
import type { Call, CallPlace } from "./call.ts";
import { Candidates } from "./candidates.ts";
import type { Candidate } from "./candidates.ts";
import { Connection } from "./connection.ts";
import type { ConnectionOwner, LeaderHint } from "./connection.ts";

const dialMsMax = 2000;
/** A dial that takes longer than this no longer keeps another address from being tried. */
const dialMsPatience = 300;
/** A second connection stands ready, so that the loss of one node costs no dial, and its followers tell of the new leader. */
const connectionsWanted = 2;

interface Leader {
  readonly term: number;
  readonly node: NodeId;
  readonly address: string;
}

export interface RouterOwner {
  /** The first or a further node can be asked. */
  opened(connection: Connection): void;
  /** Its calls in flight have no answer. */
  lost(calls: readonly Call[], connection: Connection, reason: string): void;
  /** Another leader, or none, became known. */
  leaderChanged(group: GroupId): void;
  /** A leader became known: what waits for this group may go. */
  ledBy(group: GroupId): void;
  /** Every address refuses for good: waiting would not help. */
  refusedByAll(refusal: UnumError): void;
  answered(call: Call, body: Uint8Array): void;
  refused(call: Call, error: UnumError): void;
}

export interface RouterOptions {
  readonly endpoints: readonly string[];
  readonly name: string;
  readonly direct: boolean;
  /** Rings `router.maintain` at this time. */
  readonly wake: (dueMs: number) => void;
}

/**
 * Which node to ask: the connections, the leaders as far as they were told, and the addresses to
 * dial next. Leaders and members are learned by push; nothing is polled.
 *
 * Invariant: `open` holds greeted connections, at most one per node.
 */
export class Router implements ConnectionOwner {
  private readonly environment: Environment;
  private readonly owner: RouterOwner;
  private readonly options: RouterOptions;
  private readonly candidates: Candidates;
  /** With the timer that ends a greeting without an answer. */
  private readonly greeting = new Map<Connection, { cancel(): void }>();
  private readonly open = new Set<Connection>();
  private readonly byNode = new Map<NodeId, Connection>();
  private readonly leaders = new Map<GroupId, Leader>();
  /** The highest term heard of for a group, even when nobody leads in it. */
  private readonly terms = new Map<GroupId, number>();
  /** Groups of which a node last said that it hears of no leader, though the one before may still lead for others. */
  private readonly vacant = new Set<GroupId>();
  private cluster: ClusterId | undefined;
  private closing = false;
  /** Why the last attempt to reach a node failed. */
  lastError: UnumError | undefined;

  constructor(environment: Environment, options: RouterOptions, owner: RouterOwner) {
    this.environment = environment;
    this.options = options;
    this.owner = owner;
    this.candidates = new Candidates(options.endpoints, environment.prng.fork("candidates"));
  }

  get connections(): Iterable<Connection> {
    return this.open;
  }

  get isOpen(): boolean {
    return this.open.size > 0;
  }

  describe(): string {
    const leaders = [...this.leaders].map(([group, leader]) => `${group}:${leader.node}@${leader.term}`);
    return `${[...this.open].map((connection) => connection.describe()).join("; ") || "no connection"}; leaders ${leaders.join(" ") || "unknown"}`;
  }

  /** The connection for a call: the leader's when only it can answer, else the first; undefined when there is none. */
  pick(call: Call): Connection | undefined {
    if (call.forLeader) {
      const leader = this.leaders.get(call.group);
      const connection = leader === undefined ? undefined : this.byNode.get(leader.node);
      if (connection !== undefined) return connection;
      if (leader !== undefined) this.wantLeader(leader);
    }
    return this.any(call.attempts > 0 ? call.lastConnection : undefined);
  }

  /** Any node, `avoid` and those about to stop only if there is no other. */
  any(avoid?: CallPlace): Connection | undefined {
    let fallback: Connection | undefined;
    for (const connection of this.open) {
      if (!connection.leaving && connection !== avoid) return connection;
      if (fallback === undefined || (fallback.leaving && !connection.leaving)) fallback = connection;
    }
    return fallback;
  }

  leaderOf(group: GroupId): { readonly node: NodeId | undefined; readonly term: number } {
    return { node: this.vacant.has(group) ? undefined : this.leaders.get(group)?.node, term: this.terms.get(group) ?? 0 };
  }

  /** Takes note of who leads. Returns whether that was news. */
  learn(group: GroupId, hint: LeaderHint): boolean {
    const known = this.terms.get(group) ?? 0;
    if (hint.term < known) return false;
    this.terms.set(group, hint.term);
    const leader = this.leaders.get(group);
    if (hint.node === undefined) {
      if (hint.term > (leader?.term ?? 0)) this.leaders.delete(group);
      if (!this.vacant.has(group)) {
        this.vacant.add(group);
        this.owner.leaderChanged(group);
      }
      return false;
    }
    const wasVacant = this.vacant.delete(group);
    if (leader?.term === hint.term && leader.node === hint.node) {
      if (wasVacant) this.owner.leaderChanged(group);
      return false;
    }
    const news: Leader = { term: hint.term, node: hint.node, address: hint.address };
    this.leaders.set(group, news);
    this.owner.leaderChanged(group);
    if (!this.byNode.has(news.node)) this.wantLeader(news);
    return true;
  }

  /** Dials what is missing, as far as it is due, and asks to be woken for the rest. */
  maintain(hurry = false): void {
    if (this.closing) return;
    const nowMs = this.environment.clock.now();
    if (hurry) this.candidates.hurry(nowMs);
    let missing = this.options.direct ? connectionsWanted : 1;
    for (const connection of this.open) if (!connection.leaving) missing--;
    for (const candidate of this.candidates.values()) {
      if (candidate.state !== "dialling") continue;
      // The sum is what is compared, too: rounded, a difference can say "not yet" at the time that the sum names, and the alarm rings for ever.
      const patienceEndsMs = candidate.sinceMs + dialMsPatience;
      if (patienceEndsMs > nowMs) {
        missing--;
        this.options.wake(patienceEndsMs);
      }
    }
    if (missing <= 0) return;
    const idle = [...this.candidates.values()].filter((candidate) => this.isWanted(candidate));
    idle.sort((a, b) => a.nextTryMs - b.nextTryMs);
    for (const candidate of idle) {
      if (candidate.nextTryMs > nowMs) {
        this.options.wake(candidate.nextTryMs);
        return;
      }
      if (missing-- <= 0) return;
      this.dial(candidate);
    }
  }

  /** Looks for nodes that have fallen silent. */
  tick(): void {
    for (const connection of [...this.open]) if (connection.tick()) this.environment.probe?.("node-given-up");
  }

  close(): void {
    this.closing = true;
    for (const connection of [...this.greeting.keys(), ...this.open]) connection.close();
  }

  private isWanted(candidate: Candidate): boolean {
    if (candidate.state !== "idle") return false;
    return candidate.node === undefined || !this.byNode.has(candidate.node);
  }

  private wantLeader(leader: Leader): void {
    if (!this.options.direct || this.closing || leader.address === "") return;
    const candidate = this.candidates.addMember(leader.address, leader.node);
    if (candidate.state === "idle" && candidate.nextTryMs <= this.environment.clock.now()) this.dial(candidate);
  }

  private dial(candidate: Candidate): void {
    candidate.state = "dialling";
    candidate.sinceMs = this.environment.clock.now();
    this.options.wake(candidate.sinceMs + dialMsMax);
    let carrier: Promise<Carrier>;
    try {
      carrier = this.environment.dial(candidate.endpoint, dialMsMax);
    } catch (error) {
      carrier = Promise.reject(error);
    }
    carrier.then(
      (opened) => this.greet(candidate, opened),
      (error: unknown) => this.dialFailed(candidate, error),
    );
  }

  private greet(candidate: Candidate, carrier: Carrier): void {
    if (this.closing) {
      carrier.destroy();
      return;
    }
    const connection = new Connection(candidate.endpoint, carrier, this, this.options.name, this.cluster);
    this.greeting.set(
      connection,
      this.environment.clock.after(dialMsMax, () => connection.destroy()),
    );
  }

  private dialFailed(candidate: Candidate, error: unknown): void {
    if (this.closing) return;
    const message = error instanceof Error ? error.message : String(error);
    this.failed(
      candidate,
      isUnumError(error) ? error : new UnumError("UNAVAILABLE", `${candidate.endpoint} cannot be reached: ${message}`, { cause: error }),
    );
  }

  private failed(candidate: Candidate, error: UnumError): void {
    this.lastError = error;
    this.environment.logger.debug("not connected", { endpoint: candidate.endpoint, reason: error.message });
    this.candidates.failed(candidate, this.environment.clock.now(), error.retry === "never" ? error : undefined);
    this.maintain();
    const refusal = this.open.size > 0 ? undefined : this.candidates.refusedByAll();
    if (refusal !== undefined) this.owner.refusedByAll(refusal);
  }

  opened(connection: Connection): void {
    this.greeted(connection);
    const candidate = this.candidates.get(connection.endpoint);
    if (candidate !== undefined) this.candidates.connected(candidate, connection.node, this.environment.clock.now());
    // One node may be known by two addresses: one connection is enough.
    const twin = connection.node !== undefined && this.byNode.has(connection.node);
    if (twin || this.closing) {
      connection.close();
      return;
    }
    this.cluster ??= connection.cluster;
    if (connection.node !== undefined) this.byNode.set(connection.node, connection);
    this.open.add(connection);
    this.environment.logger.debug("connected", { endpoint: connection.endpoint, node: connection.node });
    this.owner.opened(connection);
    this.maintain();
  }

  closed(connection: Connection, reason: string, refusal: UnumError | undefined, calls: readonly Call[]): void {
    const greeted = this.greeted(connection);
    const used = this.open.delete(connection);
    if (connection.node !== undefined && this.byNode.get(connection.node) === connection) this.byNode.delete(connection.node);
    const candidate = this.candidates.get(connection.endpoint);
    if (greeted && candidate !== undefined) {
      const error = refusal ?? new UnumError("UNAVAILABLE", `${connection.endpoint} ended the greeting: ${reason}.`);
      this.failed(candidate, error);
    } else if (candidate !== undefined) this.candidates.lost(candidate, this.environment.clock.now());
    if (used) this.environment.logger.debug("connection lost", { endpoint: connection.endpoint, node: connection.node, reason });
    if (used && !this.closing) this.maintain();
    this.owner.lost(calls, connection, reason);
  }

  pushed(connection: Connection, push: Push): void {
    switch (push.kind) {
      case "leader":
        if (this.learn(push.group, push)) this.owner.ledBy(push.group);
        return;
      case "members":
        if (!this.options.direct) return;
        this.candidates.setMembers(push.members);
        this.maintain();
        return;
      case "leaving":
        this.environment.logger.debug("node leaves", { endpoint: connection.endpoint, node: connection.node });
        this.maintain();
        return;
    }
  }

  answered(call: Call, body: Uint8Array): void {
    this.owner.answered(call, body);
  }

  refused(call: Call, error: UnumError): void {
    this.owner.refused(call, error);
  }

  /** Returns whether the connection was still being greeted. */
  private greeted(connection: Connection): boolean {
    this.greeting.get(connection)?.cancel();
    return this.greeting.delete(connection);
  }
}
