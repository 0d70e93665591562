/**
 * Every error that Unum gives to a user, in one table. A code is a bare word and never changes its
 * meaning; texts may improve.
 */
export type Outcome = "not-applied" | "unknown";
export type Retry = "safe" | "maybe-applied" | "never";

interface Row {
  /** What happened, in one sentence. */
  readonly meaning: string;
  /** What to do about it. */
  readonly remedy: string;
  /** What is known of the operation's effect, unless the site that throws knows better. */
  readonly outcome: Outcome;
  readonly retry: Retry;
}

const row = (meaning: string, remedy: string, outcome: Outcome, retry: Retry): Row => ({ meaning, remedy, outcome, retry });

// biome-ignore format: a table reads best with one row per line
export const errorTable = {
  CLAIM_LOST: row("The claim ended before the work did, or was given up.", "Treat what the work wrote without the fence as suspect; acquire the claim again.", "unknown", "maybe-applied"),
  CLOSED: row("The handle was closed before the call finished.", "Open a new handle.", "not-applied", "never"),
  COMPACTED: row("The revision asked for is no longer kept.", "Read the current state, then watch from its revision + 1.", "not-applied", "never"),
  CONFLICT: row("The key is not at the revision that the write required.", "Read it again and decide anew.", "not-applied", "never"),
  CORRUPT: row("Stored or replicated state failed its check and no majority can repair it; writes have stopped.", "See the recovery guide; restore a backup or recover from the surviving replica.", "not-applied", "never"),
  DATA_DIR_FORMAT: row("The data directory was written by a newer version, or is not Unum's.", "Run the version that wrote it, or name another directory.", "not-applied", "never"),
  DATA_DIR_LOCKED: row("Another process uses this data directory.", "Stop that process, or give this one a directory of its own.", "not-applied", "never"),
  DECODE_FAILED: row("The stored bytes are not what this handle's codec reads.", "Read the key with the codec that wrote it, or with `kv.with(bytes)`.", "not-applied", "never"),
  DISK_FAILED: row("The disk refused a write or a sync; the node has stopped, because what is durable is no longer known.", "Check the disk, then start the node again or replace it.", "unknown", "maybe-applied"),
  DUPLICATE_KEY: row("A transaction writes the same key twice.", "Keep one write per key in each branch.", "not-applied", "never"),
  ENGINE_NOT_FOUND: row("A file of the engine is not where the package has it; a bundler may have swallowed it.", "Leave the package out of the bundle (esbuild: --external:unum), or start with { isolate: false } if only the engine's thread is missing.", "not-applied", "never"),
  EXTERNAL_LOST: row("In a simulation: the stand-in of another service did not answer, by the seed.", "Expect it as you would in production: it may have happened.", "unknown", "maybe-applied"),
  EXTERNAL_REFUSED: row("In a simulation: the stand-in of another service refused the call, by the seed.", "Expect it as you would in production: it did not happen.", "not-applied", "safe"),
  FENCED: row("The claim that guards this write has ended or was superseded.", "Stop acting for the claim; acquire it again.", "not-applied", "never"),
  FORBIDDEN: row("The engine's users and roles do not allow this, or it does not know the user.", "Check the user, the password and the permissions of its roles; nothing was applied.", "not-applied", "never"),
  FUTURE_REVISION: row("The revision asked for does not exist yet.", "Ask for the current revision, or watch from it.", "not-applied", "never"),
  INSECURE: row("The node would listen beyond loopback without a secret or certificates.", "Set a secret, or say --insecure.", "not-applied", "never"),
  INVALID_ARGUMENT: row("An argument is not what the call takes.", "See the message; nothing was sent.", "not-applied", "never"),
  INVALID_KEY: row("The key is empty, too long or has no UTF-8 form.", "Use 1 to 4096 bytes.", "not-applied", "never"),
  INVALID_VALUE: row("The value cannot be stored so that it reads back the same.", "The message names the path; use another codec for such values.", "not-applied", "never"),
  LEASE_EXISTS: row("A lease with this id exists already.", "Choose another id, or let the cluster choose.", "not-applied", "never"),
  LEASE_NOT_FOUND: row("The lease has ended or never was.", "Grant a new lease.", "not-applied", "never"),
  MACHINE_FAILED: row("A state machine failed on this node; its group is stopped here.", "Report it with the node's log; other nodes go on.", "unknown", "maybe-applied"),
  MALFORMED: row("The bytes are no request of this protocol.", "Use a client of this version.", "not-applied", "never"),
  MEMBER_NOT_FOUND: row("No member has this name or id.", "List the members.", "not-applied", "never"),
  NAME_IN_USE: row("A live member has this node name.", "Choose another name, or remove that member first.", "not-applied", "never"),
  NODE_STOPPED: row("The node has stopped.", "Start it again; see its log for the reason.", "unknown", "maybe-applied"),
  NOT_FOUND: row("What was named does not exist.", "Check the name.", "not-applied", "never"),
  NOT_LEADER: row("This node does not lead the group, and the request was forwarded once already.", "Retry; the handle follows the hint.", "not-applied", "safe"),
  NOT_SIMULATED: row("The program reached outside of the simulation that it runs in.", "Use `world.external(name, methods)`, or the handle that `world.run` gives.", "not-applied", "never"),
  NO_LEADER: row("The group has no leader now.", "Wait and retry; check that a majority of the voters is up.", "not-applied", "safe"),
  OUT_OF_SPACE: row("A disk or the memory of a voter is nearly full, so growing writes are refused. Reads go on; deletes, too, while there is room for them in the log, none of them on a disk that is wholly full.", "Free space on the disk, delete data, or raise the budget; writes resume by themselves.", "not-applied", "safe"),
  OVERLOADED: row("A limit of requests or bytes in flight is reached.", "Slow down and retry with a pause.", "not-applied", "safe"),
  OVER_QUOTA: row("The keyspace has reached its maxBytes; reads and deletes go on.", "Delete data or raise maxBytes.", "not-applied", "never"),
  PORT_IN_USE: row("The address to listen on is taken.", "Stop the other program or choose another port.", "not-applied", "never"),
  REENTRANT: row("The lock is held by the code that asks for it again.", "Pass the claim on instead of taking the lock twice.", "not-applied", "never"),
  REMOVAL_PENDING: row("The member is leaving, and a group still needs its vote or a copy in its place: the removal goes on.", "Bring the group's other voters back; `unum member list` shows when the member is gone. Asking again is harmless.", "unknown", "maybe-applied"),
  REMOVED: row("This node was removed from its cluster; its id never returns.", "Start with an empty data directory to join as a new node.", "not-applied", "never"),
  SESSION_EXPIRED: row("The session is gone, so it cannot be known whether the command was applied before.", "Read before writing again.", "unknown", "maybe-applied"),
  SESSION_LOST: row("The session that a claim hangs on was not renewed in time, so the claim may have passed to another.", "Stop acting for the claim; acquire it again.", "unknown", "maybe-applied"),
  TIMEOUT: row("The call's time is over.", "The effect is unknown unless the message says otherwise; read before writing again.", "unknown", "maybe-applied"),
  TOO_LARGE: row("The request is larger than the limit.", "Store less per request; see the limits page.", "not-applied", "never"),
  TWO_CLUSTERS: row("A member of another cluster answered under the same secret; nothing is merged.", "Check the seeds; give each cluster a secret of its own.", "not-applied", "never"),
  UNAVAILABLE: row("No node could be reached.", "Check the endpoint and that a node listens there.", "not-applied", "safe"),
  UNKNOWN_OUTCOME: row("The connection or the leader was lost after the request was sent.", "Read before writing again.", "unknown", "maybe-applied"),
  UNSUPPORTED: row("This node does not offer the operation.", "Check the version of the cluster.", "not-applied", "never"),
  UPGRADE_REQUIRED: row("The cluster uses what this build does not know: the group is stopped on this node, or the node may not join.", "Upgrade this node.", "unknown", "maybe-applied"),
  WRONG_CLUSTER: row("The other side belongs to another cluster.", "Check the address and the data directory.", "not-applied", "never"),
} as const satisfies Record<string, Row>;

