import type { Rot } from "./damage.ts";
import type { CrashFate } from "./disk.ts";

/** Whom a fault hits. `pick` chooses among the candidates there are when its time has come. */
export interface Target {
  readonly role: "leader" | "follower" | "any";
  readonly pick: number;
}

/** One thing that goes wrong, and for how long. */
export type Fault =
  /** The process dies; what it wrote is in the kernel. With "power" the machine dies, and what was not synced may be lost or torn. */
  | { readonly kind: "crash"; readonly how: "process" | "power"; readonly target: Target; readonly forMs: number }
  /** The machine loses its power right after a change to its disk, before any sync of it: lost, kept, or sector by sector. */
  | {
      readonly kind: "crash-write";
      readonly target: Target;
      /** After so many more changes. */
      readonly changes: number;
      readonly fate: CrashFate;
      readonly forMs: number;
    }
  /** All nodes at once. */
  | { readonly kind: "crash-all"; readonly how: "process" | "power"; readonly forMs: number }
  /** Closed in order and started again. */
  | { readonly kind: "restart"; readonly target: Target; readonly forMs: number }
  | { readonly kind: "pause"; readonly how: "stopped" | "asleep"; readonly target: Target; readonly forMs: number }
  /** A client's process stands still, as a debugger or a long collection makes it. */
  | { readonly kind: "pause-client"; readonly how: "stopped" | "asleep"; readonly pick: number; readonly forMs: number }
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
  /** One of a pair of nodes does not reach the other, or neither does; all others do. */
  | { readonly kind: "broken-cable"; readonly pick: number; readonly direction: "both" | "out"; readonly forMs: number }
  /** What one node sends another arrives late, all at once. */
  | { readonly kind: "clog"; readonly pick: number; readonly forMs: number }
  /** Links between nodes are held one after the other and let go in another order. */
  | { readonly kind: "swizzle"; readonly pick: number; readonly forMs: number }
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
  /** Nothing grows; where the file system copies what it overwrites, nothing is written at all. */
  | { readonly kind: "full-disk"; readonly target: Target; readonly copiesOnWrite?: boolean; readonly forMs: number }
  /** The next sync fails, and nothing that it covered is ever written by a later one. */
  | { readonly kind: "sync-failure"; readonly target: Target }
  /** The next read or write fails. */
  | { readonly kind: "io-error"; readonly operation: "read" | "write"; readonly target: Target }
  /** A machine loses its power and comes back with damaged bytes in what it had stored. */
  | ({ readonly kind: "bit-rot"; readonly target: Target; readonly forMs: number } & Rot)
  /** A machine comes back with an empty disk, under its old name and address. */
  | { readonly kind: "replace"; readonly target: Target; readonly forMs: number }
  | { readonly kind: "wall-jump"; readonly target: Target; readonly byMs: number }
  | { readonly kind: "drift"; readonly target: Target; readonly ppm: number }
  /** The process ends and starts again as a newer build, which supports one feature level more. */
  | { readonly kind: "upgrade"; readonly target: Target; readonly forMs: number }
  | { readonly kind: "transfer" }
  | { readonly kind: "add-member" }
  | { readonly kind: "remove-member"; readonly target: Target };

export type FaultKind = Fault["kind"];

export function describeFault(fault: Fault): string {
  return Object.entries(fault)
    .map(([name, value]) => {
      if (name === "kind") return String(value);
      if (typeof value === "object" && value !== null) return String((value as Target).role);
      return `${name} ${String(value)}`;
    })
    .join(" ");
}
