import { isUnumError } from "../../base/index.ts";
import type { Lease } from "../../api/index.ts";
import type { Prng } from "../../base/index.ts";
import { checkHoldings } from "../check/index.ts";
import type { Holding } from "../check/index.ts";
import type { Leasing } from "../history.ts";
import type { Client } from "./client.ts";
import type { Place, Workload, WorkloadType } from "./workload.ts";

export const leases: WorkloadType = {
  name: "lease",
  about: "entries and claims that hang on leases, which are kept, given back, or left to themselves",
  create: (place) => new Leases(place),
};

class Leases implements Workload {
  private readonly prefix: string;
  private readonly claims: number;
  private readonly holdings: Holding[] = [];
  private readonly numbers = new Map<string, number>();

  constructor({ prefix, prng }: Place) {
    this.prefix = prefix;
    this.claims = prng.pick([1, 1, 2]);
  }

  async step(client: Client, prng: Prng): Promise<void> {
    const keepAlive = prng.chance(3, 4);
    const granted = await this.grant(client, prng.pick([2_000, 2_000, 3_000, 5_000]), keepAlive);
    if (granted === undefined) return;
    const { lease, leasing } = granted;
    if (prng.chance(1, 2)) await this.claim(client, prng, lease, leasing);
    else await this.entry(client, prng, lease, leasing);
    if (keepAlive || prng.chance(1, 2)) await this.giveBack(client, lease, leasing);
    else {
      this.count("left to end");
      leasing.releasedMs = client.host.nowMs();
    }
  }

  private async grant(client: Client, ttlMs: number, keepAlive: boolean): Promise<{ lease: Lease; leasing: Leasing } | undefined> {
    const { history, name: keyspace } = client.space;
    try {
      const lease = await client.handle.lease(ttlMs, { keepAlive, keyspace, timeout: client.manners.timeoutMs });
      const leasing: Leasing = {
        client: client.name,
        id: lease.id,
        ttlMs: lease.ttlMs,
        keys: new Set(),
        isHeld: () => (client.host.isUp() ? lease.held : undefined),
        releasedMs: keepAlive ? Number.POSITIVE_INFINITY : client.host.nowMs(),
        revoked: false,
      };
      history.leases.push(leasing);
      lease.signal.addEventListener("abort", () => {
        // Nobody renews it from here on; one that was given back is over anyway.
        leasing.releasedMs = Math.min(leasing.releasedMs, client.host.nowMs());
        if (!leasing.revoked) this.count("lost");
      });
      this.count("granted");
      return { lease, leasing };
    } catch (error) {
      if (!isUnumError(error)) client.report(`a lease was refused with ${String(error)}`);
      this.count("not granted");
      return undefined;
    }
  }

  /** An entry that lives as long as its lease. */
  private async entry(client: Client, prng: Prng, lease: Lease, leasing: Leasing): Promise<void> {
    const key = `${this.prefix}e${client.fresh()}`;
    await this.put(client, key, undefined, lease, leasing);
    await this.stay(client, prng);
    if (!client.stopped) await client.run({ kind: "get", key, stale: false }, leases.name);
  }

  /** A claim on a name that others want, too, and writes that are made under it. */
  private async claim(client: Client, prng: Prng, lease: Lease, leasing: Leasing): Promise<void> {
    const name = `${this.prefix}c${prng.below(this.claims)}`;
    const fence = await this.put(client, name, 0, lease, leasing);
    if (fence === undefined || !lease.held) return;
    const fromMs = client.host.nowMs();
    const holding: Holding = { name, client: client.name, fence, shared: false, fromMs, untilMs: fromMs };
    this.holdings.push(holding);
    this.count("claimed");
    for (let writes = prng.between(0, 3); writes > 0 && lease.held && !client.stopped; writes--) {
      await this.stay(client, prng);
      if (lease.held) holding.untilMs = client.host.nowMs();
      const guarded = { key: `${this.prefix}g${name}`, value: client.fresh() };
      const call = await client.run(
        { kind: "txn", compare: [{ key: name, revision: fence }], writes: [guarded], reads: [], elseReads: [] },
        leases.name,
      );
      if (call.result?.kind === "conflict") this.count("fenced");
    }
  }

  /** The revision, when it is known that it was written. */
  private async put(
    client: Client,
    key: string,
    ifRevision: number | undefined,
    lease: Lease,
    leasing: Leasing,
  ): Promise<number | undefined> {
    const value = client.fresh();
    client.space.guard.attach(key, value, leasing);
    const call = await client.run({ kind: "put", key, value, ifRevision, lease: lease.id }, leases.name, { lease });
    return call.result?.kind === "written" ? call.result.revision : undefined;
  }

  private async stay(client: Client, prng: Prng): Promise<void> {
    if (!client.stopped) await client.host.sleep(prng.pick([0, prng.below(500), prng.below(3_000)]));
  }

  private async giveBack(client: Client, lease: Lease, leasing: Leasing): Promise<void> {
    leasing.revoked = true;
    leasing.releasedMs = Math.min(leasing.releasedMs, client.host.nowMs());
    try {
      await lease.revoke({ timeout: client.manners.timeoutMs });
      this.count("given back");
    } catch (error) {
      if (!isUnumError(error)) client.report(`a lease could not be given back: ${String(error)}`);
      this.count("not given back");
    }
  }

  private count(what: string): void {
    this.numbers.set(what, (this.numbers.get(what) ?? 0) + 1);
  }

  check(): string[] {
    return checkHoldings(this.holdings);
  }

  counts(): ReadonlyMap<string, number> {
    return this.numbers;
  }
}
