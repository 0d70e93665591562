export { UnumNode } from "./node.ts";
export { checkOptions, featureLevel, isDnsSeed, isLoopback } from "./options.ts";
export type { NodeObserver, NodeOptions } from "./options.ts";
export { planRecovery, recoverDirectory, restoreDirectory } from "./offline.ts";
export type { OfflinePlatform, RecoveryPlan, RestoreReport } from "./offline.ts";
