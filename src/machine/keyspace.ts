import { MalformedBytes, Reader, Writer } from "../base/index.ts";
import type { Probe } from "../base/index.ts";
import {
  decodeCommand,
  decodeQuery,
  encodeReply,
  errorReply,
  Kind,
  Status,
  type Command,
  type Query,
  type ReplyResult,
} from "./commands/index.ts";
import { FenceMarks } from "./fence/marks.ts";
import { FenceSource, restoreFences } from "./fence/snapshot.ts";
import type { Mixer } from "./hash.ts";
import { KeyReader, u32At } from "./keys.ts";
import { checkDuplicates } from "./kv/duplicates.ts";
import { pageBytesMax, writeEntry, writeRange } from "./kv/range.ts";
import { freezeKv, KvRestorer } from "./kv/snapshot.ts";
import { defaultSettings, KvState, type KvSettings } from "./kv/state.ts";
import {
  checkPath,
  checkPut,
  checkQuota,
  checkRange,
  choosePath,
  executeDelete,
  executePath,
  executePut,
  readsOnly,
  type Growth,
} from "./kv/txn.ts";
import { WatchHub } from "./kv/watch.ts";
import { LeaseCommands } from "./lease/commands.ts";
import { LeaseSource, restoreLeases } from "./lease/snapshot.ts";
import { leaseHigh, leaseLow, LeaseState } from "./lease/state.ts";
import { LeaseTimers } from "./lease/timers.ts";
import { refusal, type Refusal } from "./refusal.ts";
import { SessionMachine, SessionRestorer, type InnerMachine } from "./session/machine.ts";
import { plainReply, SessionTable } from "./session/table.ts";
import { Section, type SectionSource } from "./snapshot.ts";
import {
  UpgradeRequired,
  type ApplyMeta,
  type LeaderTime,
  type LeaseMachine,
  type MachineFactory,
  type WatchableMachine,
  type Watcher,
} from "./types.ts";

/** What a keyspace begins with; later `configure` decides, so that all replicas agree. */
export interface KeyspaceOptions {
  readonly maxBytes?: number | undefined;
  readonly historyMs?: number | undefined;
  readonly historyBytes?: number | undefined;
  readonly sessionIdleMs?: number | undefined;
  /** Told of rare states as they are reached; changes nothing. */
  readonly probe?: Probe | undefined;
}

/** Bytes of deferred work done between two looks at the clock. */
const workStepBytes = 256 * 1024;

/** Entries and leases of one keyspace, without sessions. */
export class Keyspace implements InnerMachine {
  readonly kind: string = "keyspace";
  readonly leases: LeaseState = new LeaseState();
  readonly timers: LeaseTimers = new LeaseTimers(this.leases);
  readonly kv: KvState;
  /** Of claims that live in other keyspaces. */
  readonly fences: FenceMarks = new FenceMarks();
  private readonly leaseCommands: LeaseCommands;
  /** Replies are cut from its buffers. */
  private readonly writer = new Writer(1024);
  private readonly keys = new KeyReader();
  private readonly restorer: KvRestorer;
  /** How many watchers this node has, for summaries. */
  countWatchers: () => number = () => 0;
  readonly probe: Probe | undefined;

  constructor(options: KeyspaceOptions = {}) {
    this.probe = options.probe;
    const settings: KvSettings = {
      maxBytes: options.maxBytes ?? defaultSettings.maxBytes,
      historyMs: options.historyMs ?? defaultSettings.historyMs,
      historyBytes: options.historyBytes ?? defaultSettings.historyBytes,
    };
    this.kv = new KvState(this.leases, settings);
    this.restorer = new KvRestorer(this.kv);
    this.leaseCommands = new LeaseCommands(this.kv, this.leases, this.timers, options.probe);
  }

  get revision(): number {
    return this.kv.revision;
  }

  get compactRevision(): number {
    return this.kv.history.compactRevision;
  }

  get memoryBytes(): number {
    return this.kv.memoryBytes + this.leases.count * 256 + this.fences.memoryBytes;
  }

  begin(meta: ApplyMeta): void {
    this.kv.begin(meta.timestamp);
  }

  apply(command: Uint8Array, at: number, meta: ApplyMeta): Uint8Array {
    if (command[at] === Kind.put && command[at + 1] === 0) return this.applyPlainPut(command, at + 2);
    const decoded = decodeCommand(new Reader(command, at));
    const reply = this.applyDecoded(decoded, meta);
    this.kv.commit();
    return reply;
  }

