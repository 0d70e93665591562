import { limits, unreachable } from "../base/index.ts";
import type { Prng } from "../base/index.ts";
import type { Fault, FaultKind, Target } from "./fault.ts";
import { calm, profiles } from "./profile.ts";
import { workloadNames } from "./workloads/index.ts";

export interface PlannedFault {
  readonly atMs: number;
  readonly fault: Fault;
}

/** Everything about a run that the seed decides before it begins. It is plain data: written down, it is a scenario. */
export interface Plan {
  readonly profile: string;
  readonly nodes: number;
  readonly clients: number;
  /** What the clients do, by name; at least one. */
  readonly workloads: readonly string[];
  /** Whether enough replicas keep all that they stored. Beyond that the cluster may stop, and must say so. */
  readonly budget: "kept" | "beyond";
  /** Steps of clients that are left out, by name; of a plan that was drawn: none. */
  readonly leftOut: readonly string[];
  /** How long faults go on. */
  readonly faultMs: number;
  readonly faults: readonly PlannedFault[];
  /** Log bytes after which a snapshot is due: small ones make snapshots and their installation common. */
  readonly snapshotLogBytes: number;
  /** Clocks run wrong by at most this from the start. */
  readonly driftPpmMax: number;
  readonly latencyUsMax: number;
  /** Of each direction between two hosts; 0: no limit. A slow network has snapshots under way when something else happens. */
  readonly bytesPerUs: number;
  /** Bytes of log that a replica holds in memory: beyond that, entries are read from disk. */
  readonly logCacheBytes: number;
  /** Bytes of entries in one append message; small ones let a follower have a part of what a leader has. Absent: as in production. */
  readonly appendBytes?: number;
  /** How long keyspaces keep their history, and a session that says nothing. Absent: as in production. */
  readonly historyMs?: number;
  readonly sessionIdleMs?: number;
}

/** What is left of a profile when somebody looks for something. */
export interface Narrowing {
  /** Only these kinds of faults, whatever the profile has, each of them in every run. */
  readonly nemeses?: readonly FaultKind[] | undefined;
  /** Only these workloads, all of them in every run. */
  readonly workloads?: readonly string[] | undefined;
}

/**
 * Draws a run. Swarm-style: each seed leaves about half of the kinds out and gives the others wildly
 * different weights, so that rare combinations are reached that an even mix would drown.
 */
export function drawPlan(prng: Prng, profile = "swarm", narrowing: Narrowing = {}): Plan {
  const { budget, faultMs: faultMsRange, gapMs: gapsMs, nemeses, workloads } = profiles[profile] ?? calm;
  const drawnMs = prng.between(...faultMsRange);
  const faults = drawFaults(prng.fork("faults"), narrowing.nemeses ?? leaveOut(prng.fork("kinds"), nemeses), drawnMs, prng.pick(gapsMs));
  // A long pause ends by itself: what happens when it does is what it is for.
  const pausesMs = faults.map(({ atMs, fault }) => (fault.kind === "pause" ? atMs + fault.forMs + 1_000 : 0));
  return {
    profile,
    budget,
    faultMs: Math.max(drawnMs, ...pausesMs),
    faults,
    workloads: narrowing.workloads ?? chooseSome(prng.fork("workloads"), workloads.length === 0 ? workloadNames : workloads),
    leftOut: [],
    nodes: prng.pick([3, 3, 3, 3, 5, 5, 1]),
    clients: prng.between(2, 4),
    snapshotLogBytes: prng.pick([8, 32, 128, 65_536]) * 1024,
    driftPpmMax: prng.pick([0, 100, 5_000]),
    latencyUsMax: prng.pick([300, 1_000, 5_000, 20_000]),
    bytesPerUs: prng.fork("speed").pick([0, 0, 0, 1, 0.1]),
    logCacheBytes: prng.fork("cache").pick([1, 16, 65_536]) * 1024,
    appendBytes: prng.fork("appends").pick([64, 4_096, 1_048_576]),
    historyMs: prng.fork("history").pick([limits.historyMs, limits.historyMs, 2_000, 200]),
    sessionIdleMs: prng.fork("sessions").chance(1, 3) ? prng.fork("idle").pick([12_000, 1_000]) : limits.sessionIdleMs,
  };
}

