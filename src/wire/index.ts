export { FrameHeads } from "./heads.ts";
export {
  decodeAdminRequest,
  decodeAdminResponse,
  decodeBackupRequest,
  encodeAdminRequest,
  encodeAdminResponse,
  encodeBackupRequest,
} from "./admin.ts";
export type {
  AdminOp,
  AdminRequest,
  AdminResponse,
  AdminResponseTo,
  BackupRequest,
  ClusterStatus,
  GroupStatus,
  LeaderTransfer,
  MemberState,
  MemberStatus,
  NodeStatus,
  OperationCounters,
  ReplicaReport,
} from "./admin.ts";
export { FrameBatcher } from "./batcher.ts";
export { fromWireError, readWireError, toWireError, writeWireError } from "./errors.ts";
export { FragmentAssembler } from "./fragments.ts";
export type { FragmentAssemblerOptions } from "./fragments.ts";
export { FrameDecoder, framePrefixBytes } from "./frames.ts";
export { decodeClockAnswer, encodeClockAnswer, encodeClockQuestion } from "./clock.ts";
export {
  decodeGoodbye,
  decodeHello,
  decodeRefused,
  decodeWelcome,
  encodeGoodbye,
  encodeHello,
  encodeRefused,
  encodeWelcome,
  negotiate,
} from "./hello.ts";
export type { Negotiation } from "./hello.ts";
export { decodePush, encodePush } from "./push.ts";
export {
  decodeGroupMessage,
  decodeHeartbeats,
  encodeGroupMessage,
  encodeGroupMessageHead,
  encodeHeartbeats,
  groupMessageBody,
  heartbeatOf,
  messageOf,
  readConfiguration,
  readSnapshotMeta,
  writeConfiguration,
  writeSnapshotMeta,
} from "./raft.ts";
export {
  decodeCancel,
  decodeCredit,
  decodeEnd,
  decodeItem,
  decodeRequest,
  decodeResponse,
  encodeCancel,
  encodeCredit,
  encodeEnd,
  encodeErrorResponse,
  encodeItem,
  encodeOkResponse,
  encodeRequestFrame,
} from "./session.ts";
export {
  decodeSnapshotAck,
  decodeSnapshotBegin,
  decodeSnapshotChunk,
  decodeSnapshotFailed,
  decodeSnapshotReady,
  encodeSnapshotAck,
  encodeSnapshotBegin,
  encodeSnapshotChunk,
  encodeSnapshotFailed,
  encodeSnapshotReady,
} from "./snapshot.ts";
export { decodeStateMessage, encodeStateMessage } from "./state.ts";
export { FrameType, Method, drainMarkBytes, protocolMagic, protocolVersion, heartbeatKinds } from "./types.ts";
export type {
  Answer,
  Carrier,
  CarrierHandlers,
  ConnectionPurpose,
  GroupMessage,
  Heartbeat,
  Hello,
  Priority,
  Push,
  Request,
  SnapshotAck,
  SnapshotBegin,
  SnapshotChunk,
  SnapshotFailed,
  SnapshotReady,
  StateMessage,
  WireError,
} from "./types.ts";
export { StreamCarrier } from "./carrier.ts";
export type { ByteStream, ByteStreamHandlers, Defer, StreamCarrierOptions } from "./carrier.ts";
export { DirectCarrier, directCarrierPair } from "./direct.ts";
export { MessagePortCarrier } from "./message-port.ts";
export type { PortLike } from "./message-port.ts";
