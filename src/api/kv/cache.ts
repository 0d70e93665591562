import { UnumError } from "../../base/index.ts";
import type { KeyRange, WatchChange } from "../../machine/commands/index.ts";
import { asError, retryDelayMs } from "../client/retry.ts";
import { sleep } from "../client/sleep.ts";
import { Subscription } from "../client/subscription.ts";
import type { SubscriptionOwner } from "../client/subscription.ts";
import { timeoutMs } from "../duration.ts";
import type { Cache, CallOptions, Entry, Key } from "../types.ts";
import { keyString } from "./keys.ts";
import type { Keyspace } from "./keyspace.ts";
import { readPages } from "./pages.ts";
import { toEntry } from "./view.ts";
import type { View } from "./view.ts";

type Entries = Map<string, Entry<unknown>>;

interface Waiter {
  readonly revision: number;
  resolve(): void;
  reject(reason: unknown): void;
}

export async function openCache(space: Keyspace, view: View, range: KeyRange, options: CallOptions | undefined): Promise<Cache<unknown>> {
  const { entries, revision } = await load(space, view, range, options);
  return new RangeCache(space, view, range, entries, revision);
}

/** The range at one revision. Keys are whole byte strings. */
async function load(
  space: Keyspace,
  view: View,
  range: KeyRange,
  options: CallOptions | undefined,
): Promise<{ entries: Entries; revision: number }> {
  const entries: Entries = new Map();
  let revision = 0;
  for await (const { page, keys } of readPages(space, view, range, options)) {
    revision = page.revision;
    page.entries.forEach((entry, at) => entries.set(keys[at] as string, entry));
  }
  return { entries, revision };
}

/**
 * A copy of a range that follows it. Invariant: `copy` holds exactly the range at `revision`. When
 * the history between is gone, the copy is read anew, and until then it is `stale` but whole.
 */
class RangeCache implements Cache<unknown>, SubscriptionOwner {
  readonly closed: Promise<void>;
  revision: number;
  stale = true;
  private readonly space: Keyspace;
  private readonly view: View;
  private readonly range: KeyRange;
  private copy: Entries;
  /** The keys in order; undefined when one has come or gone since. */
  private order: string[] | undefined;
  private subscription: Subscription | undefined;
  private waiters: Waiter[] = [];
  private over = false;
  private reloads = 0;
  private resolveClosed: () => void = () => undefined;
  private rejectClosed: (reason: unknown) => void = () => undefined;

  constructor(space: Keyspace, view: View, range: KeyRange, entries: Entries, revision: number) {
    this.space = space;
    this.view = view;
    this.range = range;
    this.copy = entries;
    this.revision = revision;
    this.closed = new Promise((resolve, reject) => {
      this.resolveClosed = resolve;
      this.rejectClosed = reject;
    });
    this.closed.catch(() => undefined);
    // What was just read is as fresh as any read; the watch takes over in a moment.
    this.stale = false;
    this.follow();
  }

  get size(): number {
    return this.copy.size;
  }

  get(key: Key): Entry<unknown> | undefined {
    return this.copy.get(keyString(this.view.prefix, key));
  }

  entries(): readonly Entry<unknown>[] {
    this.order ??= [...this.copy.keys()].sort((a, b) => (a < b ? -1 : 1));
    return this.order.map((key) => this.copy.get(key) as Entry<unknown>);
  }

  reached(revision: number, options?: CallOptions): Promise<void> {
    if (this.revision >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (this.over) throw new UnumError("CLOSED", "The cache is closed.");
      const signal = options?.signal;
      if (signal?.aborted === true) throw signal.reason;
      const done = (settle: () => void): void => {
        timer.cancel();
        signal?.removeEventListener("abort", onAbort);
        this.waiters = this.waiters.filter((other) => other !== waiter);
        settle();
      };
      const onAbort = (): void => done(() => reject(signal?.reason));
      const client = this.space.client;
      const timer = client.clock.after(options?.timeout === undefined ? client.timeoutMs : timeoutMs(options.timeout), () =>
        done(() =>
          reject(new UnumError("TIMEOUT", `The cache has not reached revision ${revision}.`, { outcome: "not-applied", retry: "safe" })),
        ),
      );
      const waiter: Waiter = { revision, resolve: () => done(resolve), reject: (reason) => done(() => reject(reason)) };
      signal?.addEventListener("abort", onAbort);
      this.waiters.push(waiter);
    });
  }

  close(): Promise<void> {
    this.finish(undefined);
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  began(): void {
    // The copy began at the revision before.
  }

  changed(change: WatchChange, bytes: number): void {
    try {
      for (const event of change.events) {
        const key = event.entry.key;
        if (event.kind === "put") {
          if (!this.copy.has(key)) this.order = undefined;
          this.copy.set(key, toEntry(this.view, event.entry));
        } else if (this.copy.delete(key)) this.order = undefined;
      }
    } catch (error) {
      return this.finish(asError(error));
    }
    this.subscription?.consumed(bytes);
    this.progressed(change.revision);
  }

  progressed(revision: number): void {
    if (revision > this.revision) this.revision = revision;
    for (const waiter of this.waiters) if (waiter.revision <= this.revision) waiter.resolve();
  }

  live(live: boolean): void {
    this.stale = !live;
  }

  ended(error: UnumError | undefined): void {
    if (error?.code !== "COMPACTED") return this.finish(error);
    this.stale = true;
    void this.reload();
  }

  private follow(): void {
    this.subscription = new Subscription(this.space, this.range, { from: this.revision + 1, previous: false }, this);
  }

  /** Never rejects: goes on until it succeeds or the cache is closed. */
  private async reload(): Promise<void> {
    const client = this.space.client;
    while (!this.over) {
      try {
        const { entries, revision } = await load(this.space, this.view, this.range, undefined);
        if (this.over) return;
        this.copy = entries;
        this.order = undefined;
        this.reloads = 0;
        this.progressed(revision);
        this.follow();
        return;
      } catch (error) {
        const reason = asError(error);
        if (client.ended !== undefined) return this.finish(client.ended.code === "CLOSED" ? undefined : client.ended);
        if (reason.retry === "never") return this.finish(reason);
        client.environment.logger.debug("a cache could not be read again", { reason: reason.message });
        await sleep(client.clock, retryDelayMs(++this.reloads, client.environment.prng), undefined);
      }
    }
  }

  private finish(error: UnumError | undefined): void {
    if (this.over) return;
    this.over = true;
    this.stale = true;
    this.subscription?.close();
    if (error === undefined) this.resolveClosed();
    else this.rejectClosed(error);
    for (const waiter of [...this.waiters]) waiter.reject(error ?? new UnumError("CLOSED", "The cache is closed."));
  }
}
