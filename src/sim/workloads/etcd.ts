import type { Prng } from "../../base/index.ts";
import { latin1Decode, utf8Encode } from "../../base/index.ts";
import { KV, Lease, Watch } from "../../etcd/index.ts";
import type { WatchResponse } from "../../etcd/index.ts";
import type { Chronicle } from "../check/index.ts";
import { isWatched } from "../history.ts";
import type { SeenEvent, Watching } from "../history.ts";
import { endOf } from "./client.ts";
import type { Client } from "./client.ts";
import { EtcdClient, seenOf } from "./etcd-client.ts";
import { EtcdStatus } from "./etcd-wire.ts";
import type { EtcdStream } from "./etcd-wire.ts";
import { kinds, Objects } from "./kubernetes.ts";
import type { Place, WorkloadType } from "./workload.ts";

export const etcd: WorkloadType = {
  name: "etcd",
  about:
    "the same through the etcd gateway, several watches on a stream, slow ones, progress, leases and compactions, as API servers use etcd",
  create: (place) => new EtcdObjects(place),
};

type Stream = EtcdStream<typeof Watch.method.watch.input, typeof Watch.method.watch.output>;

/** One watch of a stream. */
interface Watched {
  readonly watching: Watching;
  /** What the range holds, as far as it was told; undefined: it began now, without a list. */
  readonly copy: Map<string, string> | undefined;
}

/** A progress as its client was told: everything of the watch up to the revision was told before it. */
interface Told {
  readonly watching: Watching;
  readonly revision: number;
  readonly changes: number;
}

/** API servers whose storage is the gateway of their own machine. */
class EtcdObjects extends Objects {
  private readonly clients = new Map<string, EtcdClient>();
  private readonly told: Told[] = [];

  constructor(place: Place) {
    super(place, etcd.name);
  }

  override async step(client: Client, prng: Prng): Promise<void> {
    const hands = this.handsOf(client);
    switch (prng.pick(["object", "object", "object", "object", "object", "lease", "count", "compact"] as const)) {
      case "lease":
        return this.lease(hands, prng);
      case "count":
        return this.countAll(hands, prng);
      case "compact":
        if (prng.chance(1, 4)) return this.compact(hands);
        return;
      default:
        return super.step(hands, prng);
    }
  }

  override follow(client: Client, prng: Prng): void {
    const hands = this.handsOf(client);
    for (let i = 0; i < 2; i++) void this.watch(hands, prng.fork(`watches ${i}`));
  }

  check(chronicle: Chronicle): string[] {
    return this.told.flatMap(({ changes, revision, watching }) => {
      const first = watching.started ?? watching.from;
      const due = chronicle.changes.filter(
        (change) => change.revision >= first && change.revision <= revision && change.events.some(({ key }) => isWatched(watching, key)),
      );
      if (due.length <= changes) return [];
      const what = `${watching.client}'s watch of ${watching.prefix}* from ${first}`;
      return [`${what} was told that it has everything up to ${revision}, and had ${changes} of ${due.length} changes`];
    });
  }

  private handsOf(client: Client): EtcdClient {
    let hands = this.clients.get(client.name);
    if (hands === undefined) {
      hands = new EtcdClient(client);
      this.clients.set(client.name, hands);
    }
    return hands;
  }

