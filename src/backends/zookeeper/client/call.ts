import { MalformedBytes, UnumError } from "../../../base/index.ts";
import type { AbortSignalLike, HandleClock } from "../../../api/index.ts";
import type { JuteReader } from "./jute.ts";
import type { ReplyHeader } from "./messages.ts";

export interface CallOptions {
  /** How long the answer is wanted, the wait for a connection included. Default: the session's `callTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** The call rejects with its reason; what was sent already may still be done. */
  readonly signal?: AbortSignalLike | undefined;
}

export interface Question<T> {
  /** For people: "set /a". */
  readonly name: string;
  readonly op: number;
  readonly body: Uint8Array;
  /** A write is sent at most once. What is none is sent again after a lost connection. */
  readonly write: boolean;
  /** The answer, also where the header has an error. Throws `MalformedBytes`, or what the call rejects with. */
  readonly decode: (header: ReplyHeader, reader: JuteReader) => T;
}

/** Until a caller's deadline is checked against, a limit that every timer can hold. */
const timeoutMsMax = 0x7fff_ffff;

/**
 * One request until its caller knows the end of it. Settled once, by an answer, an error, its deadline or its signal, whichever is first; a
 * settled call may still stand in a connection's row, since its answer is awaited in order.
 */
export class Call<T = unknown> {
  readonly promise: Promise<T>;
  readonly question: Question<T>;
  /** It was handed to a connection at least once. */
  sent = false;
  settled = false;
  private readonly timer: { cancel(): void };
  private readonly signal: AbortSignalLike | undefined;
  private readonly onSettled: (call: Call<T>) => void;
  private resolve: (value: T) => void = () => undefined;
  private reject: (error: unknown) => void = () => undefined;

  /** The signal is not aborted yet. */
  constructor(
    question: Question<T>,
    timeoutMs: number,
    signal: AbortSignalLike | undefined,
    clock: HandleClock,
    onSettled: (call: Call<T>) => void,
  ) {
    this.question = question;
    this.signal = signal;
    this.onSettled = onSettled;
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.timer = clock.after(Math.min(timeoutMs, timeoutMsMax), () => this.fail(this.timeoutError(timeoutMs)));
    signal?.addEventListener("abort", this.onAbort);
  }

  private readonly onAbort = (): void => this.fail(this.signal?.reason);

  /** Throws `MalformedBytes`; then the call is as it was. */
  answer(header: ReplyHeader, reader: JuteReader): void {
    let value: T;
    try {
      value = this.question.decode(header, reader);
    } catch (error) {
      if (error instanceof MalformedBytes) throw error;
      return this.fail(error);
    }
    if (this.settle()) this.resolve(value);
  }

  fail(error: unknown): void {
    if (this.settle()) this.reject(error);
  }

  private settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.timer.cancel();
    this.signal?.removeEventListener("abort", this.onAbort);
    this.onSettled(this);
    return true;
  }

  /** Whether the server may have done it or do it yet. */
  get maybeApplied(): boolean {
    return this.sent && this.question.write;
  }

  private timeoutError(timeoutMs: number): UnumError {
    const { name } = this.question;
    if (this.maybeApplied)
      return new UnumError("TIMEOUT", `${name}: no answer within ${timeoutMs} ms; it may have been applied. Read before writing again.`);
    const what = this.sent ? "no answer" : "no server of the ensemble took it";
    return new UnumError("TIMEOUT", `${name}: ${what} within ${timeoutMs} ms; nothing was written.`, {
      outcome: "not-applied",
      retry: "safe",
    });
  }
}
