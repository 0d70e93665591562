/** Every limit, its value, why it is what it is, and what happens when it is reached. */
const KiB = 1024;
const MiB = 1024 * KiB;

export const limits = {
  /** Bytes of a key. Longer: INVALID_KEY. Keys live in the JavaScript heap as strings. */
  keyBytesMax: 4 * KiB,
  /** Bytes of one request, as etcd's default of 1.5 MiB plus room for headers. Larger: TOO_LARGE. */
  requestBytesMax: 1536 * KiB + 512,
  /** Operations in a transaction, nested ones included; etcd's default. More: INVALID_ARGUMENT. */
  transactionOperationsMax: 128,
  /** Nesting depth of transactions: bounds recursion in `apply`. */
  transactionDepthMax: 8,
  /** Bytes of a frame on any connection; a decoder allocates nothing for a larger one and closes. */
  frameBytesMax: 8 * MiB,
  /** Frames above this are split, so that a large value never delays a small one. */
  frameSplitBytes: 64 * KiB,
  /** Bytes of one Raft entry: a loop turn's batch of commands. Bounds what one append allocates. */
  entryBytesMax: 2 * MiB,
  /** Bytes of entries in one append message: keeps the pipeline busy without hogging a connection. */
  appendBytesMax: 1 * MiB,
  /** Appends in flight to one follower; with `appendInflightBytesMax` the pipeline's window. */
  appendInflightMax: 256,
  appendInflightBytesMax: 16 * MiB,
  /** Bytes proposed and not yet committed, per group. More: OVERLOADED at the gate. */
  uncommittedBytesMax: 64 * MiB,
  /** Log entries kept in memory per group for followers that lag a little; older ones are read from disk. */
  logCacheBytesMax: 16 * MiB,
  /** Requests in flight per connection. More: OVERLOADED. */
  connectionRequestsMax: 16_384,
  /** Bytes of requests in flight per connection. More: OVERLOADED. */
  connectionBytesMax: 64 * MiB,
  /** Bytes waiting in one connection's output before its reader counts as too slow and is closed. */
  outputBytesMax: 64 * MiB,
  /** Credit of a stream (watch): bytes sent and not yet consumed. */
  streamCreditBytes: 1 * MiB,
  /** Streams per connection. More: OVERLOADED. */
  connectionStreamsMax: 16_384,
  /** Replies kept per session for a retry. A handle with more in flight waits. */
  sessionRepliesMax: 4096,
  sessionReplyBytesMax: 1 * MiB,
  /** Idle time after which deduplication state goes: longer than any allowed deadline. */
  sessionIdleMs: 3_600_000,
  /** The longest deadline of a call, and the default one. */
  deadlineMsMax: 600_000,
  deadlineMsDefault: 10_000,
  /** How far two machines' clock rates may differ: 1 %. Leases and claims are shortened by it. */
  clockDriftRatio: 0.01,
  /** History of a keyspace for watches: whichever is reached first. Older watches end with COMPACTED. */
  historyMs: 300_000,
  historyBytesMax: 128 * MiB,
  /** Data of a keyspace (`maxBytes`). At the limit puts answer OVER_QUOTA. */
  keyspaceBytesMax: 2048 * MiB,
  /** Lease times. The minimum is etcd's with its default timings; the maximum, too. */
  leaseSecondsMin: 2,
  leaseSecondsMax: 9_000_000_000,
  /** A snapshot is due when the log since the last one exceeds max(this, its size). */
  snapshotLogBytes: 64 * MiB,
  /** A snapshot is written in steps of this size, each synced before the next, so that it never stalls the WAL. */
  snapshotStepBytes: 4 * MiB,
  /** Size of a WAL segment. */
  walSegmentBytes: 64 * MiB,
  /** Members of a cluster. Group 0 names them all in one record. */
  membersMax: 1024,
  /** Groups per node. */
  groupsMax: 4096,
} as const;
