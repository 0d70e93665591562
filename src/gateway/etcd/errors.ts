import { isUnumError } from "../../base/index.ts";
import type { ErrorCode, UnumError } from "../../base/index.ts";
import { Code, GrpcError } from "./grpc/index.ts";

const error =
  (code: Code, text: string): (() => GrpcError) =>
  () =>
    new GrpcError(code, `etcdserver: ${text}`);

/** etcd's errors to the letter: clients match code and text. One function each, since an error carries the stack of its place. */
export const etcdErrors = {
  emptyKey: error(Code.invalidArgument, "key is not provided"),
  keyNotFound: error(Code.invalidArgument, "key not found"),
  valueProvided: error(Code.invalidArgument, "value is provided"),
  leaseProvided: error(Code.invalidArgument, "lease is provided"),
  tooManyOps: error(Code.invalidArgument, "too many operations in txn request"),
  duplicateKey: error(Code.invalidArgument, "duplicate key given in txn request"),
  invalidClientApiVersion: error(Code.invalidArgument, "invalid client api version"),
  invalidSortOption: error(Code.invalidArgument, "invalid sort option"),
  compacted: error(Code.outOfRange, "mvcc: required revision has been compacted"),
  futureRevision: error(Code.outOfRange, "mvcc: required revision is a future revision"),
  noSpace: error(Code.resourceExhausted, "mvcc: database space exceeded"),
  leaseNotFound: error(Code.notFound, "requested lease not found"),
  leaseExists: error(Code.failedPrecondition, "lease already exists"),
  leaseTtlTooLarge: error(Code.outOfRange, "too large lease TTL"),
  watchCanceled: error(Code.canceled, "watch canceled"),
  memberExists: error(Code.failedPrecondition, "member ID already exist"),
  peerUrlExists: error(Code.failedPrecondition, "Peer URLs already exists"),
  memberNotEnoughStarted: error(Code.failedPrecondition, "re-configuration failed due to not enough started members"),
  memberBadUrls: error(Code.invalidArgument, "given member URLs are invalid"),
  memberNotFound: error(Code.notFound, "member not found"),
  memberNotLearner: error(Code.failedPrecondition, "can only promote a learner member"),
  learnerNotReady: error(Code.failedPrecondition, "can only promote a learner member which is in sync with leader"),
  tooManyLearners: error(Code.failedPrecondition, "too many learner members in cluster"),
  clusterIdMismatch: error(Code.failedPrecondition, "cluster ID mismatch"),
  requestTooLarge: error(Code.invalidArgument, "request is too large"),
  tooManyRequests: error(Code.resourceExhausted, "too many requests"),
  rootUserNotExist: error(Code.failedPrecondition, "root user does not exist"),
  rootRoleNotExist: error(Code.failedPrecondition, "root user does not have root role"),
  userAlreadyExist: error(Code.failedPrecondition, "user name already exists"),
  userEmpty: error(Code.invalidArgument, "user name is empty"),
  userNotFound: error(Code.failedPrecondition, "user name not found"),
  roleAlreadyExist: error(Code.failedPrecondition, "role name already exists"),
  roleNotFound: error(Code.failedPrecondition, "role name not found"),
  roleEmpty: error(Code.invalidArgument, "role name is empty"),
  authFailed: error(Code.invalidArgument, "authentication failed, invalid user ID or password"),
  permissionNotGiven: error(Code.invalidArgument, "permission not given"),
  permissionDenied: error(Code.permissionDenied, "permission denied"),
  roleNotGranted: error(Code.failedPrecondition, "role is not granted to the user"),
  permissionNotGranted: error(Code.failedPrecondition, "permission is not granted to the role"),
  authNotEnabled: error(Code.failedPrecondition, "authentication is not enabled"),
  invalidAuthToken: error(Code.unauthenticated, "invalid auth token"),
  invalidAuthManagement: error(Code.invalidArgument, "invalid auth management"),
  authOldRevision: error(Code.invalidArgument, "revision of auth store is old"),
  noLeader: error(Code.unavailable, "no leader"),
  notLeader: error(Code.failedPrecondition, "not leader"),
  leaderChanged: error(Code.unavailable, "leader changed"),
  notCapable: error(Code.failedPrecondition, "not capable"),
  stopped: error(Code.unavailable, "server stopped"),
  timeout: error(Code.unavailable, "request timed out"),
  timeoutConnectionLost: error(Code.unavailable, "request timed out, possibly due to connection lost"),
  unhealthy: error(Code.unavailable, "unhealthy cluster"),
  corrupt: error(Code.dataLoss, "corrupt cluster"),
  badLeaderTransferee: error(Code.failedPrecondition, "bad leader transferee"),
  wrongDowngradeVersion: error(Code.invalidArgument, "wrong downgrade target version format"),
  invalidDowngradeVersion: error(Code.invalidArgument, "invalid downgrade target version"),
  noInflightDowngrade: error(Code.failedPrecondition, "no inflight downgrade job"),
} as const satisfies Record<string, () => GrpcError>;

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
  return byCode[failure.code]?.() ?? unforeseen(failure);
}

/** Nothing that etcd has a word for. */
function unforeseen(failure: UnumError): GrpcError {
  return new GrpcError(failure.code === "INVALID_ARGUMENT" ? Code.invalidArgument : Code.unknown, failure.message);
}
