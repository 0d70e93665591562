import { isUnumError, limits } from "../base/index.ts";
import type { Prng } from "../base/index.ts";
import { retryDelayMs } from "./client/retry.ts";
import type { HandleClock, KeptLease, LeaseKeep } from "./types.ts";

/** Both clocks at one moment. */
export interface Moment {
  readonly nowMs: number;
  readonly wallMs: number;
}

export function momentOf(clock: HandleClock): Moment {
  return { nowMs: clock.now(), wallMs: clock.wall() };
}

/** By the larger of both clocks: the monotonic one of a sleeping laptop stands still. */
function elapsedMs(clock: HandleClock, since: Moment): number {
  return Math.max(clock.now() - since.nowMs, clock.wall() - since.wallMs);
}

export interface RenewalHost {
  readonly clock: HandleClock;
  readonly prng: Prng;
  /** Asks the cluster: milliseconds of full time that the lease has from then on. */
  renew(timeoutMs: number): Promise<number>;
  /** Whether its owner is alive to use it; while not, nothing is renewed. */
  readonly isWanted: boolean;
  /** It lasts until so much after `sent`. */
  renewed(sent: Moment, lastsMs: number): void;
  /** Once: it has ended, or can no longer be taken to last. */
  lost(why: string): void;
}

/**
 * Keeps one lease alive. It counts from when the request that renewed it was *sent*, so that no delay of the answer makes anybody
 * believe longer than the cluster does, and subtracts what two machines' clocks may differ by.
 */
export class Renewal implements LeaseKeep {
  private readonly host: RenewalHost;
  private readonly ttlMs: number;
  private since: Moment;
  private lastsMs: number;
  private failures = 0;
  private over = false;
  private timer: { cancel(): void } | undefined;

  constructor(host: RenewalHost, lease: Pick<KeptLease, "ttlMs" | "sent" | "renews">) {
    this.host = host;
    this.ttlMs = lease.ttlMs;
    this.since = lease.sent;
    this.lastsMs = certainMs(lease.ttlMs);
    host.renewed(this.since, this.lastsMs);
    if (lease.renews) this.renewAfter(lease.ttlMs / 3);
  }

  leftMs(): number {
    return this.lastsMs - elapsedMs(this.host.clock, this.since);
  }

  cancel(): void {
    this.over = true;
    this.timer?.cancel();
  }

  private lose(why: string): void {
    if (this.over) return;
    this.cancel();
    this.host.lost(why);
  }

  private renewAfter(delayMs: number): void {
    this.timer = this.host.clock.after(delayMs, () => this.renew());
  }

  private renew(): void {
    if (this.over) return;
    const leftMs = this.leftMs();
    if (leftMs <= 0) return this.lose("it was not renewed in time");
    if (!this.host.isWanted) return this.renewAfter(Math.min(leftMs, this.ttlMs / 10));
    const sent = momentOf(this.host.clock);
    // One lost request must not cost the lease: each attempt has a part of what is left.
    const timeoutMs = Math.max(100, Math.min(leftMs, this.ttlMs / 3));
    this.host.renew(timeoutMs).then(
      (remainingMs) => this.kept(sent, remainingMs),
      (error: unknown) => this.notKept(error),
    );
  }

  private kept(sent: Moment, remainingMs: number): void {
    if (this.over) return;
    this.failures = 0;
    this.since = sent;
    this.lastsMs = certainMs(remainingMs);
    if (this.leftMs() <= 0) return this.lose("it was not renewed in time");
    this.host.renewed(sent, this.lastsMs);
    this.renewAfter(Math.min(this.ttlMs, remainingMs) / 3);
  }

  private notKept(error: unknown): void {
    if (this.over) return;
    if (isUnumError(error, "LEASE_NOT_FOUND")) return this.lose("it has ended in the cluster");
    if (this.leftMs() <= 0) return this.lose("it was not renewed in time");
    this.failures++;
    this.renewAfter(retryDelayMs(this.failures, this.host.prng));
  }
}

/** What is left of a lease's full time when two machines' clocks differ by as much as they may. */
export function certainMs(fullMs: number): number {
  return fullMs * (1 - limits.clockDriftRatio);
}
