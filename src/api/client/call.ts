import { MalformedBytes, UnumError, isUnumError } from "../../base/index.ts";
import type { GroupId } from "../../base/index.ts";
import type { Command } from "../../machine/commands/index.ts";
import { Method } from "../../wire/index.ts";
import type { Priority } from "../../wire/index.ts";
import type { AbortSignalLike } from "../signal.ts";
import { withUnknownOutcome, withoutEffect } from "./retry.ts";

/** Turns the bytes of an answer into what the caller gets; throws what the caller's promise rejects with. */
export type Decode<T> = (body: Uint8Array) => T;

export interface CallSpec<T> {
  readonly method: Method;
  readonly group: GroupId;
  readonly body: Uint8Array;
  /** A command to go through the group's session, which then makes the body. */
  readonly command?: Command;
  readonly stale?: boolean;
  readonly priority?: Priority;
  /** Whether it can change anything: only then an outcome can be unknown. */
  readonly effect: boolean;
  /** Whether it may be sent again although an earlier copy may have taken effect. */
  readonly repeat: boolean;
  readonly decode: Decode<T>;
}

/** Where a call is in flight: a connection. */
export interface CallPlace {
  /** Forgets the call; its answer, if one comes, is ignored. */
  drop(call: Call): void;
}

/**
 * One request of a caller, over all its attempts. It is in exactly one place: in a connection's
 * table of requests in flight, parked, waiting in a session, or settled.
 */
export class Call<T = unknown> {
  readonly method: Method;
  readonly group: GroupId;
  readonly command: Command | undefined;
  readonly stale: boolean;
  readonly priority: Priority;
  readonly effect: boolean;
  readonly repeat: boolean;
  /** Of the monotonic clock. */
  readonly deadlineMs: number;
  body: Uint8Array;
  /** The session that its command goes through; 0n: none. */
  session = 0n;
  sequence = 0;
  /** A copy was sent that nobody refused, and its connection is gone. */
  maybeApplied = false;
  attempts = 0;
  retryAtMs = 0;
  /** Of the present attempt; `connection` is undefined while it is not in flight. */
  id = 0;
  connection: CallPlace | undefined;
  lastConnection: CallPlace | undefined;
  lastError: UnumError | undefined;
  settled = false;
  /** Bytes that it counts for in the handle's budget. */
  cost = 0;
  private readonly decode: Decode<T>;
  private readonly resolve: (value: T) => void;
  private readonly reject: (reason: unknown) => void;
  private signal: AbortSignalLike | undefined;
  private onAbort: (() => void) | undefined;

  constructor(spec: CallSpec<T>, deadlineMs: number, resolve: (value: T) => void, reject: (reason: unknown) => void) {
    this.method = spec.method;
    this.group = spec.group;
    this.body = spec.body;
    this.command = spec.command;
    this.stale = spec.stale ?? false;
    this.priority = spec.priority ?? "normal";
    this.effect = spec.effect;
    this.repeat = spec.repeat;
    this.deadlineMs = deadlineMs;
    this.decode = spec.decode;
    this.resolve = resolve;
    this.reject = reject;
  }

  /** Which node answers matters only for what the leader alone can say. */
  get forLeader(): boolean {
    return !this.stale && (this.method === Method.propose || this.method === Method.query || this.method === Method.keepAlive);
  }

  listen(signal: AbortSignalLike, onAbort: () => void): void {
    this.signal = signal;
    this.onAbort = onAbort;
    signal.addEventListener("abort", onAbort);
  }

  /** The answer arrived. The bytes are valid only now. */
  complete(body: Uint8Array): void {
    if (this.settled) return;
    this.settle();
    let value: T;
    try {
      value = this.decode(body);
    } catch (error) {
      // A reply comes from `apply`, through a session even to a repeated copy: it is the truth.
      const refusal = asUnumError(error);
      this.reject(this.effect ? refusal : withoutEffect(refusal));
      return;
    }
    this.resolve(value);
  }

  /** A refusal on the way says nothing about an earlier copy that was sent. */
  fail(error: UnumError): void {
    if (this.settled) return;
    this.settle();
    if (!this.effect) this.reject(withoutEffect(error));
    else this.reject(this.maybeApplied ? withUnknownOutcome(error) : error);
  }

  /** Rejects with the caller's own reason. */
  abandon(reason: unknown): void {
    if (this.settled) return;
    this.settle();
    this.reject(reason);
  }

  private settle(): void {
    this.settled = true;
    this.connection = undefined;
    if (this.signal !== undefined && this.onAbort !== undefined) this.signal.removeEventListener("abort", this.onAbort);
    this.signal = undefined;
    this.onAbort = undefined;
  }
}

function asUnumError(error: unknown): UnumError {
  if (isUnumError(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof MalformedBytes) {
    return new UnumError("MALFORMED", `The answer cannot be read: ${message}.`, {
      outcome: "unknown",
      retry: "maybe-applied",
      cause: error,
    });
  }
  return new UnumError("UNKNOWN_OUTCOME", `The answer could not be taken: ${message}.`, { cause: error });
}
