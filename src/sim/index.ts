export { SimChecksum } from "./checksum.ts";
export { SimClock } from "./clock.ts";
export type { SimClockOptions } from "./clock.ts";
export { NotDeterministic, installGuards } from "./guards.ts";
export { SimHost } from "./host.ts";
export type { HostState } from "./host.ts";
export { SimNames } from "./names.ts";
export type { NameTable } from "./names.ts";
export { SimNetwork, linkDefaults } from "./network.ts";
export type { LinkOptions, NetworkOptions } from "./network.ts";
export { SimRandom } from "./random.ts";
export { Scheduler, SimEvent, SimulationStuck } from "./scheduler.ts";
export type { EventGate, SchedulerOptions } from "./scheduler.ts";
export { SimStreams } from "./streams.ts";
export { Trace } from "./trace.ts";
export { SimWorld } from "./world.ts";
export type { SimMachine, WorldOptions } from "./world.ts";
export {
  Agreement,
  Chronicle,
  checkCopies,
  checkDurability,
  checkExpired,
  checkLinearizable,
  checkRegisters,
  checkRevisions,
  checkWatches,
} from "./check/index.ts";
export type { FinalRead, Interval, Linearization, SequentialModel, Verdict } from "./check/index.ts";
export { Cluster } from "./cluster.ts";
export type { ClusterOptions, Member } from "./cluster.ts";
export type { FaultKind } from "./fault.ts";
export { describeCall, isWatched } from "./history.ts";
export type { History, SeenChange } from "./history.ts";
export { Injector } from "./inject.ts";
export { drawPlan } from "./nemesis.ts";
export type { Plan } from "./nemesis.ts";
export { Witness } from "./witness.ts";
export { Load, describeMix, drawLoad, toSeenEvent, unpad, workloadNames } from "./workloads/index.ts";
export type { ClientHost, LoadPlan, Mix, Space } from "./workloads/index.ts";
