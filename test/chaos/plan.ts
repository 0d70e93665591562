import type { Prng } from "#dist/base/index.js";
import type { WiresKind } from "./wires.ts";

/** A node by its number, or whichever leads the default keyspace at the time. */
export type Target = number | "leader";

export type ChaosFault =
  /** SIGKILL. `power`: the machine goes with it, and what was not synced is lost, torn or kept. */
  | { readonly kind: "kill" | "power"; readonly targets: readonly Target[] | "all"; readonly downMs: number }
  /** SIGTERM, and started again. */
  | { readonly kind: "restart"; readonly target: Target }
  /** SIGSTOP. */
  | { readonly kind: "pause"; readonly target: Target; readonly ms: number }
  /** Between the target and some others, in one direction or both. */
  | {
      readonly kind: "partition";
      readonly target: Target;
      readonly others: number;
      readonly direction: "both" | "in" | "out";
      readonly ms: number;
    }
  | { readonly kind: "delay"; readonly target: Target; readonly delayMs: number; readonly ms: number }
  | { readonly kind: "reset"; readonly target: Target }
  /** The disk fills up to the last `leftBytes`. `restart`: and the node is killed and started on the full disk. */
  | { readonly kind: "full"; readonly target: Target; readonly leftBytes: number; readonly restart: boolean; readonly ms: number }
  /** A call of the file system fails; the node may stop, and is started again. `power`: what was not synced is lost then. */
  | {
      readonly kind: "disk-error";
      readonly target: Target;
      readonly on: "reads" | "syncs" | "writes";
      readonly power: boolean;
      readonly downMs: number;
    }
  /** The wall clock jumps. */
  | { readonly kind: "clock"; readonly target: Target; readonly jumpMs: number };

export type ChaosFaultKind = ChaosFault["kind"];

export const faultKinds: readonly ChaosFaultKind[] = [
  "kill",
  "power",
  "restart",
  "pause",
  "partition",
  "delay",
  "reset",
  "full",
  "disk-error",
  "clock",
];

/** All that a seed decides about one round before it begins. Plain data: the same seed gives the same plan. */
export interface ChaosPlan {
  readonly seed: number;
  readonly round: number;
  readonly nodes: number;
  readonly clients: number;
  readonly wires: WiresKind;
  /** Each sync takes this much longer, so that machines die in the middle of one. */
  readonly syncMs: number;
  readonly faults: readonly { readonly atMs: number; readonly fault: ChaosFault }[];
  readonly faultMs: number;
}

export interface Drawing {
  readonly seed: number;
  readonly round: number;
  readonly faultMs: number;
  /** These kinds only. */
  readonly kinds?: readonly ChaosFaultKind[] | undefined;
  readonly wires?: WiresKind | undefined;
}

/** Swarm-style: each round has some kinds of faults and not others, and its own haste. */
export function drawChaos(prng: Prng, drawing: Drawing): ChaosPlan {
  const nodes = prng.pick([3, 3, 3, 5]);
  const drawn = prng.pick<WiresKind>(["proxies", "namespaces"]);
  const wires = drawing.wires ?? drawn;
  const possible = (drawing.kinds ?? faultKinds).filter((kind) => wires === "proxies" || (kind !== "delay" && kind !== "reset"));
  const kinds = drawing.kinds === undefined ? prng.shuffle(possible).slice(0, prng.between(3, 6)) : possible;
  const [shortest, longest] = prng.pick([
    [200, 1_500],
    [800, 3_000],
    [2_000, 5_000],
  ] as const);
  const faults: { atMs: number; fault: ChaosFault }[] = [];
  const times = prng.fork("times");
  for (let atMs = 300; kinds.length > 0 && atMs < drawing.faultMs; atMs += times.between(shortest, longest)) {
    const draw = prng.fork(`fault ${faults.length}`);
    faults.push({ atMs, fault: drawFault(draw, draw.pick(kinds), nodes) });
  }
  const { faultMs, round, seed } = drawing;
  return { seed, round, nodes, clients: prng.between(3, 5), wires, syncMs: prng.pick([0, 3, 20]), faults, faultMs };
}

const drawMs = (prng: Prng): number => prng.pick([prng.between(50, 500), prng.between(500, 2_000), prng.between(2_000, 5_000)]);

function drawFault(prng: Prng, kind: ChaosFaultKind, nodes: number): ChaosFault {
  const target: Target = prng.chance(1, 2) ? "leader" : prng.below(nodes);
  switch (kind) {
    case "kill":
    case "power":
      return {
        kind,
        targets: prng.pick([[target], [target], [target], [target], [target, prng.below(nodes)], "all"]),
        downMs: drawMs(prng),
      };
    case "restart":
    case "reset":
      return { kind, target };
    case "pause":
      return { kind, target, ms: drawMs(prng) };
    case "partition": {
      const others = prng.pick([1, nodes - 1, nodes - 1]);
      return { kind, target, others, direction: prng.pick(["both", "both", "in", "out"]), ms: drawMs(prng) };
    }
    case "delay":
      return { kind, target, delayMs: prng.pick([5, 40, 200, 1_500]), ms: drawMs(prng) };
    case "full":
      return { kind, target, leftBytes: prng.pick([0, 4_096, 700_000]), restart: prng.chance(1, 2), ms: prng.between(1_000, 5_000) };
    case "disk-error":
      return { kind, target, on: prng.pick(["syncs", "writes", "reads"]), power: prng.chance(1, 2), downMs: drawMs(prng) };
    case "clock":
      return { kind, target, jumpMs: prng.pick([-1, 1]) * prng.pick([700, 5_000, 60_000, 3_600_000, 400 * 86_400_000]) };
  }
}
