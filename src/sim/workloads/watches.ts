import { isUnumError } from "../../base/index.ts";
import type { Prng } from "../../base/index.ts";
import type { Cache, WatchEvent } from "../../api/index.ts";
import type { SeenEvent, Watching } from "../history.ts";
import type { Client } from "./client.ts";
import { toSeen, unpad } from "./values.ts";
import type { Place, Workload, WorkloadType } from "./workload.ts";

export const watches: WorkloadType = {
  name: "watch",
  about:
    "keys that come, change and go in ones and several at once, and watches of their present, past and future, quick and slow, and copies",
  create: (place) => new Watches(place),
};

/** Where a watch begins. `first`: at the beginning of time, which may be forgotten. */
type Start = "present" | "past" | "future" | "first";

class Watches implements Workload {
  private readonly prefix: string;
  private readonly keys: readonly string[];
  private readonly perClient: number;
  private readonly numbers = new Map<string, number>();

  constructor({ prefix, prng }: Place) {
    this.prefix = prefix;
    this.keys = Array.from({ length: prng.pick([1, 3, 10]) }, (_, i) => `${prefix}${i}`);
    this.perClient = prng.pick([1, 2, 3]);
  }

  async step(client: Client, prng: Prng): Promise<void> {
    const key = prng.pick(this.keys);
    switch (prng.pick(["put", "put", "delete", "txn"] as const)) {
      case "put":
        await client.run({ kind: "put", key, value: client.value(prng), ifRevision: undefined }, watches.name);
        return;
      case "delete":
        await client.run({ kind: "delete", key, ifRevision: undefined }, watches.name);
        return;
      case "txn": {
        const keys = prng.shuffle(this.keys).slice(0, prng.between(1, 4));
        const writes = keys.map((name) => ({ key: name, value: client.value(prng) }));
        await client.run({ kind: "txn", compare: [], writes, reads: [], elseReads: [] }, watches.name);
      }
    }
  }

  follow(client: Client, prng: Prng): void {
    for (let i = 0; i < this.perClient; i++) void this.watch(client, prng.fork(`watch ${i}`));
    if (prng.chance(1, 3)) void this.copy(client, prng.fork("copy"));
  }

  /** A watch to the end of the run; or one that is closed on the way and taken up where it was. */
  private async watch(client: Client, prng: Prng): Promise<void> {
    if (prng.chance(2, 3)) await client.host.sleep(prng.below(8_000));
    if (client.stopped) return;
    const start = prng.pick(["present", "present", "past", "future", "first"] as const);
    const exact = prng.chance(1, 4);
    const target = exact ? prng.pick(this.keys) : prng.pick([this.prefix, this.prefix, ""]);
    const slowMs = prng.pick([0, 0, 50, 700]);
    const previous = prng.chance(1, 3);
    this.count(`${start}${exact ? " key" : ""}`);
    if (slowMs > 0) this.count("slow");
    if (previous) this.count("previous");
    for (let from = this.from(client, prng, start); !client.stopped; ) {
      const watching = client.history.watch(client.name, target, from, { exact, previous });
      const next = await this.consume(client, watching, slowMs, prng.chance(1, 3) ? prng.between(500, 6_000) : undefined);
      if (next === undefined) return;
      this.count("resumed");
      from = next;
    }
  }

  private from(client: Client, prng: Prng, start: Start): number {
    const { revision } = client;
    switch (start) {
      case "present":
        return 0;
      case "past":
        return 1 + prng.below(Math.max(1, revision));
      case "future":
        return revision + prng.between(2, 30);
      case "first":
        return 1;
    }
  }

  /** Where to go on, if it was closed before the run ended. */
  private async consume(client: Client, watching: Watching, slowMs: number, closeMs: number | undefined): Promise<number | undefined> {
    const { exact, from, prefix, previous } = watching;
    const watch = client.kv.watch<string>(exact ? { key: prefix } : { prefix }, { ...(from === 0 ? {} : { from }), previous });
    watch.started.then(
      (revision) => client.history.started(watching, revision),
      () => undefined,
    );
    if (closeMs !== undefined) void client.host.sleep(closeMs).then(() => watch.close());
    try {
      for await (const { events, revision } of watch) {
        watching.changes.push({ revision, events: events.map(toSeenEvent) });
        if (slowMs > 0 && !client.stopped) await client.host.sleep(slowMs);
      }
      watching.ended = "closed";
    } catch (error) {
      this.failed(client, watching, error);
      return undefined;
    }
    const last = watching.changes.at(-1)?.revision;
    if (last !== undefined) return last + 1;
    return watching.started ?? (watching.from === 0 ? undefined : watching.from);
  }

  private failed(client: Client, watching: Watching, error: unknown): void {
    watching.ended = isUnumError(error, "COMPACTED") ? "compacted" : "failed";
    watching.error = String(error);
    this.count(watching.ended);
    if (watching.ended === "failed") client.report(`a watch ended with ${String(error)}`);
  }

  /** A copy that follows, looked at now and then: it is always whole. */
  private async copy(client: Client, prng: Prng): Promise<void> {
    await client.host.sleep(prng.below(4_000));
    const { prefix } = this;
    let cache: Cache<string>;
    try {
      cache = await client.kv.cache<string>({ prefix }, { timeout: client.manners.timeoutMs });
    } catch (error) {
      if (!isUnumError(error)) client.report(`a copy could not be made: ${String(error)}`);
      return;
    }
    this.count("copies");
    while (!client.stopped) {
      const state = cache.entries().map(({ key, revision, value }) => `${key}=${unpad(value)}@${revision}`);
      client.history.copies.push({ client: client.name, prefix, revision: cache.revision, state: state.join(" ") });
      await client.host.sleep(prng.between(50, 800));
    }
    await cache.close();
  }

  private count(what: string): void {
    this.numbers.set(what, (this.numbers.get(what) ?? 0) + 1);
  }

  counts(): ReadonlyMap<string, number> {
    return this.numbers;
  }
}

export function toSeenEvent(event: WatchEvent<string>): SeenEvent {
  const value = event.kind === "put" ? unpad(event.entry.value) : undefined;
  return { key: event.key, value, ...(event.previous === undefined ? {} : { previous: toSeen(event.previous) }) };
}