function leaveOut(prng: Prng, kinds: readonly FaultKind[]): FaultKind[] {
  return kinds.filter(() => prng.chance(1, 2));
}

function chooseSome(prng: Prng, names: readonly string[]): string[] {
  return prng.shuffle(names).slice(0, prng.pick([1, 2, 2, 3]));
}

/** One fault after the other, each with chance of its own, so that taking one away changes no other. */
function drawFaults(prng: Prng, kinds: readonly FaultKind[], faultMs: number, gapMs: number): PlannedFault[] {
  const weights = kinds.map((kind) => ({ kind, weight: prng.pick([1, 3, 10, 30]) }));
  const faults: PlannedFault[] = [];
  if (weights.length === 0) return faults;
  // A cluster needs a moment to form before there is something to break, now and then even that is broken.
  let atMs = prng.chance(1, 8) ? 0 : 1_500;
  for (;;) {
    atMs += prng.between(Math.floor(gapMs / 4), gapMs * 2);
    if (atMs >= faultMs) return faults;
    faults.push({ atMs, fault: drawFault(prng.fork(`fault ${faults.length}`), pickWeighted(prng, weights)) });
  }
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

/** Now and then longer than every time-out there is, those of clients and connections included. */
function drawPauseMs(prng: Prng): number {
  return prng.chance(1, 5) ? prng.between(10_000, 20_000) : drawMs(prng);
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
      return { kind, how: prng.pick(["stopped", "stopped", "asleep"]), target: drawTarget(prng), forMs: drawPauseMs(prng) };
    case "pause-client":
      return { kind, how: prng.pick(["stopped", "stopped", "asleep"]), pick, forMs: drawMs(prng) };
    case "isolate":
      return {
        kind,
        target: drawTarget(prng),
        direction: prng.pick(["both", "in", "out"]),
        clients: prng.chance(1, 4),
        forMs: drawMs(prng),
      };
    case "crash-write":
      return {
        kind,
        target: drawTarget(prng),
        changes: prng.pick([1, 2, 3, prng.between(1, 100)]),
        fate: prng.pick(["lose", "keep", "mix", "mix"]),
        forMs: prng.between(10, 1_500),
      };
    case "broken-cable":
      return { kind, pick, direction: prng.pick(["both", "both", "out"]), forMs: drawMs(prng) };
    case "swizzle":
      return { kind, pick, forMs: prng.between(1_000, 6_000) };
    case "split":
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
      return { kind, target: drawTarget(prng), copiesOnWrite: prng.chance(1, 3), forMs: drawMs(prng) };
    case "wall-jump":
      // Not a day ahead: that ages the whole history away, in order, and the checkers need it whole.
      return { kind, target: drawTarget(prng), byMs: prng.pick([-86_400_000, -30_000, -700, -50, 50, 700, 30_000]) };
    case "drift":
      return { kind, target: drawTarget(prng), ppm: prng.pick([-10_000, -1_000, 1_000, 10_000]) };
    case "bit-rot":
      return {
        kind,
        target: drawTarget(prng),
        where: prng.pick(["any", "any", "hard-state", "state", "snapshot", "group-log", "identity"]),
        extent: prng.pick(["bit", "bit", "sector"]),
        places: prng.pick([1, 1, 2, 5]),
        pick,
        forMs: prng.between(10, 1_500),
      };
    case "upgrade":
    case "replace":
      return { kind, target: drawTarget(prng), forMs: prng.between(10, 1_500) };
    case "io-error":
      return { kind, operation: prng.pick(["read", "write"]), target: drawTarget(prng) };
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
