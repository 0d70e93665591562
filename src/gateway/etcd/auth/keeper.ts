import { takeResult } from "../../../api/index.ts";
import type { CallOptions, KeyValue, RawCompare, RawHandle, RawKeyspace, RawWatch, WatchChange } from "../../../api/index.ts";
import { base64Encode, defaultKeyspaceName, emptyBytes, isUnumError, utf8Decode, utf8Encode } from "../../../base/index.ts";
import type { Clock, Logger, Random, Timer } from "../../../ports/index.ts";
import { recordsKeyspace } from "../records.ts";
import type { AuthChange } from "./changes.ts";
import { decodeState, emptyState, encodeState } from "./state.ts";
import type { AuthState } from "./state.ts";
import { etcdErrors } from "../../../etcd/index.ts";

/** Where the record lies in the gateway's keyspace, and the name of its mark in the default one. */
const recordKey = "auth";
const secretBytes = 32;
const againMs = 1_000;
const callMs = 5_000;

/** The record as it was at a revision of its keyspace, which is also its fence. */
export interface Known {
  readonly state: AuthState;
  readonly fence: number;
}

export interface KeeperPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * The record of users and roles, as this member knows it: told by a watch, asked for where it must be the newest.
 *
 * Each write of the record has a revision, its fence. A change ends only when the default keyspace has a mark at its fence; writes there name the fence of
 * the record by which they were allowed and are refused below the mark (ADR 16). So a member that does not know of a change yet allows nothing by the record
 * that was before it.
 */
export class AuthKeeper {
  private readonly ports: KeeperPorts;
  private readonly space: RawKeyspace;
  private readonly kv: RawKeyspace;
  private known: Known | undefined;
  private loaded = false;
  /** The revision of a record that cannot be read. */
  private damaged = 0;
  private watch: RawWatch | undefined;
  private timer: Timer | undefined;
  private closed = false;
  private asking: Promise<void> = Promise.resolve();
  private next: Promise<void> | undefined;

  constructor(ports: KeeperPorts, handle: RawHandle) {
    this.ports = ports;
    this.space = handle.raw(recordsKeyspace);
    this.kv = handle.raw(defaultKeyspaceName);
  }

  /** Whether there can be an answer without asking the cluster. */
  get isReady(): boolean {
    return this.loaded && this.damaged === 0;
  }

  /** The newest record that this member has heard of. Undefined: there never was a user or a role. */
  get current(): Known | undefined {
    return this.known;
  }

  open(): void {
    if (this.closed) return;
    this.watch = this.space.watch(
      { key: recordKey, end: "", from: 0, previous: false },
      {
        began: () => this.ask(),
        changed: (change, bytes) => {
          this.take(change);
          this.watch?.consumed(bytes);
        },
        progressed: () => undefined,
        live: () => undefined,
        ended: (error) => {
          this.ports.logger.debug("the watch of users and roles ended", { reason: String(error) });
          this.timer = this.ports.clock.after(againMs, () => this.open());
        },
      },
    );
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
    this.watch?.close();
  }

  /** Fulfils once `current` can be relied on: this member has asked the cluster at least once. */
  async ready(): Promise<void> {
    if (!this.loaded) await this.confirm();
    if (this.damaged > 0) throw etcdErrors.corrupt();
  }

  /** Afterwards `current` is no older than the record was when this was called. Those who ask at the same time ask once. */
  confirm(): Promise<void> {
    this.next ??= this.asking
      .catch(() => undefined)
      .then(() => {
        this.next = undefined;
        this.asking = this.read();
        return this.asking;
      });
    return this.next;
  }

  /** Applies a change to the newest record; `authorize` sees the same one. Throws what either throws. */
  async change(change: AuthChange, authorize: (known: Known | undefined) => void): Promise<void> {
    for (;;) {
      await this.confirm();
      await this.ready();
      const { known } = this;
      authorize(known);
      const before = known?.state ?? emptyState(this.secret());
      const after = change(before);
      if (after === before) return;
      if (await this.write(known, after)) return;
    }
  }

