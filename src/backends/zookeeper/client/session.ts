import { UnumError } from "../../../base/index.ts";
import type { Prng } from "../../../base/index.ts";
import type { HandleClock, HandleLogger } from "../../../api/index.ts";
import { formatAddress } from "../../../ports/index.ts";
import type { Address, Stream } from "../../../ports/index.ts";
import { Call } from "./call.ts";
import type { CallOptions, Question } from "./call.ts";
import { Op, ZooKeeperError } from "./codes.ts";
import { Connection } from "./connection.ts";
import type { Moment } from "./connection.ts";
import { encodeSetWatches, passwordBytes } from "./messages.ts";
import type { ConnectResponse, Credentials } from "./messages.ts";
import type { WatchRegistry } from "./watches.ts";

export interface SessionEnvironment {
  readonly clock: HandleClock;
  readonly prng: Prng;
  readonly logger: HandleLogger;
  /** A connection to a server, TLS where the caller wants it. Rejects when there is none within the time. */
  dial(address: Address, timeoutMs: number): Promise<Stream>;
}

/** "connecting": no server has it now, and the session may live on. The last three are final. */
export type SessionState = "connecting" | "connected" | "expired" | "auth-failed" | "closed";

export interface SessionOptions {
  readonly servers: readonly Address[];
  readonly sessionTimeoutMs: number;
  readonly callTimeoutMs: number;
  readonly requestBytesMax: number;
  readonly replyBytesMax: number;
  readonly callsMax: number;
  readonly callBytesMax: number;
  readonly credentials: readonly Credentials[];
  readonly seenZxid: bigint;
  readonly onState: (state: SessionState) => void;
}

/** As much as one request that sets watches again names. */
const watchBytesMax = 128 * 1024;
const attemptMsMin = 500;
/** After a lost connection, so that the clients of a server that died do not come to the next one in one moment. */
const firstPauseMs = 100;
const pauseMsMax = 1000;
const headBytes = 8;

/**
 * A ZooKeeper session over one connection at a time, to whichever server takes it. Requests are sent in the order of the calls and answered
 * in that order. Invariants: a call is in `queue` or in a connection's row until it is settled; a write is in a row at most once in its
 * life; nothing is sent before the session's watches are set again.
 */
export class Session {
  private readonly environment: SessionEnvironment;
  private readonly options: SessionOptions;
  private readonly watches: WatchRegistry;
  private readonly servers: Address[];
  private current: SessionState = "connecting";
  private connection: Connection | undefined;
  /** Not handed to a connection, in order. */
  private queue = new Set<Call>();
  private queuedBytes = 0;
  private flushing = false;
  private closing: Promise<void> | undefined;
  private timer: { cancel(): void } | undefined;
  private nextServer = 0;
  private failures = 0;
  private id = 0n;
  private password: Uint8Array = new Uint8Array(passwordBytes);
  private timeoutMs: number;
  private zxid: bigint;
  /** Of connections that are gone. */
  private answered: Moment | undefined;

  constructor(environment: SessionEnvironment, options: SessionOptions, watches: WatchRegistry) {
    this.environment = environment;
    this.options = options;
    this.watches = watches;
    this.servers = environment.prng.shuffle(options.servers);
    this.timeoutMs = options.sessionTimeoutMs;
    this.zxid = options.seenZxid;
    this.attempt();
  }

  get state(): SessionState {
    return this.current;
  }

  /** 0 before the first connection. */
  get sessionId(): bigint {
    return this.id;
  }

  /** The latest transaction that a server has told of. */
  get seenZxid(): bigint {
    return this.zxid;
  }

  /** What was negotiated, or asked for before that. */
  get sessionTimeoutMs(): number {
    return this.timeoutMs;
  }

  /**
   * For how long the server that answers keeps the session at least: its timeout from when the last request that has been answered was *sent*,
   * by whichever of the two clocks has gone further. 0 without a session.
   */
  leftMs(): number {
    const answered = this.latestAnswer();
    if (this.isOver() || answered === undefined) return 0;
    const { clock } = this.environment;
    const elapsedMs = Math.max(clock.now() - answered.nowMs, clock.wall() - answered.wallMs, 0);
    return Math.max(0, this.timeoutMs - elapsedMs);
  }

