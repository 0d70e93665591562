import { hexEncode } from "../../base/index.ts";
import type { KeyValue } from "../../machine/commands/index.ts";
import { isZooKeeperError, openAcl, openZooKeeper } from "./client/index.ts";
import type { NodeData, SessionEnvironment, WatchEvent, ZooKeeper, ZooKeeperOptions } from "./client/index.ts";
import { Copy, settle } from "./copy.ts";
import { Refused, closed, refusalIn, refusedBy, unavailable } from "./failure.ts";
import { Layout, decodeEntry, decodeHead, decodeRecord, encodeHead, revisionOf, unescapeKey } from "./layout.ts";
import type { Head, HistoryRecord } from "./layout.ts";

export interface StoreOptions extends ZooKeeperOptions {
  /** What the keyspace lies below. */
  readonly root: string;
}

/** What else follows a session. Rejects when the session is lost meanwhile. */
export interface Follower {
  /** A new session: nothing is known of what happened before. */
  attach(zk: ZooKeeper): Promise<void>;
}

/** A node that this engine alone writes: see `Store.renewWriter`. */
export interface Writer {
  readonly zk: ZooKeeper;
  readonly path: string;
}

const noBytes = new Uint8Array(0);
/** Entries or records per request, and requests at one time: with values of 1 MiB each an answer has at most 48. */
const pageSize = 48;
const pagesMax = 4;
const replyBytesMax = 64 * 1024 * 1024;
const pauseMs = 200;
/** Until somebody has changed what is allowed. */
const refusedPauseMs = 2_000;
/** After two thirds of it a silent server is given up. Nothing else hangs on the session: its end costs a new one. */
const sessionTimeoutMs = 6_000;
const loadsMax = 20;

/**
 * The session, and the copy of the keyspace that follows `head`. Invariants: the copy only moves forward; a session that is over is replaced
 * by another one, which sees no older state.
 */
export class Store {
  readonly layout: Layout;
  readonly copy: Copy = new Copy();
  private readonly environment: SessionEnvironment;
  private readonly options: StoreOptions;
  private readonly followers: Follower[] = [];
  private readonly listeners: (() => void)[] = [];
  private zk: ZooKeeper | undefined;
  private seenZxid = 0n;
  private opening: Promise<ZooKeeper>;
  private opened: (zk: ZooKeeper) => void = () => undefined;
  private failed: (error: Error) => void = () => undefined;
  /** Why calls need not wait for a session. */
  private refusal: Refused | undefined;
  private loaded = false;
  private over = false;
  private running: Promise<void> = Promise.resolve();
  private next: { readonly promise: Promise<void>; sync: boolean } | undefined;
  private retired: string[] = [];
  private othersMs = Number.NEGATIVE_INFINITY;

  constructor(environment: SessionEnvironment, options: StoreOptions) {
    this.environment = environment;
    this.options = options;
    this.layout = new Layout(options.root);
    this.opening = this.latch();
  }

  /** When a transaction was read that is not known from an answer: another engine's, but for answers that were lost. */
  get othersWroteMs(): number {
    return this.othersMs;
  }

  get isOver(): boolean {
    return this.over;
  }

  /** After all followers are known. */
  start(): void {
    void this.open();
  }

  follow(follower: Follower): void {
    this.followers.push(follower);
  }

