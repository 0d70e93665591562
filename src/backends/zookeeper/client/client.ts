import { UnumError, utf8Encode } from "../../../base/index.ts";
import type { Address } from "../../../ports/index.ts";
import type { CallOptions, Question } from "./call.ts";
import { Op, ZooKeeperError, codeOf, codeTable } from "./codes.ts";
import type { ZooKeeperCode } from "./codes.ts";
import { JuteWriter } from "./jute.ts";
import type { JuteReader } from "./jute.ts";
import {
  encodeAddWatch,
  encodePath,
  encodeRemoveWatches,
  isSequential,
  openAcl,
  readStat,
  writeCreate,
  writeSetData,
  writeVersioned,
  writeWatched,
} from "./messages.ts";
import type { Acl, CreateMode, Credentials, ReplyHeader, Stat } from "./messages.ts";
import { anyVersion, encodeMulti, encodeMultiRead, readMulti, readMultiRead } from "./multi.ts";
import type { MultiOperation, MultiReadOperation, MultiReadResult, MultiResult } from "./multi.ts";
import { Chroot, parseConnectText } from "./paths.ts";
import { Session } from "./session.ts";
import type { SessionEnvironment, SessionState } from "./session.ts";
import { WatchRegistry } from "./watches.ts";
import type { LastingMode, OnceKind, WatchCallback } from "./watches.ts";

export interface ZooKeeperOptions {
  /** "host:port,host:port/chroot", or addresses. The chroot must exist: nobody creates it here. */
  readonly servers: string | readonly Address[];
  /** What all paths lie below. Default: the text's. */
  readonly chroot?: string | undefined;
  /** What the servers are asked for; they keep it within bounds of theirs. Default 10,000. */
  readonly sessionTimeoutMs?: number | undefined;
  /** How long a call waits unless it says otherwise. Default 30,000. */
  readonly callTimeoutMs?: number | undefined;
  readonly auth?: readonly Credentials[] | undefined;
  /** Who may use the nodes that are created. Default: anyone. */
  readonly acl?: readonly Acl[] | undefined;
  /** The servers' jute.maxbuffer: they close the connection of whoever sends more. Default 1,048,575. */
  readonly requestBytesMax?: number | undefined;
  /** Lists of children have no limit at the servers. Default 16 MiB. */
  readonly replyBytesMax?: number | undefined;
  /** Calls that wait for answers; more are OVERLOADED. Default 1,000. */
  readonly callsMax?: number | undefined;
  /** Bytes of their requests. Default 64 MiB. */
  readonly callBytesMax?: number | undefined;
  /** Paths that are watched; more are OVERLOADED. Default 100,000. */
  readonly watchesMax?: number | undefined;
  /** A transaction that an earlier session has seen: servers that are behind it are not used. Default 0. */
  readonly seenZxid?: bigint | undefined;
  /** Told of each change: "connecting" is a connection that was lost. Nothing comes after "expired", "auth-failed" or "closed". */
  readonly onState?: ((state: SessionState) => void) | undefined;
}

export interface ReadOptions extends CallOptions {
  /** Told once of the next change of what was read. Not on a path that `addWatch` watches. */
  readonly watch?: WatchCallback | undefined;
}

export interface WriteOptions extends CallOptions {
  /** The node's version that the write requires, else BAD_VERSION. Default: any. */
  readonly version?: number | undefined;
}

export interface CreateOptions extends CallOptions {
  /** Default "persistent". */
  readonly mode?: CreateMode | undefined;
  readonly acl?: readonly Acl[] | undefined;
}

/** `zxid`: the last transaction that the server had applied when it read. */
export interface NodeData {
  readonly data: Uint8Array;
  readonly stat: Stat;
  readonly zxid: bigint;
}

export interface NodeChildren {
  /** Names, in no order. */
  readonly children: readonly string[];
  readonly stat: Stat;
  readonly zxid: bigint;
}

/** All of it happened, in the transaction `zxid`, or nothing did: then `failed` is the place of the operation that stood in the way. */
export type MultiOutcome =
  | { readonly applied: true; readonly zxid: bigint; readonly results: readonly MultiResult[] }
  | { readonly applied: false; readonly failed: number; readonly code: ZooKeeperCode; readonly path: string };

