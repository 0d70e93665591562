import { MalformedBytes, Reader, UnumError, isUnumError, limits, systemGroup } from "../base/index.ts";
import type { GroupId } from "../base/index.ts";
import { growsKeyspace } from "../machine/index.ts";
import type { Clock } from "../ports/index.ts";
import type { Replica } from "../replica/index.ts";
import { Method, encodePush } from "../wire/index.ts";
import type { Carrier, Push } from "../wire/index.ts";
import { admitCommand, askerOf, isUrgent } from "./admission.ts";
import { ServerConnection } from "./connection.ts";
import type { Call } from "./connection.ts";
import { Crowd } from "./crowd.ts";
import type { NodeObserver } from "./options.ts";
import { KeepAlive, Queries, Query } from "./queries.ts";
import { Turnstile } from "./turnstile.ts";

/** What the gate needs from the node behind it. */
export interface GateHost {
  readonly clock: Clock;
  /** The replica of the group on this node, if it has one. */
  replica(group: GroupId): Replica | undefined;
  /** No room for entries: what is proposed now could not become durable here. */
  isDiskFull(): boolean;
  /** The name of a voter of the group that has hardly any memory left. */
  lowVoter(group: GroupId): string | undefined;
  /** A command of so many bytes goes into a log here. */
  grew(bytes: number): void;
  /** Passes the request on to the group's leader, or says why not. */
  forward(call: Call): void;
  /** Methods that are about the cluster rather than one group's log. */
  keyspace(call: Call): void;
  admin(call: Call): void;
  backup(call: Call): void;
  membership(call: Call): void;
  watch(call: Call): void;
  /** For NOT_LEADER: { group, term, leader, address } as far as they are known. */
  leaderHint(group: GroupId): Readonly<Record<string, unknown>>;
  /** One more turn: `pump` has work. */
  schedule(): void;
  /** Bytes that connections may hold in all. */
  readonly heldBytesMax: number;
  /** What a new client is told first. */
  greeting(): readonly Push[];
  readonly observer: NodeObserver | undefined;
}

/** Counted since the node started. */
export interface GateCounters {
  commands: number;
  queries: number;
  keepAlives: number;
  refused: number;
  expired: number;
  forwarded: number;
}

/**
 * Where requests enter: limits are checked, deadlines begin, and each goes to the replica that can
 * answer it. Refusal happens only here, before anything is proposed.
 */
export class Gate {
  readonly counters: GateCounters = { commands: 0, queries: 0, keepAlives: 0, refused: 0, expired: 0, forwarded: 0 };
  private readonly host: GateHost;
  private readonly connections = new Set<ServerConnection>();
  /** Waiting for a leader, or for a stale read's revision; looked at on every tick and on changes. */
  private waiting: Call[] = [];

  private readonly crowd = new Crowd(() => this.connections.size);
  private readonly queries: Queries;
  private readonly turnstiles = new Map<GroupId, Turnstile>();

  constructor(host: GateHost) {
    this.host = host;
    this.queries = new Queries({ now: () => host.clock.now(), wake: () => host.schedule() });
  }

  get clients(): number {
    return this.connections.size;
  }

  accept(carrier: Carrier, principal: string): void {
    const connection: ServerConnection = new ServerConnection(carrier, principal, () => this.host.clock.now(), this.crowd, {
      onRequest: (call) => this.begin(call),
      onRefused: () => {
        this.counters.refused++;
      },
      onDrained: () => this.queries.drained(connection),
      onClose: () => {
        this.connections.delete(connection);
        this.queries.closed(connection);
      },
    });
    this.connections.add(connection);
    for (const push of this.host.greeting()) connection.send(encodePush(push));
    connection.start();
  }

  push(push: Push): void {
    if (this.connections.size === 0) return;
    const frame = encodePush(push);
    for (const connection of this.connections) connection.send(frame);
  }

