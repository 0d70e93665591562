/** The numbers of ZooKeeper's requests. */
export const Op = {
  create: 1,
  remove: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  getChildren: 8,
  sync: 9,
  ping: 11,
  getChildren2: 12,
  check: 13,
  multi: 14,
  create2: 15,
  removeWatches: 18,
  multiRead: 22,
  auth: 100,
  setWatches: 101,
  setWatches2: 105,
  addWatch: 106,
  closeSession: -11,
  /** In place of a result, within the reply to a multi. */
  error: -1,
} as const;

/** Numbers of requests that stand outside of the count. */
export const Xid = { event: -1, ping: -2, auth: -4, setWatches: -8 } as const;

interface Row {
  readonly number: number;
  readonly meaning: string;
  /** Whether the server may have done what it answers so. */
  readonly outcome: "not-applied" | "unknown";
}

const row = (number: number, meaning: string, outcome: Row["outcome"] = "not-applied"): Row => ({ number, meaning, outcome });

/** What a ZooKeeper server answers in place of a result. A name never changes its meaning. */
export const codeTable = {
  SYSTEM_ERROR: row(-1, "The server failed in a way that it has no word for.", "unknown"),
  RUNTIME_INCONSISTENCY: row(-2, "Another operation of the same multi failed.", "not-applied"),
  DATA_INCONSISTENCY: row(-3, "The server found its data inconsistent.", "unknown"),
  CONNECTION_LOSS: row(-4, "The server lost its connection to the leader.", "unknown"),
  MARSHALLING_ERROR: row(-5, "The server could not read the request."),
  UNIMPLEMENTED: row(-6, "The server does not know this operation; it may be too old, or not allow it."),
  OPERATION_TIMEOUT: row(-7, "The server gave the operation up.", "unknown"),
  BAD_ARGUMENTS: row(-8, "The server takes no such arguments."),
  UNKNOWN_SESSION: row(-12, "The server does not know the session."),
  NEW_CONFIG_NO_QUORUM: row(-13, "No quorum of the new configuration is connected."),
  RECONFIG_IN_PROGRESS: row(-14, "Another reconfiguration is under way."),
  API_ERROR: row(-100, "The server refused without a word for the reason."),
  NO_NODE: row(-101, "There is no such node."),
  NO_AUTH: row(-102, "The node's access list does not allow this to the session."),
  BAD_VERSION: row(-103, "The node is not at the version that was required."),
  NO_CHILDREN_FOR_EPHEMERALS: row(-108, "An ephemeral node has no children."),
  NODE_EXISTS: row(-110, "The node exists already."),
  NOT_EMPTY: row(-111, "The node has children."),
  SESSION_EXPIRED: row(-112, "The session has expired."),
  INVALID_CALLBACK: row(-113, "The watch is none."),
  INVALID_ACL: row(-114, "The access list is empty or names nobody."),
  AUTH_FAILED: row(-115, "The server does not accept the credentials."),
  SESSION_MOVED: row(-118, "The session has moved to another server in the meantime."),
  NOT_READ_ONLY: row(-119, "The server is cut off from its ensemble and only reads."),
  EPHEMERAL_ON_LOCAL_SESSION: row(-120, "A local session creates no ephemeral nodes."),
  NO_WATCHER: row(-121, "There is no such watch."),
  REQUEST_TIMEOUT: row(-122, "The server gave the request up.", "unknown"),
  RECONFIG_DISABLED: row(-123, "Reconfiguration is switched off."),
  SESSION_CLOSED_REQUIRE_SASL: row(-124, "The server wants its clients to authenticate by SASL."),
  QUOTA_EXCEEDED: row(-125, "The quota of the subtree is reached."),
  THROTTLED: row(-127, "The server is overloaded and dropped the request."),
} as const satisfies Record<string, Row>;

export type ZooKeeperCode = keyof typeof codeTable;

const names = new Map<number, ZooKeeperCode>(Object.entries(codeTable).map(([name, { number }]) => [number, name as ZooKeeperCode]));

/** A number that is not in the table is an `API_ERROR`. */
export function codeOf(number: number): ZooKeeperCode {
  return names.get(number) ?? "API_ERROR";
}

const mark = "unum.zookeeper-error";

/** What a server answered in place of a result: it looked at the request, and unless `outcome` says otherwise did nothing. */
export class ZooKeeperError extends Error {
  override readonly name = "ZooKeeperError";
  readonly code: ZooKeeperCode;
  /** As the caller wrote it, without the chroot. */
  readonly path: string;
  readonly outcome: "not-applied" | "unknown";
  readonly brand: string = mark;

  constructor(code: ZooKeeperCode, path: string) {
    super(path === "" ? codeTable[code].meaning : `${path}: ${codeTable[code].meaning}`);
    this.code = code;
    this.path = path;
    this.outcome = codeTable[code].outcome;
  }
}

/** Whether `error` is a server's answer and, when given, has one of `codes`. Works across copies of the package. */
export function isZooKeeperError(error: unknown, ...codes: readonly ZooKeeperCode[]): error is ZooKeeperError {
  if (typeof error !== "object" || error === null) return false;
  const candidate = error as Partial<ZooKeeperError>;
  if (candidate.brand !== mark || typeof candidate.code !== "string") return false;
  return codes.length === 0 || codes.includes(candidate.code);
}