const defaultSessionTimeoutMs = 10_000;
const closeTimeoutMs = 2_000;

/** Credentials of the scheme "digest". */
export function digest(user: string, password: string): Credentials {
  return { scheme: "digest", auth: utf8Encode(`${user}:${password}`) };
}

/** Opens a session; calls wait for its first connection. Throws INVALID_ARGUMENT. */
export function openZooKeeper(environment: SessionEnvironment, options: ZooKeeperOptions): ZooKeeper {
  return new ZooKeeper(environment, options);
}

/**
 * One session of ZooKeeper's, over whichever server takes it.
 *
 * Calls are carried out in the order in which they are made, and see what those before them wrote. A read is answered by one server and may
 * be behind other sessions' writes: `sync` first. No answer ever shows an older state than the one before it.
 *
 * A call rejects with `ZooKeeperError` when a server refused it, else with `UnumError`: UNKNOWN_OUTCOME (a write was sent, and its answer
 * lost), TIMEOUT (its outcome says whether it may have been applied), SESSION_EXPIRED, CLOSED, OVERLOADED, TOO_LARGE, INVALID_ARGUMENT. What
 * UNKNOWN_OUTCOME leaves open is decided once a `sync` of this session has been answered, or the session has expired: what was not applied by
 * then never is.
 */
export class ZooKeeper {
  private readonly session: Session;
  private readonly chroot: Chroot;
  private readonly watches: WatchRegistry;
  private readonly acl: readonly Acl[];
  private readonly watchesMax: number;

  constructor(environment: SessionEnvironment, options: ZooKeeperOptions) {
    const parsed = typeof options.servers === "string" ? parseConnectText(options.servers) : { servers: options.servers, chroot: "" };
    if (parsed.servers.length === 0) throw new UnumError("INVALID_ARGUMENT", "A ZooKeeper has at least one server.");
    this.chroot = new Chroot(options.chroot ?? parsed.chroot);
    this.acl = options.acl ?? openAcl;
    this.watchesMax = options.watchesMax ?? 100_000;
    this.watches = new WatchRegistry((callback, event) => {
      try {
        callback({ kind: event.kind, path: this.chroot.strip(event.path) });
      } catch (error) {
        environment.logger.warn("zookeeper: the callback of a watch failed", { path: event.path, error });
      }
    });
    this.session = new Session(
      environment,
      {
        servers: parsed.servers,
        sessionTimeoutMs: options.sessionTimeoutMs ?? defaultSessionTimeoutMs,
        callTimeoutMs: options.callTimeoutMs ?? 30_000,
        requestBytesMax: options.requestBytesMax ?? 0xfffff,
        replyBytesMax: options.replyBytesMax ?? 16 * 1024 * 1024,
        callsMax: options.callsMax ?? 1_000,
        callBytesMax: options.callBytesMax ?? 64 * 1024 * 1024,
        credentials: options.auth ?? [],
        seenZxid: options.seenZxid ?? 0n,
        onState: options.onState ?? (() => undefined),
      },
      this.watches,
    );
  }

  get state(): SessionState {
    return this.session.state;
  }

  /** 0 before the first connection. The owner of this session's ephemeral nodes. */
  get sessionId(): bigint {
    return this.session.sessionId;
  }

  /** The latest transaction that a server has told of. */
  get seenZxid(): bigint {
    return this.session.seenZxid;
  }

  /** What was negotiated, or asked for before that. */
  get sessionTimeoutMs(): number {
    return this.session.sessionTimeoutMs;
  }

  /** See `Session.leftMs`: for how long the session's ephemeral nodes are certain to stand, as far as the server that answers can know. */
  leftMs(): number {
    return this.session.leftMs();
  }

  /** Undefined: there is no such node; a watch then tells of its creation. */
  exists(path: string, options: ReadOptions = {}): Promise<Stat | undefined> {
    return this.read("exists", Op.exists, path, options, "data", "exist", (_, reader) => readStat(reader));
  }

  /** Undefined: there is no such node; then no watch is left. */
  get(path: string, options: ReadOptions = {}): Promise<NodeData | undefined> {
    return this.read("get", Op.getData, path, options, "data", undefined, ({ zxid }, reader) => {
      const data = reader.buf();
      return { data, stat: readStat(reader), zxid };
    });
  }