  /**
   * A write was refused for its fence. Unless there is a newer record, the mark is above the newest: a restore has raised it. The same record, written again,
   * is above the mark.
   */
  async overtaken(fence: number): Promise<void> {
    await this.confirm();
    const { known } = this;
    if (known?.fence === fence) await this.write(known, known.state);
  }

  secret(): string {
    return base64Encode(this.ports.random.bytes(secretBytes));
  }

  private ask(): void {
    this.confirm().catch((error: unknown) => this.ports.logger.debug("users and roles cannot be asked for", { reason: String(error) }));
  }

  private async read(): Promise<void> {
    const found = await this.space.query(
      rangeOfRecord(this.known !== undefined),
      (reply) => {
        const entry = takeResult(reply, "range").result.entries[0];
        return entry === undefined ? undefined : { ...entry, value: entry.value.slice() };
      },
      { timeout: callMs },
    );
    if (found !== undefined && found.modRevision > this.revision) {
      if (this.known === undefined) this.adopt(found);
      else await this.readWhole();
    }
    this.loaded = true;
  }

  private async readWhole(): Promise<void> {
    await this.space.query(
      rangeOfRecord(false),
      (reply) => {
        const entry = takeResult(reply, "range").result.entries[0];
        if (entry !== undefined) this.adopt(entry);
      },
      { timeout: callMs },
    );
  }

  private take({ events }: WatchChange): void {
    for (const event of events) if (event.kind === "put") this.adopt(event.entry);
  }

  private get revision(): number {
    return Math.max(this.known?.fence ?? 0, this.damaged);
  }

  private adopt({ modRevision, value }: KeyValue): void {
    if (modRevision <= this.revision) return;
    try {
      this.known = { state: decodeState(utf8Decode(value)), fence: modRevision };
      this.damaged = 0;
    } catch (error) {
      this.damaged = modRevision;
      this.ports.logger.error("users and roles cannot be read: etcd's clients are refused", { reason: String(error) });
    }
  }

  /** False: somebody else's change was first. */
  private async write(known: Known | undefined, state: AuthState): Promise<boolean> {
    const options: CallOptions = { timeout: callMs };
    const value = utf8Encode(encodeState(state));
    const unchanged = { ...recordAt, number: known?.fence ?? 0 };
    const put = { kind: "put", key: recordKey, value, lease: 0n, previous: false, ignoreValue: false, ignoreLease: false } as const;
    const fence = await this.space.command(
      { kind: "txn", compare: [unchanged], success: [put], failure: [] },
      (reply) => {
        const { result, revision } = takeResult(reply, "txn");
        return result.succeeded ? revision : 0;
      },
      options,
    );
    if (fence === 0) return false;
    if (fence > this.revision) this.known = { state, fence };
    await this.raise(fence, options);
    return true;
  }

  /** From here on the default keyspace refuses what older records allowed. */
  private async raise(fence: number, options: CallOptions): Promise<void> {
    try {
      await this.kv.command({ kind: "guarded", ...markOf(fence), operation: undefined }, (reply) => takeResult(reply, "done"), options);
    } catch (error) {
      // A later change was faster.
      if (!isUnumError(error, "FENCED")) throw error;
    }
  }
}

/** What a write of the default keyspace says that was allowed by the record with this fence. */
export function markOf(fence: number): { readonly source: string; readonly name: string; readonly fence: number } {
  return { source: recordsKeyspace, name: recordKey, fence };
}

const recordAt: RawCompare = { key: recordKey, end: "", target: "mod", relation: "equal", number: 0, lease: 0n, value: emptyBytes };

function rangeOfRecord(keysOnly: boolean): Parameters<RawKeyspace["query"]>[0] {
  return {
    kind: "range",
    key: recordKey,
    end: "",
    revision: 0,
    limit: 0,
    sort: undefined,
    keysOnly,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
}
