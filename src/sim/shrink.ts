import type { Plan } from "./nemesis.ts";

/** Runs of a plan that an attempt to make it smaller may take. */
export const trialsMax = 250;

export interface Shrunk {
  readonly plan: Plan;
  readonly trials: number;
}

/** A way to make a plan smaller: the parts of it, and the plan with only some of them. */
export interface Reduction<Part> {
  parts(plan: Plan): readonly Part[];
  keep(plan: Plan, parts: readonly Part[]): Plan;
}

export const faultsOf: Reduction<Plan["faults"][number]> = {
  parts: (plan) => plan.faults,
  keep: (plan, faults) => ({ ...plan, faults }),
};

/**
 * Steps of clients, by the names that a run gave them (`made`). A step left out changes what no other draws, though
 * perhaps what it meets.
 */
export function stepsOf(made: readonly string[]): Reduction<string> {
  const without = (plan: Plan): ReadonlySet<string> => new Set(plan.leftOut);
  return {
    parts: (plan) => {
      const leftOut = without(plan);
      return made.filter((step) => !leftOut.has(step));
    },
    keep: (plan, steps) => {
      const kept = new Set(steps);
      return { ...plan, leftOut: made.filter((step) => !kept.has(step)) };
    },
  };
}

/**
 * Takes away what a failure does not need: faults first, then clients, time and whatever else `reductions` name, each
 * as long as the run still fails in the same way.
 */
export async function shrink(
  plan: Plan,
  fails: (smaller: Plan) => Promise<boolean>,
  reductions: readonly Reduction<unknown>[] = [faultsOf],
): Promise<Shrunk> {
  const search = new Search(plan, fails);
  for (const reduction of reductions) await search.reduce(reduction);
  await search.simplify();
  for (const reduction of reductions) await search.reduce(reduction);
  return { plan: search.plan, trials: search.trials };
}

class Search {
  plan: Plan;
  trials = 0;
  private readonly fails: (smaller: Plan) => Promise<boolean>;

  constructor(plan: Plan, fails: (smaller: Plan) => Promise<boolean>) {
    this.plan = plan;
    this.fails = fails;
  }

  private async accept(smaller: Plan): Promise<boolean> {
    if (this.trials >= trialsMax) return false;
    this.trials++;
    if (!(await this.fails(smaller))) return false;
    this.plan = smaller;
    return true;
  }

  /** Leaves out ever smaller pieces (Zeller, delta debugging) until no single part can go. */
  async reduce<Part>({ keep, parts }: Reduction<Part>): Promise<void> {
    let piece = parts(this.plan).length;
    while (piece >= 1) {
      let taken = false;
      for (let from = 0; from < parts(this.plan).length; ) {
        const all = parts(this.plan);
        const rest = all.filter((_, at) => at < from || at >= from + piece);
        if (rest.length < all.length && (await this.accept(keep(this.plan, rest)))) taken = true;
        else from += piece;
      }
      if (piece === 1 && !taken) return;
      piece = piece === 1 ? 1 : Math.ceil(piece / 2);
      if (this.trials >= trialsMax) return;
    }
  }

  /** Fewer clients and workloads, an end right behind the last fault, clocks that run right. */
  async simplify(): Promise<void> {
    while (this.plan.clients > 1 && (await this.accept({ ...this.plan, clients: this.plan.clients - 1 })));
    for (const name of this.plan.workloads) {
      const workloads = this.plan.workloads.filter((other) => other !== name);
      if (workloads.length > 0) await this.accept({ ...this.plan, workloads });
    }
    const lastMs = Math.max(1_000, ...this.plan.faults.map(({ atMs, fault }) => atMs + ("forMs" in fault ? fault.forMs : 0)));
    if (lastMs + 500 < this.plan.faultMs) await this.accept({ ...this.plan, faultMs: lastMs + 500 });
    if (this.plan.driftPpmMax > 0) await this.accept({ ...this.plan, driftPpmMax: 0 });
    if (this.plan.nodes > 3) await this.accept({ ...this.plan, nodes: 3 });
  }
}

/** What went wrong without where and when: two runs with the same text fail in the same way. */
export function symptomOf(violation: string): string {
  const [line = ""] = violation.split("\n");
  return line
    .replace(/^[\d.]+ ms: /, "")
    .replace(/\d+/g, "#")
    .slice(0, 60);
}