  /** The hot path: a put without flags, without an object for the command or the reply. */
  private applyPlainPut(command: Uint8Array, at: number): Uint8Array {
    const { kv } = this;
    const keyLength = at + 4 <= command.length ? u32At(command, at) : 0;
    const valueAt = at + 8 + keyLength;
    const valueLength = valueAt <= command.length ? u32At(command, valueAt - 4) : -1;
    if (valueAt + valueLength !== command.length || valueLength < 0) throw new MalformedBytes("a put ends elsewhere than it says");
    if (keyLength === 0) return this.refuse(refusal("INVALID_KEY", "the key is empty"));
    const key = this.keys.read(command, at + 4, keyLength);
    if (kv.liveBytes + kv.entryBytes(key, valueLength) > kv.settings.maxBytes) {
      const old = kv.live.get(key);
      const refused = checkQuota(kv, old === undefined ? kv.entryBytes(key, valueLength) : valueLength - kv.records.valueLength(old));
      if (refused !== undefined) return this.refuse(refused);
    }
    kv.write(key, command.subarray(valueAt), 0, 0);
    kv.commit();
    return plainReply(kv.revision);
  }

  private applyDecoded(command: Command, meta: ApplyMeta): Uint8Array {
    switch (command.kind) {
      case "put": {
        const growth: Growth = { bytes: 0 };
        const refused = checkPut(this.kv, command, growth) ?? checkQuota(this.kv, growth.bytes);
        return refused === undefined ? this.operate(Status.put, () => executePut(this.writer, this.kv, command)) : this.refuse(refused);
      }
      case "delete":
        if (command.key === "") return this.refuse(refusal("INVALID_KEY", "the key is empty"));
        return this.operate(Status.delete, () => executeDelete(this.writer, this.kv, command));
      case "txn": {
        const duplicates = checkDuplicates(command);
        if (duplicates !== undefined) return this.refuse(duplicates);
        const path = choosePath(this.kv, command);
        const growth: Growth = { bytes: 0 };
        const refused = checkPath(this.kv, path, growth) ?? checkQuota(this.kv, growth.bytes);
        return refused === undefined ? this.operate(Status.txn, () => executePath(this.writer, this.kv, path)) : this.refuse(refused);
      }
      case "compact":
        return this.answer(this.kv.compact(command.revision) ?? { kind: "done" });
      case "lease-grant":
        return this.answer(this.leaseCommands.grant(command, meta));
      case "lease-revoke":
        return this.answer(this.leaseCommands.revoke(command, meta));
      case "lease-checkpoint":
        return this.answer(this.leaseCommands.checkpoint(command));
      case "guarded": {
        const refused = this.fences.raise(command);
        if (refused !== undefined) {
          this.probe?.("superseded-claim-refused");
          return this.refuse(refused);
        }
        return command.operation === undefined ? this.answer({ kind: "done" }) : this.applyDecoded(command.operation, meta);
      }
      case "configure":
        this.kv.settings.maxBytes = command.maxBytes;
        this.kv.settings.historyMs = command.historyMs;
        this.kv.settings.historyBytes = command.historyBytes;
        return this.answer({ kind: "done" });
      default:
        throw new UpgradeRequired(`command ${command.kind}`);
    }
  }

  /** Writes status, revision and body; the revision is the one after the operation. */
  private operate(status: number, execute: () => void): Uint8Array {
    const { writer, kv } = this;
    writer.reset();
    writer.u8(status).u64(0);
    execute();
    kv.commit();
    writer.patchU32(1, kv.revision % 0x1_0000_0000);
    writer.patchU32(5, Math.floor(kv.revision / 0x1_0000_0000));
    return writer.cut();
  }

  private answer(result: ReplyResult | Refusal): Uint8Array {
    if ("code" in result) return this.refuse(result);
    this.kv.commit();
    this.writer.reset();
    encodeReply(this.writer, { ok: true, revision: this.kv.revision, result });
    return this.writer.cut();
  }

  private refuse(refused: Refusal): Uint8Array {
    return errorReply(refused.code, refused.message, refused.details, this.kv.revision);
  }

  query(request: Uint8Array, sessions: number, featureLevel: number): Uint8Array {
    const get = this.queryGet(request);
    if (get !== undefined) return get;
    const query = decodeQuery(new Reader(request));
    switch (query.kind) {
      case "range": {
        const refused = checkRange(this.kv, query);
        if (refused !== undefined) return this.refuse(refused);
        let isWhole = true;
        const reply = this.operate(Status.range, () => {
          isWhole = writeRange(this.writer, this.kv, query, false, pageBytesMax);
        });
        if (isWhole || query.limit > 0) return reply;
        return this.refuse(refusal("TOO_LARGE", `the range has more than ${pageBytesMax} bytes; read it in pages, with a limit`));
      }
      case "txn": {
        if (!readsOnly(query)) return this.refuse(refusal("INVALID_ARGUMENT", "a transaction that writes is no query"));
        const path = choosePath(this.kv, query);
        const refused = checkDuplicates(query) ?? checkPath(this.kv, path, { bytes: 0 });
        return refused === undefined ? this.operate(Status.txn, () => executePath(this.writer, this.kv, path)) : this.refuse(refused);
      }
      default:
        return this.answer(this.describe(query, sessions, featureLevel));
    }
  }