  private begin(call: Call): void {
    try {
      if (call.request.method !== Method.propose) call.retain();
      this.dispatch(call);
    } catch (error) {
      if (isUnumError(error)) call.fail(error);
      else if (error instanceof MalformedBytes) call.fail(new UnumError("MALFORMED", error.message));
      else throw error;
    }
  }

  private dispatch(call: Call): void {
    switch (call.request.method) {
      case Method.propose:
        this.propose(call);
        break;
      case Method.query:
        this.query(call);
        break;
      case Method.keepAlive:
        this.keepAlive(call);
        break;
      case Method.watch:
        this.host.watch(call);
        break;
      case Method.keyspace:
        this.host.keyspace(call);
        break;
      case Method.admin:
        this.host.admin(call);
        break;
      case Method.backup:
        this.host.backup(call);
        break;
      case Method.membership:
        this.host.membership(call);
        break;
      default:
        call.fail(new UnumError("UNSUPPORTED", `Method ${String(call.request.method)} is not one of this version.`));
    }
  }

  private propose(call: Call): void {
    const { body, group } = call.request;
    if (group === systemGroup) {
      // Its commands are the runtime's own; handles have other methods for what they may ask of it.
      if (!call.connection.principal.startsWith("node:"))
        throw new UnumError("UNSUPPORTED", "The system group takes no commands of clients.");
    } else {
      const refusal = admitCommand(body);
      if (refusal !== undefined) {
        call.reply(refusal);
        return;
      }
    }
    // What is under way already (it waited for a leader), what concerns the cluster and what is refused at once waits for nobody.
    if (call.turnstile !== undefined || group === systemGroup || (call.request.forwarded && this.host.replica(group)?.isLeader !== true))
      this.pass(call);
    else if (!this.turnstileOf(group).enter(call, askerOf(call), isUrgent(body)))
      call.fail(new UnumError("OVERLOADED", "Too many commands of this connection wait for their turn."));
  }

  private turnstileOf(group: GroupId): Turnstile {
    let turnstile = this.turnstiles.get(group);
    if (turnstile === undefined) {
      turnstile = new Turnstile({
        now: () => this.host.clock.now(),
        pass: (call) => this.pass(call),
        expired: (call) => this.expire(call),
        wake: () => this.host.schedule(),
      });
      this.turnstiles.set(group, turnstile);
    }
    return turnstile;
  }

  private expire(call: Call): void {
    this.counters.expired++;
    call.fail(new UnumError("TIMEOUT", "The request's time was over before it was proposed.", { outcome: "not-applied", retry: "safe" }));
  }

  /** A command whose turn it is. */
  private pass(call: Call): void {
    const { body, group } = call.request;
    const replica = this.host.replica(group);
    if (replica?.isLeader !== true) {
      this.elsewhere(call);
      return;
    }
    const refusal = this.outOfSpace(group, body);
    if (refusal !== undefined) {
      call.fail(refusal);
      return;
    }
    this.host.grew(body.length);
    this.counters.commands++;
    replica.propose(body, call);
  }

  private outOfSpace(group: GroupId, command: Uint8Array): UnumError | undefined {
    if (this.host.isDiskFull())
      return new UnumError("OUT_OF_SPACE", "The leader's disk is full; writes resume by themselves when there is room.");
    const low = this.host.lowVoter(group);
    if (low === undefined || group === systemGroup || !growsKeyspace(command)) return undefined;
    return new UnumError(
      "OUT_OF_SPACE",
      `The memory budget of ${low} is nearly used: delete or compact, or raise \`memory\`; growing writes resume by themselves.`,
    );
  }

  /** Whether the group, led here, refuses growing writes now. */
  refusesGrowth(group: GroupId): boolean {
    return this.host.isDiskFull() || this.host.lowVoter(group) !== undefined;
  }

  /** Of requests in flight, and of answers that their readers have not taken. */
  get bufferedBytes(): number {
    let bytes = 0;
    for (const connection of this.connections) bytes += connection.heldBytes;
    return bytes;
  }

