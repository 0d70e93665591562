import { Reader, UnumError, Writer } from "../base/index.ts";
import type { LeaseMachine } from "../machine/index.ts";
import type { Replica } from "../replica/index.ts";
import type { Call } from "./connection.ts";
import { FairQueue } from "./fair-queue.ts";
import type { NodeObserver } from "./options.ts";

/** For how long, and how many bytes of answers, queries run in one turn before everything else gets its share. */
const turnMs = 5;
const turnBytes = 4 * 1024 * 1024;

export interface QueriesHost {
  now(): number;
  /** Queries wait: `pump` in the next turn. */
  wake(): void;
}

/**
 * Queries whose moment has come: the state may be read from now on. A few run at once; when many come
 * together (one round of heartbeats confirms thousands) the rest waits for the next turns, one lane per
 * connection, taken in turns. A connection that does not take its answers gets no further ones.
 */
export class Queries {
  private readonly host: QueriesHost;
  private readonly queue = new FairQueue<Query>();
  /** 0: this turn's share was not touched yet. */
  private endMs = 0;
  private bytesLeft = 0;

  constructor(host: QueriesHost) {
    this.host = host;
  }

  /** Runs it now when nobody waits and the turn has time left, else in a later turn. */
  run(query: Query): void {
    const { connection, isOpen } = query.call;
    if (!isOpen) return;
    if (this.queue.size > 0 || connection.isStuffed || !this.hasTime()) {
      this.queue.add(connection, query, query.call.bodyBytes);
      this.host.wake();
    } else this.bytesLeft -= query.answer();
  }

  private hasTime(): boolean {
    const now = this.host.now();
    if (this.endMs === 0) this.begin(now);
    return this.bytesLeft > 0 && now < this.endMs;
  }

  private begin(now: number): void {
    this.endMs = now + turnMs;
    this.bytesLeft = turnBytes;
  }

  get hasWork(): boolean {
    return this.queue.hasWork;
  }

  /** Called in every turn of the node. */
  pump(): void {
    if (this.queue.hasWork) {
      this.begin(this.host.now());
      while (this.bytesLeft > 0 && this.host.now() < this.endMs) {
        const query = this.queue.take(takesAnswers);
        if (query === undefined) break;
        if (query.call.isOpen) this.bytesLeft -= query.answer();
      }
    }
    this.endMs = 0;
  }

  /** The connection takes answers again, or is gone. */
  drained(connection: unknown): void {
    this.queue.unpark(connection);
    if (this.queue.hasWork) this.host.wake();
  }

  closed(connection: unknown): void {
    this.queue.drop(connection);
  }
}

const takesAnswers = (asker: unknown): boolean => !(asker as { readonly isStuffed: boolean }).isStuffed;

/** A question to the machine. As a `ReadWaiter` it is run once a quorum has confirmed this leader. */
export class Query {
  readonly call: Call;
  private readonly replica: Replica;
  private readonly queries: Queries;

  constructor(call: Call, replica: Replica, queries: Queries) {
    this.call = call;
    this.replica = replica;
    this.queries = queries;
  }

  run(): void {
    this.queries.run(this);
  }

  fail(error: UnumError): void {
    this.call.fail(error);
  }

  /** Bytes of the answer. */
  answer(): number {
    const { call, replica } = this;
    if (!replica.isReadable) {
      call.fail(replica.failure ?? new UnumError("UNAVAILABLE", "This node's copy of the group is being replaced; another one serves."));
      return 0;
    }
    const reply = replica.machine.query(call.request.body.subarray(8));
    call.reply(reply);
    return reply.length;
  }
}

/** Renews a lease once a quorum that was asked after the keep-alive arrived has confirmed this leader. Never waits for queries. */
export class KeepAlive {
  private readonly call: Call;
  private readonly replica: Replica;
  private readonly number: number;
  private readonly observer: NodeObserver | undefined;

  /** `number`: this node's own of it. */
  constructor(call: Call, replica: Replica, number: number, observer: NodeObserver | undefined) {
    this.call = call;
    this.replica = replica;
    this.number = number;
    this.observer = observer;
    observer?.renewalAsked?.(replica, number);
  }

  run(): void {
    if (!this.call.isOpen) return;
    const lease = new Reader(this.call.request.body).big64();
    const machine = this.replica.machine as Partial<LeaseMachine>;
    const remainingMs = machine.keepAlive?.(lease, this.replica.leaderTime());
    if (remainingMs === undefined) {
      this.call.fail(new UnumError("LEASE_NOT_FOUND"));
      return;
    }
    this.observer?.renewed?.(this.replica, this.number, lease);
    this.call.reply(new Writer(8).u64(Math.floor(remainingMs)).take());
  }

  fail(error: UnumError): void {
    this.call.fail(error);
  }
}
