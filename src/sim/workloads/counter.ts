import type { Prng } from "../../base/index.ts";
import { checkExactlyOnce } from "../check/index.ts";
import type { Chronicle } from "../check/index.ts";
import type { History } from "../history.ts";
import type { Client } from "./client.ts";
import type { Place, Workload, WorkloadType } from "./workload.ts";

export const counter: WorkloadType = {
  name: "counter",
  about: "writes that count, each once, however often the handle had to ask: an entry's version is its number of writes",
  create: (place) => new Counter(place),
};

class Counter implements Workload {
  private readonly prefix: string;
  private readonly history: History;
  private readonly count: number;

  constructor({ prefix, prng, space }: Place) {
    this.prefix = prefix;
    this.history = space.history;
    this.count = prng.pick([1, 3]);
  }

  async step(client: Client, prng: Prng): Promise<void> {
    const key = `${this.prefix}${prng.below(this.count)}`;
    if (prng.chance(1, 4)) {
      await client.run({ kind: "get", key, stale: false }, counter.name);
      return;
    }
    // Several at once share a session: their order may change on the way, and each still counts once.
    const writes = Array.from({ length: prng.pick([1, 1, 3]) }, () =>
      client.run({ kind: "put", key, value: client.fresh(), ifRevision: undefined }, counter.name),
    );
    await Promise.all(writes);
  }

  check(chronicle: Chronicle): string[] {
    return checkExactlyOnce(this.history, chronicle, this.prefix);
  }
}
