import { UnumError, isUnumError } from "../../base/index.ts";
import type { KeyValue } from "../../machine/commands/index.ts";
import { retryDelayMs } from "../client/retry.ts";
import { sleep } from "../client/sleep.ts";
import { timeoutMs } from "../duration.ts";
import { leaseMs } from "../grant.ts";
import type { Keyspace } from "../kv/keyspace.ts";
import { makeAbortController } from "../signal.ts";
import type { AbortSignalLike } from "../signal.ts";
import { HeldClaim } from "./claim.ts";
import type { ClaimMark } from "./claim.ts";
import { enter, gone, leave, look, placeKey } from "./line.ts";
import type { Place } from "./line.ts";
import { raiseMark } from "./marks.ts";
import type { Seat, Seats } from "./seats.ts";
import type { ClaimOptions, ClaimScope } from "./types.ts";

/** What a kind of claim asks of those before it in line. */
export interface Rule {
  /** Stored with the place, for those who come later. */
  readonly value: Uint8Array;
  /** Whether an earlier place counts. */
  blocks(entry: KeyValue): boolean;
  /** How many places that count may stand before ours. */
  readonly allowed: number;
  /** Whether nobody else holds a claim of the name at the same time. */
  readonly alone: boolean;
}

export interface ClaimsHost {
  readonly space: Keyspace;
  readonly seats: Seats;
  /** Follows code, so that a lock within its own work is refused instead of waiting for ever. Undefined: it cannot be seen. */
  readonly scope: ClaimScope | undefined;
  /** Keyspaces beside its own in which a claim's fence is made known before it is given out. */
  readonly guards: readonly Keyspace[];
  /** Told of each place in line. */
  readonly entered?: () => void;
}

export const ttlMsDefault = 10_000;

export function ttlOf(ttl: ClaimOptions["ttl"]): number {
  return ttl === undefined ? ttlMsDefault : leaseMs(ttl);
}

/**
 * Stands in line and waits for the turn. A wait goes on with a new place when the session is lost; it ends with the
 * caller's signal or timeout, and then leaves nothing behind.
 */
export async function acquire(host: ClaimsHost, name: string, line: string, rule: Rule, options: ClaimOptions = {}): Promise<HeldClaim> {
  const ttlMs = ttlOf(options.ttl);
  const patience = new Patience(host.space, name, options);
  const { clock, prng } = host.space.client.environment;
  try {
    for (let failures = 0; ; ) {
      try {
        const claim = await attempt(host, name, line, rule, ttlMs, patience.signal, true);
        if (claim !== undefined) return claim;
        failures = 0;
      } catch (error) {
        // Cut off from the cluster, or no leader now: whoever waits, waits for that, too.
        patience.check();
        if (!isUnumError(error) || error.retry === "never") throw error;
        await sleep(clock, retryDelayMs(++failures, prng), patience.signal);
      }
      patience.check();
    }
  } finally {
    patience.end();
  }
}

/** Undefined when others stand before. */
export async function tryAcquire(
  host: ClaimsHost,
  name: string,
  line: string,
  rule: Rule,
  options: ClaimOptions = {},
): Promise<HeldClaim | undefined> {
  const patience = new Patience(host.space, name, { ...options, timeout: options.timeout ?? host.space.client.timeoutMs });
  try {
    return await attempt(host, name, line, rule, ttlOf(options.ttl), patience.signal, false);
  } finally {
    patience.end();
  }
}

/** One place in line: until it is our turn, or the session is lost (undefined), or without patience somebody is before us. */
async function attempt(
  host: ClaimsHost,
  name: string,
  line: string,
  rule: Rule,
  ttlMs: number,
  signal: AbortSignalLike,
  wait: boolean,
): Promise<HeldClaim | undefined> {
  const { seats, space } = host;
  const seat = await seats.take(line, ttlMs, { signal });
  let isGiven = false;
  try {
    const { isOnly, ...place } = await enter(space, line, seat, rule.value, { signal });
    host.entered?.();
    if (isOnly || (await reachesFront(space, line, place, rule, seat, signal, wait))) {
      const mark = { ...place, keyspace: space.name, line, alone: rule.alone };
      await raiseMarks(host, mark, signal);
      const claim = new HeldClaim(name, mark, seat, () => giveUp(host, line, seat));
      // Since the look the lease may have ended.
      isGiven = claim.held;
      if (isGiven) return claim;
    }
    return undefined;
  } finally {
    if (!isGiven) void giveUp(host, line, seat);
  }
}

