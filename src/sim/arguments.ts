import type { FaultKind } from "./fault.ts";
import { isProfile, nemesisNames, profileNames } from "./profile.ts";
import { workloadNames } from "./workloads/index.ts";

export interface SimArguments {
  readonly first: number;
  readonly count: number;
  readonly profile: string;
  /** Undefined: what the profile draws. */
  readonly nemeses: readonly FaultKind[] | undefined;
  readonly workloads: readonly string[] | undefined;
  /** Print every event. */
  readonly trace: boolean;
  /** Run each seed twice and compare. */
  readonly checkDeterminism: boolean;
  /** What is to be done with them. */
  readonly mode: "seeds" | "smoke" | "scenario" | "promote" | "campaign" | "campaign-report" | "campaign-restart" | "help";
  /** Threads; 0: as many as there are cores. */
  readonly jobs: number;
  /** Look for a smaller run of each failure. */
  readonly shrink: boolean;
  /** For "scenario" and "promote": the file to run, or "". */
  readonly scenario: string;
  /** For "promote": the scenario's name. */
  readonly name: string;
  /** For "campaign-restart": the profiles to count anew, and why. */
  readonly restart: readonly string[];
  readonly reason: string;
  /** Go on without a terminal. */
  readonly background: boolean;
}

interface Mistake {
  readonly mistake: string;
}

type Draft = { -readonly [Name in keyof SimArguments]: SimArguments[Name] };

/** An argument: what stands behind its name, what it says, and how it is taken; a mistake is answered. */
interface Option {
  /** Undefined: nothing stands behind it. */
  readonly value?: string;
  readonly help: string;
  readonly take: (draft: Draft, value: string, name: string) => string | undefined;
}

const options: Readonly<Record<string, Option>> = {
  "--seed": { value: "N", help: "the seed, or the first of them (1)", take: takeFirst },
  "--from": { value: "N", help: "the same", take: takeFirst },
  "--seeds": {
    value: "N",
    help: "so many seeds, one after the other (1); for a campaign the sum over all profiles",
    take: (draft, value, name) => takeNumber(value, name, (count) => (draft.count = count)),
  },
  "--profile": {
    value: "NAME",
    help: `which faults, how many: ${profileNames.join(", ")} (swarm)`,
    take: (draft, value) => {
      draft.profile = value;
      return isProfile(value) ? undefined : unknown("profile", value, profileNames);
    },
  },
  "--nemesis": {
    value: "A,B",
    help: `only these faults: ${nemesisNames.join(", ")}`,
    take: (draft, value) => takeNames("nemesis", value, nemesisNames, (names) => (draft.nemeses = names)),
  },
  "--workload": {
    value: "A,B",
    help: `only these workloads: ${workloadNames.join(", ")}`,
    take: (draft, value) => takeNames("workload", value, workloadNames, (names) => (draft.workloads = names)),
  },
  "--jobs": {
    value: "N",
    help: "threads (one per core)",
    take: (draft, value, name) => takeNumber(value, name, (jobs) => (draft.jobs = jobs)),
  },
  "--trace": { help: "print every event", take: (draft) => set(() => (draft.trace = true)) },
  "--check-determinism": {
    help: "run each seed twice and name the first event that differs",
    take: (draft) => set(() => (draft.checkDeterminism = true)),
  },
  "--shrink": { help: "look for a smaller run of each failure", take: (draft) => set(() => (draft.shrink = true)) },
  "--scenario": {
    value: "FILE",
    help: "run what a failure wrote down, or a promoted scenario",
    take: (draft, value) => {
      draft.scenario = value;
      if (draft.mode === "seeds") draft.mode = "scenario";
      return value === "" ? "--scenario takes the path of a scenario." : undefined;
    },
  },
  "--promote": {
    value: "NAME",
    help: "keep the scenario (--scenario FILE, or the seed's own) as a test of this name",
    take: (draft, value) => {
      draft.mode = "promote";
      draft.name = value;
      return /^[a-z0-9-]+$/.test(value) ? undefined : "--promote takes a name of small letters, digits and dashes.";
    },
  },
  "--smoke": { help: "200 seeds of all profiles, some of them this commit's own", take: (draft) => set(() => (draft.mode = "smoke")) },
  "--campaign": {
    help: "seeds of all profiles in turn, written down; goes on where the last one stopped",
    take: (draft) => set(() => (draft.mode = "campaign")),
  },
  "--campaign-report": {
    help: "what the campaign has run, what failed, which rare states it never reached",
    take: (draft) => set(() => (draft.mode = "campaign-report")),
  },
  "--campaign-restart": {
    value: "A,B",
    help: "count these profiles anew, since a fix touched them; takes --reason",
    take: (draft, value) => {
      draft.mode = "campaign-restart";
      return takeNames("profile", value, profileNames, (names) => (draft.restart = names));
    },
  },
  "--reason": {
    value: "TEXT",
    help: "why",
    take: (draft, value) => {
      draft.reason = value;
      return value === "" ? "--reason takes a sentence." : undefined;
    },
  },
  "--background": { help: "go on without a terminal, at low priority", take: (draft) => set(() => (draft.background = true)) },
  "--help": { help: "this", take: (draft) => set(() => (draft.mode = "help")) },
};

