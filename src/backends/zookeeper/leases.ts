import type { HandleClock } from "../../api/index.ts";
import { UnumError, isUnumError, limits } from "../../base/index.ts";
import type { Prng } from "../../base/index.ts";
import type { Reply } from "../../machine/commands/index.ts";
import type { EngineCall } from "../engine.ts";
import { isZooKeeperError } from "./client/index.ts";
import type { WatchEvent, ZooKeeper } from "./client/index.ts";
import type { Committer, Intent } from "./committer.ts";
import { everything } from "./copy.ts";
import { Refused, unavailable } from "./failure.ts";
import { decodeLease, encodeLease } from "./layout.ts";
import type { Follower, Store } from "./store.ts";

/** Since when a lease has stood unchanged, as far as this engine has seen. */
interface Seen {
  readonly ttlMs: number;
  nowMs: number;
  wallMs: number;
  /** It is being ended. */
  busy: boolean;
}

const tickMs = 250;
/** Above a lease's own time: for the way of a renewal, and by chance, so that not all engines end it in one moment. */
const slackMs = 200;
const spreadMs = 300;
const expiryMs = 10_000;

/**
 * The leases, as nodes whose data is written again by each renewal. Every engine counts for itself since when each has stood unchanged, and ends
 * it when that is longer than the lease's time: by a transaction that demands the very version that was looked at. So none ends early, whoever
 * renews it; one ends late when no engine is connected, and anew counts who connects.
 */
export class Leases implements Follower {
  private readonly store: Store;
  private readonly committer: Committer;
  private readonly clock: HandleClock;
  private readonly prng: Prng;
  private readonly seen = new Map<bigint, Seen>();
  private zk: ZooKeeper | undefined;
  private timer: { cancel(): void } | undefined;
  private over = false;

  constructor(store: Store, committer: Committer, clock: HandleClock, prng: Prng) {
    this.store = store;
    this.committer = committer;
    this.clock = clock;
    this.prng = prng;
  }

  close(): void {
    this.over = true;
    this.timer?.cancel();
  }

  async attach(zk: ZooKeeper): Promise<void> {
    this.zk = zk;
    await zk.addWatch(this.store.layout.leases, (event) => this.noticed(zk, event), { recursive: true });
    await this.readAll(zk);
    if (this.timer === undefined) this.tick();
  }

  private noticed(zk: ZooKeeper, { kind, path }: WatchEvent): void {
    if (this.zk !== zk || kind === "ended") return;
    if (kind === "gap") return void this.readAll(zk).catch(() => undefined);
    const lease = this.store.layout.leaseOf(path);
    if (lease === undefined) return;
    if (kind === "deleted") this.seen.delete(lease);
    else if (this.seen.has(lease)) this.touch(lease);
    else this.read(zk, lease).catch(() => undefined);
  }

  private touch(lease: bigint): void {
    const seen = this.seen.get(lease);
    if (seen === undefined) return;
    seen.nowMs = this.clock.now();
    seen.wallMs = this.clock.wall();
  }

  /** What happened meanwhile is unknown: every lease counts as renewed now. */
  private async readAll(zk: ZooKeeper): Promise<void> {
    for (const lease of this.seen.keys()) this.touch(lease);
    const there = new Set(await this.list(zk));
    for (const lease of this.seen.keys()) if (!there.has(lease)) this.seen.delete(lease);
    await Promise.all([...there].filter((lease) => !this.seen.has(lease)).map((lease) => this.read(zk, lease)));
  }

  private async list(zk: ZooKeeper): Promise<bigint[]> {
    const { layout } = this.store;
    const names = (await zk.children(layout.leases))?.children ?? [];
    return names.flatMap((name) => layout.leaseOf(`${layout.leases}/${name}`) ?? []);
  }

  private async read(zk: ZooKeeper, lease: bigint): Promise<Seen | undefined> {
    const node = await zk.get(this.store.layout.lease(lease));
    if (node === undefined) return undefined;
    const known = this.seen.get(lease);
    if (known !== undefined) return known;
    const seen = { ttlMs: decodeLease(node.data).ttlMs, nowMs: this.clock.now(), wallMs: this.clock.wall(), busy: false };
    this.seen.set(lease, seen);
    return seen;
  }

  /** By whichever clock has gone less far: one that was set forward ends nothing. */
  private elapsedMs({ nowMs, wallMs }: Seen): number {
    return Math.max(0, Math.min(this.clock.now() - nowMs, this.clock.wall() - wallMs));
  }

