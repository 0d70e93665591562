import { MalformedBytes, Reader, Writer } from "../../base/index.ts";
import type { Probe } from "../../base/index.ts";
import { encodeReply, envelopeBytes, errorReply, Kind, type ReplyResult } from "../commands/index.ts";
import { featureLevelMax, featureLevelMin } from "../features.ts";
import { Hash, hashText, Mixer } from "../hash.ts";
import { u32At } from "../keys.ts";
import type { Refusal } from "../refusal.ts";
import { BlockReader, Section, SnapshotStream, type SectionSource } from "../snapshot.ts";
import { UpgradeRequired, type ApplyMeta, type LeaderTime, type Machine, type MachineRestorer, type SnapshotSource } from "../types.ts";
import { SessionTable } from "./table.ts";

/** What a machine means, without sessions, feature levels and snapshots' envelope: `SessionMachine` adds those. */
export interface InnerMachine {
  readonly kind: string;
  readonly revision: number;
  readonly compactRevision: number;
  readonly memoryBytes: number;
  /** Told of rare states; changes nothing. */
  readonly probe?: Probe | undefined;
  /** Before each command, whatever it is: state that ages does so by the log's time. */
  begin(meta: ApplyMeta): void;
  /** The command begins at `at`, with its kind. The reply's bytes do not change afterwards. Throws `MalformedBytes` and `UpgradeRequired` only, before anything is changed. */
  apply(command: Uint8Array, at: number, meta: ApplyMeta): Uint8Array;
  /** As `apply`, changing nothing. `sessions` and `featureLevel` are for summaries. */
  query(request: Uint8Array, sessions: number, featureLevel: number): Uint8Array;
  /** Mixes all replicated state. */
  mixHash(mixer: Mixer): void;
  /** Sections of the state as it is now, at constant cost. */
  freeze(): { readonly sources: readonly SectionSource[]; readonly bytes: number; release(): void };
  restore(section: number, reader: Reader): void;
  due(now: LeaderTime): readonly Uint8Array[];
  lead(now: LeaderTime): void;
  follow(): void;
  work(clock: () => number, budgetMs: number): boolean;
}

const two32 = 0x1_0000_0000;

/** A machine whose commands come in sessions: each is applied once, however often it is committed. */
export class SessionMachine<Inner extends InnerMachine> implements Machine {
  readonly kind: string;
  readonly inner: Inner;
  private readonly sessions: SessionTable;
  private readonly mixer = new Mixer();
  private readonly writer = new Writer(256);
  /** What the group may use: raised by `activate`, never lowered. */
  private level: number;
  /** What this build knows. */
  private readonly levelMax: number;

  constructor(
    inner: Inner,
    sessions: SessionTable = new SessionTable(),
    featureLevel: number = featureLevelMin,
    levelMax: number = featureLevelMax,
  ) {
    this.kind = inner.kind;
    this.inner = inner;
    this.sessions = sessions;
    sessions.probe = inner.probe;
    this.level = featureLevel;
    this.levelMax = levelMax;
  }

  get featureLevel(): number {
    return this.level;
  }

  get revision(): number {
    return this.inner.revision;
  }

  get memoryBytes(): number {
    return this.inner.memoryBytes + this.sessions.memoryBytes;
  }

  apply(command: Uint8Array, meta: ApplyMeta): Uint8Array {
    this.sessions.advance(meta.timestamp);
    this.inner.begin(meta);
    if (command.length <= envelopeBytes) return this.malformed("the bytes are too short for a command");
    const sessionLow = u32At(command, 0);
    const sessionHigh = u32At(command, 4);
    if (sessionLow === 0 && sessionHigh === 0) return this.applyOnce(command, meta);
    const sequence = u32At(command, 8) + u32At(command, 12) * two32;
    const floor = u32At(command, 16) + u32At(command, 20) * two32;
    if (sequence > Number.MAX_SAFE_INTEGER || floor > Number.MAX_SAFE_INTEGER) return this.malformed("sequence or floor is beyond 2^53");
    // No session has an id beyond 2^53; rounding cannot meet one by accident below it.
    const known = this.sessions.admit(sessionLow + sessionHigh * two32, sequence, floor, meta.timestamp, this.inner.revision);
    if (known !== undefined) return known;
    const reply = this.applyOnce(command, meta);
    this.sessions.record(reply);
    return reply;
  }

  private applyOnce(command: Uint8Array, meta: ApplyMeta): Uint8Array {
    const kind = command[envelopeBytes] as number;
    try {
      if (kind < Kind.sessionOpen || kind > Kind.activate) return this.inner.apply(command, envelopeBytes, meta);
      const reader = new Reader(command, envelopeBytes + 1);
      const result = this.applyOwn(kind, reader, meta);
      return "code" in result ? this.refuse(result) : this.reply(result);
    } catch (error) {
      if (error instanceof MalformedBytes) return this.malformed(error.message);
      throw error;
    }
  }

