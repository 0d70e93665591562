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
  /** See `Damage`. */
  readonly budget: "kept" | "beyond";
}

const usual: Omit<Profile, "nemeses"> = { workloads: [], gapMs: [400, 800, 1_500, 3_000], faultMs: [8_000, 14_000], budget: "kept" };

export const calm: Profile = { ...usual, nemeses: [] };

const crashes: readonly FaultKind[] = ["crash", "crash-write", "crash-all", "restart", "pause"];
const network: readonly FaultKind[] = ["split", "isolate", "broken-cable", "clog", "swizzle", "reset", "lossy"];
const disk: readonly FaultKind[] = ["slow-disk", "full-disk", "sync-failure", "io-error", "bit-rot"];
const clocks: readonly FaultKind[] = ["wall-jump", "drift", "pause-client"];
const members: readonly FaultKind[] = ["add-member", "remove-member", "replace", "transfer", "upgrade"];

export const profiles: Readonly<Record<string, Profile>> = {
  calm,
  crashes: { ...usual, nemeses: crashes },
  network: { ...usual, nemeses: network },
  disk: { ...usual, nemeses: [...disk, "crash", "crash-write", "crash-all"] },
  clocks: { ...usual, nemeses: [...clocks, "pause"] },
  members: { ...usual, nemeses: [...members, "crash", "restart", "isolate"] },
  /** Faults so close together that each meets the work of the one before. */
  dense: {
    ...usual,
    nemeses: [
      "transfer",
      "isolate",
      "crash",
      "restart",
      "add-member",
      "remove-member",
      "replace",
      "bit-rot",
      "pause",
      "lossy",
      "clog",
      "upgrade",
    ],
    gapMs: [100, 200, 400],
  },
  swarm: { ...usual, nemeses: [...crashes, ...network, ...disk, ...clocks, ...members] },
  beyond: { ...usual, nemeses: ["bit-rot", "crash", "crash-write", "crash-all", "isolate"], budget: "beyond" },
};

export const profileNames: readonly string[] = Object.keys(profiles);

/** Every kind that some profile draws. */
export const nemesisNames: readonly FaultKind[] = [...new Set(Object.values(profiles).flatMap(({ nemeses }) => nemeses))];

export function isProfile(name: string): boolean {
  return Object.hasOwn(profiles, name);
}
