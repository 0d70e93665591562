import { claimMutants } from "./claims.ts";
import { gatewayMutants } from "./gateway.ts";
import { machineMutants } from "./machine.ts";
import type { Mutant } from "./mutant.ts";
import { raftMutants } from "./raft.ts";
import { runtimeMutants } from "./runtime.ts";
import { storageMutants } from "./storage.ts";

/** Every mutant, in the order in which the table shows them. */
export const mutants: readonly Mutant[] = [
  ...raftMutants,
  ...storageMutants,
  ...machineMutants,
  ...runtimeMutants,
  ...gatewayMutants,
  ...claimMutants,
];