export type ErrorCode = keyof typeof errorTable;

export interface UnumErrorOptions {
  readonly outcome?: Outcome;
  readonly retry?: Retry;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

const mark = "unum.error";

/**
 * The only class of error that a call of ours rejects with, an aborted signal's own reason aside.
 * Tell it by `isUnumError`, never by `instanceof`: two copies of the package may meet in one process.
 */
export class UnumError extends Error {
  override readonly name: string = "UnumError";
  readonly code: ErrorCode;
  /** Whether the operation may have had an effect. */
  readonly outcome: Outcome;
  /** Whether repeating the call is harmless. */
  readonly retry: Retry;
  readonly details: Readonly<Record<string, unknown>>;
  readonly brand: string = mark;

  constructor(code: ErrorCode, message?: string, options: UnumErrorOptions = {}) {
    const entry = errorTable[code];
    super(message ?? `${entry.meaning} ${entry.remedy}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.outcome = options.outcome ?? entry.outcome;
    this.retry = options.retry ?? entry.retry;
    this.details = options.details ?? {};
  }
}

/** Whether `error` is ours and, when given, has one of `codes`. Works across copies and threads. */
export function isUnumError(error: unknown, ...codes: readonly ErrorCode[]): error is UnumError {
  if (typeof error !== "object" || error === null) return false;
  const candidate = error as Partial<UnumError>;
  if (candidate.brand !== mark || typeof candidate.code !== "string") return false;
  return codes.length === 0 || codes.includes(candidate.code);
}

/** Whether a text, from the wire say, is a code of this build. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorTable, text);
}
