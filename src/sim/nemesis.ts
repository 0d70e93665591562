import { unreachable } from "../base/index.ts";
import type { Prng } from "../base/index.ts";

/** Whom a fault hits. `pick` chooses among the candidates there are when its time has come. */
export interface Target {
  readonly role: "leader" | "follower" | "any";
  readonly pick: number;
}

/** One thing that goes wrong, and for how long. */
export type Fault =
  /** The process dies; what it wrote is in the kernel. With "power" the machine dies, and what was not synced may be lost or torn. */
  | { readonly kind: "crash"; readonly how: "process" | "power"; readonly target: Target; readonly forMs: number }
  /** All nodes at once. */
  | { readonly kind: "crash-all"; readonly how: "process" | "power"; readonly forMs: number }
  /** Closed in order and started again. */
  | { readonly kind: "restart"; readonly target: Target; readonly forMs: number }
  | { readonly kind: "pause"; readonly how: "stopped" | "asleep"; readonly target: Target; readonly forMs: number }
  /** The nodes fall into two parts that do not reach each other; clients reach all. */
  | { readonly kind: "split"; readonly pick: number; readonly forMs: number }
  /** One node is cut off from the others; with `clients` from everybody. */
  | {
      readonly kind: "isolate";
      readonly target: Target;
      readonly direction: "both" | "in" | "out";
      readonly clients: boolean;
      readonly forMs: number;
    }
  /** One pair of nodes does not reach each other, all others do. */
  | { readonly kind: "broken-cable"; readonly pick: number; readonly forMs: number }
  /** What one node sends another arrives late, all at once. */
  | { readonly kind: "clog"; readonly pick: number; readonly forMs: number }
  /** All connections between two nodes break. */
  | { readonly kind: "reset"; readonly pick: number }
  | {
      readonly kind: "lossy";
      readonly lossPpm: number;
      readonly duplicatePpm: number;
      readonly reorderPpm: number;
      readonly latencyUsMax: number;
      readonly forMs: number;
    }
  /** Every operation takes `factor` times as long. */
  | { readonly kind: "slow-disk"; readonly target: Target; readonly factor: number; readonly forMs: number }
  | { readonly kind: "full-disk"; readonly target: Target; readonly forMs: number }
  /** The next sync fails, and nothing that it covered is ever written by a later one. */
  | { readonly kind: "sync-failure"; readonly target: Target }
  /** One node of the run, always the same, dies and comes back with a bit flipped in its log or a snapshot. */
  | { readonly kind: "bit-rot"; readonly pick: number; readonly forMs: number }
  | { readonly kind: "wall-jump"; readonly target: Target; readonly byMs: number }
  | { readonly kind: "drift"; readonly target: Target; readonly ppm: number }
  | { readonly kind: "transfer" }
  | { readonly kind: "add-member" }
  | { readonly kind: "remove-member"; readonly target: Target };

export type FaultKind = Fault["kind"];

export interface PlannedFault {
  readonly atMs: number;
  readonly fault: Fault;
}

/** Everything about a run that the seed decides before it begins. */
export interface Plan {
  readonly profile: string;
  readonly nodes: number;
  readonly clients: number;
  /** How long faults go on. */
  readonly faultMs: number;
  readonly faults: readonly PlannedFault[];
  /** Log bytes after which a snapshot is due: small ones make snapshots and their installation common. */
  readonly snapshotLogBytes: number;
  /** Clocks run wrong by at most this from the start. */
  readonly driftPpmMax: number;
  readonly latencyUsMax: number;
}

