import type { Prng } from "../../base/index.ts";
import type { Chronicle } from "../check/index.ts";
import type { Client, Space } from "./client.ts";

/** Where a workload works: its keys begin with `prefix`, and nobody else's do. */
export interface Place {
  readonly prefix: string;
  readonly space: Space;
  /** For its settings. */
  readonly prng: Prng;
}

/** One kind of work in one run. What it did with keys is judged by the checkers of `sim/check` whatever it is; `check` adds what only it can know. */
export interface Workload {
  /** One thing that a client does. All chance comes from `prng`, which is this step's own: leaving another step out changes nothing here. */
  step(client: Client, prng: Prng): Promise<void>;
  /** What each client does once at its start and goes on with: watches and copies. */
  follow?(client: Client, prng: Prng): void;
  check?(chronicle: Chronicle): string[];
  /** What it did beside operations, in numbers. */
  counts?(): ReadonlyMap<string, number>;
}

export interface WorkloadType {
  readonly name: string;
  /** What it does, for people. */
  readonly about: string;
  create(place: Place): Workload;
}
