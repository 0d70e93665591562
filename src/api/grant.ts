import { UnumError, limits } from "../base/index.ts";
import { expectResult } from "./client/replies.ts";
import type { Keyspace } from "./kv/keyspace.ts";
import { durationMs } from "./duration.ts";
import type { Duration } from "./duration.ts";
import type { CallOptions } from "./types.ts";

/** The time of a lease in milliseconds. INVALID_ARGUMENT outside of what the machine allows. */
export function leaseMs(ttl: Duration): number {
  const ms = Math.ceil(durationMs(ttl, "ttl"));
  if (ms >= limits.leaseSecondsMin * 1000 && ms <= limits.leaseSecondsMax * 1000) return ms;
  throw new UnumError("INVALID_ARGUMENT", `ttl is at least ${limits.leaseSecondsMin} s, not ${ms} ms.`);
}

export function grantLease(
  space: Keyspace,
  ttlMs: number,
  options: CallOptions | undefined,
): Promise<{ readonly id: bigint; readonly ttlMs: number }> {
  return space.command(
    { kind: "lease-grant", lease: 0n, ttlMs },
    (body) => {
      const { result } = expectResult(body, "lease");
      return { id: result.lease, ttlMs: result.ttlMs };
    },
    options,
  );
}

export function revokeLease(space: Keyspace, lease: bigint, options: CallOptions | undefined): Promise<void> {
  return space.command(
    { kind: "lease-revoke", lease, term: 0 },
    (body) => {
      space.note(expectResult(body, "done").revision);
    },
    options,
  );
}
