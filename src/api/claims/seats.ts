import { UnumError } from "../../base/index.ts";
import type { CallOptions } from "../basics.ts";
import { SharedSignal } from "../signal.ts";
import type { AbortSignalLike } from "../signal.ts";
import type { Lease } from "../types.ts";

/** A lease in use, and the names under which a key of it stands. */
export interface Seat {
  readonly lease: Lease;
  /** The lease's, for as many as hang on it. */
  readonly signal: AbortSignalLike;
  readonly names: Set<string>;
}

export interface SeatsHost {
  lease(ttlMs: number, options: CallOptions | undefined): Promise<Lease>;
}

/** Claims of one handle, held or waited for. Each is a key in the cluster and a watch while it waits. */
export const claimsMax = 10_000;

/**
 * The leases that claims hang on. A key's name is made of the claim's name and the lease (etcd's layout), so
 * that two claims of one name need two leases; claims of different names share one.
 */
export class Seats {
  private readonly host: SeatsHost;
  private readonly pools = new Map<number, Set<Seat>>();
  private claims = 0;

  constructor(host: SeatsHost) {
    this.host = host;
  }

  /** OVERLOADED beyond the limit; else as `lease` rejects. Give it back with `leave`. */
  async take(name: string, ttlMs: number, options: CallOptions | undefined): Promise<Seat> {
    if (this.claims >= claimsMax)
      throw new UnumError("OVERLOADED", `This handle has ${claimsMax} claims held or waited for; that is the limit.`);
    this.claims++;
    let pool = this.pools.get(ttlMs);
    if (pool === undefined) {
      pool = new Set();
      this.pools.set(ttlMs, pool);
    }
    for (const seat of pool) {
      if (!seat.lease.held) pool.delete(seat);
      else if (!seat.names.has(name)) {
        seat.names.add(name);
        return seat;
      }
    }
    try {
      const lease = await this.host.lease(ttlMs, options);
      const seat: Seat = { lease, signal: new SharedSignal(lease.signal), names: new Set([name]) };
      pool.add(seat);
      return seat;
    } catch (error) {
      this.claims--;
      throw error;
    }
  }

  /** No key of the name stands under the lease any more. One empty seat stays, for whoever comes next. */
  leave(seat: Seat, name: string): void {
    if (!seat.names.delete(name)) return;
    this.claims--;
    const pool = this.pools.get(seat.lease.ttlMs);
    if (seat.names.size > 0 || pool === undefined) return;
    const others = [...pool].some((other) => other !== seat && other.names.size === 0 && other.lease.held);
    if (seat.lease.held && !others) return;
    pool.delete(seat);
    void seat.lease.close();
  }
}
