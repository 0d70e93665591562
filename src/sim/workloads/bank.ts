import type { Prng } from "../../base/index.ts";
import { balanceOf, checkBank } from "../check/index.ts";
import type { Chronicle } from "../check/index.ts";
import type { History } from "../history.ts";
import type { Client } from "./client.ts";
import type { Place, Workload, WorkloadType } from "./workload.ts";

export const bank: WorkloadType = {
  name: "bank",
  about: "money moves between accounts, and whoever looks sees all of it",
  create: (place) => new Bank(place),
};

const openingBalance = 20;

class Bank implements Workload {
  private readonly prefix: string;
  private readonly history: History;
  private readonly accounts: readonly string[];

  constructor({ prefix, prng, space }: Place) {
    this.prefix = prefix;
    this.history = space.history;
    this.accounts = Array.from({ length: prng.pick([2, 4, 7]) }, (_, i) => `${prefix}${i}`);
  }

  async step(client: Client, prng: Prng): Promise<void> {
    if (this.accounts.every((name) => client.seenRevision(name) === 0)) return this.found(client);
    if (prng.chance(1, 3)) return this.look(client, prng);
    await this.transfer(client, prng);
  }

  /** Whoever comes first opens all accounts; the others find them. */
  private async found(client: Client): Promise<void> {
    const { accounts } = this;
    const compare = accounts.map((key) => ({ key, revision: 0 }));
    const writes = accounts.map((key) => ({ key, value: `${openingBalance}#${client.fresh()}` }));
    await client.run({ kind: "txn", compare, writes, reads: [], elseReads: accounts }, bank.name);
  }

  private async look(client: Client, prng: Prng): Promise<void> {
    if (prng.chance(1, 3)) await client.run({ kind: "txn", compare: [], writes: [], reads: this.accounts, elseReads: [] }, bank.name);
    else await client.run({ kind: "range", prefix: this.prefix, stale: client.isStale(prng) }, bank.name);
  }

  private async transfer(client: Client, prng: Prng): Promise<void> {
    const [from, to] = prng.shuffle(this.accounts) as [string, string];
    const read = await client.run({ kind: "txn", compare: [], writes: [], reads: [from, to], elseReads: [] }, bank.name);
    const [source, target] = read.result?.kind === "reads" ? read.result.reads : [];
    if (source?.entry === undefined || target?.entry === undefined || client.stopped) return;
    const amount = prng.between(1, 5);
    const left = balanceOf(source.entry.value) - amount;
    if (left < 0) return;
    const compare = [source, target].map(({ entry, key }) => ({ key, revision: entry?.revision ?? 0 }));
    const writes = [
      { key: from, value: `${left}#${client.fresh()}` },
      { key: to, value: `${balanceOf(target.entry.value) + amount}#${client.fresh()}` },
    ];
    await client.run({ kind: "txn", compare, writes, reads: [], elseReads: [] }, bank.name);
  }

  check(chronicle: Chronicle): string[] {
    const { accounts, history, prefix } = this;
    return checkBank(history, chronicle, { prefix, accounts: accounts.length, total: accounts.length * openingBalance });
  }
}
