import { UnumError, Writer, isUnumError } from "../base/index.ts";
import { Method } from "../wire/index.ts";
import { readU64 } from "./client/connection.ts";
import type { Duration } from "./duration.ts";
import { grantLease, leaseMs, revokeLease } from "./grant.ts";
import type { Keyspace } from "./kv/keyspace.ts";
import { Renewal, momentOf } from "./renewal.ts";
import type { Moment } from "./renewal.ts";
import { makeAbortController } from "./signal.ts";
import type { AbortControllerLike, Signal } from "./signal.ts";
import type { CallOptions, KeptLease, Lease, LeaseKeep, LeaseOptions } from "./types.ts";

/** `ended` is told when the lease is over, for whatever reason. */
export async function openLease(
  space: Keyspace,
  ttl: Duration,
  options: LeaseOptions | undefined,
  ended: (lease: Lease) => void,
): Promise<Lease> {
  const ttlMs = leaseMs(ttl);
  const sent = momentOf(space.client.clock);
  const granted = await grantLease(space, ttlMs, options);
  return new LeaseHandle(space, granted.id, granted.ttlMs, sent, options?.keepAlive ?? true, ended);
}

/** The handle renews its leases itself where nobody else is there to do it. */
function keepHere(space: Keyspace, lease: KeptLease): LeaseKeep {
  const { client, group } = space;
  const host = {
    clock: client.clock,
    prng: client.environment.prng,
    isWanted: true,
    renew: (timeout: number) => {
      if (group === undefined) return Promise.reject(new UnumError("UNAVAILABLE"));
      const body = new Writer(8).big64(lease.lease).take();
      return client.call<number>(
        { method: Method.keepAlive, group, body, priority: "system", effect: false, repeat: true, decode: readU64 },
        { timeout },
      );
    },
    renewed: () => undefined,
    lost: lease.lost,
  };
  return new Renewal(host, lease);
}

/**
 * A lease as its owner sees it.
 *
 * Invariant: while `held`, the lease cannot have ended elsewhere: asked, it looks at the clocks itself, however late.
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
  private readonly keep: LeaseKeep;
  private over = false;
  private deadline: { cancel(): void } | undefined;
  private readonly releaseEnd: () => void;

  constructor(space: Keyspace, key: bigint, ttlMs: number, sent: Moment, renews: boolean, ended: (lease: Lease) => void) {
    this.space = space;
    this.key = key;
    this.id = key.toString();
    this.keyspace = space.name;
    this.ttlMs = ttlMs;
    this.ended = ended;
    this.controller = makeAbortController();
    this.signal = this.controller.signal;
    const lease = { keyspace: space.name, lease: key, ttlMs, sent, renews, lost: (why: string) => this.lose(why) };
    this.keep = space.client.environment.keeper?.keep(lease) ?? keepHere(space, lease);
    this.releaseEnd = space.client.whenEnded(() => this.lose("the handle has ended"));
    this.watchDeadline();
  }

  get held(): boolean {
    if (!this.over && this.keep.leftMs() <= 0) this.lose("it was not renewed in time");
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

  /** The deadline moves with each renewal; whoever looks too early looks again. */
  private watchDeadline(): void {
    this.deadline = this.space.client.clock.after(Math.max(0, this.keep.leftMs()), () => {
      if (this.held) this.watchDeadline();
    });
  }

  private lose(why: string): void {
    if (this.over) return;
    this.over = true;
    this.keep.cancel();
    this.deadline?.cancel();
    this.releaseEnd();
    this.ended(this);
    this.controller.abort(new UnumError("LEASE_NOT_FOUND", `Lease ${this.id} is held no longer: ${why}.`));
  }
}
