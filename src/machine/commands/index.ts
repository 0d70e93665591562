export {
  commandBytes, commandKind, decodeCommand, decodeEnvelope, decodeQuery, decodeWatchRequest, encodeCommand, encodeEnvelope, encodeGet,
  encodePut, encodeQuery, encodeWatchRequest, noEnvelope, queryBytes,
} from "./commands.ts";
export { Kind, PutFlag, Status, envelopeBytes } from "./kinds.ts";
export { decodeOperationBody, encodeOperation } from "./operations.ts";
export {
  decodeKeyValue, decodePutRevision, decodeReply, decodeReplyRevision, decodeWatchChange, encodeKeyValue, encodeOperationResult, encodeReply,
  encodeWatchChange, encodeWatchEvent, errorReply, isErrorReply, replyBytes, replyHeaderBytes, tombstone,
} from "./replies.ts";
export type {
  Command, Compare, DeleteOperation, EnqueueOperation, Envelope, KeyRange, KeyValue, KeyspaceSummary, Operation, OperationResult, PutOperation,
  Query, RangeOperation, Reply, ReplyResult, SortTarget, TxnOperation, WatchChange, WatchEvent, WatchRequest,
} from "./types.ts";
