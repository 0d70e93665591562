import { MalformedBytes, utf8Decode, utf8Encode } from "../base/index.ts";

/**
 * The bodies of `Method.admin` and `Method.backup`: JSON text, because they are rare and read by
 * people. Absent is `null`, never a missing field, so that `--json` output has one shape; fields
 * carry their unit; node ids are 16 hex digits, 64-bit ids decimal strings.
 *
 * A request goes with `group` = the group that it is about, or the system group. Any node answers
 * "status", "node-status" and "members"; the others are forwarded to whoever can do them.
 */
export type AdminRequest =
  /** The cluster as the node asked knows it; it asks the other members and waits for them briefly. */
  | { readonly op: "status" }
  /** Only the node asked. */
  | { readonly op: "node-status" }
  | { readonly op: "members" }
  /** Gives up the membership of a node, by name or id. MEMBER_NOT_FOUND when there is none. */
  | { readonly op: "remove-member"; readonly member: string }
  /** `group` null: every group that the present leader's node leads. `to` null: the most advanced voter. */
  | { readonly op: "transfer-leader"; readonly group: number | null; readonly to: string | null }
  /** The node asked gives up its membership and stops. */
  | { readonly op: "leave" }
  | { readonly op: "keyspaces" };

export type AdminOp = AdminRequest["op"];

export type AdminResponse =
  | { readonly op: "status"; readonly status: ClusterStatus }
  | { readonly op: "node-status"; readonly node: NodeStatus }
  | { readonly op: "members"; readonly members: readonly MemberStatus[] }
  | { readonly op: "remove-member"; readonly member: MemberStatus }
  | { readonly op: "transfer-leader"; readonly transfers: readonly LeaderTransfer[] }
  | { readonly op: "leave" }
  | { readonly op: "keyspaces"; readonly keyspaces: readonly { readonly name: string; readonly group: number }[] };

/** What answers a request with this `op`. */
export type AdminResponseTo<O extends AdminOp> = Extract<AdminResponse, { readonly op: O }>;

export interface LeaderTransfer {
  readonly group: number;
  /** Node ids; `to` is who leads now. */
  readonly from: string;
  readonly to: string;
}

/** `up`: answers. `down`: does not. `joining`: known, not caught up yet. `leaving`: moves its leadership away. `removed`: its id never returns. */
export type MemberState = "up" | "down" | "joining" | "leaving" | "removed";

export interface MemberStatus {
  readonly node: string;
  readonly name: string;
  /** "host:port" that clients and nodes reach it at. */
  readonly address: string;
  readonly zone: string;
  /** Its part in the system group: `none` holds no copy that counts or catches up. */
  readonly role: "voter" | "learner" | "none";
  readonly state: MemberState;
  /** For how long the node asked has not heard of it, at most since that node knows it; null while it answers. */
  readonly downMs: number | null;
  /** On its way out: it goes as soon as no group counts on it any more. */
  readonly leaving: boolean;
  readonly ephemeral: boolean;
  readonly featureLevel: number;
  /** What it says of itself; null when it could not be asked in time. */
  readonly report: NodeStatus | null;
}

/** A group's copy on one node, as that node sees it. */
export interface ReplicaReport {
  readonly group: number;
  /** Name of the keyspace; "system" for group 0. */
  readonly name: string;
  readonly replica: number;
  readonly role: "leader" | "follower" | "candidate" | "pre-candidate" | "learner" | "stopped";
  readonly term: number;
  /** Node id of the leader known here. */
  readonly leader: string | null;
  /** Node ids of its voters, as far as this copy's configuration is known by node. */
  readonly voters: readonly string[];
  readonly commit: number;
  readonly applied: number;
  readonly lastIndex: number;
  readonly revision: number;
  /** Its disk was damaged: it neither votes nor counts until it is repaired. */
  readonly suspect: boolean;
  /** Not compared since it started; a majority's; not a majority's and being replaced; or none has a majority and writes have stopped. */
  readonly state: "unchecked" | "agreed" | "discarded" | "corrupt";
  /** The newest index at which a majority had this state; 0: none since it started. */
  readonly agreedIndex: number;
  /** It leads, and refuses growing writes. */
  readonly writesStopped: boolean;
  readonly logBytes: number;
  readonly memoryBytes: number;
}

/** Counted since the node started. */
export interface OperationCounters {
  readonly commands: number;
  readonly queries: number;
  readonly keepAlives: number;
  /** Requests refused at the gate with OVERLOADED or OUT_OF_SPACE. */
  readonly refused: number;
  /** Requests whose time was over before they were proposed. */
  readonly expired: number;
  /** Requests passed on to a leader elsewhere. */
  readonly forwarded: number;
}

