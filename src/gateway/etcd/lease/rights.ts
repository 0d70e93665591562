import { takeResult } from "../../../api/index.ts";
import type { CallOptions } from "../../../api/index.ts";
import { isUnumError } from "../../../base/index.ts";
import type { Rights } from "../auth/rights.ts";
import type { Call } from "../grpc/index.ts";
import type { Ground } from "../service.ts";

/**
 * Whoever may end a lease ends its keys, so it must be allowed to write all of them; and whoever puts a key under a lease must be, too, since it could not
 * take that back otherwise. Ids as the machine has them; 0n: no lease.
 */
export async function askForLease(ground: Pick<Ground, "kv" | "within">, call: Call, rights: Rights, lease: bigint): Promise<void> {
  if (rights.isFree || lease === 0n) return;
  for (const key of await keysOf(ground, lease, ground.within(call))) rights.write(key);
}

/** None where there is no such lease. */
async function keysOf(ground: Pick<Ground, "kv">, lease: bigint, options: CallOptions): Promise<readonly string[]> {
  try {
    return await ground.kv.query({ kind: "lease", lease, keys: true }, (reply) => takeResult(reply, "lease").result.keys, options);
  } catch (error) {
    if (isUnumError(error, "LEASE_NOT_FOUND")) return [];
    throw error;
  }
}
