import { isNodeId } from "../../base/index.ts";

/** A node's or cluster's id as etcd has it: 64 bits. */
export function idOf(hex: string): bigint {
  return isNodeId(hex) ? BigInt(`0x${hex}`) : 0n;
}

export function hexOf(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16).padStart(16, "0");
}
