import { UnumError } from "../base/index.ts";
import type { Prng } from "../base/index.ts";
import type { Scope, Surroundings } from "../ports/index.ts";
import type { SimMachine } from "../sim/index.ts";
import type { History } from "./history.ts";
import type { External, Methods } from "./types.ts";

export interface ExternalHost {
  readonly scope: Scope<Surroundings>;
  /** The machine of the service: nothing ever happens to it. */
  readonly machine: SimMachine;
  readonly own: Surroundings;
  readonly prng: Prng;
  readonly history: History;
  /** Whether calls are refused and answers are lost now. */
  isFaulty(): boolean;
  nameOf(caller: Surroundings | undefined): string;
}

const usualMsMax = 30;
const slowMsMax = 3_000;
/** One call in so many meets each of the faults. */
const rarity = 12;

/** A service outside of the cluster, as its clients see it. */
export function makeExternal<M extends Methods>(host: ExternalHost, name: string, methods: M): External<M> {
  const calls = Object.entries(methods).map(([method, implementation]) => [
    method,
    (...values: unknown[]) => call(host, `${name}.${method}`, implementation, values),
  ]);
  return Object.fromEntries(calls) as External<M>;
}

function call(
  host: ExternalHost,
  label: string,
  implementation: (...all: never[]) => unknown,
  values: readonly unknown[],
): Promise<unknown> {
  const { history, machine, own, prng, scope } = host;
  const caller = scope.current() ?? own;
  const faulty = host.isFaulty();
  const thereMs = drawMs(prng, faulty);
  const backMs = drawMs(prng, faulty);
  const refused = faulty && prng.chance(1, rarity);
  const lost = faulty && prng.chance(1, rarity);
  return new Promise((resolve, reject) => {
    /** The answer comes back to the life that asked; if that is over, to nobody. */
    const answer = (settle: () => void): void => void caller.after(backMs, settle);
    if (refused) {
      answer(() => reject(new UnumError("EXTERNAL_REFUSED", `${label} was refused; it did not happen.`)));
      return;
    }
    // The request is under way: it arrives even when its sender dies now.
    machine.clock.after(thereMs, () => {
      const done = scope.run(own, async () => implementation(...(values as never[])));
      done.then(
        (output) => {
          history.effect(label, host.nameOf(caller), values, output);
          answer(() => (lost ? reject(new UnumError("EXTERNAL_LOST", `${label} did not answer; it may have happened.`)) : resolve(output)));
        },
        (error: unknown) => answer(() => reject(error as Error)),
      );
    });
  });
}

function drawMs(prng: Prng, faulty: boolean): number {
  return faulty && prng.chance(1, rarity) ? prng.below(slowMsMax) : prng.below(usualMsMax);
}
