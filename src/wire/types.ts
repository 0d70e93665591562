import type { ClusterId, ErrorCode, GroupId, NodeId, Outcome, ReplicaId, Retry } from "../base/index.ts";
import type { Message, SnapshotMeta } from "../raft/types.ts";

/**
 * One frame is a type byte and a payload; on a byte stream a 32-bit length stands before it. The
 * numbers never change their meaning; a new meaning takes a new number and a feature level.
 */
export const FrameType = {
  hello: 1,
  welcome: 2,
  refused: 3,
  goodbye: 4,
  /** A piece of a frame that was split: [u32 message id][u32 bytes of the whole][u32 offset][piece of (type + payload)]. */
  fragment: 5,
  request: 16,
  response: 17,
  item: 18,
  end: 19,
  cancel: 20,
  credit: 21,
  push: 22,
  heartbeats: 32,
  raft: 33,
  /** What a replica's state hashes to at a checkpoint. */
  stateHash: 34,
  /** A replica that discarded its state asks the leader for a snapshot. */
  stateWanted: 35,
  /** What does your wall clock show? */
  clockQuestion: 36,
  clockAnswer: 37,
  snapshotBegin: 40,
  snapshotReady: 41,
  snapshotChunk: 42,
  snapshotAck: 43,
  snapshotFailed: 44,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

export const protocolMagic = 0x4d554e55; // "UNUM", little-endian
export const protocolVersion = 1;

export type ConnectionPurpose = "client" | "control" | "entries" | "bulk";

/** The first frame each way. A side that does not like it answers `refused` and closes. */
export interface Hello {
  /** Lowest and highest protocol version spoken; the highest common one is used. */
  readonly versionMin: number;
  readonly versionMax: number;
  readonly purpose: ConnectionPurpose;
  /** Undefined: a client that accepts any cluster, or a node that is in none yet. */
  readonly cluster: ClusterId | undefined;
  /** Undefined: not a node. */
  readonly node: NodeId | undefined;
  readonly name: string;
  /** "host:port" that others reach this node at; empty for clients. */
  readonly address: string;
  readonly featureLevel: number;
}

export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly outcome: Outcome;
  readonly retry: Retry;
  readonly details: Readonly<Record<string, unknown>>;
}

/** What a request asks. A method whose answer is a stream is marked so. */
export const Method = {
  /** body: a command with its session envelope; answer: the machine's reply. */
  propose: 1,
  /** body: [u64 minimal revision][query]; answer: the machine's reply. */
  query: 2,
  /** Stream. body: a watch request; items: encoded changes; end: why. */
  watch: 3,
  /** body: [u64 lease id]; answer: [u64 remaining milliseconds], once a quorum round begun after it arrived has confirmed the leader. */
  keepAlive: 4,
  /** body: [u8 create][text name]; answer: [u32 group]. */
  keyspace: 5,
  /** body and answer: JSON text. Rare things: status, members, removal, transfer, join. */
  admin: 6,
  /** Stream. body: JSON text; items: bytes of a backup. */
  backup: 7,
  /** Between nodes only. body and answer: JSON text: forming, joining. */
  membership: 8,
} as const;
export type Method = (typeof Method)[keyof typeof Method];

export type Priority = "system" | "normal" | "low";

export interface Request {
  /** Chosen by the side that asks; unique among its requests in flight on the connection. 32 bits. */
  readonly id: number;
  readonly method: Method;
  readonly group: GroupId;
  readonly priority: Priority;
  /** Answer from the applied state of the node asked, without a quorum round. */
  readonly stale: boolean;
  /** A node passed it on already: answer NOT_LEADER rather than pass it on again. */
  readonly forwarded: boolean;
  /** Milliseconds left; dropped before proposing when they are over, never after. */
  readonly remainingMs: number;
  /** 0n: none. */
  readonly trace: bigint;
  /** On a forwarded request: on whose behalf. Empty: the connection's own principal. */
  readonly principal: string;
  readonly body: Uint8Array;
}

export type Answer = { readonly ok: true; readonly body: Uint8Array } | { readonly ok: false; readonly error: WireError };

