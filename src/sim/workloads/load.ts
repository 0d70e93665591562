import type { Prng } from "../../base/index.ts";
import type { UnumHandle } from "../../api/index.ts";
import { LeaseGuard } from "../check/index.ts";
import { History } from "../history.ts";
import type { Call, Outcome } from "../history.ts";
import { workloadNames, workloadType } from "./catalogue.ts";
import { Client } from "./client.ts";
import type { ClientHost, Space } from "./client.ts";
import { mixOf } from "./mix.ts";
import type { Mix } from "./mix.ts";
import type { LoadPlan } from "./plan.ts";
import type { Workload } from "./workload.ts";

export interface LoadOptions {
  readonly plan: LoadPlan;
  /** Of the load alone. */
  readonly prng: Prng;
  /** Steps that are left out, by name as in `Load.steps`: everything else stays as it was drawn. */
  readonly without?: ReadonlySet<string> | undefined;
  /** Something happened that no client may ever see. */
  readonly violation: (text: string) => void;
}

interface Part {
  /** Its workload's name: there is one part of each at most. */
  readonly type: string;
  readonly workload: Workload;
  readonly space: Space;
}

/** Everything that the clients of a run do, and all that is recorded of it. */
export class Load {
  readonly spaces = new Map<string, Space>();
  readonly parts: readonly Part[];
  /** The steps that were made, in the order in which they began: what a shrinker may leave out. */
  readonly steps: string[] = [];
  readonly clients: Client[] = [];
  readonly plan: LoadPlan;
  private readonly options: LoadOptions;
  private readonly busy = new Set<string>();
  private stopping = false;

  constructor(options: LoadOptions) {
    this.options = options;
    this.plan = options.plan;
    this.space("default");
    this.parts = options.plan.parts.map(({ space, workload: type }) => {
      const place = { prefix: prefixOf(type), space: this.space(space), prng: options.prng.fork(type) };
      return { type, workload: workloadType(type).create(place), space: place.space };
    });
  }

  space(name: string): Space {
    let space = this.spaces.get(name);
    if (space === undefined) {
      space = { name, history: new History(), guard: new LeaseGuard() };
      this.spaces.set(name, space);
    }
    return space;
  }

  /** A client that does nothing but what it is told. */
  client(host: ClientHost, handle: UnumHandle, space = "default"): Client {
    return new Client(host, handle, this.space(space), this.plan, this.options.violation);
  }

  /** A client begins its share of all parts. */
  start(host: ClientHost, handle: UnumHandle): void {
    for (const part of this.parts) {
      const client = this.client(host, handle, part.space.name);
      this.clients.push(client);
      const prng = this.options.prng.fork(`${host.name} ${part.type}`);
      for (let lane = 0; lane < this.plan.lanes; lane++) void this.work(client, part, lane, prng.fork(`lane ${lane}`));
      part.workload.follow?.(client, prng.fork("follow"));
    }
  }

  private async work(client: Client, part: Part, lane: number, prng: Prng): Promise<void> {
    const line = `${client.name}/${part.type}/${lane}`;
    this.busy.add(line);
    for (let number = 0; !this.stopping; number++) {
      const step = prng.fork(`step ${number}`);
      await client.host.sleep(step.between(0, this.plan.thinkMsMax));
      if (this.stopping) break;
      const name = `${line}/${number}`;
      if (this.options.without?.has(name) === true) continue;
      this.steps.push(name);
      await part.workload.step(client, step);
    }
    this.busy.delete(line);
  }

  /** Nothing new is begun. */
  stop(): void {
    this.stopping = true;
    for (const client of this.clients) client.stopped = true;
  }

  /** Nobody is left to serve the watches that are open. */
  abandonWatches(): void {
    for (const { history } of this.spaces.values()) history.abandonWatches();
  }

  /** What was begun has ended. */
  get isIdle(): boolean {
    return this.busy.size === 0 && this.pending().length === 0;
  }

  /** All calls of all clients, keyspace by keyspace. */
  calls(): Call[] {
    return [...this.spaces.values()].flatMap(({ history }) => history.calls);
  }

  pending(): Call[] {
    return [...this.spaces.values()].flatMap(({ history }) => history.pending());
  }

  count(outcome: Outcome): number {
    let count = 0;
    for (const { history } of this.spaces.values()) count += history.count(outcome);
    return count;
  }

  /** What was really done, a row for each part. */
  mix(): Mix[] {
    return this.parts.map(({ space, type, workload }) => ({
      ...mixOf(space.history, type, workload.counts?.() ?? new Map()),
      workload: space.name === "default" ? type : `${type} in ${space.name}`,
    }));
  }
}

/** Short, its own, and not in the order in which workloads are told of. */
function prefixOf(workload: string): string {
  return `${"mcxapvkbqfdl"[workloadNames.indexOf(workload)]}/`;
}
