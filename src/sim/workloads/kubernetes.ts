import { isUnumError } from "../../base/index.ts";
import type { Prng } from "../../base/index.ts";
import type { Operation } from "../history.ts";
import type { Client } from "./client.ts";
import { toSeenEvent } from "./watches.ts";
import type { Place, Workload, WorkloadType } from "./workload.ts";

export const kubernetes: WorkloadType = {
  name: "kubernetes",
  about:
    "objects as an API server keeps them: made if missing, updated and deleted at the revision that was read, listed in pages, listed and then watched",
  create: (place) => new Objects(place),
};

export const kinds = ["pods", "leases", "events"] as const;

/** An API server's mix: mostly updates of few objects by their owners, reads of single ones, lists now and then. */
export class Objects implements Workload {
  protected readonly prefix: string;
  private readonly count: number;
  private readonly pageSize: number;
  private readonly informers: number;
  private readonly numbers = new Map<string, number>();
  private readonly name: string;

  constructor({ prefix, prng }: Place, name = "kubernetes") {
    this.name = name;
    this.prefix = prefix;
    this.count = prng.pick([3, 10, 30]);
    this.pageSize = prng.pick([2, 5, 500]);
    this.informers = prng.pick([0, 1, 2]);
  }

  async step(client: Client, prng: Prng): Promise<void> {
    const resource = `${this.prefix}${prng.pick(kinds)}/`;
    const key = `${resource}${prng.below(this.count)}`;
    switch (prng.pick(["create", "update", "update", "update", "delete", "get", "list", "pages"] as const)) {
      case "create":
        return this.write(client, key, 0, client.value(prng));
      case "update":
        return this.change(client, prng, key, (revision) => this.write(client, key, revision, client.value(prng)));
      case "delete":
        return this.change(client, prng, key, (revision) => this.write(client, key, revision, undefined));
      case "get":
        await client.run({ kind: "get", key, stale: false }, this.name);
        return;
      case "list":
        await client.run({ kind: "range", prefix: resource, stale: client.isStale(prng) }, this.name);
        return;
      case "pages":
        return this.pages(client, resource);
    }
  }

  /** At the revision that it has in its hands, which may be an old one; what it meets instead it takes for the next try. */
  private async change(client: Client, prng: Prng, key: string, write: (revision: number) => Promise<void>): Promise<void> {
    if (client.seenRevision(key) === 0 || prng.chance(1, 3)) await client.run({ kind: "get", key, stale: false }, this.name);
    for (let attempt = 0; attempt < 3; attempt++) {
      const revision = client.seenRevision(key);
      if (revision === 0 || client.stopped) return;
      await write(revision);
      if (client.seenRevision(key) !== revision && prng.chance(1, 2)) return;
    }
  }

  /** One compare, one operation, and a read of what stands in the way: the only transactions that Kubernetes makes. */
  private async write(client: Client, key: string, revision: number, value: string | undefined): Promise<void> {
    const operation: Operation = { kind: "txn", compare: [{ key, revision }], writes: [{ key, value }], reads: [], elseReads: [key] };
    await client.run(operation, this.name);
  }

  /** All pages at the revision of the first. */
  private async pages(client: Client, resource: string): Promise<void> {
    let revision = 0;
    let from = resource;
    for (let page = 0; page < 20 && !client.stopped; page++) {
      const operation: Operation = { kind: "list", prefix: resource, from, limit: this.pageSize, revision };
      const { result } = await client.run(operation, this.name);
      if (result?.kind !== "page" || result.more !== true) return;
      if (page === 0) revision = result.revision;
      from = `${result.entries.at(-1)?.key ?? from}\0`;
    }
  }

  follow(client: Client, prng: Prng): void {
    for (let i = 0; i < this.informers; i++) void this.inform(client, prng.fork(`informer ${i}`));
  }

  /** List, then watch from the next revision; the copy that comes of it is always what the list would give. After COMPACTED: list again. */
  private async inform(client: Client, prng: Prng): Promise<void> {
    const prefix = `${this.prefix}${prng.pick(kinds)}/`;
    await client.host.sleep(prng.below(3_000));
    while (!client.stopped) {
      const { result } = await client.run({ kind: "range", prefix, stale: false }, this.name);
      if (result?.kind !== "page") {
        await client.host.sleep(100);
        continue;
      }
      this.note("informed");
      const copy = new Map(result.entries.map(({ key, revision, value }) => [key, `${key}=${value}@${revision}`]));
      const watching = client.history.watch(client.name, prefix, result.revision + 1, { exact: false, previous: true });
      const watch = client.kv.watch<string>({ prefix }, { from: watching.from, previous: true });
      watch.started.then(
        (revision) => client.history.started(watching, revision),
        () => undefined,
      );
      if (prng.chance(1, 3)) void client.host.sleep(prng.between(1_000, 6_000)).then(() => watch.close());
      try {
        for await (const change of watch) {
          const events = change.events.map(toSeenEvent);
          watching.changes.push({ revision: change.revision, events });
          for (const { key, value } of events) {
            if (value === undefined) copy.delete(key);
            else copy.set(key, `${key}=${value}@${change.revision}`);
          }
          const state = [...copy].sort((a, b) => (a[0] < b[0] ? -1 : 1)).map(([, text]) => text);
          client.history.copies.push({ client: client.name, prefix, revision: change.revision, state: state.join(" ") });
        }
        watching.ended = "closed";
      } catch (error) {
        watching.error = String(error);
        watching.ended = isUnumError(error, "COMPACTED") ? "compacted" : "failed";
        this.note(watching.ended);
        if (watching.ended === "compacted") continue;
        client.report(`a watch ended with ${String(error)}`);
        return;
      }
    }
  }

  protected note(what: string): void {
    this.numbers.set(what, (this.numbers.get(what) ?? 0) + 1);
  }

  counts(): ReadonlyMap<string, number> {
    return this.numbers;
  }
}
