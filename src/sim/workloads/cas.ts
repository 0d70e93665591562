import type { Prng } from "../../base/index.ts";
import type { Client } from "./client.ts";
import type { Place, Workload, WorkloadType } from "./workload.ts";

export const cas: WorkloadType = {
  name: "cas",
  about: "compare-and-set on one or two keys that everybody wants: read, think, write if nobody wrote between",
  create: (place) => new CompareAndSet(place),
};

class CompareAndSet implements Workload {
  private readonly prefix: string;
  private readonly count: number;
  /** Pauses between reading and writing: the longer, the more lose. */
  private readonly thinkMsMax: number;

  constructor({ prefix, prng }: Place) {
    this.prefix = prefix;
    this.count = prng.pick([1, 2]);
    this.thinkMsMax = prng.pick([0, 5, 50]);
  }

  async step(client: Client, prng: Prng): Promise<void> {
    const key = `${this.prefix}${prng.below(this.count)}`;
    // Without a look: with what it saw last, and usually too late.
    if (!prng.chance(1, 4)) {
      await client.run({ kind: "get", key, stale: client.isStale(prng) }, cas.name);
      await client.host.sleep(prng.between(0, this.thinkMsMax));
    }
    const ifRevision = client.seenRevision(key);
    const value = client.value(prng);
    if (ifRevision > 0 && prng.chance(1, 8)) await client.run({ kind: "delete", key, ifRevision }, cas.name);
    else await client.run({ kind: "put", key, value, ifRevision }, cas.name);
  }
}