  private tick(): void {
    if (this.over) return;
    this.timer = this.clock.after(tickMs, () => {
      for (const [lease, seen] of this.seen) {
        const limitMs = seen.ttlMs * (1 + 2 * limits.clockDriftRatio) + slackMs;
        if (!seen.busy && this.elapsedMs(seen) > limitMs) void this.expire(lease, seen);
      }
      this.tick();
    });
  }

  private async expire(lease: bigint, seen: Seen): Promise<void> {
    const { zk } = this;
    if (zk === undefined) return;
    seen.busy = true;
    try {
      const { nowMs } = seen;
      await this.store.pause(this.prng.below(spreadMs));
      await zk.sync(this.store.layout.leases);
      const node = await zk.get(this.store.layout.lease(lease));
      // An event comes before the answer that shows what it announces: without one, this version has stood for all that time.
      if (node === undefined) this.seen.delete(lease);
      else if (seen.nowMs === nowMs && this.zk === zk) await this.end(lease, node.stat.version, this.call());
    } catch {
      // Not connected, or somebody else ends it: seen again at the next tick.
    } finally {
      seen.busy = false;
    }
  }

  private call(): EngineCall {
    return { deadlineMs: this.clock.now() + expiryMs, cancelled: false, onCancel: () => undefined };
  }

  /** `version`: only as long as it was not renewed since. */
  private end(lease: bigint, version: number | undefined, call: EngineCall): Promise<Reply> {
    const intent: Intent = {
      // Nothing that hangs on the lease may be on its way.
      footprint: [everything],
      plan: (copy) => {
        const changes = copy.keysOf(lease).map((key) => ({ key, entry: undefined, previous: copy.get(key) }));
        return { write: { changes, leases: [], ends: { lease, version }, stamp: () => undefined, result: () => ({ kind: "done" }) } };
      },
    };
    return this.committer.submit(intent, call);
  }

  revoke(lease: bigint, call: EngineCall): Promise<Reply> {
    return this.end(lease, undefined, call);
  }

  /** `id` 0n: one is chosen. `sent` tells whether there is anything that may have been done. */
  async grant(id: bigint, wantedMs: number, sent: { some: boolean }): Promise<{ readonly lease: bigint; readonly ttlMs: number }> {
    const ttlMs = Math.max(limits.leaseSecondsMin * 1000, wantedMs);
    const command = this.store.randomId();
    for (;;) {
      const zk = await this.store.session();
      const lease = id === 0n ? BigInt.asUintN(63, BigInt(`0x${this.store.randomId().slice(0, 16)}`)) | 1n : id;
      sent.some = true;
      try {
        await zk.create(this.store.layout.lease(lease), encodeLease(ttlMs, command));
        return { lease, ttlMs };
      } catch (error) {
        // Chosen here, another one will do: if this one was granted after all, nobody knows of it and it ends by itself.
        if (id === 0n && (isZooKeeperError(error, "NODE_EXISTS") || isUnumError(error, "UNKNOWN_OUTCOME"))) continue;
        if (!isZooKeeperError(error, "NODE_EXISTS")) throw error;
        throw new Refused("LEASE_EXISTS", `lease ${id} exists already`, { lease: String(id) });
      }
    }
  }

  /** Safe to repeat. */
  async keepAlive(lease: bigint): Promise<number> {
    const zk = await this.store.session();
    const path = this.store.layout.lease(lease);
    const node = await zk.get(path);
    if (node === undefined) {
      // The server may be behind: asked in a transaction, it is the leader's word.
      const outcome = await zk.multi([{ kind: "check", path }]);
      if (!outcome.applied && outcome.code === "NO_NODE") throw new UnumError("LEASE_NOT_FOUND");
      throw unavailable("the server was behind");
    }
    try {
      await zk.set(path, node.data);
    } catch (error) {
      if (isZooKeeperError(error, "NO_NODE")) throw new UnumError("LEASE_NOT_FOUND");
      throw error;
    }
    return decodeLease(node.data).ttlMs;
  }

  async look(lease: bigint): Promise<{ readonly ttlMs: number; readonly remainingMs: number }> {
    const zk = await this.store.session();
    const { layout } = this.store;
    await this.store.barrier(zk);
    const node = await zk.get(layout.lease(lease));
    if (node === undefined) throw new Refused("LEASE_NOT_FOUND", `lease ${lease} has ended or never was`, { lease: String(lease) });
    const { ttlMs } = decodeLease(node.data);
    const seen = this.seen.get(lease);
    return { ttlMs, remainingMs: Math.max(0, ttlMs - (seen === undefined ? 0 : this.elapsedMs(seen))) };
  }

  async ids(): Promise<bigint[]> {
    const zk = await this.store.session();
    await this.store.barrier(zk);
    return (await this.list(zk)).sort((a, b) => (a < b ? -1 : 1));
  }
}