  /** An event that goes with its lease, which is kept for a while, and then given back or left. */
  private async lease(client: EtcdClient, prng: Prng): Promise<void> {
    try {
      const seconds = prng.pick([2, 3, 5]);
      const { host } = client;
      let sentMs = host.nowMs();
      const { ID } = await client.call(Lease.method.leaseGrant, { TTL: BigInt(seconds) });
      const ttlMs = seconds * 1_000;
      const id = String(BigInt.asUintN(64, ID));
      // Counted from when its owner asked, by true time: etcd's clients count by a clock that stands still while their machine sleeps,
      // which no server can make good. The leader's clock may be faster.
      const isHeld = (): boolean | undefined => (host.isUp() ? host.nowMs() < sentMs + ttlMs * 0.98 : undefined);
      const leasing = {
        client: client.name,
        id,
        ttlMs,
        keys: new Set<string>(),
        isHeld,
        releasedMs: Number.POSITIVE_INFINITY,
        revoked: false,
      };
      client.history.leases.push(leasing);
      this.note("leased");
      const key = `${this.prefix}events/${client.fresh()}`;
      const value = client.fresh();
      client.space.guard.attach(key, value, leasing);
      await client.run({ kind: "put", key, value, ifRevision: undefined, lease: id }, etcd.name);
      const alive = client.open(Lease.method.leaseKeepAlive);
      // Some ask again and again around the very end, when the leader may have begun to revoke it.
      const isLate = seconds === 2 && prng.chance(1, 3);
      if (isLate) await host.sleep(Math.max(0, sentMs + ttlMs - 100 - host.nowMs()));
      for (let times = isLate ? 30 : prng.below(4); times > 0 && !client.stopped; times--) {
        await host.sleep(isLate ? prng.below(25) : prng.below(ttlMs / 2));
        const askedMs = host.nowMs();
        alive.send({ ID });
        const answer = await alive.next();
        if (answer === undefined || answer.TTL === 0n) break;
        sentMs = askedMs;
        this.note(isLate ? "kept late" : "kept alive");
      }
      alive.cancel();
      leasing.releasedMs = host.nowMs();
      if (prng.chance(1, 2)) return;
      leasing.revoked = true;
      await client.call(Lease.method.leaseRevoke, { ID });
    } catch (error) {
      if (!(error instanceof EtcdStatus)) throw error;
      this.note("lease lost");
    }
  }

  private async countAll(client: EtcdClient, prng: Prng): Promise<void> {
    const resource = `${this.prefix}${prng.pick(kinds)}/`;
    const whole = { kind: "range", prefix: resource, stale: false } as const;
    const { result } = await client.run(whole, etcd.name);
    if (result?.kind === "page" && result.count !== result.entries.length)
      client.report(`${resource}* has ${result.entries.length} entries and counts ${result.count}`);
  }

  /** Whoever finds the counter as it left it compacts what was current then. */
  private async compact(client: EtcdClient): Promise<void> {
    const key = `${this.prefix}compact_rev_key`;
    const { revision } = client;
    const compare = [{ key, revision: client.seenRevision(key) }];
    const { result } = await client.run(
      { kind: "txn", compare, writes: [{ key, value: client.fresh() }], reads: [], elseReads: [key] },
      etcd.name,
    );
    if (result?.kind !== "written" || revision === 0) return;
    await client.host.sleep(500);
    try {
      await client.call(KV.method.compact, { revision: BigInt(revision) });
      this.note("compacted by hand");
    } catch (error) {
      if (!(error instanceof EtcdStatus)) throw error;
    }
  }

  /** Some watches on one stream, from a list or from now on, until the stream or the run ends; then again. */
  private async watch(client: EtcdClient, prng: Prng): Promise<void> {
    const { host } = client;
    await host.sleep(prng.below(3_000));
    while (!client.stopped) {
      const slowMs = prng.pick([2, 2, 50, 400]);
      const stream = client.open(Watch.method.watch, prng.chance(1, 2) ? { hasleader: "true" } : {}, slowMs);
      const watches = new Map<bigint, Watched>();
      for (let id = 1n; id <= BigInt(prng.between(1, 3)); id++) {
        const watched = await this.begin(client, prng, stream, id);
        if (watched !== undefined) watches.set(id, watched);
      }
      if (prng.chance(1, 3)) void host.sleep(prng.between(1_000, 5_000)).then(() => stream.cancel());
      if (prng.chance(1, 2)) void this.askProgress(client, prng, stream);
      this.note(slowMs > 2 ? "slow streams" : "streams");
      await this.read(client, stream, watches);
      for (const { watching } of watches.values()) if (watching.ended === "open") watching.ended = "closed";
      await host.sleep(100);
    }
  }