/** What a node tells its clients unasked. */
export type Push =
  | { readonly kind: "leader"; readonly group: GroupId; readonly term: number; readonly node: NodeId | undefined; readonly address: string }
  | { readonly kind: "members"; readonly members: readonly { readonly node: NodeId; readonly name: string; readonly address: string }[] }
  /** The node is about to stop: open a connection to another one, new requests first. */
  | { readonly kind: "leaving" };

/** What travels with the heartbeats, by its number on the wire: append only. */
export const heartbeatKinds = ["heartbeat", "heartbeat-response", "commit"] as const;

export interface Heartbeat {
  readonly kind: (typeof heartbeatKinds)[number];
  readonly group: GroupId;
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  readonly term: number;
  readonly commit: number;
  readonly context: number;
}

export interface GroupMessage {
  readonly group: GroupId;
  readonly message: Message;
}

/** Between replicas of a group, beside raft: the comparison of their states. `index` is that of a checkpoint. */
export type StateMessage =
  /** The sender's state after the checkpoint: 16 hex digits. */
  | { readonly type: "state-hash"; readonly from: ReplicaId; readonly to: ReplicaId; readonly index: number; readonly hash: string }
  /** The sender's state was not the majority's at `index`: it needs a snapshot that reaches at least `minIndex`. */
  | { readonly type: "state-wanted"; readonly from: ReplicaId; readonly to: ReplicaId; readonly index: number; readonly minIndex: number };

export interface SnapshotBegin {
  readonly transfer: number;
  readonly group: GroupId;
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  readonly term: number;
  readonly meta: SnapshotMeta;
  readonly bytes: number;
}

/** The receiver's answer to `SnapshotBegin`: chunks are wanted from `received` on. */
export interface SnapshotReady {
  readonly transfer: number;
  readonly received: number;
}

export interface SnapshotChunk {
  readonly transfer: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Everything below `received` has been taken; `done`: the whole is verified and durable. */
export interface SnapshotAck {
  readonly transfer: number;
  readonly received: number;
  readonly done: boolean;
}

/** Either side gives the transfer up; the text is for logs. */
export interface SnapshotFailed {
  readonly transfer: number;
  readonly reason: string;
}

/** A sender that wants to wait for `onDrain` does so from this many `bufferedBytes` on. */
export const drainMarkBytes: number = 64 * 1024;

/**
 * Frames both ways between a handle and a node, whatever carries them: a direct call, a
 * `MessagePort`, TCP. Frames arrive whole, or the carrier closes. Frames of one request, stream,
 * group or transfer (the 32-bit id behind the type) arrive in order; on a byte stream, frames of
 * others may overtake one above `limits.frameSplitBytes`.
 */
export interface Carrier {
  readonly peer: string;
  /** Bytes sent and not yet taken. */
  readonly bufferedBytes: number;
  /** Bytes held of frames that have not come whole; 0 where frames always do. */
  readonly incomingBytes: number;
  handle(handlers: CarrierHandlers): void;
  /**
   * Type byte and payload, or the first part of them (at least the type and the id behind it) and a `body` that follows. The
   * caller does not change the bytes afterwards, but a part in front of a body may be used again at once. Frames of one
   * turn travel together. After close it does nothing.
   */
  send(frame: Uint8Array, body?: Uint8Array): void;
  /** What was sent in this turn leaves now, rather than at its end. */
  flush(): void;
  /** Stops and resumes `onFrame`, so that the sender feels back-pressure. What was read already may still come after `pause`. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then ends. */
  close(): void;
  destroy(): void;
}

/** None is called from within a call of the carrier, and none after `onClose`. */
export interface CarrierHandlers {
  /**
   * Valid only during the call: copy what is kept. With `own` the bytes are the receiver's and stay as they
   * are. `MalformedBytes` thrown here closes the carrier, naming it.
   */
  onFrame(frame: Uint8Array, own: boolean): void;
  /** What was sent has (nearly) all been taken, after `bufferedBytes` had reached `drainMarkBytes` at the end of a turn. */
  onDrain(): void;
  /** Exactly once, after `close` and `destroy` too; the text says why, for logs. */
  onClose(reason: string): void;
}