/** From here on the guarded keyspaces refuse every earlier claim of the name. */
async function raiseMarks({ guards }: ClaimsHost, mark: ClaimMark, signal: AbortSignalLike): Promise<void> {
  await Promise.all(guards.map((space) => raiseMark(space, mark, { signal })));
}

async function giveUp({ seats, space }: ClaimsHost, line: string, seat: Seat): Promise<void> {
  await leave(space, seat, placeKey(line, seat));
  seats.leave(seat, line);
}

/** True: it is our turn. False: our place is gone, or `wait` is false and it is not our turn. */
async function reachesFront(
  space: Keyspace,
  line: string,
  place: Place,
  rule: Rule,
  seat: Seat,
  signal: AbortSignalLike,
  wait: boolean,
): Promise<boolean> {
  const either = firstOf(signal, seat.signal);
  try {
    for (;;) {
      // After each waking the place is looked at anew: whose key went away says nothing about ours.
      const seen = await look(space, line, place, rule.allowed + 1, (entry) => rule.blocks(entry), { signal: either.signal });
      if (seen === undefined || !seat.lease.held) return false;
      if (seen.before.length <= rule.allowed) return true;
      if (!wait) return false;
      const [nearest] = seen.before;
      if (nearest !== undefined && rule.allowed === 0) await gone(space, nearest.key, seen.revision + 1, either.signal);
      else await anyGone(space, seen.before, seen.revision + 1, either.signal);
    }
  } catch (error) {
    if (!signal.aborted && seat.signal.aborted) return false;
    throw error;
  } finally {
    either.end();
  }
}

/** With several permits any of those before may be the next to go. */
async function anyGone(space: Keyspace, before: readonly KeyValue[], from: number, signal: AbortSignalLike): Promise<void> {
  const enough = makeAbortController();
  const both = firstOf(signal, enough.signal);
  try {
    await Promise.race(before.map((entry) => gone(space, entry.key, from, both.signal)));
  } finally {
    enough.abort(new UnumError("CLOSED"));
    both.end();
  }
}

interface Combined {
  readonly signal: AbortSignalLike;
  end(): void;
}

/** Aborts with whichever comes first, and lets go of both at the end. */
export function firstOf(...signals: readonly AbortSignalLike[]): Combined {
  const controller = makeAbortController();
  const ends = signals.map((signal) => {
    const onAbort = (): void => controller.abort(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort);
    return () => signal.removeEventListener("abort", onAbort);
  });
  return {
    signal: controller.signal,
    end: () => {
      for (const end of ends) end();
    },
  };
}

/** How long the caller is willing to wait: its signal, its timeout, and the life of the handle. */
class Patience {
  readonly signal: AbortSignalLike;
  private readonly ends: (() => void)[] = [];

  constructor(space: Keyspace, name: string, { signal, timeout }: ClaimOptions) {
    const controller = makeAbortController();
    this.signal = controller.signal;
    if (signal?.aborted === true) throw signal.reason;
    const { client } = space;
    if (signal !== undefined) {
      const onAbort = (): void => controller.abort(signal.reason);
      signal.addEventListener("abort", onAbort);
      this.ends.push(() => signal.removeEventListener("abort", onAbort));
    }
    if (timeout !== undefined) {
      const ms = timeoutMs(timeout);
      const late = new UnumError("TIMEOUT", `The claim "${name}" was not free within ${ms} ms; nothing is held.`, {
        outcome: "not-applied",
      });
      const timer = client.clock.after(ms, () => controller.abort(late));
      this.ends.push(() => timer.cancel());
    }
    this.ends.push(client.whenEnded(() => controller.abort(client.ended ?? new UnumError("CLOSED"))));
  }

  check(): void {
    if (this.signal.aborted) throw this.signal.reason;
  }

  end(): void {
    for (const end of this.ends.splice(0)) end();
  }
}
