import { UnumError } from "../base/index.ts";
import type { Lease } from "./types.ts";

/** The machine's id of a lease that a caller passed in. A lease holds keys of its own keyspace only. */
export function leaseId(lease: unknown, keyspace: string): bigint {
  const given = lease as Partial<Lease> | null | undefined;
  if (typeof given !== "object" || given === null || typeof given.id !== "string" || !/^\d{1,20}$/.test(given.id)) {
    throw new UnumError("INVALID_ARGUMENT", "A lease is what lease() gives.");
  }
  if (given.keyspace !== keyspace) {
    throw new UnumError("INVALID_ARGUMENT", `This lease is of keyspace "${String(given.keyspace)}" and cannot hold keys of "${keyspace}".`);
  }
  return BigInt(given.id);
}
