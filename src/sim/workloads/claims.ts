import { isUnumError } from "../../base/index.ts";
import type { Claim, Handle, Lock } from "../../api/index.ts";
import type { Prng } from "../../base/index.ts";
import { checkFencedWrites, checkGuardedWrites, checkHoldings } from "../check/index.ts";
import type { Chronicle, FencedWrite, GuardedWrite, Holding } from "../check/index.ts";
import { pad } from "./values.ts";
import type { Client } from "./client.ts";
import type { Place, Workload, WorkloadType } from "./workload.ts";

export const claims: WorkloadType = {
  name: "claims",
  about: "locks, for readers too, and elections that clients want at once; writes under their fences, here and in a guarded keyspace",
  create: (place) => new Claims(place),
};

/** How long a holder goes without asking whether it still holds. */
const lookMs = 100;
/** A keyspace beside the one of the claims. */
const guardedSpace = "guarded";

/** What a claim shows to the writes that it goes into. */
interface Marked {
  readonly mark: { readonly key: string };
}

class Claims implements Workload {
  private readonly prefix: string;
  private readonly names: number;
  private readonly guards: readonly string[];
  private readonly holdings: Holding[] = [];
  private readonly writes: FencedWrite[] = [];
  private readonly guarded: GuardedWrite[] = [];
  private readonly numbers = new Map<string, number>();

  constructor({ prefix, prng, space }: Place) {
    this.prefix = prefix;
    this.names = prng.pick([1, 1, 2]);
    for (let number = 0; number < this.names; number++)
      for (const kind of ["l", "e"]) space.history.lines.add(`${prefix}${kind}${number}/`);
    this.guards = prng.chance(1, 3) ? [guardedSpace] : [];
  }

  async step(client: Client, prng: Prng): Promise<void> {
    const number = prng.below(this.names);
    if (prng.chance(1, 4)) return this.lead(client, prng, `${this.prefix}e${number}`);
    const name = `${this.prefix}l${number}`;
    const lock = client.handle.lock(name, { keyspace: client.space.name, guards: this.guards });
    const shared = prng.chance(1, 4);
    const claim = await this.take(client, prng, shared ? lock.shared : lock);
    if (claim === undefined) return;
    this.count(shared ? "shared" : "held");
    try {
      await this.hold(client, prng, name, claim, shared);
    } finally {
      await this.giveUp(client, claim);
    }
  }

  private async take(client: Client, prng: Prng, lock: Lock): Promise<(Claim & Handle) | undefined> {
    const ttl = prng.pick([2_000, 2_000, 3_000, 5_000]);
    try {
      if (prng.chance(1, 5)) {
        const claim = await lock.tryAcquire({ ttl, timeout: client.manners.timeoutMs });
        if (claim === undefined) this.count("taken by another");
        return claim;
      }
      // Those that give up while they wait are the ones that others wake for in vain.
      return await lock.acquire({ ttl, timeout: prng.pick([300, 2_000, 10_000, 10_000]) });
    } catch (error) {
      this.refused(client, "a lock", error);
      return undefined;
    }
  }

  /** One candidacy: until it has led once, or for long enough. */
  private async lead(client: Client, prng: Prng, name: string): Promise<void> {
    const election = client.handle.election(name, { keyspace: client.space.name, guards: this.guards });
    const over = { led: false };
    const running = election.run(
      async (claim) => {
        this.count("led");
        await this.hold(client, prng, name, claim, false);
        over.led = true;
      },
      { ttl: prng.pick([2_000, 3_000]), data: client.name, onError: (error) => this.refused(client, "leading", error) },
    );
    for (let waitedMs = 0; waitedMs < 8_000 && !over.led && !client.stopped; waitedMs += lookMs) await client.host.sleep(lookMs);
    await running.close();
  }

  private async hold(client: Client, prng: Prng, name: string, claim: Claim, shared: boolean): Promise<void> {
    const fromMs = client.host.nowMs();
    const holding: Holding = { name, client: client.name, fence: claim.fence, shared, fromMs, untilMs: fromMs };
    this.holdings.push(holding);
    for (let rounds = prng.between(1, 3); rounds > 0 && !client.stopped; rounds--) {
      await this.stay(client, prng, claim, holding);
      if (shared) await client.run({ kind: "get", key: `${this.prefix}w/${name}`, stale: false }, claims.name);
      else await this.write(client, prng, name, claim);
      this.look(client, claim, holding);
    }
  }

  /** Whether it still holds or not: only the fence stands between a holder that was superseded and what it writes. */
  private async write(client: Client, prng: Prng, name: string, claim: Claim): Promise<void> {
    const value = client.fresh();
    const { mark } = claim as unknown as Marked;
    // Now and then a claim that cannot be asked, so that what this side could know does not stop the write.
    const fence = prng.chance(1, 2) ? claim : ({ mark } as unknown as Claim);
    if (this.guards.length > 0 && prng.chance(1, 2)) return this.writeGuarded(client, name, value, fence, claim.fence);
    const key = `${this.prefix}w/${name}`;
    this.writes.push({ key, value, place: mark.key, fence: claim.fence });
    const call = await client.run({ kind: "put", key, value, ifRevision: undefined }, claims.name, { fence });
    this.count(call.outcome === "ok" ? "written" : "not written");
  }

  private async writeGuarded(client: Client, name: string, value: string, claim: Claim, fence: number): Promise<void> {
    const calledMs = client.host.nowMs();
    try {
      const { revision } = await client.handle
        .keyspace(guardedSpace)
        .put(`w/${name}`, pad(value), { fence: claim, timeout: client.manners.timeoutMs });
      this.guarded.push({ name, fence, revision, calledMs });
      this.count("written elsewhere");
    } catch (error) {
      this.refused(client, "a guarded write", error);
    }
  }

  private async stay(client: Client, prng: Prng, claim: Claim, holding: Holding): Promise<void> {
    for (let leftMs = prng.pick([0, prng.below(500), prng.below(3_000)]); leftMs > 0 && !client.stopped; leftMs -= lookMs) {
      await client.host.sleep(Math.min(leftMs, lookMs));
      this.look(client, claim, holding);
    }
  }

  /** The first statement after a wait, however long that really was. */
  private look(client: Client, claim: Claim, holding: Holding): void {
    if (claim.held) holding.untilMs = client.host.nowMs();
    else if (!claim.signal.aborted) client.report(`the claim on ${holding.name} is not held and its signal has not said so`);
  }

  private async giveUp(client: Client, claim: Handle): Promise<void> {
    try {
      await claim.close();
    } catch (error) {
      this.refused(client, "giving up", error);
    }
  }

  private refused(client: Client, what: string, error: unknown): void {
    if (!isUnumError(error)) client.report(`${what} failed with ${error instanceof Error ? error.stack : String(error)}`);
    else this.count(`${what}: ${error.code}`);
  }

  private count(what: string): void {
    this.numbers.set(what, (this.numbers.get(what) ?? 0) + 1);
  }

  check(chronicle: Chronicle): string[] {
    return [
      ...checkHoldings(this.holdings),
      ...checkFencedWrites(this.writes, chronicle),
      ...checkGuardedWrites(this.guarded, this.holdings),
    ];
  }

  counts(): ReadonlyMap<string, number> {
    return this.numbers;
  }
}