  private applyOwn(kind: number, reader: Reader, meta: ApplyMeta): ReplyResult | Refusal {
    switch (kind) {
      case Kind.sessionOpen: {
        reader.finish();
        const id = this.sessions.open(meta.index, meta.timestamp);
        if (id === undefined) return { code: "OVERLOADED", message: "there are too many sessions", details: {} };
        return { kind: "session", session: BigInt(id) };
      }
      case Kind.sessionClose: {
        const low = reader.u32();
        const high = reader.u32();
        reader.finish();
        const isClosed = this.sessions.close(low + high * two32);
        return isClosed ? { kind: "done" } : { code: "SESSION_EXPIRED", message: "the session has ended or never was", details: {} };
      }
      case Kind.checkpoint:
        reader.finish();
        return { kind: "hash", hash: this.hash(), compactRevision: this.inner.compactRevision };
      default: {
        const level = reader.u32();
        reader.finish();
        if (level > this.levelMax) throw new UpgradeRequired(`feature level ${level}; this build knows ${this.levelMax}`);
        if (level > this.level) this.level = level;
        return { kind: "done" };
      }
    }
  }

  private reply(result: ReplyResult): Uint8Array {
    encodeReply(this.writer, { ok: true, revision: this.inner.revision, result });
    return this.writer.cut();
  }

  private refuse(refused: Refusal): Uint8Array {
    return errorReply(refused.code, refused.message, refused.details, this.inner.revision);
  }

  private malformed(message: string): Uint8Array {
    return errorReply("MALFORMED", message, {}, this.inner.revision);
  }

  query(request: Uint8Array): Uint8Array {
    try {
      return this.inner.query(request, this.sessions.count, this.level);
    } catch (error) {
      if (error instanceof MalformedBytes) return this.malformed(error.message);
      // A query is no part of the log: that one node does not know it must not stop the group there.
      if (error instanceof UpgradeRequired) return errorReply("UNSUPPORTED", error.message, {}, this.inner.revision);
      throw error;
    }
  }

  hash(): string {
    const all = new Hash();
    const { mixer } = this;
    this.sessions.mixHash(mixer);
    mixer.word(this.level);
    mixer.finish();
    all.add(mixer.low, mixer.high);
    mixer.begin(7);
    this.inner.mixHash(mixer);
    mixer.finish();
    all.add(mixer.low, mixer.high);
    return hashText(all.low, all.high);
  }

  snapshot(): SnapshotSource {
    const sessions = this.sessions.freeze();
    const inner = this.inner.freeze();
    const header = { kind: this.kind, featureLevel: this.level, flags: 0 };
    return new SnapshotStream(header, [...sessions.sources, ...inner.sources], this.hash(), inner.bytes, () => {
      sessions.release();
      inner.release();
    });
  }

  due(now: LeaderTime): readonly Uint8Array[] {
    return this.inner.due(now);
  }

  lead(now: LeaderTime): void {
    this.inner.lead(now);
  }

  follow(): void {
    this.inner.follow();
  }

  work(clock: () => number, budgetMs: number): boolean {
    return this.inner.work(clock, budgetMs);
  }
}

/** Builds the inner machine and its sessions from a snapshot, and compares the hash that stands at its end. */
export class SessionRestorer<Inner extends InnerMachine, M extends SessionMachine<Inner>> implements MachineRestorer {
  private readonly blocks: BlockReader;
  private readonly sessions = new SessionTable();
  private readonly inner: Inner;
  private readonly makeMachine: (inner: Inner, sessions: SessionTable, featureLevel: number) => M;

  constructor(
    inner: Inner,
    makeMachine: (inner: Inner, sessions: SessionTable, featureLevel: number) => M,
    levelMax: number = featureLevelMax,
  ) {
    this.blocks = new BlockReader(inner.kind, levelMax);
    this.inner = inner;
    this.makeMachine = makeMachine;
  }

  push(chunk: Uint8Array): void {
    this.blocks.push(chunk, (section, reader) => {
      if (section === Section.sessionTable) {
        if (reader.remaining > 0) this.sessions.restoreTable(reader);
      } else if (section === Section.sessions) this.sessions.restoreSessions(reader);
      else this.inner.restore(section, reader);
    });
  }

  finish(): M {
    const header = this.blocks.finish();
    const machine = this.makeMachine(this.inner, this.sessions, header.featureLevel);
    const hash = machine.hash();
    if (hash !== this.blocks.hash) throw new MalformedBytes(`snapshot with hash ${this.blocks.hash} restores to ${hash}`);
    return machine;
  }
}
