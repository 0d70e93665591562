import type { Duration, Unum } from "../api/index.ts";
import type { Checker, History } from "./history.ts";

/** Which faults the seed may draw. `none`: only those that the test itself makes. `swarm`: all of them. */
export type Faults = "none" | "crashes" | "network" | "clocks" | "swarm";

export interface SimulateOptions {
  /** Decides everything: the same seed and the same program give the same run, to the last event. */
  readonly seed: number;
  /** 1 to 9. Default 3. */
  readonly nodes?: number | undefined;
  /** Default "none". They begin after about 1.5 s, last 8 to 14 s of the world's time, and end with `heal()` at the latest. */
  readonly faults?: Faults | undefined;
  /** How much of the world's time the body may take. Default "10m". */
  readonly limit?: Duration | undefined;
}

/** A program on a node: what the user runs in production once `start()` has given the handle. */
export type Program<T> = (unum: Unum) => T | Promise<T>;

/** An object of asynchronous methods, as the program would hold a client of another service. */
export type Methods = Record<string, (...values: never[]) => unknown>;

/** The stand-in: the same methods, each of them a promise. */
export type External<M extends Methods> = {
  readonly [K in keyof M]: (...values: Parameters<M[K]>) => Promise<Awaited<ReturnType<M[K]>>>;
};

/** The simulated world. Nodes are numbered from 0; their names are n1, n2, …. */
export interface World {
  readonly seed: number;
  readonly nodes: number;
  /** Milliseconds of the world's time since it began. */
  readonly nowMs: number;
  /** What the program did, for checkers. */
  readonly history: History;
  /**
   * Runs a program on a node, and again after each restart of the node until it fulfils, with the handle that
   * `start()` gives there. Fulfils with the program's result; rejects as the program does. After a crash nothing
   * of the earlier life goes on: its timers never fire and its calls never settle.
   */
  run<T>(node: number, program: Program<T>): Promise<T>;
  /** A handle from a machine of its own, outside of the cluster, that no fault touches. */
  connect(): Unum;
  /**
   * A service outside of the cluster. Its methods run in the world and survive every crash. Calls take time; with
   * faults some are refused (`EXTERNAL_REFUSED`: did not happen) and some happen without an answer
   * (`EXTERNAL_LOST`: the caller cannot know). Each call that happens is recorded as an effect `name.method`.
   */
  external<M extends Methods>(name: string, methods: M): External<M>;
  /** Ends a node's process ("process") or cuts its power ("power", the default: what was not synced is gone). It stays down. */
  crash(node: number, how?: "process" | "power"): void;
  /** Starts a node that is down; one that runs is crashed first. */
  restart(node: number): void;
  /** The process stands still, as in a long garbage collection. Without a duration until `heal`. */
  pause(node: number, duration?: Duration): void;
  /** Nodes on different sides do not reach each other, until `heal`. */
  partition(...sides: readonly (readonly number[])[]): void;
  /** Sets a node's wall clock forwards or, negative, backwards. */
  skew(node: number, ms: number): void;
  /** All faults end: everything runs and reaches everything. Seeded faults stop for good. */
  heal(): void;
  /** Lets the world's time go by. */
  advance(duration: Duration): Promise<void>;
  /** A whole number from 0 to below `bound`, by the seed. */
  random(bound: number): number;
  /** Applies checkers to the history; throws `HistoryViolation` for the first that objects. */
  check(...checkers: readonly Checker[]): void;
}