  ask<T>(question: Question<T>, options: CallOptions): Promise<T> {
    if (this.closing !== undefined) return Promise.reject(this.overError(question.name));
    return this.submit(question, options);
  }

  private submit<T>(question: Question<T>, { signal, timeoutMs }: CallOptions): Promise<T> {
    const refusal = this.refusal(question);
    if (refusal !== undefined) return Promise.reject(refusal);
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    const { callTimeoutMs } = this.options;
    const call = new Call(question, timeoutMs ?? callTimeoutMs, signal, this.environment.clock, () => {
      this.queuedBytes -= question.body.length;
      this.queue.delete(call as Call);
    });
    this.queuedBytes += question.body.length;
    this.queue.add(call as Call);
    this.flushSoon();
    return call.promise;
  }

  private refusal({ body, name }: Question<unknown>): Error | undefined {
    if (this.isOver()) return this.overError(name);
    const { callBytesMax, callsMax, requestBytesMax } = this.options;
    const bytes = body.length + headBytes;
    if (bytes > requestBytesMax)
      return new UnumError(
        "TOO_LARGE",
        `${name}: ${bytes} bytes, and a server takes ${requestBytesMax} (jute.maxbuffer). Nothing was sent.`,
      );
    const calls = this.queue.size + (this.connection?.pendingCount ?? 0);
    if (calls >= callsMax || this.queuedBytes + body.length > callBytesMax)
      return new UnumError("OVERLOADED", `${name}: ${calls} calls of this session wait for answers. Nothing was sent; retry with a pause.`);
    return undefined;
  }

  private isOver(): boolean {
    return this.current !== "connecting" && this.current !== "connected";
  }

  private overError(name: string): Error {
    if (this.current === "expired")
      return new UnumError("SESSION_EXPIRED", `${name}: the session has expired; nothing was sent. Open a new one.`, {
        outcome: "not-applied",
      });
    if (this.current === "auth-failed") return new ZooKeeperError("AUTH_FAILED", "");
    return new UnumError("CLOSED", `${name}: the session is closed; nothing was sent.`);
  }

  /** Calls of one turn leave in one write. */
  private flushSoon(): void {
    if (this.flushing || this.current !== "connected") return;
    this.flushing = true;
    this.environment.clock.defer(() => {
      this.flushing = false;
      this.flush();
    });
  }

  private flush(): void {
    const { connection } = this;
    if (this.current !== "connected" || connection === undefined || this.queue.size === 0 || !connection.hasRoom) return;
    const calls = [...this.queue];
    this.queue.clear();
    connection.send(calls);
  }

  private attempt(): void {
    this.timer = undefined;
    const { clock } = this.environment;
    const address = this.servers[this.nextServer++ % this.servers.length] as Address;
    const timeoutMs = Math.max(attemptMsMin, this.timeoutMs / this.servers.length);
    const startMs = clock.now();
    this.environment.dial(address, timeoutMs).then(
      (stream) => {
        if (this.isOver()) return stream.destroy();
        this.greet(stream, address, Math.max(1, timeoutMs - (clock.now() - startMs)));
      },
      (error: unknown) => this.retry(address, error instanceof Error ? error.message : String(error)),
    );
  }

  private greet(stream: Stream, address: Address, timeoutMs: number): void {
    const request = { seenZxid: this.zxid, timeoutMs: this.options.sessionTimeoutMs, session: this.id, password: this.password };
    const connection: Connection = new Connection(
      stream,
      this.environment.clock,
      {
        onWelcome: (response) => this.onWelcome(connection, response),
        onEvent: (event) => this.watches.dispatch(event),
        onWatchesSet: () => this.watches.tellGap(),
        onZxid: (zxid) => {
          if (zxid > this.zxid) this.zxid = zxid;
        },
        onExpired: () => this.finish("expired"),
        onAuthFailed: () => this.finish("auth-failed"),
        onRoom: () => this.flush(),
        onOversize: (call, bytes) => this.onOversize(call, bytes),
        onLost: (reason) => this.onLost(connection, address, reason),
      },
      request,
      timeoutMs,
      this.options.replyBytesMax,
    );
    this.connection = connection;
  }