  /** Undefined: there is no such node; then no watch is left. */
  children(path: string, options: ReadOptions = {}): Promise<NodeChildren | undefined> {
    return this.read("children", Op.getChildren2, path, options, "children", undefined, ({ zxid }, reader) => {
      const children = reader.texts();
      return { children, stat: readStat(reader), zxid };
    });
  }

  /** With the path that the node has: a sequential one's ends in ten digits. Rejects with NODE_EXISTS, NO_NODE (of its parent) … */
  async create(path: string, data: Uint8Array, options: CreateOptions = {}): Promise<{ readonly path: string; readonly stat: Stat }> {
    const mode = options.mode ?? "persistent";
    const writer = new JuteWriter(data.length + path.length + 96);
    writeCreate(writer, this.chroot.add(path, isSequential(mode)), data, options.acl ?? this.acl, mode);
    return await this.write("create", Op.create2, path, writer, options, (_, reader) => {
      const created = this.chroot.strip(reader.text());
      return { path: created, stat: readStat(reader) };
    });
  }

  /** Rejects with NO_NODE, BAD_VERSION … */
  async set(path: string, data: Uint8Array, options: WriteOptions = {}): Promise<Stat> {
    const writer = new JuteWriter(data.length + path.length + 32);
    writeSetData(writer, this.chroot.add(path), data, options.version ?? anyVersion);
    return await this.write("set", Op.setData, path, writer, options, (_, reader) => readStat(reader));
  }

  /** With the transaction that removed it. Rejects with NO_NODE, BAD_VERSION, NOT_EMPTY … */
  async remove(path: string, options: WriteOptions = {}): Promise<bigint> {
    const writer = new JuteWriter();
    writeVersioned(writer, this.chroot.add(path), options.version ?? anyVersion);
    return await this.write("remove", Op.remove, path, writer, options, ({ zxid }) => zxid);
  }

  /** All operations in one transaction, or none. An operation that cannot be is an outcome, not an error. */
  async multi(operations: readonly MultiOperation[], options: CallOptions = {}): Promise<MultiOutcome> {
    if (operations.length === 0) throw new UnumError("INVALID_ARGUMENT", "A multi has at least one operation; nothing was sent.");
    const there = operations.map((operation) => {
      const sequential = operation.kind === "create" && isSequential(operation.mode ?? "persistent");
      return { ...operation, path: this.chroot.add(operation.path, sequential) };
    });
    const question = {
      name: `multi of ${operations.length}`,
      op: Op.multi,
      body: encodeMulti(there, this.acl),
      write: true,
      decode: answered("", ({ zxid }, reader): MultiOutcome => {
        const reply = readMulti(reader, operations);
        if (!reply.applied) return { ...reply, path: operations[reply.failed]?.path ?? "" };
        const results = reply.results.map((result) =>
          result.kind === "create" ? { ...result, path: this.chroot.strip(result.path) } : result,
        );
        return { applied: true, zxid, results };
      }),
    };
    return await this.session.ask(question, options);
  }

  /** Several reads by one request. ZooKeeper does not promise that they show one moment: compare the zxids where that matters. */
  async multiRead(
    operations: readonly MultiReadOperation[],
    options: CallOptions = {},
  ): Promise<{ readonly zxid: bigint; readonly results: readonly MultiReadResult[] }> {
    if (operations.length === 0) throw new UnumError("INVALID_ARGUMENT", "A multiRead has at least one operation; nothing was sent.");
    const there = operations.map((operation) => ({ ...operation, path: this.chroot.add(operation.path) }));
    const decode = answered("", ({ zxid }, reader) => ({ zxid, results: readMultiRead(reader, operations) }));
    const question = { name: `read of ${operations.length}`, op: Op.multiRead, body: encodeMultiRead(there), write: false, decode };
    return await this.session.ask(question, options);
  }

  /** Afterwards this session's reads show at least what the leader had committed when it was asked. */
  async sync(path = "/", options: CallOptions = {}): Promise<void> {
    const body = encodePath(this.chroot.add(path));
    await this.session.ask({ name: `sync ${path}`, op: Op.sync, body, write: false, decode: answered(path, () => undefined) }, options);
  }

