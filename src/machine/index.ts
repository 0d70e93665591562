export { EntryBuilder, EntryCommands, readEntry } from "./entry.ts";
export type { EntryContent } from "./entry.ts";
export {
  commandBytes,
  commandKind,
  decodeCommand,
  decodeEnvelope,
  decodeKeyValue,
  decodeOperationBody,
  decodePutRevision,
  decodeQuery,
  decodeReply,
  decodeReplyRevision,
  decodeWatchChange,
  decodeWatchRequest,
  encodeCommand,
  encodeEnvelope,
  encodeGet,
  encodeKeyValue,
  encodeOperation,
  encodeOperationResult,
  encodePut,
  encodeQuery,
  encodeReply,
  encodeWatchChange,
  encodeWatchEvent,
  encodeWatchRequest,
  envelopeBytes,
  errorReply,
  isErrorReply,
  Kind,
  noEnvelope,
  PutFlag,
  queryBytes,
  replyBytes,
  replyHeaderBytes,
  Status,
  tombstone,
} from "./commands/index.ts";
export type {
  Command,
  Compare,
  DeleteOperation,
  EnqueueOperation,
  Envelope,
  KeyRange,
  KeyValue,
  KeyspaceSummary,
  Operation,
  OperationResult,
  PutOperation,
  Query,
  RangeOperation,
  Reply,
  ReplyResult,
  SortTarget,
  TxnOperation,
  WatchChange,
  WatchEvent,
  WatchRequest,
} from "./commands/index.ts";
export { featureLevelMax } from "./features.ts";
export { checkKeyspaceCommand, growsKeyspace } from "./gate.ts";
export { KeyspaceMachine, keyspaceFactory } from "./keyspace.ts";
export type { KeyspaceOptions } from "./keyspace.ts";
export { UpgradeRequired } from "./types.ts";
export type {
  ApplyMeta,
  LeaderTime,
  LeaseMachine,
  Machine,
  MachineFactory,
  MachineRestorer,
  SnapshotSource,
  WatchableMachine,
  Watcher,
} from "./types.ts";
export { systemCommandBytes } from "./system/commands.ts";
export { SystemMachine, systemFactory } from "./system/machine.ts";
export { decodeSystemState } from "./system/state.ts";
export type { SystemCommand, SystemGroup, SystemNode, SystemReplica, SystemState } from "./system/types.ts";
export { rebaseKeyspace, rebaseRevisions } from "./rebase.ts";
