import { limits } from "../../base/index.ts";
import type { Probe } from "../../base/index.ts";
import type { Command, ReplyResult } from "../commands/index.ts";
import type { KvState } from "../kv/state.ts";
import { refusal, type Refusal } from "../refusal.ts";
import type { ApplyMeta } from "../types.ts";
import { leaseHigh, leaseId, leaseLow, type Lease, type LeaseState } from "./state.ts";
import type { LeaseTimers } from "./timers.ts";

type Of<K extends Command["kind"]> = Extract<Command, { readonly kind: K }>;

/** Both are protocol constants: etcd's, with its default timings. */
const ttlMsMin = limits.leaseSecondsMin * 1000;
const ttlMsMax = limits.leaseSecondsMax * 1000;

/** What lease commands do to the leases, their keys and, on the leader, their timers. */
export class LeaseCommands {
  private readonly kv: KvState;
  private readonly state: LeaseState;
  private readonly timers: LeaseTimers;
  private readonly probe: Probe | undefined;

  constructor(kv: KvState, state: LeaseState, timers: LeaseTimers, probe?: Probe) {
    this.probe = probe;
    this.kv = kv;
    this.state = state;
    this.timers = timers;
  }

  grant(command: Of<"lease-grant">, meta: ApplyMeta): ReplyResult | Refusal {
    if (command.ttlMs > ttlMsMax) return refusal("INVALID_ARGUMENT", `a lease lasts at most ${limits.leaseSecondsMax} seconds`);
    const chosen =
      command.lease === 0n
        ? this.state.chooseId(meta.index, meta.position)
        : { low: leaseLow(command.lease), high: leaseHigh(command.lease) };
    if (this.state.has(chosen.low, chosen.high))
      return refusal("LEASE_EXISTS", `lease ${command.lease} exists already`, { lease: String(command.lease) });
    const lease = this.state.grant(chosen.low, chosen.high, Math.max(ttlMsMin, command.ttlMs), 0);
    this.timers.granted(lease);
    return { kind: "lease", lease: leaseId(lease), ttlMs: lease.ttlMs, remainingMs: lease.ttlMs, keys: [] };
  }

  /** The keys go in the same revision, in order. A revoke by expiry counts only in the term that timed it. */
  revoke(command: Of<"lease-revoke">, meta: ApplyMeta): ReplyResult | Refusal {
    const lease = this.find(command.lease);
    if ("code" in lease) return lease;
    if (command.term !== 0 && command.term !== meta.term) {
      this.probe?.("revoke-of-earlier-term");
      return refusal("CONFLICT", `the lease was timed in term ${command.term}, and this is term ${meta.term}`, { term: meta.term });
    }
    for (const key of sortedKeys(lease)) {
      const handle = this.kv.live.get(key);
      if (handle !== undefined) this.kv.remove(handle);
    }
    this.state.revoke(lease);
    this.timers.revoked(lease);
    return { kind: "done" };
  }

  checkpoint(command: Of<"lease-checkpoint">): ReplyResult {
    for (const { lease: id, remainingMs } of command.leases) {
      const lease = this.state.get(leaseLow(id), leaseHigh(id));
      if (lease === undefined) continue;
      const kept = remainingMs >= lease.ttlMs ? 0 : remainingMs;
      this.state.checkpoint(lease, kept);
      this.timers.checkpointed(lease, kept);
    }
    return { kind: "done" };
  }

  describe(id: bigint, keys: boolean): ReplyResult | Refusal {
    const lease = this.find(id);
    if ("code" in lease) return lease;
    return {
      kind: "lease",
      lease: id,
      ttlMs: lease.ttlMs,
      remainingMs: Math.floor(this.timers.remainingMs(lease)),
      keys: keys ? sortedKeys(lease) : [],
    };
  }

  list(): ReplyResult {
    const leases: bigint[] = [];
    for (const cursor = this.state.leases.cursor(""); cursor.value !== undefined; cursor.next()) leases.push(leaseId(cursor.value));
    return { kind: "leases", leases };
  }

  private find(id: bigint): Lease | Refusal {
    return (
      this.state.get(leaseLow(id), leaseHigh(id)) ?? refusal("LEASE_NOT_FOUND", `lease ${id} has ended or never was`, { lease: String(id) })
    );
  }
}

function sortedKeys(lease: Lease): string[] {
  return [...lease.keys].sort((a, b) => (a < b ? -1 : 1));
}
