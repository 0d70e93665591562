import { UnumError, limits } from "../../base/index.ts";
import type { GroupId, NodeId } from "../../base/index.ts";
import { decodeReply, isErrorReply } from "../../machine/commands/index.ts";
import type { Method } from "../../wire/index.ts";
import { timeoutMs } from "../duration.ts";
import type { CallOptions, ClientOptions, Environment, HandleClock } from "../types.ts";
import { Alarm } from "./alarm.ts";
import { Call } from "./call.ts";
import type { CallPlace, CallSpec } from "./call.ts";
import { leaderHint } from "./connection.ts";
import type { Connection, OpenStream, StreamSink } from "./connection.ts";
import { commandCost, frameBytes } from "./cost.ts";
import { RetryBudget, isPassing, retryDelayMs } from "./retry.ts";
import { Router } from "./router.ts";
import type { RouterOwner } from "./router.ts";
import { Session } from "./session.ts";
import type { SessionOwner } from "./session.ts";

/** How often connections with something in flight are looked at for silence. */
const tickMs = 1000;
/** An expired call is found at most this much late: so a crowd of calls costs few looks at all of them. */
const expiryMsGrain = 5;
/** How long a repeated call waits for a connection that is full. */
const fullMsDelay = 20;
const neverMs = Number.POSITIVE_INFINITY;

/**
 * Requests, over all their attempts: sends each to the node that can answer it, follows hints, sends
 * again what may be sent again, and says of each failure what is known of its effect.
 *
 * Invariant: a call that is not settled is in a connection's table, in `parked`, or waits in a
 * session; `live` and `liveBytes` count them.
 */
export class Client implements RouterOwner, SessionOwner {
  readonly environment: Environment;
  readonly clock: HandleClock;
  /** Of calls that name none. */
  readonly timeoutMs: number;
  private readonly router: Router;
  private readonly alarm: Alarm;
  private readonly budget: RetryBudget;
  private readonly sessions = new Map<GroupId, Session>();
  private readonly parked = new Set<Call>();
  /** Told when a node can be asked again: streams that lost theirs. */
  private readonly waitingStreams = new Set<() => void>();
  /** Told when the client has ended. */
  private readonly dependents = new Set<() => void>();
  private readonly leaderWatchers = new Set<(group: GroupId) => void>();
  private accepting = true;
  private live = 0;
  private liveBytes = 0;
  private tickDueMs = neverMs;
  private failure: UnumError | undefined;

  constructor(environment: Environment, options: ClientOptions) {
    this.environment = environment;
    this.clock = environment.clock;
    if (options.endpoints.length === 0) throw new UnumError("INVALID_ARGUMENT", "At least one endpoint is needed.");
    this.timeoutMs = options.timeout === undefined ? limits.deadlineMsDefault : timeoutMs(options.timeout);
    this.budget = new RetryBudget(this.clock.now());
    this.alarm = new Alarm(this.clock, () => this.ring());
    this.router = new Router(
      environment,
      {
        endpoints: options.endpoints,
        name: options.name ?? "",
        direct: options.direct ?? true,
        wake: (dueMs) => this.alarm.set(dueMs),
      },
      this,
    );
    this.router.maintain();
  }

  /** Why nothing is accepted any more. */
  get ended(): UnumError | undefined {
    return this.failure;
  }

  get isConnected(): boolean {
    return this.router.isOpen;
  }

  describe(): string {
    return `${this.live} calls, ${this.parked.size} parked; ${this.router.describe()}`;
  }

