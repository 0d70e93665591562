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
  readonly mode: "seeds" | "smoke" | "scenario" | "promote" | "campaign" | "campaign-report" | "campaign-restart";
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

/** An option that takes a value: takes it, or says what is wrong. */
type Taker = (draft: Draft, value: string, name: string) => string | undefined;

const takers: Readonly<Record<string, Taker>> = {
  "--seed": takeFirst,
  "--from": takeFirst,
  "--seeds": (draft, value, name) => takeNumber(value, name, (count) => (draft.count = count)),
  "--profile": (draft, value) => {
    draft.profile = value;
    return isProfile(value) ? undefined : unknown("profile", value, profileNames);
  },
  "--jobs": (draft, value, name) => takeNumber(value, name, (jobs) => (draft.jobs = jobs)),
  "--scenario": (draft, value) => {
    draft.scenario = value;
    if (draft.mode === "seeds") draft.mode = "scenario";
    return value === "" ? "--scenario takes the path of a scenario." : undefined;
  },
  "--promote": (draft, value) => {
    draft.mode = "promote";
    draft.name = value;
    return /^[a-z0-9-]+$/.test(value) ? undefined : "--promote takes a name of small letters, digits and dashes.";
  },
  "--campaign-restart": (draft, value) => {
    draft.mode = "campaign-restart";
    return takeNames("profile", value, profileNames, (names) => (draft.restart = names));
  },
  "--reason": (draft, value) => {
    draft.reason = value;
    return value === "" ? "--reason takes a sentence." : undefined;
  },
  "--nemesis": (draft, value) => takeNames("nemesis", value, nemesisNames, (names) => (draft.nemeses = names)),
  "--workload": (draft, value) => takeNames("workload", value, workloadNames, (names) => (draft.workloads = names)),
};

const flags: Readonly<Record<string, (draft: Draft) => void>> = {
  "--trace": (draft) => (draft.trace = true),
  "--check-determinism": (draft) => (draft.checkDeterminism = true),
  "--shrink": (draft) => (draft.shrink = true),
  "--background": (draft) => (draft.background = true),
  "--smoke": (draft) => (draft.mode = "smoke"),
  "--campaign": (draft) => (draft.mode = "campaign"),
  "--campaign-report": (draft) => (draft.mode = "campaign-report"),
};

const known = [...Object.keys(takers), ...Object.keys(flags)].join(", ");

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
    const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
    const take = Object.hasOwn(takers, name) ? takers[name] : undefined;
    if (flag !== undefined) flag(draft);
    else if (take !== undefined) {
      const mistake = take(draft, args[++i] ?? "", name);
      if (mistake !== undefined) return { mistake };
    } else return { mistake: `Unknown argument "${name}". Known: ${known}.` };
  }
  return draft;
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
