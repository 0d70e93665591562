import type { Prng } from "../../base/index.ts";
import { checkTransactions } from "../check/index.ts";
import type { Transaction } from "../check/index.ts";
import { describeCall } from "../history.ts";
import type { Call, History, Read } from "../history.ts";
import type { Client } from "./client.ts";
import type { Place, Workload, WorkloadType } from "./workload.ts";

export const lists: WorkloadType = {
  name: "list-append",
  about: "transactions that read some lists and append to some, after which everybody can tell what came before what",
  create: (place) => new Lists(place),
};

class Lists implements Workload {
  private readonly prefix: string;
  private readonly history: History;
  private readonly keys: readonly string[];

  constructor({ prefix, prng, space }: Place) {
    this.prefix = prefix;
    this.history = space.history;
    this.keys = Array.from({ length: prng.pick([1, 2, 4]) }, (_, i) => `${prefix}${i}`);
  }

  async step(client: Client, prng: Prng): Promise<void> {
    const keys = prng.shuffle(this.keys).slice(0, prng.between(1, 3));
    const key = keys[0] as string;
    switch (prng.pick(["append", "append", "transact", "transact", "look", "range"] as const)) {
      case "append":
        await client.run({ kind: "append", key, item: client.fresh() }, lists.name);
        return;
      case "transact":
        return this.transact(client, prng, keys);
      case "look":
        await client.run({ kind: "txn", compare: [], writes: [], reads: keys, elseReads: [] }, lists.name);
        return;
      case "range":
        await client.run({ kind: "range", prefix: this.prefix, stale: false }, lists.name);
    }
  }

  /** Reads some lists at once and, if none of them changes until then, writes longer ones, once more with what it met where one did. */
  private async transact(client: Client, prng: Prng, keys: readonly string[]): Promise<void> {
    let call = await client.run({ kind: "txn", compare: [], writes: [], reads: keys, elseReads: [] }, lists.name);
    for (let attempt = 0; attempt < 2; attempt++) {
      const reads = readsOf(call);
      if (reads === undefined || (attempt > 0 && call.result?.kind !== "conflict") || client.stopped) return;
      const compare = reads.map(({ entry, key }) => ({ key, revision: entry?.revision ?? 0 }));
      const changed = reads.filter((_, at) => at === 0 || prng.chance(1, 2));
      const writes = changed.map(({ entry, key }) => {
        const items = prng.chance(1, 4) ? [client.fresh(), client.fresh()] : [client.fresh()];
        return { key, value: `${entry?.value ?? ""}${items.map((item) => `${item};`).join("")}` };
      });
      call = await client.run({ kind: "txn", compare, writes, reads: [], elseReads: keys }, lists.name);
    }
  }

  check(): string[] {
    return checkTransactions(transactionsOf(this.history, (key) => this.keys.includes(key), this.prefix));
  }
}

function readsOf({ result }: Call): readonly Read[] | undefined {
  return result?.kind === "reads" || result?.kind === "conflict" ? result.reads : undefined;
}

const itemsOf = (value: string | undefined): string[] => (value ?? "").split(";").slice(0, -1);

/** The calls that are about lists, as transactions over them. What a compared revision held is what some read has told. */
export function transactionsOf(history: History, isList: (key: string) => boolean, prefix: string): Transaction[] {
  const values = new Map<string, readonly string[]>();
  for (const { result } of history.calls)
    for (const { key, revision, value } of seenIn(result)) if (isList(key)) values.set(`${key}@${revision}`, itemsOf(value));
  const transactions: Transaction[] = [];
  for (const call of history.calls) {
    const { operation, outcome, result } = call;
    const known = outcome === "pending" ? "unknown" : outcome;
    const made = (reads: Transaction["reads"], appends: Transaction["appends"]): void => {
      const { calledAt: called, returnedAt: returned } = call;
      transactions.push({ name: describeCall(call), outcome: known, called, returned, reads: known === "ok" ? reads : [], appends });
    };
    if (operation.kind === "append" && isList(operation.key)) {
      const { item: element, key } = operation;
      const list = result?.kind === "entry" ? itemsOf(result.entry?.value).slice(0, -1) : [];
      made([{ key, list }], [{ key, element }]);
    } else if (operation.kind === "range" && operation.prefix === prefix && !operation.stale && result?.kind === "page") {
      made(
        result.entries.map(({ key, value }) => ({ key, list: itemsOf(value) })),
        [],
      );
    } else if (operation.kind === "txn" && [...operation.reads, ...operation.writes.map(({ key }) => key)].some(isList)) {
      const told = result !== undefined && "reads" in result ? (result.reads ?? []) : [];
      const reads = told.map(({ entry, key }) => ({ key, list: itemsOf(entry?.value) }));
      if (result?.kind === "conflict") made(reads, []);
      else {
        const compared = operation.compare.map(({ key, revision }) => ({ key, list: values.get(`${key}@${revision}`) ?? [] }));
        const appends = operation.writes.flatMap(({ key, value }) => {
          const before = compared.find((read) => read.key === key)?.list.length ?? 0;
          return itemsOf(value)
            .slice(before)
            .map((element) => ({ key, element }));
        });
        made(operation.writes.length === 0 ? reads : compared, appends);
      }
    }
  }
  return transactions;
}

function seenIn(result: Call["result"]): { readonly key: string; readonly revision: number; readonly value: string }[] {
  if (result === undefined) return [];
  if (result.kind === "entry") return result.entry === undefined ? [] : [result.entry];
  if (result.kind === "page") return [...result.entries];
  return (result.reads ?? []).flatMap(({ entry }) => (entry === undefined ? [] : [entry]));
}
