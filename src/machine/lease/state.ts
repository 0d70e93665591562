import { OrderedMap } from "../../base/index.ts";
import { Hash, Mixer } from "../hash.ts";
import type { LeaseKeys } from "../kv/state.ts";

/** A lease as replicated. Never changed: a checkpoint puts another in its place. */
export interface Lease {
  readonly low: number;
  readonly high: number;
  readonly ttlMs: number;
  /** What was left at the last checkpoint; 0: the full time. */
  readonly remainingMs: number;
  /** The keys that hang on it: derived from the entries, shared by the successors of this object. */
  readonly keys: Set<string>;
}

export const leaseLow = (lease: bigint): number => Number(BigInt.asUintN(32, lease));
export const leaseHigh = (lease: bigint): number => Number(BigInt.asUintN(32, lease >> 32n));

export function leaseId(lease: { readonly low: number; readonly high: number }): bigint {
  return (BigInt(lease.high) << 32n) | BigInt(lease.low);
}

/** Eight characters that order as the ids do. */
export function leaseName(low: number, high: number): string {
  return String.fromCharCode(
    high >>> 24,
    (high >>> 16) & 255,
    (high >>> 8) & 255,
    high & 255,
    low >>> 24,
    (low >>> 16) & 255,
    (low >>> 8) & 255,
    low & 255,
  );
}

/** The replicated part of leases: which exist, for how long, and which keys hang on them. No time runs here. */
export class LeaseState implements LeaseKeys {
  leases: OrderedMap<Lease> = new OrderedMap<Lease>();
  readonly hash: Hash = new Hash();
  private readonly mixer = new Mixer();

  get count(): number {
    return this.leases.size;
  }

  get(low: number, high: number): Lease | undefined {
    return this.leases.get(leaseName(low, high));
  }

  has(low: number, high: number): boolean {
    return this.get(low, high) !== undefined;
  }

  grant(low: number, high: number, ttlMs: number, remainingMs: number): Lease {
    const lease: Lease = { low, high, ttlMs, remainingMs, keys: new Set() };
    this.set(lease);
    return lease;
  }

  checkpoint(lease: Lease, remainingMs: number): void {
    this.forget(lease);
    this.set({ ...lease, remainingMs });
  }

  /** The lease goes; its keys are the caller's to delete. */
  revoke(lease: Lease): void {
    this.forget(lease);
    this.leases.delete(leaseName(lease.low, lease.high));
  }

  /** A key was written with the lease. Restoring attaches before it knows all: what is unknown is no lease. */
  attach(low: number, high: number, key: string): void {
    this.get(low, high)?.keys.add(key);
  }

  detach(low: number, high: number, key: string): void {
    this.get(low, high)?.keys.delete(key);
  }

  /** An id for a lease granted without one: the same on every replica, positive as a signed number, not taken. */
  chooseId(index: number, position: number): { readonly low: number; readonly high: number } {
    const { mixer } = this;
    for (let attempt = 0; ; attempt++) {
      mixer.begin(2);
      mixer.number(index);
      mixer.number(position);
      mixer.word(attempt);
      mixer.finish();
      const low = mixer.low;
      const high = mixer.high & 0x7fff_ffff;
      if ((low !== 0 || high !== 0) && !this.has(low, high)) return { low, high };
    }
  }

  private set(lease: Lease): void {
    this.mix(lease);
    this.hash.add(this.mixer.low, this.mixer.high);
    this.leases.set(leaseName(lease.low, lease.high), lease);
  }

  private forget(lease: Lease): void {
    this.mix(lease);
    this.hash.subtract(this.mixer.low, this.mixer.high);
  }

  private mix(lease: Lease): void {
    const { mixer } = this;
    mixer.begin(3);
    mixer.word(lease.low);
    mixer.word(lease.high);
    mixer.number(lease.ttlMs);
    mixer.number(lease.remainingMs);
    mixer.finish();
  }
}
