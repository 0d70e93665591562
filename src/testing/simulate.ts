import type { ClaimScope, Unum } from "../api/index.ts";
import { UnumError } from "../base/index.ts";
import type { Scope, Surroundings } from "../ports/index.ts";
import { SimulationStuck } from "../sim/index.ts";
import type { SimulateOptions, World } from "./types.ts";
import { SimulatedWorld, durationOf, faultNames } from "./world.ts";

/** What the root gives: how this platform follows code, and how its own functions are replaced for it. */
export interface SimulationHost {
  readonly scope: Scope<Surroundings>;
  /** As the roots give it to handles. */
  readonly claimScope: ClaimScope;
  /** Until the returned function is called. */
  replaceSurroundings(current: () => Surroundings | undefined): () => void;
}

/** What `start()` asks while a simulation runs in this process. */
export interface RunningSimulation {
  /** The handle of the node on which the calling program runs. Throws INVALID_ARGUMENT for code that runs on none. */
  start(): Unum;
}

/** Where `start()` finds the simulation that runs: the two entry points of the package share nothing else. */
export const simulationMark: unique symbol = Symbol.for("unum.simulation") as never;

type Marked = { [simulationMark]?: RunningSimulation | undefined };

const nodesMax = 9;
/** Events at one instant beyond which the world is taken for one that runs in circles. */
const eventsPerMsMax = 100_000;

/**
 * Runs `body` against a simulated cluster and fulfils with its result. Rejects as `body` does, with
 * `SimulationStuck` when it does not end within `limit` of the world's time, with INVALID_ARGUMENT for
 * options that are none or while another simulation runs in this process, and with an error that names
 * it when Unum itself broke a promise.
 */
export async function simulate<T>(host: SimulationHost, options: SimulateOptions, body: (world: World) => T | Promise<T>): Promise<T> {
  checkOptions(options);
  const marked = globalThis as Marked;
  if (marked[simulationMark] !== undefined)
    throw new UnumError("INVALID_ARGUMENT", "Another simulation runs in this process; await it before the next one begins.");
  const { scope } = host;
  const world = new SimulatedWorld(options, scope, host.claimScope);
  marked[simulationMark] = { start: () => handleHere(world, scope) };
  const restore = host.replaceSurroundings(() => scope.current());
  try {
    return await run(world, scope, options, body);
  } finally {
    restore();
    marked[simulationMark] = undefined;
    world.end();
  }
}

function handleHere(world: SimulatedWorld, scope: Scope<Surroundings>): Unum {
  const handle = world.handleOf(scope.current());
  if (handle !== undefined) return handle;
  throw new UnumError(
    "INVALID_ARGUMENT",
    "start() was called while a simulation runs, by code that runs on none of its nodes: at the top level of a module, say. " +
      "Modules load once for all simulated nodes, so export a function that takes the handle, and call it in world.run(node, program).",
  );
}

async function run<T>(
  world: SimulatedWorld,
  scope: Scope<Surroundings>,
  options: SimulateOptions,
  body: (world: World) => T | Promise<T>,
): Promise<T> {
  const { scheduler } = world.sim;
  world.start();
  const done = scope.run(world.own, async () => body(world));
  let settled = false;
  const mark = (): void => {
    settled = true;
  };
  done.then(mark, mark);
  try {
    await scheduler.until(() => settled || runsInCircles(world), durationOf(options.limit ?? "10m"));
  } catch (error) {
    if (!(error instanceof SimulationStuck)) throw error;
    throw new SimulationStuck(
      `the simulation has not ended after ${scheduler.nowMs.toFixed(0)} ms of its time. Something waits for what never comes, ` +
        `or for what is not simulated.\n${world.describe()}\n${error.message}`,
    );
  }
  const result = await done;
  const [broken] = world.broken();
  if (broken !== undefined) throw new Error(`Unum itself broke a promise in this simulation; please report it with the seed: ${broken}`);
  return result;
}

const looks = new WeakMap<SimulatedWorld, { atMs: number; executed: number }>();

/** Lets nobody wait for ever for a world in which time stands still. Throws `SimulationStuck`. */
function runsInCircles(world: SimulatedWorld): false {
  const { executed, nowMs } = world.sim.scheduler;
  const look = looks.get(world);
  if (look === undefined || Math.floor(nowMs) !== look.atMs) looks.set(world, { atMs: Math.floor(nowMs), executed });
  else if (executed - look.executed > eventsPerMsMax)
    throw new SimulationStuck(`time stands still at ${nowMs} ms\n${world.sim.scheduler.describe()}`);
  return false;
}

function checkOptions({ faults, nodes, seed }: SimulateOptions): void {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new UnumError("INVALID_ARGUMENT", `seed is a whole number from 0, not ${String(seed)}.`);
  if (nodes !== undefined && (!Number.isInteger(nodes) || nodes < 1 || nodes > nodesMax))
    throw new UnumError("INVALID_ARGUMENT", `nodes is 1 to ${nodesMax}, not ${String(nodes)}.`);
  if (faults !== undefined && !faultNames.includes(faults))
    throw new UnumError("INVALID_ARGUMENT", `faults is one of ${faultNames.join(", ")}, not ${JSON.stringify(faults)}.`);
}
