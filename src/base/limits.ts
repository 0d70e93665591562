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
  /** Nesting depth of transactions: bounds recursion in `apply`. Deeper: INVALID_ARGUMENT. */
  transactionDepthMax: 8,
  /** Bytes of a frame on any connection. A decoder allocates nothing for a larger one and closes. */
  frameBytesMax: 8 * MiB,
  /** Frames above this are split, so that a large value never delays a small one. */
  frameSplitBytes: 64 * KiB,
  /** Bytes of one Raft entry: a loop turn's batch of commands. Bounds what one append allocates; a fuller batch becomes two entries. */
  entryBytesMax: 2 * MiB,
  /** Bytes of entries in one append message: keeps the pipeline busy without hogging a connection. */
  appendBytesMax: 1 * MiB,
  /** Appends in flight to one follower; with `appendInflightBytesMax` the pipeline's window. */
  appendInflightMax: 256,
  /** Bytes of appends in flight to one follower. At either mark the leader waits for an answer. */
  appendInflightBytesMax: 16 * MiB,
  /** Bytes proposed and not yet committed, per group: a backstop, the gate stops at `groupInflightBytesMax`. More: OVERLOADED. */
  uncommittedBytesMax: 64 * MiB,
  /** Bytes of log kept in memory per group for followers that lag a little; older entries are read from disk. */
  logCacheBytesMax: 16 * MiB,
  /**
   * Bytes of committed entries per group that wait in memory to be applied, while a state is being loaded or replaced or applying is slow.
   * Beyond it the rest stays in the log and is read from there.
   */
  applyWaitBytesMax: 16 * MiB,
  /** Requests in flight per connection. More: OVERLOADED. */
  connectionRequestsMax: 16_384,
  /** Bytes of requests in flight per connection. More: OVERLOADED. */
  connectionBytesMax: 64 * MiB,
  /** Requests in flight at one node, all connections together. More: OVERLOADED for connections with more than their share. */
  gateRequestsMax: 65_536,
  /** Bytes of requests in flight at one node. More: OVERLOADED for connections with more than their share. */
  gateBytesMax: 128 * MiB,
  /** Commands of one group under way through one node; the others wait at its gate, one lane per asker, in turns. */
  groupInflightMax: 8_192,
  /** Bytes of those commands: little enough that nobody's next command waits long behind them. */
  groupInflightBytesMax: 8 * MiB,
  /** Time for a frame to come whole once it has begun. Longer: TIMEOUT, and the connection is closed. */
  frameMsMax: 30_000,
  /** Time for which a client may take none of its answers before its connection is closed. */
  outputMsMax: 30_000,
  /** Bytes that connections hold in all: requests, unfinished frames, answers not taken. More: those that hold most are closed. */
  heldBytesMax: 512 * MiB,
  /** Bytes waiting in one connection's output before its reader counts as too slow and is closed. */
  outputBytesMax: 64 * MiB,
  /** Credit of a stream (a watch): bytes sent and not yet consumed. At the mark the stream waits; nothing is lost. */
  streamCreditBytes: 1 * MiB,
  /** Streams per connection. More: OVERLOADED. */
  connectionStreamsMax: 16_384,
  /** Replies kept per session for a retry. A handle with more in flight waits; more at the machine: OVERLOADED. */
  sessionRepliesMax: 4096,
  /** Bytes of replies kept per session. More: OVERLOADED until the client has seen older ones. */
  sessionReplyBytesMax: 1 * MiB,
  /** Idle time after which deduplication state goes: longer than any allowed deadline. Later: SESSION_EXPIRED. */
  sessionIdleMs: 3_600_000,
  /** The longest deadline of a call. Longer: INVALID_ARGUMENT. */
  deadlineMsMax: 600_000,
  /** The deadline of a call that names none: nothing waits forever. */
  deadlineMsDefault: 10_000,
  /** How far two machines' clock rates may differ: 1 %. Owners count their leases and claims as shorter by it. */
  clockDriftRatio: 0.01,
  /** Part of a node's memory budget that stays free. Below it at any voter, growing writes to its groups: OUT_OF_SPACE. */
  memoryHeadroomRatio: 0.2,
  /** Part of the JavaScript heap's own limit; beyond it a node has no headroom. What remains is for garbage. */
  heapFillRatio: 0.85,
  /** How far a node's wall clock may be from those of a majority. Beyond it the node says so and declines leadership while another can lead: entries carry the leader's time. */
  clockOffsetMsMax: 500,
  /** History of a keyspace for watches: whichever is reached first. Older watches end with COMPACTED. */
  historyMs: 300_000,
  /** Bytes of that history; the oldest go first. */
  historyBytesMax: 128 * MiB,
  /** Data of a keyspace (`maxBytes`). At the limit puts answer OVER_QUOTA. */
  keyspaceBytesMax: 2048 * MiB,
  /** The shortest lease, as etcd's with its default timings. Shorter: a handle refuses it with INVALID_ARGUMENT, the machine itself grants this much. */
  leaseSecondsMin: 2,
  /** The longest lease, as etcd's. Longer: INVALID_ARGUMENT. */
  leaseSecondsMax: 9_000_000_000,
  /**
   * Claims of other keyspaces whose newest fence a keyspace remembers; a constant of the protocol, since it decides replies. Beyond it the oldest
   * quarter goes: a claim among them is refused with FENCED, its holder acquires it again.
   */
  fenceMarksMax: 16_384,
  /** Bytes of a message to the etcd gateway: a request of etcd's default size and its overhead. Larger: RESOURCE_EXHAUSTED, as etcd says it. */
  etcdMessageBytesMax: 2 * MiB,
  /** Open calls of the etcd gateway, streams included: each takes a few KiB. More: RESOURCE_EXHAUSTED. */
  etcdCallsMax: 100_000,
  /** Watches of the etcd gateway's clients. More are created and canceled at once. */
  etcdWatchesMax: 100_000,
  /** Different ranges among them, and watches of the past: each is a stream of the node. More are created and canceled at once. */
  etcdWatchRangesMax: 12_288,
  /** Tokens of the etcd gateway's users that a node remembers beyond the time they were issued for. More: who has not shown its own for longest logs in again. */
  etcdTokensMax: 10_000,
  /** Passwords of the etcd gateway's users that wait for their turn: they are computed one after the other. More: RESOURCE_EXHAUSTED. */
  etcdPasswordsMax: 1_000,
  /** Bytes of the head of an HTTP request. More: the request is refused before anything is kept of it. */
  httpHeadBytesMax: 16 * KiB,
  /** Streams of one HTTP/2 connection at the same time; watches live long. More: the client waits or is refused the stream. */
  httpStreamsMax: 16_384,
  /** Connections of one HTTP port. More are dropped. */
  httpConnectionsMax: 8_192,
  /** Bytes of answers that clients of the etcd gateway have not taken, all connections together. More: the connection with most of them is closed. */
  httpOutputBytesMax: 256 * MiB,
  /** Bytes of requests to the etcd gateway that are not whole yet, all together. More: those that waited longest for their next bytes end with RESOURCE_EXHAUSTED. */
  httpPartialBytesMax: 128 * MiB,
  /** Time for the body of a JSON request to the etcd gateway to come. Longer: it is cut off. */
  httpRequestMsMax: 60_000,
  /** Streams that an HTTP/2 client may open and cancel within 10 s. More: the connection is closed. */
  httpResetsMax: 20_000,
  /** A snapshot is due when the log since the last one exceeds max(this, half its size), or a sixteenth of that when nothing happens for 5 s. */
  snapshotLogBytes: 64 * MiB,
  /** A snapshot is written in steps of this size, each synced before the next, so that it never stalls the WAL. */
  snapshotStepBytes: 4 * MiB,
  /** Time between two checkpoints of a group, at which its replicas compare their states: a difference lives no longer than this before it is found. */
  checkpointMs: 60_000,
  /** Size of a WAL segment: preallocated, released as a whole. */
  walSegmentBytes: 64 * MiB,
  /** Members of a cluster. Group 0 names them all; beyond it joining is refused with OVERLOADED. */
  membersMax: 1024,
  /** Groups of a cluster: each costs memory and a place in every heartbeat frame. More: OVERLOADED. */
  groupsMax: 4096,
} as const;