  private query(call: Call): void {
    const { request } = call;
    const replica = this.host.replica(request.group);
    if (request.stale && replica?.isReadable === true) {
      const revision = new Reader(request.body, 0, 8).u64();
      if (replica.machine.revision >= revision) {
        this.counters.queries++;
        this.queries.run(new Query(call, replica, this.queries));
      } else if (!replica.isLeader && call.deadlineMs - this.host.clock.now() > staleWaitMs && !request.forwarded) this.waiting.push(call);
      else this.elsewhere(call);
      return;
    }
    if (replica?.isLeader !== true) {
      this.elsewhere(call);
      return;
    }
    this.counters.queries++;
    replica.read(new Query(call, replica, this.queries));
  }

  private keepAlive(call: Call): void {
    const replica = this.host.replica(call.request.group);
    if (replica?.isLeader !== true) {
      this.elsewhere(call);
      return;
    }
    replica.read(new KeepAlive(call, replica, ++this.counters.keepAlives, this.host.observer));
  }

  /** The leader is another node, or nobody knows who. */
  elsewhere(call: Call): void {
    const { request } = call;
    if (request.forwarded) {
      call.fail(new UnumError("NOT_LEADER", undefined, { details: this.host.leaderHint(request.group) }));
      return;
    }
    this.counters.forwarded++;
    // It may have to be passed on a second time, long after this turn.
    call.retain();
    this.host.forward(call);
  }

  /** No leader is known: the call waits for one, inside its own time. */
  wait(call: Call): void {
    call.retain();
    if (this.waiting.length < limits.connectionRequestsMax) this.waiting.push(call);
    else call.fail(new UnumError("OVERLOADED", "Too many requests wait for a leader."));
  }

  /** State of a group moved on here: stale reads that wait for it may run. */
  applied(_group: GroupId): void {
    if (this.waiting.some((call) => call.request.stale)) this.retry();
  }

  /** At the beginning of each turn of the node: whoever waits for a turn of its own. */
  pump(): void {
    for (const turnstile of this.turnstiles.values()) if (turnstile.waiting > 0) turnstile.pump();
    this.queries.pump();
    if (this.queries.hasWork) this.host.schedule();
  }

  /** Called with every tick of the node. */
  tick(): void {
    for (const turnstile of this.turnstiles.values()) if (turnstile.waiting > 0) turnstile.tick();
    for (const connection of [...this.connections]) connection.tick();
    this.shed();
    this.retry();
  }

  /** Connections hold too much together: those that hold most go. */
  private shed(): void {
    let held = this.bufferedBytes;
    if (held <= this.host.heldBytesMax) return;
    for (const connection of [...this.connections].sort((a, b) => b.heldBytes - a.heldBytes)) {
      if (held <= this.host.heldBytesMax) return;
      held -= connection.heldBytes;
      connection.destroy();
    }
  }

  /** Tries the waiting calls again: a leader is known, state was applied, or time has passed. */
  retry(): void {
    if (this.waiting.length === 0) return;
    const now = this.host.clock.now();
    for (const call of this.waiting.splice(0)) {
      if (!call.isOpen) continue;
      if (now >= call.deadlineMs) {
        this.counters.expired++;
        call.fail(new UnumError("NO_LEADER", "No leader was known within the request's time; nothing was proposed."));
      } else this.begin(call);
    }
  }

  close(): void {
    this.push({ kind: "leaving" });
    const error = new UnumError("NODE_STOPPED", "The node has stopped; the request was not proposed.", {
      outcome: "not-applied",
      retry: "safe",
    });
    for (const turnstile of this.turnstiles.values()) for (const call of turnstile.close()) call.fail(error);
    for (const call of this.waiting.splice(0)) call.fail(error);
    for (const connection of [...this.connections]) connection.close();
    this.connections.clear();
  }
}

const staleWaitMs = 1;
