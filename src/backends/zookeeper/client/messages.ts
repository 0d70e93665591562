import { JuteReader, JuteWriter } from "./jute.ts";

/** What a server keeps about a node. Ids of transactions (zxids) grow with every write of the ensemble, and order them. */
export interface Stat {
  /** The transaction that created the node. */
  readonly createdZxid: bigint;
  /** The transaction that last wrote its data. */
  readonly modifiedZxid: bigint;
  /** The transaction that last added or removed a child. */
  readonly childrenZxid: bigint;
  /** By the leader's wall clock then. */
  readonly createdMs: number;
  readonly modifiedMs: number;
  /** Writes to its data since it was created: 0 for a new node. What `version` of a write is compared with. */
  readonly version: number;
  readonly childrenVersion: number;
  readonly aclVersion: number;
  /** The session that an ephemeral node ends with; 0 for others. */
  readonly ephemeralOwner: bigint;
  readonly dataBytes: number;
  readonly childCount: number;
}

export function readStat(reader: JuteReader): Stat {
  const createdZxid = reader.long();
  const modifiedZxid = reader.long();
  const createdMs = reader.safeLong();
  const modifiedMs = reader.safeLong();
  const version = reader.int();
  const childrenVersion = reader.int();
  const aclVersion = reader.int();
  const ephemeralOwner = reader.long();
  const dataBytes = reader.int();
  const childCount = reader.int();
  const childrenZxid = reader.long();
  return {
    createdZxid,
    modifiedZxid,
    childrenZxid,
    createdMs,
    modifiedMs,
    version,
    childrenVersion,
    aclVersion,
    ephemeralOwner,
    dataBytes,
    childCount,
  };
}

/** Who may do what with a node. `permissions`: a sum of 1 read, 2 write, 4 create children, 8 delete children, 16 change this list. */
export interface Acl {
  readonly permissions: number;
  /** "world", "auth", "digest", "ip" … */
  readonly scheme: string;
  readonly id: string;
}

/** Anyone, everything. */
export const openAcl: readonly Acl[] = [{ permissions: 31, scheme: "world", id: "anyone" }];
/** Everything for those whose credentials the session was opened with, nothing for others. */
export const creatorAcl: readonly Acl[] = [{ permissions: 31, scheme: "auth", id: "" }];

/** How long a node lives, and whether the server numbers it. */
export const createModes = { persistent: 0, ephemeral: 1, "persistent-sequential": 2, "ephemeral-sequential": 3 } as const;
export type CreateMode = keyof typeof createModes;

export function isSequential(mode: CreateMode): boolean {
  return mode === "persistent-sequential" || mode === "ephemeral-sequential";
}

export interface ConnectRequest {
  readonly seenZxid: bigint;
  readonly timeoutMs: number;
  /** 0: a new session. */
  readonly session: bigint;
  readonly password: Uint8Array;
}

export const passwordBytes = 16;

export function encodeConnectRequest({ password, seenZxid, session, timeoutMs }: ConnectRequest): Uint8Array {
  const writer = new JuteWriter().int(0).long(seenZxid).int(timeoutMs).long(session).buf(password);
  return writer.bool(false).take();
}

export interface ConnectResponse {
  /** What was negotiated; 0 or less: the session has expired. */
  readonly timeoutMs: number;
  readonly session: bigint;
  readonly password: Uint8Array;
}

export function decodeConnectResponse(bytes: Uint8Array): ConnectResponse {
  const reader = new JuteReader(bytes);
  reader.int();
  const timeoutMs = reader.int();
  const session = reader.long();
  const password = reader.buf();
  // Old servers do not say whether they only read.
  if (reader.remaining > 0) reader.bool();
  return { timeoutMs, session, password };
}

export interface ReplyHeader {
  readonly xid: number;
  /** Of a write, its transaction; of a read, the last one that the server had applied; 0 or less when nothing is said. */
  readonly zxid: bigint;
  /** 0, or one of `codeTable`. */
  readonly error: number;
}

export function readReplyHeader(reader: JuteReader): ReplyHeader {
  const xid = reader.int();
  const zxid = reader.long();
  const error = reader.int();
  return { xid, zxid, error };
}

export function encodeFrame(xid: number, op: number, body: Uint8Array): Uint8Array {
  return new JuteWriter(12 + body.length)
    .int(8 + body.length)
    .int(xid)
    .int(op)
    .raw(body)
    .take();
}

const eventKinds = { 1: "created", 2: "deleted", 3: "changed", 4: "children" } as const;
export type NodeEventKind = (typeof eventKinds)[keyof typeof eventKinds];

export interface NodeEvent {
  readonly kind: NodeEventKind;
  readonly path: string;
}

/** Undefined for what is no event of a node: the state of the connection, which this side knows, and kinds that it does not. */
export function readEvent(reader: JuteReader): NodeEvent | undefined {
  const type = reader.int();
  reader.int();
  const path = reader.text();
  const kind = eventKinds[type as keyof typeof eventKinds];
  return kind === undefined ? undefined : { kind, path };
}

/** The scheme's own form: for "digest", the bytes of "user:password". */
export interface Credentials {
  readonly scheme: string;
  readonly auth: Uint8Array;
}

export function encodeAuth({ auth, scheme }: Credentials): Uint8Array {
  return new JuteWriter().int(0).text(scheme).buf(auth).take();
}

export function writeCreate(writer: JuteWriter, path: string, data: Uint8Array, acl: readonly Acl[], mode: CreateMode): void {
  writer.text(path).buf(data).int(acl.length);
  for (const { id, permissions, scheme } of acl) writer.int(permissions).text(scheme).text(id);
  writer.int(createModes[mode]);
}

export function writeSetData(writer: JuteWriter, path: string, data: Uint8Array, version: number): void {
  writer.text(path).buf(data).int(version);
}

/** What delete and check have. */
export function writeVersioned(writer: JuteWriter, path: string, version: number): void {
  writer.text(path).int(version);
}

/** What exists, getData, getChildren and getChildren2 have. */
export function writeWatched(writer: JuteWriter, path: string, watch: boolean): void {
  writer.text(path).bool(watch);
}

export function encodePath(path: string): Uint8Array {
  return new JuteWriter().text(path).take();
}

export function encodeAddWatch(path: string, recursive: boolean): Uint8Array {
  return new JuteWriter()
    .text(path)
    .int(recursive ? 1 : 0)
    .take();
}

/** All kinds of watches of the path. */
export function encodeRemoveWatches(path: string): Uint8Array {
  return new JuteWriter().text(path).int(3).take();
}

export interface WatchPaths {
  readonly data: readonly string[];
  readonly exist: readonly string[];
  readonly children: readonly string[];
  readonly persistent: readonly string[];
  readonly recursive: readonly string[];
}

/** `setWatches` knows no persistent ones; servers from before 3.6 know nothing else. */
export function encodeSetWatches(seenZxid: bigint, paths: WatchPaths, persistent: boolean): Uint8Array {
  const writer = new JuteWriter().long(seenZxid).texts(paths.data).texts(paths.exist).texts(paths.children);
  if (persistent) writer.texts(paths.persistent).texts(paths.recursive);
  return writer.take();
}
