import { isProfile, profileNames } from "./nemesis.ts";

export interface SimArguments {
  readonly first: number;
  readonly count: number;
  readonly profile: string;
  /** Print every event. */
  readonly trace: boolean;
  /** Run each seed twice and compare. */
  readonly checkDeterminism: boolean;
}

/** What the command line asks for, or the mistake in it as one sentence. */
export function readArguments(args: readonly string[]): SimArguments | { readonly mistake: string } {
  let first: number | undefined;
  let count = 1;
  let profile = "swarm";
  let trace = false;
  let checkDeterminism = false;
  for (let i = 0; i < args.length; i++) {
    const name = args[i] as string;
    if (name === "--trace") trace = true;
    else if (name === "--check-determinism") checkDeterminism = true;
    else if (name === "--seed" || name === "--from" || name === "--seeds") {
      const value = Number(args[++i]);
      if (!Number.isSafeInteger(value) || value < 0) return { mistake: `${name} takes a whole number.` };
      if (name === "--seeds") count = value;
      else first = value;
    } else if (name === "--profile") {
      profile = args[++i] ?? "";
      if (!isProfile(profile)) return { mistake: `No profile "${profile}". There are ${profileNames.join(", ")}.` };
    } else
      return {
        mistake: `Unknown argument "${name}". Known: --seed N, --seeds COUNT, --from N, --profile NAME, --trace, --check-determinism.`,
      };
  }
  return { first: first ?? 1, count, profile, trace, checkDeterminism };
}