  private onWelcome(connection: Connection, { password, session, timeoutMs }: ConnectResponse): void {
    if (timeoutMs <= 0) return this.finish("expired");
    this.id = session;
    this.password = password;
    this.timeoutMs = timeoutMs;
    const batches = this.watches.batches(watchBytesMax).map((paths) => {
      const lasting = paths.persistent.length + paths.recursive.length > 0;
      return { op: lasting ? Op.setWatches2 : Op.setWatches, body: encodeSetWatches(this.zxid, paths, lasting) };
    });
    connection.begin(timeoutMs, this.options.credentials, batches);
    this.become("connected");
    this.flushSoon();
  }

  private onOversize(call: Call, bytes: number): void {
    const { name, write } = call.question;
    const limit = `the answer has ${bytes} bytes, more than the limit of ${this.options.replyBytesMax}`;
    call.fail(new UnumError("TOO_LARGE", `${name}: ${limit}.`, write ? { outcome: "unknown", retry: "maybe-applied" } : {}));
  }

  private onLost(connection: Connection, address: Address, reason: string): void {
    if (this.connection !== connection || this.isOver()) return;
    this.remember();
    this.connection = undefined;
    if (connection.proven) this.failures = 0;
    const again: Call[] = [];
    for (const call of connection.unanswered()) {
      if (call.question.write) call.fail(unknownOutcome(call, reason));
      else again.push(call);
    }
    this.queue = new Set([...again, ...this.queue]);
    if (this.current === "connected") this.become("connecting");
    this.retry(address, reason);
  }

  private retry(address: Address, reason: string): void {
    if (this.isOver()) return;
    const { clock, logger, prng } = this.environment;
    const rounds = Math.floor(this.failures++ / this.servers.length);
    const pauseMs = rounds === 0 ? firstPauseMs : Math.min(pauseMsMax, firstPauseMs * 2 ** Math.min(rounds, 10));
    logger.debug("zookeeper: not connected", { server: formatAddress(address), reason, failures: this.failures });
    this.timer = clock.after(prng.between(Math.floor(pauseMs / 2), pauseMs), () => this.attempt());
  }

  private latestAnswer(): Moment | undefined {
    return this.connection?.answered ?? this.answered;
  }

  private remember(): void {
    this.answered = this.latestAnswer();
  }

  private become(state: SessionState): void {
    this.current = state;
    try {
      this.options.onState(state);
    } catch (error) {
      this.environment.logger.warn("zookeeper: the owner of a session failed", { error });
    }
  }

  private finish(state: "expired" | "auth-failed" | "closed"): void {
    if (this.isOver()) return;
    this.timer?.cancel();
    const { connection, queue } = this;
    const sent = connection?.unanswered() ?? [];
    this.connection = undefined;
    connection?.close();
    this.current = state;
    for (const call of sent) {
      const { name } = call.question;
      call.fail(call.question.write ? unknownOutcome(call, `the session is ${state}`) : this.overError(name));
    }
    for (const call of [...queue]) call.fail(this.overError(call.question.name));
    this.watches.end();
    this.become(state);
  }

  /** Ends the session at the server, so that its ephemeral nodes go now, and not after its timeout. Fulfils after `timeoutMs` at the latest; never rejects. */
  close(timeoutMs: number): Promise<void> {
    this.closing ??= this.end(timeoutMs);
    return this.closing;
  }

  private async end(timeoutMs: number): Promise<void> {
    if (!this.isOver() && this.id !== 0n) {
      for (const call of [...this.queue])
        call.fail(new UnumError("CLOSED", `${call.question.name}: the session was closed before it was sent.`));
      const question = { name: "close", op: Op.closeSession, body: new Uint8Array(0), write: false, decode: () => undefined };
      try {
        await this.submit(question, { timeoutMs });
      } catch (error) {
        this.environment.logger.debug("zookeeper: the session was not ended at the server; it ends by its timeout", { error });
      }
    }
    this.finish("closed");
  }
}

function unknownOutcome(call: Call, reason: string): UnumError {
  const text = `${call.question.name}: the connection was lost before the answer (${reason}); it may have been applied, and is not sent again.`;
  return new UnumError("UNKNOWN_OUTCOME", `${text} Read before writing again.`);
}
