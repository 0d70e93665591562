export { Replica } from "./replica.ts";
export { loadMachine } from "./snapshots.ts";
export type { ReadWaiter, ReplicaHost, ReplicaOptions, ReplicaStatus, Waiter } from "./types.ts";
