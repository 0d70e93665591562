import { isUnumError } from "../../base/index.ts";
import type { ErrorCode, UnumError } from "../../base/index.ts";
import { Code, GrpcError, etcdErrors } from "../../etcd/index.ts";

const byCode: Partial<Record<ErrorCode, () => GrpcError>> = {
  COMPACTED: etcdErrors.compacted,
  FUTURE_REVISION: etcdErrors.futureRevision,
  LEASE_NOT_FOUND: etcdErrors.leaseNotFound,
  LEASE_EXISTS: etcdErrors.leaseExists,
  OVER_QUOTA: etcdErrors.noSpace,
  OUT_OF_SPACE: etcdErrors.noSpace,
  OVERLOADED: etcdErrors.tooManyRequests,
  TOO_LARGE: etcdErrors.requestTooLarge,
  INVALID_KEY: etcdErrors.requestTooLarge,
  DUPLICATE_KEY: etcdErrors.duplicateKey,
  NOT_FOUND: etcdErrors.keyNotFound,
  TIMEOUT: etcdErrors.timeout,
  NO_LEADER: etcdErrors.noLeader,
  NOT_LEADER: etcdErrors.leaderChanged,
  UNAVAILABLE: etcdErrors.timeout,
  UNKNOWN_OUTCOME: etcdErrors.timeoutConnectionLost,
  SESSION_EXPIRED: etcdErrors.timeoutConnectionLost,
  NODE_STOPPED: etcdErrors.stopped,
  REMOVED: etcdErrors.stopped,
  CLOSED: etcdErrors.stopped,
  CORRUPT: etcdErrors.corrupt,
  MEMBER_NOT_FOUND: etcdErrors.memberNotFound,
};

/** What a failure of ours is to a client of etcd. */
export function toEtcdError(failure: unknown): GrpcError {
  if (failure instanceof GrpcError) return failure;
  if (!isUnumError(failure)) return new GrpcError(Code.internal, failure instanceof Error ? failure.message : String(failure));
  const known = byCode[failure.code]?.();
  // A refusal of a copy says nothing of the one before it: only what etcd's clients take for an unknown end may be said then.
  if (failure.outcome === "unknown" && known?.code !== Code.unavailable) return etcdErrors.timeoutConnectionLost();
  return known ?? unforeseen(failure);
}

/** Nothing that etcd has a word for. */
function unforeseen(failure: UnumError): GrpcError {
  return new GrpcError(failure.code === "INVALID_ARGUMENT" ? Code.invalidArgument : Code.unknown, failure.message);
}