  private async begin(client: EtcdClient, prng: Prng, stream: Stream, watchId: bigint): Promise<Watched | undefined> {
    const prefix = `${this.prefix}${prng.pick(kinds)}/`;
    let from = 0;
    let copy: Map<string, string> | undefined;
    if (prng.chance(2, 3)) {
      const { result } = await client.run({ kind: "range", prefix, stale: false }, etcd.name);
      if (result?.kind !== "page") return undefined;
      from = result.revision + 1;
      copy = new Map(result.entries.map(({ key, revision, value }) => [key, `${key}=${value}@${revision}`]));
    }
    const watching = client.history.watch(client.name, prefix, from, { exact: false, previous: true });
    const value = { key: utf8Encode(prefix), rangeEnd: utf8Encode(endOf(prefix)), startRevision: BigInt(from), prevKv: true, watchId };
    stream.send({ requestUnion: { case: "createRequest", value } });
    this.note(from === 0 ? "present" : "informed");
    return { watching, copy };
  }

  private async askProgress(client: EtcdClient, prng: Prng, stream: Stream): Promise<void> {
    for (let times = 0; times < 5 && !client.stopped; times++) {
      await client.host.sleep(prng.below(2_000));
      stream.send({ requestUnion: { case: "progressRequest", value: {} } });
    }
  }

  private async read(client: EtcdClient, stream: Stream, watches: ReadonlyMap<bigint, Watched>): Promise<void> {
    try {
      for (let response = await stream.next(); response !== undefined; response = await stream.next()) {
        const watched = watches.get(response.watchId);
        if (watched !== undefined) this.tell(client, watched, response);
        else if (response.watchId === -1n && !response.created) this.progress(watches, Number(response.header?.revision));
        else client.report(`a message for watch ${response.watchId}, which nobody made`);
      }
    } catch (error) {
      if (!(error instanceof EtcdStatus)) throw error;
      // Cancelled, no leader, or nobody answers: whoever watches goes on from a list. Nothing else ends a stream.
      if (error.code !== 1 && error.code !== 14) client.report(`a stream of watches ended with ${error.code}: ${error.message}`);
      this.note("streams ended");
    }
  }

  private progress(watches: ReadonlyMap<bigint, Watched>, revision: number): void {
    this.note("progress");
    for (const { watching } of watches.values()) {
      if (watching.started === undefined || watching.ended !== "open") continue;
      this.told.push({ watching, revision, changes: watching.changes.length });
    }
  }

  private tell(client: EtcdClient, { copy, watching }: Watched, response: WatchResponse): void {
    const revision = Number(response.header?.revision);
    if (response.created) client.history.started(watching, watching.from > 0 ? watching.from : revision + 1);
    if (response.canceled) {
      watching.ended = response.compactRevision > 0n ? "compacted" : "failed";
      this.note(watching.ended);
      if (watching.ended === "failed") client.report(`a watch was canceled: ${response.cancelReason}`);
      return;
    }
    if (response.events.length === 0) return;
    const events = response.events.map(({ kv, prevKv, type }): SeenEvent => {
      const key = latin1Decode(kv?.key ?? new Uint8Array(0));
      const previous = prevKv === undefined ? {} : { previous: seenOf(prevKv) };
      return { key, value: type === 0 && kv !== undefined ? seenOf(kv).value : undefined, ...previous };
    });
    const at = Number(response.events[0]?.kv?.modRevision);
    watching.changes.push({ revision: at, events });
    if (copy === undefined) return;
    for (const { key, value } of events) {
      if (value === undefined) copy.delete(key);
      else copy.set(key, `${key}=${value}@${at}`);
    }
    const state = [...copy].sort((a, b) => (a[0] < b[0] ? -1 : 1)).map(([, text]) => text);
    client.history.copies.push({ client: client.name, prefix: watching.prefix, revision: at, state: state.join(" ") });
  }
}
