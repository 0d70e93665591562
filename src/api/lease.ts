import { UnumError, Writer, isUnumError, limits } from "../base/index.ts";
import { Method } from "../wire/index.ts";
import { readU64 } from "./client/connection.ts";
import { retryDelayMs } from "./client/retry.ts";
import type { Duration } from "./duration.ts";
import { grantLease, leaseMs, revokeLease } from "./grant.ts";
import type { Keyspace } from "./kv/keyspace.ts";
import { makeAbortController } from "./signal.ts";
import type { AbortControllerLike, Signal } from "./signal.ts";
import type { CallOptions, HandleClock, Lease, LeaseOptions } from "./types.ts";

/** Both clocks at one moment. */
interface Moment {
  readonly nowMs: number;
  readonly wallMs: number;
}

function moment(clock: HandleClock): Moment {
  return { nowMs: clock.now(), wallMs: clock.wall() };
}

/** By the larger of both clocks: the monotonic one of a sleeping laptop stands still. */
function elapsedMs(clock: HandleClock, since: Moment): number {
  return Math.max(clock.now() - since.nowMs, clock.wall() - since.wallMs);
}

/** `ended` is told when the lease is over, for whatever reason. */
export async function openLease(
  space: Keyspace,
  ttl: Duration,
  options: LeaseOptions | undefined,
  ended: (lease: Lease) => void,
): Promise<Lease> {
  const ttlMs = leaseMs(ttl);
  const sent = moment(space.client.clock);
  const granted = await grantLease(space, ttlMs, options);
  return new LeaseHandle(space, granted.id, granted.ttlMs, sent, options?.keepAlive ?? true, ended);
}

/**
 * A lease as its owner sees it. The owner counts from when it *sent* the request that renewed it, so
 * that no delay of the answer makes it believe longer than the cluster does, and subtracts what two
 * machines' clocks may differ by.
 *
 * Invariant: while `held`, the lease cannot have ended elsewhere (as long as this thread runs).
 */
class LeaseHandle implements Lease {
  readonly id: string;
  readonly keyspace: string;
  readonly ttlMs: number;
  readonly signal: Signal;
  private readonly space: Keyspace;
  private readonly key: bigint;
  private readonly controller: AbortControllerLike;
  private readonly ended: (lease: Lease) => void;
  private renewed: Moment;
  private remainingMs: number;
  private over = false;
  private failures = 0;
  private renewal: { cancel(): void } | undefined;
  private deadline: { cancel(): void } | undefined;
  private readonly releaseEnd: () => void;

  constructor(space: Keyspace, key: bigint, ttlMs: number, sent: Moment, keepAlive: boolean, ended: (lease: Lease) => void) {
    this.space = space;
    this.key = key;
    this.id = key.toString();
    this.keyspace = space.name;
    this.ttlMs = ttlMs;
    this.ended = ended;
    this.controller = makeAbortController();
    this.signal = this.controller.signal;
    this.renewed = sent;
    this.remainingMs = ttlMs;
    this.releaseEnd = space.client.whenEnded(() => this.lose("the handle has ended"));
    this.watchDeadline();
    if (keepAlive) this.renewAfter(ttlMs / 3);
  }

  get held(): boolean {
    if (!this.over && this.leftMs() <= 0) this.lose("it was not renewed in time");
    return !this.over;
  }

  async revoke(options?: CallOptions): Promise<void> {
    this.lose("it was revoked");
    await revokeLease(this.space, this.key, options).catch((error: unknown) => {
      if (!isUnumError(error, "LEASE_NOT_FOUND")) throw error;
    });
  }

  async close(): Promise<void> {
    if (this.over) return;
    await this.revoke({ timeout: 1000 }).catch((error: unknown) => {
      this.space.client.environment.logger.debug("a lease was left to end by itself", { lease: this.id, reason: String(error) });
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private leftMs(): number {
    return this.remainingMs * (1 - limits.clockDriftRatio) - elapsedMs(this.space.client.clock, this.renewed);
  }

  private watchDeadline(): void {
    this.deadline?.cancel();
    this.deadline = this.space.client.clock.after(Math.max(0, this.leftMs()), () => {
      if (!this.over && this.held) this.watchDeadline();
    });
  }

  private renewAfter(delayMs: number): void {
    this.renewal = this.space.client.clock.after(delayMs, () => this.renew());
  }

  private renew(): void {
    const { client, group } = this.space;
    const leftMs = this.leftMs();
    if (!this.held || group === undefined || leftMs <= 0) return;
    const sent = moment(client.clock);
    // One lost request must not cost the lease: each attempt has a part of what is left.
    const timeout = Math.max(100, Math.min(leftMs, this.ttlMs / 3));
    client
      .call<number>(
        {
          method: Method.keepAlive,
          group,
          body: new Writer(8).big64(this.key).take(),
          priority: "system",
          effect: false,
          repeat: true,
          decode: readU64,
        },
        { timeout },
      )
      .then(
        (remainingMs) => this.kept(sent, remainingMs),
        (error: unknown) => this.notKept(error),
      );
  }

  private kept(sent: Moment, remainingMs: number): void {
    if (this.over) return;
    this.failures = 0;
    this.renewed = sent;
    this.remainingMs = remainingMs;
    if (!this.held) return;
    this.watchDeadline();
    this.renewAfter(Math.min(this.ttlMs, remainingMs) / 3);
  }

  private notKept(error: unknown): void {
    if (!this.held) return;
    if (isUnumError(error, "LEASE_NOT_FOUND")) return this.lose("it has ended in the cluster");
    this.failures++;
    this.renewAfter(retryDelayMs(this.failures, this.space.client.environment.prng));
  }

  private lose(why: string): void {
    if (this.over) return;
    this.over = true;
    this.renewal?.cancel();
    this.deadline?.cancel();
    this.releaseEnd();
    this.ended(this);
    this.controller.abort(new UnumError("LEASE_NOT_FOUND", `Lease ${this.id} is held no longer: ${why}.`));
  }
}
