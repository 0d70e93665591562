export { exactlyOnce, linearizable, neverTwo } from "./checkers.ts";
export type { ExactlyOnceOptions, Model, NeverTwoOptions } from "./checkers.ts";
export { History, HistoryViolation } from "./history.ts";
export type { Checker, HistoryClock, Operation } from "./history.ts";
export { simTest } from "./sim-test.ts";
export type { RegisterTest, SimTestHost, SimTestOptions } from "./sim-test.ts";
export { simulate, simulationMark } from "./simulate.ts";
export type { RunningSimulation, SimulationHost } from "./simulate.ts";
export type { External, Faults, Methods, Program, SimulateOptions, World } from "./types.ts";