  /** One request. Never throws: what is wrong rejects. */
  call<T>(spec: CallSpec<T>, options: CallOptions | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const signal = options?.signal;
      if (signal?.aborted === true) return reject(signal.reason);
      const callMs = options?.timeout === undefined ? this.timeoutMs : timeoutMs(options.timeout);
      const call = new Call(spec, this.clock.now() + callMs, resolve, reject);
      if (signal !== undefined) call.listen(signal, () => this.abandon(call as Call, signal.reason));
      this.submit(call as Call, spec.command === undefined ? spec.body.length + frameBytes : commandCost(spec.command));
    });
  }

  /** A call of the client's own: within no budget, so that a full handle can still end its sessions. */
  ask<T>(make: (resolve: (value: T) => void, reject: (reason: unknown) => void) => Call<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const call = make(resolve, reject) as Call;
      this.live++;
      this.dispatch(call);
    });
  }

  /** Opens a stream at the node at hand; undefined while there is none: `whenConnected` then. */
  openStream(method: Method, group: GroupId, body: Uint8Array, sink: StreamSink, avoid?: CallPlace): OpenStream | undefined {
    const connection = this.router.any(avoid);
    if (connection === undefined) {
      this.router.maintain(true);
      return undefined;
    }
    this.watchSilence();
    return connection.openStream(method, group, body, sink);
  }

  /** Calls back once, when a node can be asked. Returns how to take it back. */
  whenConnected(callback: () => void): () => void {
    this.waitingStreams.add(callback);
    this.router.maintain();
    return () => this.waitingStreams.delete(callback);
  }

  /** Calls back once, when nothing is accepted any more: `ended` says why. Returns how to take it back. */
  whenEnded(callback: () => void): () => void {
    this.dependents.add(callback);
    return () => this.dependents.delete(callback);
  }

  session(group: GroupId): Session {
    let session = this.sessions.get(group);
    if (session === undefined) {
      session = new Session(this, group);
      this.sessions.set(group, session);
    }
    return session;
  }

  /** Calls from now on are refused; those before may still end as they will. */
  stopAccepting(): void {
    this.accepting = false;
  }

  /** What is in flight fails with `error`, and whatever comes. */
  fail(error: UnumError): void {
    if (this.failure !== undefined) return;
    this.failure = error;
    this.accepting = false;
    for (const call of this.allCalls()) this.finish(call, this.lostError(call, error));
    const dependents = [...this.dependents];
    this.dependents.clear();
    for (const callback of dependents) callback();
  }

  /** After `fail`: ends the sessions in the machines as far as they can be reached soon, then the connections. */
  async close(): Promise<void> {
    if (this.router.isOpen) {
      await Promise.all(
        [...this.sessions.values()].map((session) =>
          session.close().catch((error: unknown) => {
            this.environment.logger.debug("a session was not closed", { reason: String(error) });
          }),
        ),
      );
    }
    this.router.close();
    this.alarm.cancel();
    this.waitingStreams.clear();
  }

  dispatch(call: Call): void {
    if (call.settled) return;
    const nowMs = this.clock.now();
    if (nowMs >= call.deadlineMs) return this.expire(call, nowMs);
    const connection = this.router.pick(call);
    if (connection === undefined) {
      call.retryAtMs = neverMs;
      this.parked.add(call);
      this.alarm.set(call.deadlineMs + expiryMsGrain);
      this.router.maintain(true);
      return;
    }
    this.alarm.set(call.deadlineMs + expiryMsGrain);
    if (connection.isFull) {
      const error = new UnumError("OVERLOADED", `${connection.endpoint} takes requests more slowly than they come.`);
      return call.attempts === 0 ? this.finish(call, error) : this.park(call, error, fullMsDelay);
    }
    if (connection.calls.size === 0) this.watchSilence();
    if (call.maybeApplied) this.environment.probe?.("call-sent-again");
    connection.send(call, call.deadlineMs - nowMs);
  }

  finish(call: Call, error: UnumError): void {
    if (call.settled) return;
    this.remove(call);
    call.fail(error);
  }

  opened(): void {
    for (const call of [...this.parked]) if (call.retryAtMs === neverMs) this.unpark(call);
    this.wakeStreams();
  }

  lost(calls: readonly Call[], connection: Connection, reason: string): void {
    for (const call of calls) {
      if (call.settled) continue;
      const error = new UnumError("UNKNOWN_OUTCOME", `The connection to ${connection.endpoint} was lost: ${reason}.`);
      if (call.effect) call.maybeApplied = true;
      this.retryOrFail(call, error, 0);
    }
  }

  /** Who leads the group, as far as it was told; term 0: never. */
  leaderOf(group: GroupId): { readonly node: NodeId | undefined; readonly term: number } {
    return this.router.leaderOf(group);
  }

  /** Calls back after each change of who leads a group until the returned function is called. */
  onLeader(callback: (group: GroupId) => void): () => void {
    this.leaderWatchers.add(callback);
    return () => this.leaderWatchers.delete(callback);
  }

  leaderChanged(group: GroupId): void {
    for (const callback of [...this.leaderWatchers]) callback(group);
  }

  ledBy(group: GroupId): void {
    for (const call of [...this.parked]) if (call.group === group && call.forLeader) this.unpark(call);
  }

  refusedByAll(refusal: UnumError): void {
    for (const call of [...this.parked]) this.finish(call, refusal);
  }

  answered(call: Call, body: Uint8Array): void {
    if (call.settled) return;
    if (call.session !== 0n && isErrorReply(body)) {
      const reply = decodeReply(body);
      if (!reply.ok && reply.code === "SESSION_EXPIRED") this.sessionExpired(call);
    }
    this.remove(call);
    call.complete(body);
  }

  refused(call: Call, error: UnumError): void {
    if (call.settled) return;
    if (error.outcome === "unknown" && call.effect) call.maybeApplied = true;
    if (error.code === "SESSION_EXPIRED") this.sessionExpired(call);
    let delayMs = retryDelayMs(call.attempts, this.environment.prng);
    if (error.code === "NOT_LEADER") {
      const hint = leaderHint(error);
      if (hint !== undefined && this.router.learn(call.group, hint)) this.ledBy(call.group);
      // The first hints are followed at once; hints that go in circles are not.
      if (call.attempts <= 3 && this.router.pick(call) !== call.lastConnection) delayMs = 0;
    }
    this.retryOrFail(call, error, delayMs);
  }

  private sessionExpired(call: Call): void {
    this.environment.probe?.("session-opened-anew");
    this.session(call.group).expired(call.session);
  }

  private submit(call: Call, bodyBytes: number): void {
    if (!this.accepting) {
      const failure = this.failure ?? new UnumError("CLOSED");
      return call.fail(new UnumError(failure.code, failure.message, { outcome: "not-applied", cause: failure.cause }));
    }
    if (this.live >= limits.connectionRequestsMax || this.liveBytes + bodyBytes > limits.connectionBytesMax) {
      return call.fail(new UnumError("OVERLOADED", `This handle has ${this.live} calls with ${this.liveBytes} bytes in flight.`));
    }
    if (bodyBytes > limits.requestBytesMax) {
      return call.fail(new UnumError("TOO_LARGE", `The request has ${bodyBytes} bytes, ${limits.requestBytesMax} are allowed.`));
    }
    this.live++;
    call.cost = bodyBytes;
    this.liveBytes += bodyBytes;
    this.alarm.set(call.deadlineMs + expiryMsGrain);
    if (call.command === undefined) this.dispatch(call);
    else this.session(call.group).submit(call);
  }

  /** Takes the call from where it is, and its sequence out of the session's window. */
  private remove(call: Call): void {
    this.live--;
    this.liveBytes -= call.cost;
    if (call.connection !== undefined) call.connection.drop(call);
    this.parked.delete(call);
    // The session looks for calls that may follow: this one must count as settled by then.
    if (call.session !== 0n) this.session(call.group).settled(call);
  }

  private abandon(call: Call, reason: unknown): void {
    if (call.settled) return;
    this.remove(call);
    call.abandon(reason);
  }

  private retryOrFail(call: Call, error: UnumError, delayMs: number): void {
    call.lastError = error;
    const repeatable = call.repeat || (error.outcome === "not-applied" && !call.maybeApplied);
    if (this.failure !== undefined || !repeatable || !isPassing(error.code)) return this.finish(call, error);
    if (delayMs === 0 && this.budget.take(this.clock.now())) return this.dispatch(call);
    this.park(call, error, Math.max(1, delayMs));
  }

  private park(call: Call, error: UnumError, delayMs: number): void {
    call.lastError = error;
    call.retryAtMs = this.clock.now() + delayMs;
    this.parked.add(call);
    this.alarm.set(call.retryAtMs);
  }

  private unpark(call: Call): void {
    this.parked.delete(call);
    this.dispatch(call);
  }

  private lostError(call: Call, error: UnumError): UnumError {
    const sent = call.maybeApplied || call.connection !== undefined;
    return new UnumError(error.code, error.message, sent ? { outcome: "unknown", cause: error } : { outcome: "not-applied", cause: error });
  }

  private *allCalls(): Iterable<Call> {
    // Those that wait for a place in a session come first: ending the others would make room for them.
    for (const session of this.sessions.values()) for (const call of session.waiting) if (!call.settled) yield call;
    yield* [...this.parked];
    for (const connection of this.router.connections) yield* connection.calls.all();
  }

  private ring(): void {
    const nowMs = this.clock.now();
    let dueMs = neverMs;
    for (const call of this.allCalls()) {
      if (call.settled) continue;
      if (call.deadlineMs <= nowMs) this.expire(call, nowMs);
      else dueMs = Math.min(dueMs, call.deadlineMs + expiryMsGrain);
    }
    for (const call of [...this.parked]) {
      if (call.retryAtMs > nowMs) dueMs = Math.min(dueMs, call.retryAtMs);
      else if (this.budget.take(nowMs)) this.unpark(call);
      else dueMs = Math.min(dueMs, nowMs + expiryMsGrain);
    }
    if (this.tickDueMs <= nowMs) this.tick(nowMs);
    this.router.maintain();
    this.alarm.set(Math.min(dueMs, this.tickDueMs));
  }

  private expire(call: Call, nowMs: number): void {
    const sent = call.maybeApplied || call.connection !== undefined;
    const cause = call.lastError ?? (call.attempts === 0 ? this.router.lastError : undefined);
    const why = cause === undefined ? "" : ` Last: ${cause.message}`;
    if (call.attempts === 0 && !this.router.isOpen) {
      return this.finish(call, new UnumError("UNAVAILABLE", `No node could be reached in time.${why}`, { cause }));
    }
    const overdueMs = Math.round(nowMs - call.deadlineMs);
    this.finish(
      call,
      sent && call.effect
        ? new UnumError("TIMEOUT", `The call's time is over; it may have been applied or may be yet.${why}`, {
            details: { overdueMs },
            cause,
          })
        : new UnumError("TIMEOUT", `The call's time is over; it was not applied.${why}`, {
            outcome: "not-applied",
            retry: "safe",
            details: { overdueMs },
            cause,
          }),
    );
  }

  private watchSilence(): void {
    if (this.tickDueMs !== neverMs) return;
    this.tickDueMs = this.clock.now() + tickMs;
    this.alarm.set(this.tickDueMs);
  }

  private tick(nowMs: number): void {
    this.router.tick();
    let busy = false;
    for (const connection of this.router.connections) busy ||= connection.calls.size > 0 || connection.streamCount > 0;
    this.tickDueMs = busy ? nowMs + tickMs : neverMs;
  }

  private wakeStreams(): void {
    const waiting = [...this.waitingStreams];
    this.waitingStreams.clear();
    for (const callback of waiting) callback();
  }
}
