export { UnumError, isUnumError } from "../base/index.ts";
export type { ErrorCode, Outcome, Retry } from "../base/index.ts";
export type {
  Claim,
  ClaimOptions,
  ClaimScope,
  ClaimSpaceOptions,
  Counter,
  Election,
  ElectionOptions,
  GuardOptions,
  Held,
  Leader,
  Lock,
  Party,
  PartyMember,
  Semaphore,
  Sequence,
} from "./claims/index.ts";
export type { Duration } from "./duration.ts";
export { openHandle, openRawHandle } from "./handle.ts";
export { bytes, json, text } from "./kv/codec.ts";
export { key, op } from "./kv/operations.ts";
export type { KeyConditions } from "./kv/operations.ts";
export type { PastTick, Schedule, ScheduleOptions, ScheduleStatus, Tick } from "./schedule/index.ts";
export type { InferInput, InferOutput, StandardIssue, StandardResult, StandardSchemaV1 } from "./schema.ts";
export { decodePutRevision, decodeReply } from "../machine/commands/index.ts";
export type {
  Command,
  Compare as RawCompare,
  KeyRange,
  KeyspaceSummary,
  KeyValue,
  Operation,
  OperationResult,
  PutOperation,
  Query,
  RangeOperation,
  Reply,
  ReplyResult,
  TxnOperation,
  WatchChange,
} from "../machine/commands/index.ts";
export { expectResult as takeResult } from "./client/replies.ts";
export { Renewal, certainMs } from "./renewal.ts";
export type { RawHandle, RawKeyspace, RawWatch, RawWatchOwner, RawWatchRequest, TakeReply } from "./raw/index.ts";
export type { AbortSignalLike, Signal } from "./signal.ts";
export type {
  BackupOptions,
  Cache,
  CallOptions,
  Change,
  ClientOptions,
  Codec,
  Compare,
  DeleteOp,
  EnginePart,
  EngineParts,
  Entry,
  Environment,
  EtcdPart,
  GetOp,
  Handle,
  HandleClock,
  HandleLogger,
  KeptLease,
  LeaseKeep,
  LeaseKeeper,
  KV,
  Key,
  Lease,
  LeaseOptions,
  Op,
  Page,
  Part,
  PutOp,
  PutOptions,
  Range,
  RangeOp,
  ReadOptions,
  Relation,
  ResultOf,
  Results,
  Running,
  Status,
  TxnOp,
  TxnResult,
  Unum,
  UnumHandle,
  Watch,
  WatchEvent,
  WatchOptions,
  WriteOptions,
  ZooKeeperPart,
} from "./types.ts";
export type {
  ClusterStatus,
  GroupStatus,
  LeaderTransfer,
  MemberState,
  MemberStatus,
  NodeStatus,
  OperationCounters,
  ReplicaReport,
} from "../wire/index.ts";