  /**
   * Tells of every change of a node and of its list of children, or with `recursive` of every node of the subtree (then "children" never
   * comes), until it is removed or the session is over. A path has one kind of watch: INVALID_ARGUMENT, since servers before 3.9 mix them up.
   * Needs ZooKeeper 3.6 (UNIMPLEMENTED).
   */
  async addWatch(path: string, callback: WatchCallback, options: CallOptions & { readonly recursive?: boolean } = {}): Promise<void> {
    const there = this.chroot.add(path);
    const mode: LastingMode = options.recursive === true ? "recursive" : "persistent";
    if ((this.watches.modeOf(there) ?? mode) !== mode || this.watches.hasOnce(there)) throw mixed(path);
    this.checkWatches();
    const decode = answered(path, () => this.watches.addLasting(mode, there, callback));
    const body = encodeAddWatch(there, mode === "recursive");
    await this.session.ask({ name: `addWatch ${path}`, op: Op.addWatch, body, write: false, decode }, options);
  }

  /** What `addWatch` began: this callback of the path, or all. No event comes after the call has begun. */
  async removeWatches(path: string, callback?: WatchCallback, options: CallOptions = {}): Promise<void> {
    const there = this.chroot.add(path);
    if (this.watches.modeOf(there) === undefined || !this.watches.remove(there, callback)) return;
    const gone = answered(path, () => undefined);
    const decode = (header: ReplyHeader, reader: JuteReader): void => {
      if (header.error !== codeTable.NO_WATCHER.number) gone(header, reader);
    };
    const question = { name: `removeWatches ${path}`, op: Op.removeWatches, body: encodeRemoveWatches(there), write: false, decode };
    await this.session.ask(question, options);
  }

  /** Ends the session: its ephemeral nodes go at once where a server can be told within `timeoutMs` (default 2,000), else by its timeout. Never rejects. */
  close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    return this.session.close(options.timeoutMs ?? closeTimeoutMs);
  }

  /** `found` and `missing`: which watch is left with a node, and with none. */
  private async read<T>(
    name: string,
    op: number,
    path: string,
    options: ReadOptions,
    found: OnceKind,
    missing: OnceKind | undefined,
    take: (header: ReplyHeader, reader: JuteReader) => T,
  ): Promise<T | undefined> {
    const there = this.chroot.add(path);
    const { watch } = options;
    if (watch !== undefined) {
      if (this.watches.modeOf(there) !== undefined) throw mixed(path);
      this.checkWatches();
    }
    const writer = new JuteWriter();
    writeWatched(writer, there, watch !== undefined);
    const present = answered(path, take);
    const decode = (header: ReplyHeader, reader: JuteReader): T | undefined => {
      const absent = header.error === codeTable.NO_NODE.number;
      const value = absent ? undefined : present(header, reader);
      const kind = absent ? missing : found;
      if (watch !== undefined && kind !== undefined) this.watches.addOnce(kind, there, watch);
      return value;
    };
    return await this.session.ask({ name: `${name} ${path}`, op, body: writer.take(), write: false, decode }, options);
  }

  private write<T>(
    name: string,
    op: number,
    path: string,
    writer: JuteWriter,
    options: CallOptions,
    take: (header: ReplyHeader, reader: JuteReader) => T,
  ): Promise<T> {
    return this.session.ask({ name: `${name} ${path}`, op, body: writer.take(), write: true, decode: answered(path, take) }, options);
  }

  private checkWatches(): void {
    if (this.watches.size >= this.watchesMax)
      throw new UnumError("OVERLOADED", `The session watches ${this.watchesMax} paths, its limit. Nothing was sent.`);
  }
}

function mixed(path: string): UnumError {
  return new UnumError("INVALID_ARGUMENT", `${path} has a watch of another kind in this session. Nothing was sent.`);
}

/** The answer, unless the header says that there is none. */
function answered<T>(path: string, take: (header: ReplyHeader, reader: JuteReader) => T): Question<T>["decode"] {
  return (header, reader) => {
    if (header.error === 0) return take(header, reader);
    const code = codeOf(header.error);
    if (code !== "SESSION_EXPIRED") throw new ZooKeeperError(code, path);
    throw new UnumError("SESSION_EXPIRED", "The session has expired; nothing was done. Open a new one.", { outcome: "not-applied" });
  };
}
