export { Replica } from "./replica.ts";
export { loadMachine } from "./snapshots.ts";
export type { ReplicaOptions } from "./replica.ts";
export type { ReadWaiter, ReplicaHost, ReplicaStatus, Waiter } from "./types.ts";
