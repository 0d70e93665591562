export type { CallOptions } from "./call.ts";
export { digest, openZooKeeper } from "./client.ts";
export type {
  CreateOptions,
  MultiOutcome,
  NodeChildren,
  NodeData,
  ReadOptions,
  WriteOptions,
  ZooKeeper,
  ZooKeeperOptions,
} from "./client.ts";
export { ZooKeeperError, codeTable, isZooKeeperError } from "./codes.ts";
export type { ZooKeeperCode } from "./codes.ts";
export { creatorAcl, openAcl } from "./messages.ts";
export type { Acl, CreateMode, Credentials, Stat } from "./messages.ts";
export type { MultiOperation, MultiReadOperation, MultiReadResult, MultiResult } from "./multi.ts";
export { parseConnectText } from "./paths.ts";
export type { SessionEnvironment, SessionState } from "./session.ts";
export type { WatchCallback, WatchEvent } from "./watches.ts";
