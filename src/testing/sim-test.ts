import { UnumError } from "../base/index.ts";
import type { SimulateOptions, World } from "./types.ts";

/** What a test runner offers to register a test: `test` of Vitest, Jest or `node:test`. */
export type RegisterTest = (name: string, work: () => Promise<void>, timeoutMs: number) => void;

export interface SimTestOptions extends Omit<SimulateOptions, "seed"> {
  /** How many seeds: 1, 2, 3 and so on. Default 10. */
  readonly seeds?: number | undefined;
  /** Real milliseconds that all seeds together may take. Default 60,000. */
  readonly timeoutMs?: number | undefined;
}

export interface SimTestHost {
  simulate(options: SimulateOptions, body: (world: World) => unknown): Promise<unknown>;
  register: RegisterTest;
  /** `UNUM_SIM_SEED`: this seed only. */
  readonly seed: string | undefined;
  /** `UNUM_SIM_SEEDS`: so many instead of `seeds`. */
  readonly seeds: string | undefined;
}

const seedsDefault = 10;
const timeoutMsDefault = 60_000;

/** Registers one test that runs `body` once per seed, and names the first seed that fails. */
export function simTest(host: SimTestHost, name: string, options: SimTestOptions, body: (world: World) => unknown): void {
  const { seeds: wanted = seedsDefault, timeoutMs = timeoutMsDefault, ...simulation } = options;
  const only = whole("UNUM_SIM_SEED", host.seed, 0);
  const count = whole("UNUM_SIM_SEEDS", host.seeds, 1) ?? wanted;
  if (!Number.isInteger(count) || count < 1)
    throw new UnumError("INVALID_ARGUMENT", `seeds is a whole number from 1, not ${String(count)}.`);
  const seeds = only === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [only];
  host.register(
    name,
    async () => {
      for (const seed of seeds) {
        try {
          await host.simulate({ ...simulation, seed }, body);
        } catch (error) {
          throw explained(error, name, seed, seeds.length);
        }
      }
    },
    // Whoever asks for more seeds from outside gives them the time, too.
    Math.ceil(timeoutMs * Math.max(1, seeds.length / wanted)),
  );
}

/** The error itself, so that runners show its difference and place, with the seed in its message. */
function explained(error: unknown, name: string, seed: number, count: number): unknown {
  const line = `seed ${seed} of ${count} failed. Replay it: UNUM_SIM_SEED=${seed} with the test "${name}"`;
  if (!(error instanceof Error)) return new Error(`${String(error)}\n\n${line}`, { cause: error });
  try {
    error.message = `${error.message}\n\n${line}`;
  } catch {
    // Some errors are frozen.
    return new Error(`${error.message}\n\n${line}`, { cause: error });
  }
  return error;
}

function whole(variable: string, value: string | undefined, least: number): number | undefined {
  if (value === undefined || value === "") return undefined;
  const number = Number(value);
  if (Number.isSafeInteger(number) && number >= least) return number;
  throw new UnumError("INVALID_ARGUMENT", `${variable} is a whole number from ${least}, not "${value}".`);
}