/** Which faults a profile may draw. */
const profiles: Readonly<Record<string, readonly FaultKind[]>> = {
  calm: [],
  crashes: ["crash", "crash-all", "restart", "pause"],
  network: ["split", "isolate", "broken-cable", "clog", "reset", "lossy"],
  disk: ["crash", "crash-all", "slow-disk", "full-disk", "sync-failure", "bit-rot"],
  clocks: ["wall-jump", "drift", "pause"],
  members: ["add-member", "remove-member", "transfer", "crash", "restart", "isolate"],
  swarm: [
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
};

export const profileNames: readonly string[] = Object.keys(profiles);

export function isProfile(name: string): boolean {
  return Object.hasOwn(profiles, name);
}

/**
 * Draws a run. Swarm-style: each seed leaves about half of the kinds out and gives the others wildly
 * different weights, so that rare combinations are reached that an even mix would drown.
 */
export function drawPlan(prng: Prng, profile = "swarm"): Plan {
  const kinds = profiles[profile] ?? [];
  const weights = kinds
    .map((kind) => ({ kind, weight: prng.chance(1, 2) ? 0 : prng.pick([1, 3, 10, 30]) }))
    .filter(({ weight }) => weight > 0);
  const faultMs = prng.between(8_000, 14_000);
  const faults: PlannedFault[] = [];
  const gapMs = prng.pick([400, 800, 1_500, 3_000]);
  // A cluster needs a moment to form before there is something to break, now and then even that is broken.
  let atMs = prng.chance(1, 8) ? 0 : 1_500;
  for (;;) {
    atMs += prng.between(Math.floor(gapMs / 4), gapMs * 2);
    if (atMs >= faultMs || weights.length === 0) break;
    faults.push({ atMs, fault: drawFault(prng, pickWeighted(prng, weights)) });
  }
  return {
    profile,
    faultMs,
    faults,
    nodes: prng.pick([3, 3, 3, 3, 5, 5, 1]),
    clients: prng.between(2, 4),
    snapshotLogBytes: prng.pick([8, 32, 128, 65_536]) * 1024,
    driftPpmMax: prng.pick([0, 100, 5_000]),
    latencyUsMax: prng.pick([300, 1_000, 5_000, 20_000]),
  };
}

function pickWeighted(prng: Prng, weights: readonly { readonly kind: FaultKind; readonly weight: number }[]): FaultKind {
  let at = prng.below(weights.reduce((sum, { weight }) => sum + weight, 0));
  for (const { kind, weight } of weights) {
    if (at < weight) return kind;
    at -= weight;
  }
  throw new Error("weights add up");
}

function drawTarget(prng: Prng): Target {
  return { role: prng.pick(["leader", "leader", "follower", "any"]), pick: prng.below(1_000) };
}

/** From a blink to longer than any time-out of the cluster. */
function drawMs(prng: Prng): number {
  return prng.pick([prng.between(10, 300), prng.between(300, 2_000), prng.between(2_000, 6_000)]);
}

function drawFault(prng: Prng, kind: FaultKind): Fault {
  const pick = prng.below(1_000_000);
  switch (kind) {
    case "crash":
      return { kind, how: prng.pick(["process", "power"]), target: drawTarget(prng), forMs: drawMs(prng) };
    case "crash-all":
      return { kind, how: prng.pick(["process", "power"]), forMs: prng.between(10, 1_500) };
    case "restart":
      return { kind, target: drawTarget(prng), forMs: prng.between(10, 1_500) };
    case "pause":
      return { kind, how: prng.pick(["stopped", "stopped", "asleep"]), target: drawTarget(prng), forMs: drawMs(prng) };
    case "isolate":
      return {
        kind,
        target: drawTarget(prng),
        direction: prng.pick(["both", "in", "out"]),
        clients: prng.chance(1, 4),
        forMs: drawMs(prng),
      };
    case "split":
    case "broken-cable":
    case "clog":
      return { kind, pick, forMs: drawMs(prng) };
    case "reset":
      return { kind, pick };
    case "lossy": {
      const ppm = (): number => prng.pick([0, 1_000, 20_000, 100_000]);
      return {
        kind,
        lossPpm: ppm(),
        duplicatePpm: ppm(),
        reorderPpm: ppm(),
        latencyUsMax: prng.pick([1_000, 30_000, 150_000]),
        forMs: drawMs(prng),
      };
    }
    case "slow-disk":
      return { kind, target: drawTarget(prng), factor: prng.pick([20, 200, 2_000, 15_000]), forMs: drawMs(prng) };
    case "full-disk":
      return { kind, target: drawTarget(prng), forMs: drawMs(prng) };
    case "wall-jump":
      // Not a day ahead: that ages the whole history away, in order, and the checkers need it whole.
      return { kind, target: drawTarget(prng), byMs: prng.pick([-86_400_000, -30_000, -700, -50, 50, 700, 30_000]) };
    case "drift":
      return { kind, target: drawTarget(prng), ppm: prng.pick([-10_000, -1_000, 1_000, 10_000]) };
    case "bit-rot":
      return { kind, pick, forMs: prng.between(10, 1_500) };
    case "sync-failure":
    case "remove-member":
      return { kind, target: drawTarget(prng) };
    case "transfer":
    case "add-member":
      return { kind };
    default:
      return unreachable(kind);
  }
}

export function describeFault(fault: Fault): string {
  return Object.entries(fault)
    .map(([name, value]) => {
      if (name === "kind") return String(value);
      if (typeof value === "object" && value !== null) return String((value as Target).role);
      return `${name} ${String(value)}`;
    })
    .join(" ");
}
