import type { Prng } from "../../base/index.ts";
import { checkSet } from "../check/index.ts";
import type { History } from "../history.ts";
import type { Client } from "./client.ts";
import type { Place, Workload, WorkloadType } from "./workload.ts";

export const set: WorkloadType = {
  name: "set",
  about: "keys that are added and never taken away, and reads of them all",
  create: (place) => new GrowingSet(place),
};

class GrowingSet implements Workload {
  private readonly prefix: string;
  private readonly history: History;
  private readonly addsOfTen: number;

  constructor({ prefix, prng, space }: Place) {
    this.prefix = prefix;
    this.history = space.history;
    this.addsOfTen = prng.pick([5, 7, 9]);
  }

  async step(client: Client, prng: Prng): Promise<void> {
    if (prng.chance(this.addsOfTen, 10)) {
      const name = client.fresh();
      await client.run(
        { kind: "put", key: `${this.prefix}${name}`, value: client.value(prng), ifRevision: prng.pick([0, undefined]) },
        set.name,
      );
    } else await client.run({ kind: "range", prefix: this.prefix, stale: client.isStale(prng) }, set.name);
  }

  check(): string[] {
    return checkSet(this.history, this.prefix);
  }
}
