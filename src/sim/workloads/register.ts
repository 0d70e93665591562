import type { Prng } from "../../base/index.ts";
import type { Operation } from "../history.ts";
import type { Client } from "./client.ts";
import type { Place, Workload, WorkloadType } from "./workload.ts";

type Kind = "get" | "put" | "delete" | "range" | "txn";

export const register: WorkloadType = {
  name: "register",
  about: "a few keys, written whole and read, some with conditions, some several at once",
  create: (place) => new Registers(place),
};

class Registers implements Workload {
  private readonly prefix: string;
  private readonly count: number;
  private readonly kinds: readonly Kind[];

  constructor({ prefix, prng }: Place) {
    this.prefix = prefix;
    this.count = prng.pick([1, 3, 8]);
    const weight = (): number => prng.pick([0, 1, 3, 10]);
    const weights: Readonly<Record<Kind, number>> = {
      get: 3 + weight(),
      put: 3 + weight(),
      delete: weight(),
      range: weight(),
      txn: weight(),
    };
    this.kinds = (Object.entries(weights) as [Kind, number][]).flatMap(([kind, times]) => new Array<Kind>(times).fill(kind));
  }

  async step(client: Client, prng: Prng): Promise<void> {
    await client.run(this.draw(client, prng), register.name);
  }

  private draw(client: Client, prng: Prng): Operation {
    const key = `${this.prefix}${prng.below(this.count)}`;
    const stale = client.isStale(prng);
    const kind = prng.pick(this.kinds);
    switch (kind) {
      case "get":
        return { kind, key, stale };
      case "put":
        return { kind, key, value: client.value(prng), ifRevision: condition(client, prng, key) };
      case "delete":
        return { kind, key, ifRevision: condition(client, prng, key) };
      case "range":
        return { kind, prefix: this.prefix, stale };
      case "txn": {
        const keys = prng.shuffle(Array.from({ length: this.count }, (_, i) => `${this.prefix}${i}`)).slice(0, prng.between(1, 3));
        const compare = keys.filter(() => prng.chance(1, 2)).map((name) => ({ key: name, revision: client.seenRevision(name) }));
        const written = prng.chance(1, 5) ? [] : keys;
        const writes = written.map((name) => ({ key: name, value: client.value(prng) }));
        const reads = written.length === 0 ? keys : [];
        return { kind, compare, writes, reads, elseReads: prng.chance(1, 2) ? keys : [] };
      }
    }
  }
}

function condition(client: Client, prng: Prng, key: string): number | undefined {
  if (prng.chance(1, 2)) return undefined;
  return prng.chance(1, 8) ? 0 : client.seenRevision(key);
}
