/**
 * The proof that the proof can fail: each mutant, a deliberate fault in a copy of the real code, must be found by a checker.
 *
 *     npm run sim -- --mutants                     all of them; exit code 1 when one survives
 *     npm run sim -- --mutants --only NAME,…       these, with what the checker said
 *     npm run sim -- --mutants --keep …            the copies stay, to replay a seed in one
 *     npm run sim -- --mutants --seeds 100         instead of 300 of its own profile
 *     npm run sim -- --mutants --mix 0             instead of 1,000 of the default mix
 */
import { availableParallelism } from "node:os";
import { mutants } from "./catalogue.ts";
import { makeCopy } from "./copy.ts";
import type { Copy } from "./copy.ts";
import { hunt } from "./hunt.ts";
import type { Catch } from "./hunt.ts";
import type { Ground, Mutant } from "./mutant.ts";
import { describeTable } from "./table.ts";

interface Arguments {
  readonly only: readonly string[];
  readonly keep: boolean;
  readonly seeds: number;
  readonly mix: number;
}

/** The default mix is hunted in rounds, so that it ends as soon as it has proved enough. */
const roundSeeds = 100;
const defaultMix: Ground = { profile: "swarm" };

function readArguments(args: readonly string[]): Arguments | string {
  const found = { only: [] as readonly string[], keep: false, seeds: 300, mix: 1_000 };
  for (let at = 0; at < args.length; at++) {
    const name = args[at] ?? "";
    if (name === "--mutants") continue;
    if (name === "--keep") {
      found.keep = true;
      continue;
    }
    const value = args[++at] ?? "";
    if (name === "--only") found.only = value.split(",");
    else if (name === "--seeds" && /^\d+$/.test(value)) found.seeds = Number(value);
    else if (name === "--mix" && /^\d+$/.test(value)) found.mix = Number(value);
    else return `Unknown or incomplete argument "${name}". Known: --only NAME,…, --seeds COUNT, --mix COUNT, --keep.`;
  }
  const wrong = found.only.find((name) => !mutants.some((mutant) => mutant.name === name));
  return wrong === undefined ? found : `No mutant "${wrong}". There are ${mutants.map(({ name }) => name).join(", ")}.`;
}

/** Does the tasks, as many at a time as there are processors, in their order. */
async function doAll(tasks: readonly (() => Promise<void>)[]): Promise<void> {
  const left = [...tasks];
  const work = async (): Promise<void> => {
    for (let task = left.shift(); task !== undefined; task = left.shift()) await task();
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
}

/** A mutant's own build, and what has become of it so far. */
class Suspect {
  readonly mutant: Mutant;
  readonly copy: Copy;
  own: Catch | undefined;
  mix: Catch | undefined;
  mixSeeds = 0;

  constructor(mutant: Mutant) {
    this.mutant = mutant;
    this.copy = makeCopy(mutant);
  }
}

class Campaign {
  private readonly wanted: Arguments;
  private readonly faultless = makeCopy();
  private readonly suspects: readonly Suspect[];
  private readonly startedMs = performance.now();

  constructor(wanted: Arguments) {
    const { only } = wanted;
    this.wanted = wanted;
    this.suspects = mutants.filter(({ name }) => only.length === 0 || only.includes(name)).map((mutant) => new Suspect(mutant));
  }

  async run(): Promise<number> {
    const { keep, mix, only } = this.wanted;
    try {
      await doAll(this.suspects.map((suspect) => () => this.huntInOwn(suspect)));
      for (let from = 1; from <= mix && !this.isEnough(); from += roundSeeds) {
        const left = this.suspects.filter((suspect) => suspect.mix?.kind !== "fallen");
        await doAll(left.map((suspect) => () => this.huntInMix(suspect, from, Math.min(roundSeeds, mix - from + 1))));
      }
    } finally {
      this.faultless.remove();
      if (!keep) for (const { copy } of this.suspects) copy.remove();
    }
    say(describeTable(this.suspects, { mixSeeds: mix, seconds: (performance.now() - this.startedMs) / 1000 }));
    const survived = this.suspects.some(({ own }) => own?.kind !== "fallen");
    return survived || (mix > 0 && only.length === 0 && !this.isEnough()) ? 1 : 0;
  }

  /** Two thirds of all mutants fell to the default mix. */
  private isEnough(): boolean {
    return this.suspects.filter(({ mix }) => mix?.kind === "fallen").length * 3 >= this.suspects.length * 2;
  }

  private async huntInOwn(suspect: Suspect): Promise<void> {
    suspect.own = await this.hunt(suspect, suspect.mutant.ground, 1, this.wanted.seeds);
  }

  private async huntInMix(suspect: Suspect, from: number, count: number): Promise<void> {
    suspect.mix = await this.hunt(suspect, defaultMix, from, count);
    suspect.mixSeeds = from + count - 1;
  }

  private async hunt({ copy, mutant }: Suspect, ground: Ground, from: number, count: number): Promise<Catch> {
    const { folder } = copy;
    const found = await hunt({ folder, faultless: this.faultless.folder, ground, from, count }, ({ seed, violations }) =>
      say(`${mutant.name}: seed ${seed} of ${ground.profile} fails without the fault, too: ${firstLine(violations)}`),
    );
    if (found.kind === "fallen") {
      const said = this.wanted.only.length > 0 ? (found.violations[0] ?? "") : firstLine(found.violations).slice(0, 200);
      say(`${mutant.name}: falls to seed ${found.seed} of ${ground.profile}: ${said}`);
    } else if (found.kind === "died") say(`${mutant.name}: dies in seed ${found.seed} of ${ground.profile}, named by nobody: ${found.how}`);
    else say(`${mutant.name}: survives seeds ${from} to ${from + count - 1} of ${ground.profile}`);
    if (this.wanted.keep) say(`  its build: ${folder}`);
    return found;
  }
}

function firstLine(violations: readonly string[]): string {
  return (violations[0] ?? "").split("\n", 1)[0] ?? "";
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The exit code: 1 when a mutant survived, 2 for a wrong argument. */
export async function main(args: readonly string[]): Promise<number> {
  const wanted = readArguments(args);
  if (typeof wanted === "string") {
    process.stderr.write(`${wanted}\n`);
    return 2;
  }
  return new Campaign(wanted).run();
}
