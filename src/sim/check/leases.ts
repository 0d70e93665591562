import type { History, Leasing, SeenChange } from "../history.ts";

/**
 * No lease is lost early: when the first replica takes an entry away that hangs on a lease, the owner did not believe any more
 * that it has it, unless it gave it back. To be told of each change at the time it happens: belief is a matter of the owner's clock.
 */
export class LeaseGuard {
  readonly violations: string[] = [];
  /** How many ends were looked at. */
  ended = 0;
  private readonly attached = new Map<string, Leasing>();
  private readonly values = new Map<string, string>();

  /** `value`, which nobody else writes, is about to be put on the lease. */
  attach(key: string, value: string, leasing: Leasing): void {
    leasing.keys.add(key);
    this.attached.set(`${key}=${value}`, leasing);
  }

  /** The lease that this value of the key hangs on. */
  leaseOf(key: string, value: string): Leasing | undefined {
    return this.attached.get(`${key}=${value}`);
  }

  changed({ atMs = 0, events, revision }: SeenChange): void {
    for (const { key, value } of events) {
      const before = this.values.get(key);
      if (value === undefined) this.values.delete(key);
      else this.values.set(key, value);
      const leasing = value === undefined && before !== undefined ? this.leaseOf(key, before) : undefined;
      if (leasing === undefined) continue;
      this.ended++;
      if (!leasing.revoked && leasing.isHeld() === true)
        this.violations.push(
          `${key} went at revision ${revision} (${atMs.toFixed(1)} ms) although ${leasing.client} still holds lease ${leasing.id} on it`,
        );
    }
  }
}

/** From when on a lease that nobody keeps counts, and what it may take beyond its time. */
export interface LeaseBound {
  /** The latest moment at which the group's leases began anew: a new leader gives each its full time. */
  readonly restartedMs: number;
  /** One clock may run slower than another by this share. */
  readonly driftRatio: number;
  /** For the leader to notice and to commit the end. */
  readonly slackMs: number;
}

/** Leases that outlived their expiry: nobody has kept them for their whole time and the bound, and what hangs on them is still there. */
export function checkExpired(
  history: History,
  isThere: (key: string, lease: string) => boolean,
  nowMs: number,
  bound: LeaseBound,
): string[] {
  const found: string[] = [];
  for (const leasing of history.leases) {
    const { client, id, keys, releasedMs, ttlMs } = leasing;
    const dueMs = Math.max(releasedMs, bound.restartedMs) + ttlMs * (1 + bound.driftRatio) + bound.slackMs;
    if (nowMs <= dueMs) continue;
    for (const key of keys)
      if (isThere(key, id))
        found.push(`${key} is still there, ${(nowMs - dueMs).toFixed(0)} ms after the last moment for lease ${id} of ${client}`);
  }
  return found;
}