  /** The newest state of one key, the most frequent query. Undefined: it is another query. */
  private queryGet(request: Uint8Array): Uint8Array | undefined {
    if (request[0] !== Kind.range || request[1] !== 0 || request[2] !== 0 || request.length < 11) return undefined;
    const keyLength = u32At(request, 3);
    if (keyLength === 0 || request.length !== 11 + keyLength || u32At(request, 7 + keyLength) !== 0) return undefined;
    const { kv, writer } = this;
    const handle = kv.live.get(this.keys.read(request, 7, keyLength));
    const found = handle === undefined ? 0 : 1;
    writer.reset();
    writer.u8(Status.range).u64(kv.revision).u8(0).u64(found).u32(found);
    if (handle !== undefined) writeEntry(writer, kv, handle, false);
    return writer.cut();
  }

  private describe(
    query: Exclude<Query, { readonly kind: "range" | "txn" }>,
    sessions: number,
    featureLevel: number,
  ): ReplyResult | Refusal {
    const { kv } = this;
    switch (query.kind) {
      case "lease":
        return this.leaseCommands.describe(query.lease, query.keys);
      case "leases":
        return this.leaseCommands.list();
      case "hash":
        return kv.checkReadable(query.revision) ?? { kind: "hash", hash: kv.hashAt(query.revision), compactRevision: this.compactRevision };
      default:
        return {
          kind: "summary",
          summary: {
            revision: kv.revision,
            compactRevision: this.compactRevision,
            keys: kv.live.size,
            bytes: kv.liveBytes,
            maxBytes: kv.settings.maxBytes,
            leases: this.leases.count,
            sessions,
            watchers: this.countWatchers(),
            featureLevel,
          },
        };
    }
  }

  mixHash(mixer: Mixer): void {
    this.kv.mixHash(mixer);
    mixer.word(this.leases.hash.low);
    mixer.word(this.leases.hash.high);
    if (this.fences.memoryBytes === 0) return;
    mixer.word(this.fences.hash.low);
    mixer.word(this.fences.hash.high);
  }

  freeze(): { readonly sources: readonly SectionSource[]; readonly bytes: number; release(): void } {
    const { sources, bytes, release } = freezeKv(this.kv);
    return { sources: [new LeaseSource(this.leases.leases), new FenceSource(this.fences), ...sources], bytes, release };
  }

  restore(section: number, reader: Reader): void {
    if (section === Section.leases) restoreLeases(this.leases, reader);
    else if (section === Section.fences) restoreFences(this.fences, reader);
    else if (!this.restorer.restore(section, reader)) throw new UpgradeRequired(`snapshot section ${section}`);
  }

  due(now: LeaderTime): readonly Uint8Array[] {
    return this.timers.due(now);
  }

  lead(now: LeaderTime): void {
    this.timers.lead(now);
  }

  follow(): void {
    this.timers.follow();
  }

  work(clock: () => number, budgetMs: number): boolean {
    const endMs = clock() + budgetMs;
    let hasMore = true;
    while (hasMore && clock() < endMs) {
      const sweeps = this.kv.sweep(workStepBytes >>> 8);
      hasMore = this.kv.records.work(workStepBytes) || sweeps;
    }
    return hasMore;
  }
}

/** The machine of a keyspace: sessions around entries and leases, and its watches on this node. */
export class KeyspaceMachine extends SessionMachine<Keyspace> implements WatchableMachine, LeaseMachine {
  private readonly hub: WatchHub;

  constructor(inner: Keyspace, sessions?: SessionTable, featureLevel?: number, levelMax?: number) {
    super(inner, sessions, featureLevel, levelMax);
    this.hub = new WatchHub(inner.kv, inner.probe);
    inner.countWatchers = () => this.hub.count;
  }

  watch(request: Uint8Array, onReady: () => void): Watcher {
    return this.hub.open(request, onReady);
  }

  publish(): void {
    this.hub.publish();
  }

  keepAlive(lease: bigint, now: LeaderTime): number | undefined {
    const found = this.inner.leases.get(leaseLow(lease), leaseHigh(lease));
    return found === undefined ? undefined : this.inner.timers.keepAlive(found, now);
  }

  override work(clock: () => number, budgetMs: number): boolean {
    this.hub.notify();
    return super.work(clock, budgetMs);
  }
}

/** `levelMax`: the highest feature level that its machines apply; a test's way to be another build. */
export function keyspaceFactory(options: KeyspaceOptions = {}, levelMax?: number): { create(): KeyspaceMachine } & MachineFactory {
  return {
    create: () => new KeyspaceMachine(new Keyspace(options), new SessionTable(options.sessionIdleMs), undefined, levelMax),
    restore: () =>
      new SessionRestorer<Keyspace, KeyspaceMachine>(
        new Keyspace(options),
        (inner, sessions, level) => new KeyspaceMachine(inner, sessions, level, levelMax),
        levelMax,
      ),
  };
}
