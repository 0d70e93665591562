import type { Duration } from "../duration.ts";
import type { AbortSignalLike, Signal } from "../signal.ts";
import type { CallOptions, Handle, Running } from "../basics.ts";

/**
 * The right to act, for as long as it is held. Its fence is larger than that of every earlier claim of
 * the name; a write with `{ fence: claim }` is refused with FENCED once the claim has ended.
 */
export interface Claim {
  readonly name: string;
  /** The revision at which the claim was made: it only grows per name, for anybody's SQL. */
  readonly fence: number;
  /** Aborts before the claim can pass to another, and when it is given up. The reason is a UnumError: SESSION_LOST or CLAIM_LOST. */
  readonly signal: Signal;
  /** Whether it is held now, by the clocks: right in the first statement after a stall, too. */
  readonly held: boolean;
  /** Throws the signal's reason when the claim is not held any more. */
  throwIfLost(): void;
}

/** A claim that the running code works under, and those around it. */
export interface Held {
  readonly line: string;
  readonly claim: { readonly held: boolean };
  readonly outer: Held | undefined;
}

/** The scope port, for claims. */
export interface ClaimScope {
  run<R>(value: Held, work: () => R): R;
  current(): Held | undefined;
}

export interface ClaimSpaceOptions {
  /** Where the claims stand, and what they guard to the moment. Default: the default keyspace. */
  readonly keyspace?: string | undefined;
}

export interface GuardOptions extends ClaimSpaceOptions {
  /**
   * Other keyspaces in which `{ fence: claim }` shall guard, 16 at most: each refuses every earlier claim of the name from before
   * the claim is given out. Without it another keyspace refuses them from the claim's first write there.
   */
  readonly guards?: readonly string[] | undefined;
}

export interface ClaimOptions {
  /** Ends the waiting; the call rejects with its reason. */
  readonly signal?: AbortSignalLike | undefined;
  /** How long to wait. Default: without a limit. TIMEOUT afterwards. */
  readonly timeout?: Duration | undefined;
  /** After a crash of the holder the claim passes on after this time. Default 10 s, at least 2 s. */
  readonly ttl?: Duration | undefined;
}

/** Mutual exclusion under one name, fair: first come, first served. The same as `etcdctl lock NAME`. */
export interface Lock {
  /**
   * Waits for the claim, runs `work` and gives the claim up. Rejects with CLAIM_LOST when the claim ended before `work` settled, even if
   * it fulfilled; with REENTRANT within the work of the same lock where that can be seen; else as `work` does.
   */
  using<R>(work: (claim: Claim) => R | Promise<R>, options?: ClaimOptions): Promise<R>;
  /** Close it to give the claim up. */
  acquire(options?: ClaimOptions): Promise<Claim & Handle>;
  /** Without waiting for anybody: undefined when somebody else holds it or is waiting. */
  tryAcquire(options?: CallOptions & { readonly ttl?: Duration | undefined }): Promise<(Claim & Handle) | undefined>;
  /** For readers: many at a time, and never with a holder of the lock itself. In the same queue, so that nobody starves. */
  readonly shared: Lock;
}

/** Up to `permits` claims at a time. Everybody names the same number. */
export interface Semaphore {
  using<R>(work: (claim: Claim) => R | Promise<R>, options?: ClaimOptions): Promise<R>;
  acquire(options?: ClaimOptions): Promise<Claim & Handle>;
  tryAcquire(options?: CallOptions & { readonly ttl?: Duration | undefined }): Promise<(Claim & Handle) | undefined>;
}

/** Who leads, as everybody can see. */
export interface Leader {
  readonly fence: number;
  /** What it said of itself in `run`. */
  readonly data: unknown;
}

export interface ElectionOptions {
  /** Ends the participation, as `close()` does. */
  readonly signal?: AbortSignalLike | undefined;
  readonly ttl?: Duration | undefined;
  /** Shown to whoever asks for the leader. JSON. */
  readonly data?: unknown;
  /** Told of what `work` rejects with. Default: the logger. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** One leader among those that take part. */
export interface Election {
  /**
   * Takes part: `work` runs on exactly one participant at a time, under its fence. When it fulfils, the leadership passes
   * on and this participant stands again after 1 s; when it rejects, after 1 s doubling to 1 min. When the signal of its claim aborts, `work` should
   * end; the next leader does not wait for it. `ready` fulfils when it stands in line; `close()` aborts the claim's signal, waits for `work` and gives the leadership up.
   */
  run(work: (claim: Claim) => void | Promise<void>, options?: ElectionOptions): Running;
  leader(options?: CallOptions): Promise<Leader | undefined>;
  /** The leader now and after each change, until the signal aborts. */
  observe(options?: { readonly signal?: AbortSignalLike | undefined }): AsyncIterableIterator<Leader | undefined>;
}

/** A number that is added to atomically; a retry is applied once. Its entry is JSON under the name itself. */
export interface Counter {
  get(options?: CallOptions): Promise<number>;
  /** The number afterwards. INVALID_ARGUMENT for what is no safe integer, or when the sum would be none. */
  add(by?: number, options?: CallOptions): Promise<number>;
}

/** Unique, increasing numbers, taken from the cluster in blocks. A crash leaves the rest of a block unused. */
export interface Sequence {
  /** Larger than every number that this handle gave before, and given to nobody else. */
  next(options?: CallOptions): Promise<number>;
}

export interface PartyMember {
  /** Of the membership: the lease that keeps it, decimal. */
  readonly id: string;
  readonly data: unknown;
}

/** Who is here, with data. A member that crashes is gone after its ttl. */
export interface Party {
  /** Close it to leave. Its `signal` says when the membership was lost. */
  join(data?: unknown, options?: CallOptions & { readonly ttl?: Duration | undefined }): Promise<Claim & Handle>;
  /** In the order in which they joined. */
  members(options?: CallOptions): Promise<readonly PartyMember[]>;
  /** The members now and after each change, until the signal aborts. */
  observe(options?: { readonly signal?: AbortSignalLike | undefined }): AsyncIterableIterator<readonly PartyMember[]>;
}
