import { UnumError, isUnumError } from "../../base/index.ts";
import type { KeyRange, WatchChange, WatchEvent as MachineEvent } from "../../machine/commands/index.ts";
import { Subscription } from "../client/subscription.ts";
import type { SubscriptionOwner } from "../client/subscription.ts";
import type { Change, Watch, WatchEvent, WatchOptions } from "../types.ts";
import { keyBytes, keyText } from "./keys.ts";
import type { Keyspace } from "./keyspace.ts";
import { revisionArgument, toEntry } from "./view.ts";
import type { View } from "./view.ts";

interface Waiter {
  resolve(result: IteratorResult<Change<unknown>, undefined>): void;
  reject(reason: unknown): void;
}

/** `range` is called once; what it throws is how the watch ends. */
export function openWatch(space: Keyspace, view: View, range: () => KeyRange, options: WatchOptions | undefined): Watch<unknown> {
  return new WatchStream(space, view, range, options ?? {});
}

export function toChange(view: View, change: WatchChange): Change<unknown> {
  return { revision: change.revision, events: change.events.map((event) => toEvent(view, event)) };
}

function toEvent(view: View, event: MachineEvent): WatchEvent<unknown> {
  const previous = event.previous === undefined ? {} : { previous: toEntry(view, event.previous) };
  if (event.kind === "put") {
    const entry = toEntry(view, event.entry);
    return { kind: "put", key: entry.key, keyBytes: entry.keyBytes, entry, ...previous };
  }
  const name = event.entry.key.slice(view.prefix.length);
  return { kind: "delete", key: keyText(name), keyBytes: keyBytes(name), ...previous };
}

/**
 * A watch as its consumer holds it. Invariant: there are changes in `buffer` or waiters in `waiters`,
 * never both; the buffer is bounded by the subscription's credit.
 */
class WatchStream implements Watch<unknown>, SubscriptionOwner, AsyncIterator<Change<unknown>, undefined> {
  readonly started: Promise<number>;
  private readonly view: View;
  private readonly options: WatchOptions;
  private readonly subscription: Subscription | undefined;
  private buffer: { readonly change: Change<unknown>; readonly bytes: number }[] = [];
  private bufferAt = 0;
  private waiters: Waiter[] = [];
  private over = false;
  private error: { readonly reason: unknown } | undefined;
  private resolveStarted: (revision: number) => void = () => undefined;
  private rejectStarted: (reason: unknown) => void = () => undefined;

  constructor(space: Keyspace, view: View, range: () => KeyRange, options: WatchOptions) {
    this.view = view;
    this.options = options;
    this.started = new Promise((resolve, reject) => {
      this.resolveStarted = resolve;
      this.rejectStarted = reject;
    });
    // Who does not ask for it must not be hit by its rejection.
    this.started.catch(() => undefined);
    try {
      if (options.signal?.aborted === true) throw options.signal.reason;
      const request = { from: revisionArgument(options.from, "from"), previous: options.previous ?? false };
      this.subscription = new Subscription(space, range(), request, this);
      options.signal?.addEventListener("abort", this.onAbort);
    } catch (error) {
      this.end({ reason: error });
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<Change<unknown>, undefined> {
    return this;
  }

  next(): Promise<IteratorResult<Change<unknown>, undefined>> {
    const first = this.buffer[this.bufferAt];
    if (first !== undefined) {
      if (++this.bufferAt === this.buffer.length) {
        this.buffer = [];
        this.bufferAt = 0;
      }
      this.subscription?.consumed(first.bytes);
      return Promise.resolve({ done: false, value: first.change });
    }
    const error = this.error;
    this.error = undefined;
    if (error !== undefined) return Promise.reject(error.reason);
    if (this.over) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.waiters.push({ resolve, reject }));
  }

  async return(): Promise<IteratorResult<Change<unknown>, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  close(): Promise<void> {
    this.buffer = [];
    this.bufferAt = 0;
    this.error = undefined;
    this.end(undefined);
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  changed(change: WatchChange, bytes: number): void {
    let value: Change<unknown>;
    try {
      value = toChange(this.view, change);
    } catch (error) {
      const reason = isUnumError(error, "DECODE_FAILED")
        ? new UnumError("DECODE_FAILED", error.message, { details: { ...error.details, revision: change.revision }, cause: error.cause })
        : error;
      return this.end({ reason });
    }
    const waiter = this.waiters.shift();
    if (waiter === undefined) {
      this.buffer.push({ change: value, bytes });
      return;
    }
    this.subscription?.consumed(bytes);
    waiter.resolve({ done: false, value });
  }

  progressed(): void {
    // Only a resumption needs to know.
  }

  live(): void {
    // A watch has no state of its own while it is cut off: it resumes.
  }

  ended(error: UnumError | undefined): void {
    this.end(error === undefined ? undefined : { reason: error });
  }

  began(revision: number): void {
    this.resolveStarted(revision);
  }

  private readonly onAbort = (): void => {
    this.buffer = [];
    this.bufferAt = 0;
    this.end({ reason: this.options.signal?.reason });
  };

  private end(error: { readonly reason: unknown } | undefined): void {
    if (this.over) return;
    this.over = true;
    this.subscription?.close();
    this.options.signal?.removeEventListener("abort", this.onAbort);
    this.rejectStarted(error?.reason ?? new UnumError("CLOSED", "The watch was closed before it started."));
    const waiters = this.waiters;
    this.waiters = [];
    this.error = error;
    for (const waiter of waiters) {
      const reason = this.error;
      this.error = undefined;
      if (reason === undefined) waiter.resolve({ done: true, value: undefined });
      else waiter.reject(reason.reason);
    }
  }
}