const helpColumns = 27;

/** What `--help` prints. */
export function helpText(): string {
  const lines = Object.entries(options).map(([name, { value, help }]) => {
    const left = `  ${value === undefined ? name : `${name} ${value}`}`;
    return `${left.padEnd(helpColumns)}${help}`;
  });
  return [
    "npm run sim -- [options]    nodes, network, disks and clocks in one process, from one seed",
    "",
    ...lines,
    "",
    "  --mutants                deliberate faults, one at a time, each to be found: tools/mutants/README.md",
    "",
    "Exit code: 0; 1 when a seed failed; 2 for a wrong argument.",
  ].join("\n");
}

/** What the command line asks for, or the mistake in it as one sentence. */
export function readArguments(args: readonly string[]): SimArguments | Mistake {
  const draft: Draft = {
    first: 1,
    count: 1,
    profile: "swarm",
    nemeses: undefined,
    workloads: undefined,
    trace: false,
    checkDeterminism: false,
    mode: "seeds",
    jobs: 0,
    shrink: false,
    scenario: "",
    name: "",
    restart: [],
    reason: "",
    background: false,
  };
  for (let i = 0; i < args.length; i++) {
    const name = args[i] as string;
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (option === undefined) return { mistake: `Unknown argument "${name}". Known: ${Object.keys(options).join(", ")}.` };
    const mistake = option.take(draft, option.value === undefined ? "" : (args[++i] ?? ""), name);
    if (mistake !== undefined) return { mistake };
  }
  return draft;
}

function set(keep: () => void): undefined {
  keep();
}

function takeFirst(draft: Draft, value: string, name: string): string | undefined {
  return takeNumber(value, name, (first) => (draft.first = first));
}

function takeNumber(value: string, name: string, keep: (number: number) => void): string | undefined {
  const number = Number(value);
  if (value === "" || !Number.isSafeInteger(number) || number < 0) return `${name} takes a whole number.`;
  keep(number);
  return undefined;
}

function takeNames<Name extends string>(
  what: string,
  value: string,
  all: readonly Name[],
  keep: (names: readonly Name[]) => void,
): string | undefined {
  const wanted = value.split(",");
  const wrong = wanted.find((name) => !all.some((candidate) => candidate === name));
  if (wrong !== undefined) return unknown(what, wrong, all);
  keep(all.filter((name) => wanted.includes(name)));
  return undefined;
}

function unknown(what: string, name: string, all: readonly string[]): string {
  return `No ${what} "${name}". There are ${all.join(", ")}.`;
}