  /** Called after the copy has moved. */
  onAdvance(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** The copy has moved, by a transaction of this engine's own. */
  advanced(): void {
    for (const listener of this.listeners) listener();
  }

  randomId(): string {
    return hexEncode(this.environment.prng.bytes(16));
  }

  /** The session, once the copy is loaded. Rejects with `Refused` or CLOSED. */
  session(): Promise<ZooKeeper> {
    if (this.over) return Promise.reject(closed());
    return this.refusal === undefined ? this.opening : Promise.reject(this.refusal);
  }

  async close(): Promise<void> {
    this.over = true;
    this.failed(closed());
    await this.zk?.close();
  }

  private latch(): Promise<ZooKeeper> {
    const promise = new Promise<ZooKeeper>((resolve, reject) => {
      this.opened = resolve;
      this.failed = reject;
    });
    promise.catch(() => undefined);
    return promise;
  }

  private async open(): Promise<void> {
    while (!this.over) {
      const zk: ZooKeeper = openZooKeeper(this.environment, {
        ...this.options,
        chroot: "/",
        sessionTimeoutMs,
        seenZxid: this.seenZxid,
        replyBytesMax,
        onState: (state) => {
          if (state === "expired" || state === "auth-failed") this.lost(zk);
        },
      });
      this.zk = zk;
      try {
        await this.prepare(zk);
        this.refusal = undefined;
        return this.opened(zk);
      } catch (error) {
        this.refusal = refusalIn(error);
        this.environment.logger.debug("zookeeper: no session", { error });
        if (this.refusal !== undefined) this.failed(this.refusal);
        this.zk = undefined;
        this.seenZxid = zk.seenZxid;
        await zk.close();
      }
      if (this.refusal === undefined) await this.pause();
      else {
        this.opening = this.latch();
        await this.pause(refusedPauseMs);
      }
    }
  }

  private lost(zk: ZooKeeper): void {
    if (this.zk !== zk || this.over) return;
    this.seenZxid = zk.seenZxid;
    this.zk = undefined;
    // While it is being opened, that fails by itself.
    this.opening.then(
      (opened) => {
        if (opened !== zk) return;
        this.opening = this.latch();
        void this.open();
      },
      () => undefined,
    );
  }

  pause(delayMs: number = pauseMs): Promise<void> {
    return new Promise((resolve) => {
      this.environment.clock.after(delayMs, resolve);
    });
  }

  private async prepare(zk: ZooKeeper): Promise<void> {
    const { layout } = this;
    if ((await zk.exists(layout.head)) === undefined) await this.create(zk);
    await zk.addWatch(layout.head, (event) => this.noticed(zk, event));
    await zk.sync(layout.head);
    if (this.loaded) await this.catchUp(zk);
    else await this.load(zk);
    for (const follower of this.followers) await follower.attach(zk);
  }

  /** The nodes that are always there; `head` last, so that where it is the others are. */
  private async create(zk: ZooKeeper): Promise<void> {
    const { entries, head, history, leases, root, writers } = this.layout;
    const make = async (path: string, data: Uint8Array, acl = this.options.acl): Promise<void> => {
      // Who may not create beside it may still use it.
      if ((await zk.exists(path)) !== undefined) return;
      try {
        await zk.create(path, data, { acl });
      } catch (error) {
        if (!isZooKeeperError(error, "NODE_EXISTS")) throw error;
      }
    };
    for (let at = root.indexOf("/", 1); at > 0; at = root.indexOf("/", at + 1)) await make(root.slice(0, at), noBytes, openAcl);
    for (const path of [root, entries, history, leases, writers]) await make(path, noBytes);
    await make(head, encodeHead({ oldest: 1, compactRevision: 0 }));
  }

  private noticed(zk: ZooKeeper, event: WatchEvent): void {
    if (event.kind !== "ended" && this.zk === zk && this.loaded) this.fresh(event.kind === "gap").catch(() => undefined);
  }

  /** Once the copy has all that had been acknowledged, to anyone, when this was called. Calls of one moment share a round. */
  fresh(sync = true): Promise<void> {
    if (this.next !== undefined) {
      this.next.sync ||= sync;
      return this.next.promise;
    }
    const promise = this.running.then(async () => {
      const own = this.next;
      this.next = undefined;
      const zk = await this.session();
      if (own?.sync === true) await Promise.all([this.barrier(zk), this.catchUp(zk)]);
      else await this.catchUp(zk);
    });
    this.next = { promise, sync };
    this.running = promise.catch(() => undefined);
    return promise;
  }

  /**
   * What is read behind it shows all that was acknowledged before, to anyone. A transaction without effect, since `sync` does not promise that: the
   * leader answers it from what it has applied itself, which may be less than a follower has acknowledged, and without asking whether it still leads.
   */
  async barrier(zk: ZooKeeper): Promise<void> {
    await zk.multi([{ kind: "check", path: this.layout.head }]);
  }

  private async head(zk: ZooKeeper): Promise<Head & { readonly number: number; readonly revision: number }> {
    const node = await zk.get(this.layout.head);
    if (node === undefined)
      throw new Refused("CORRUPT", `${this.layout.head} is gone: somebody else has removed it. What lay below is not used.`);
    return { ...decodeHead(node.data), number: node.stat.version, revision: revisionOf(node.stat.modifiedZxid) };
  }

  private async catchUp(zk: ZooKeeper): Promise<void> {
    const head = await this.head(zk);
    const { copy } = this;
    let moved = false;
    if (head.number < copy.number && head.revision > copy.revision) {
      // Somebody has removed the root, and it was made anew.
      await this.load(zk);
      moved = true;
    }
    while (copy.number < head.number) {
      const from = Math.max(copy.number + 1, head.oldest);
      const records = from > copy.number + 1 ? [] : await this.records(zk, from, Math.min(head.number, from + pageSize * pagesMax - 1));
      if (records[0] === undefined) {
        await this.load(zk);
        moved = true;
        break;
      }
      for (const record of records) moved = (record !== undefined && copy.apply(record)) || moved;
    }
    copy.trim(head);
    if (!moved) return;
    this.othersMs = this.environment.clock.now();
    this.advanced();
  }

  /** Undefined: that number is not kept any more. */
  private async records(zk: ZooKeeper, from: number, to: number): Promise<(HistoryRecord | undefined)[]> {
    const numbers = Array.from({ length: to - from + 1 }, (_, at) => from + at);
    const nodes = await this.read(
      zk,
      numbers.map((number) => this.layout.record(number)),
    );
    return nodes.map((node, at) =>
      node === undefined ? undefined : decodeRecord(node.data, from + at, revisionOf(node.stat.createdZxid)),
    );
  }

  private async read(zk: ZooKeeper, paths: readonly string[]): Promise<(Pick<NodeData, "data" | "stat"> | undefined)[]> {
    const pages: string[][] = [];
    for (let at = 0; at < paths.length; at += pageSize) pages.push(paths.slice(at, at + pageSize));
    const found: (Pick<NodeData, "data" | "stat"> | undefined)[] = [];
    for (let at = 0; at < pages.length; at += pagesMax) {
      const answers = await Promise.all(
        pages.slice(at, at + pagesMax).map((page) => zk.multiRead(page.map((path) => ({ kind: "get", path })))),
      );
      for (const result of answers.flatMap(({ results }) => results)) {
        if (result.kind === "get") found.push(result);
        else if (result.kind === "error" && result.code === "NO_NODE") found.push(undefined);
        else if (result.kind === "error") throw refusedBy(result.code, this.layout.root) ?? unavailable(result.code);
      }
    }
    return found;
  }

  /** Reads everything while writes go on, and makes it one state with the history of the meantime. */
  private async load(zk: ZooKeeper): Promise<void> {
    for (let attempt = 0; attempt < loadsMax; attempt++) {
      const begun = await this.head(zk);
      const names = (await zk.children(this.layout.entries))?.children ?? [];
      const keys = names.flatMap((name) => unescapeKey(name) ?? []);
      const nodes = await this.read(
        zk,
        keys.map((key) => this.layout.entry(key)),
      );
      const entries = nodes.flatMap((node, at): KeyValue[] => (node === undefined ? [] : [entryOf(keys[at] as string, node)]));
      const head = await this.head(zk);
      const records = await this.records(zk, head.oldest, head.number);
      // What was removed while the others were read is older than this.
      const { compactRevision, oldest } = await this.head(zk);
      const kept = records.filter((record) => record !== undefined && record.number >= oldest) as HistoryRecord[];
      // More than is kept was written meanwhile, or own transactions have moved the copy further.
      if (oldest > begun.number + 1 || kept.length < head.number - oldest + 1 || head.revision < this.copy.revision) continue;
      const since = kept.filter(({ number }) => number > begun.number);
      this.copy.reset(settle(entries, since), kept, { number: head.number, revision: head.revision, compactRevision });
      this.loaded = true;
      return;
    }
    throw unavailable("the keyspace is written faster than it can be read");
  }

  /** The copy and the ensemble differ, by somebody else's hand. */
  async reload(): Promise<void> {
    await this.load(await this.session());
    this.advanced();
  }

  /**
   * A node of this engine's own, which each of its transactions writes at the version that the one before has left: so transactions can be sent
   * without waiting for the one in front, and none is applied when that one was not. The former node is gone when this fulfils, and the copy
   * proven current: what was sent under that node and is not in the history never will be. Rejects with `Refused` or CLOSED.
   */
  async renewWriter(former: Writer | undefined): Promise<Writer> {
    if (former !== undefined) this.retired.push(former.path);
    for (;;) {
      const zk = await this.session();
      const path = `${this.layout.writers}/${this.randomId()}`;
      try {
        await zk.create(path, noBytes, { mode: "ephemeral" });
        for (const old of [...this.retired]) await this.remove(zk, old);
        await this.fresh();
        return { zk, path };
      } catch (error) {
        this.retired.push(path);
        const refused = refusalIn(error);
        if (refused !== undefined) throw refused;
        await this.pause();
      }
    }
  }

  private async remove(zk: ZooKeeper, path: string): Promise<void> {
    try {
      await zk.remove(path);
    } catch (error) {
      if (!isZooKeeperError(error, "NO_NODE")) throw error;
    }
    this.retired = this.retired.filter((other) => other !== path);
  }
}

function entryOf(key: string, { data, stat }: Pick<NodeData, "data" | "stat">): KeyValue {
  const { lease, value } = decodeEntry(data);
  return {
    key,
    value,
    lease,
    createRevision: revisionOf(stat.createdZxid),
    modRevision: revisionOf(stat.modifiedZxid),
    version: stat.version + 1,
  };
}