export interface NodeStatus {
  readonly node: string;
  readonly name: string;
  readonly address: string;
  readonly zone: string;
  readonly cluster: string;
  readonly version: string;
  /** The highest that its build supports. */
  readonly featureLevel: number;
  /** Listens beyond loopback without secret or certificates, by name. */
  readonly insecure: boolean;
  readonly ephemeral: boolean;
  readonly uptimeMs: number;
  /** Resident memory of the process. */
  readonly memoryBytes: number;
  /** What counts against the budget: state, history, log tails and buffers. */
  readonly memoryUsedBytes: number;
  readonly memoryBudgetBytes: number;
  /** Null: the disk has not answered. */
  readonly diskFreeBytes: number | null;
  readonly clients: number;
  readonly watches: number;
  /** Its wall clock less the median of its peers'; null when unknown. */
  readonly clockOffsetMs: number | null;
  /** Its wall clock is too far from a majority's: it leads nothing while another node can. */
  readonly declinesLeadership: boolean;
  readonly operations: OperationCounters;
  readonly replicas: readonly ReplicaReport[];
}

export interface GroupStatus {
  readonly group: number;
  /** Name of the keyspace; "system" for group 0. */
  readonly name: string;
  /** Node id; null while there is no leader. */
  readonly leader: string | null;
  readonly term: number;
  readonly commit: number;
  readonly applied: number;
  readonly revision: number;
  /** Node ids. */
  readonly voters: readonly string[];
  readonly learners: readonly string[];
  readonly votersUp: number;
  /** Whether a majority of the voters is up. */
  readonly quorum: boolean;
  /** How many more voters may fail while the group still serves. */
  readonly canLose: number;
  /** Fill: data and its limit. */
  readonly bytes: number;
  readonly maxBytes: number;
  /** Its replicas' states differ and none has a majority: writes are refused with CORRUPT. */
  readonly corrupt: boolean;
  /** Its leader refuses growing writes: a disk or the memory of a voter is nearly full. */
  readonly writesStopped: boolean;
}

export interface ClusterStatus {
  readonly cluster: string;
  /** Node id and name of who answered. */
  readonly node: string;
  readonly name: string;
  /** What all members support, and the groups therefore use. */
  readonly featureLevel: number;
  /** Any member listens beyond loopback without security. */
  readonly insecure: boolean;
  /** Of the default keyspace; 0 while the node asked does not know it. */
  readonly revision: number;
  /** Voters of the default keyspace; those of the system group while the node asked knows only them. */
  readonly voters: number;
  readonly votersUp: number;
  /** Whether every group has a majority of its voters up. */
  readonly quorum: boolean;
  /** The least over all groups. */
  readonly canLose: number;
  readonly members: readonly MemberStatus[];
  readonly groups: readonly GroupStatus[];
}

/** Body of `Method.backup`. The items are consecutive bytes of one file. */
export interface BackupRequest {
  /** Names; null: all. */
  readonly keyspaces: readonly string[] | null;
}

export function encodeAdminRequest(request: AdminRequest): Uint8Array {
  return utf8Encode(JSON.stringify(request));
}

/** Throws `MalformedBytes` when the bytes are no request that this build knows. */
export function decodeAdminRequest(bytes: Uint8Array): AdminRequest {
  const body = decodeObject(bytes);
  switch (body["op"]) {
    case "status":
    case "node-status":
    case "members":
    case "leave":
    case "keyspaces":
      return { op: body["op"] };
    case "remove-member":
      return { op: "remove-member", member: expectText(body, "member") };
    case "transfer-leader":
      return {
        op: "transfer-leader",
        group: body["group"] === null ? null : expectNumber(body, "group"),
        to: body["to"] === null ? null : expectText(body, "to"),
      };
    default:
      throw new MalformedBytes(`"${String(body["op"])}" is no admin request`);
  }
}

export function encodeAdminResponse(response: AdminResponse): Uint8Array {
  return utf8Encode(JSON.stringify(response));
}

/** Checks which request it answers and trusts the node for the rest. */
export function decodeAdminResponse<O extends AdminOp>(op: O, bytes: Uint8Array): AdminResponseTo<O> {
  const body = decodeObject(bytes);
  if (body["op"] !== op) throw new MalformedBytes(`the answer is to "${String(body["op"])}", not to "${op}"`);
  return body as unknown as AdminResponseTo<O>;
}

export function encodeBackupRequest(request: BackupRequest): Uint8Array {
  return utf8Encode(JSON.stringify(request));
}

export function decodeBackupRequest(bytes: Uint8Array): BackupRequest {
  const names = decodeObject(bytes)["keyspaces"];
  if (names === null) return { keyspaces: null };
  if (!Array.isArray(names)) throw new MalformedBytes(`"keyspaces" is a list of names or null`);
  return { keyspaces: names.map((name) => checkText(name, "keyspaces")) };
}

function decodeObject(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let body: unknown;
  try {
    body = JSON.parse(utf8Decode(bytes));
  } catch (error) {
    throw new MalformedBytes(`an admin body is JSON text: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) throw new MalformedBytes("an admin body is an object");
  return body as Readonly<Record<string, unknown>>;
}

function checkText(value: unknown, name: string): string {
  if (typeof value !== "string") throw new MalformedBytes(`"${name}" is text`);
  return value;
}

function expectText(body: Readonly<Record<string, unknown>>, name: string): string {
  return checkText(body[name], name);
}

function expectNumber(body: Readonly<Record<string, unknown>>, name: string): number {
  const value = body[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw new MalformedBytes(`"${name}" is a whole number`);
  return value;
}
