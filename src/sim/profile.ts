import type { FaultKind } from "./fault.ts";

/** What a run may be made of: the seed draws from it. */
export interface Profile {
  /** Kinds of faults. */
  readonly nemeses: readonly FaultKind[];
  /** Workloads; empty: any of them. */
  readonly workloads: readonly string[];
  /** Milliseconds between two faults, on average: one of these for the whole run. */
  readonly gapMs: readonly number[];
  /** How long faults go on, at least and at most. */
  readonly faultMs: readonly [number, number];
}

const usual: Pick<Profile, "workloads" | "gapMs" | "faultMs"> = {
  workloads: [],
  gapMs: [400, 800, 1_500, 3_000],
  faultMs: [8_000, 14_000],
};

export const calm: Profile = { ...usual, nemeses: [] };

export const profiles: Readonly<Record<string, Profile>> = {
  calm,
  crashes: { ...usual, nemeses: ["crash", "crash-all", "restart", "pause"] },
  network: { ...usual, nemeses: ["split", "isolate", "broken-cable", "clog", "reset", "lossy"] },
  disk: { ...usual, nemeses: ["crash", "crash-all", "slow-disk", "full-disk", "sync-failure", "bit-rot"] },
  clocks: { ...usual, nemeses: ["wall-jump", "drift", "pause"] },
  members: { ...usual, nemeses: ["add-member", "remove-member", "transfer", "crash", "restart", "isolate"] },
  swarm: {
    ...usual,
    nemeses: [
      "crash",
      "crash-all",
      "restart",
      "pause",
      "split",
      "isolate",
      "broken-cable",
      "clog",
      "reset",
      "lossy",
      "slow-disk",
      "full-disk",
      "sync-failure",
      "bit-rot",
      "wall-jump",
      "drift",
      "transfer",
      "add-member",
      "remove-member",
    ],
  },
};

export const profileNames: readonly string[] = Object.keys(profiles);

/** Every kind that some profile draws. */
export const nemesisNames: readonly FaultKind[] = [...new Set(Object.values(profiles).flatMap(({ nemeses }) => nemeses))];

export function isProfile(name: string): boolean {
  return Object.hasOwn(profiles, name);
}
