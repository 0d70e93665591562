export {
  decodeConfiguration,
  describeConfiguration,
  emptyConfiguration,
  encodeConfiguration,
  isJoint,
  isVoter,
  membersOf,
  votersOf,
} from "./configuration.ts";
export { describeEntry, describeMessage, describeProgress, describeReady } from "./describe.ts";
export { describeQuorum, hasQuorum, majorityIndex, majorityVote, quorumIndex, quorumVote } from "./quorum.ts";
export type { IndexOf, VoteOf, VoteResult } from "./quorum.ts";
export { Raft } from "./raft.ts";
export { EntryKind } from "./types.ts";
export type {
  Configuration,
  ConfigurationChange,
  Entry,
  FetchRequest,
  HardState,
  Message,
  ProgressState,
  ProgressStatus,
  ProposeResult,
  RaftLimits,
  RaftOptions,
  RaftStatus,
  ReadState,
  Ready,
  Refusal,
  Role,
  SnapshotMeta,
  SnapshotRequest,
} from "./types.ts";
