import { limits, MalformedBytes, Writer, type Probe, type Reader } from "../../base/index.ts";
import { errorReply, Status } from "../commands/index.ts";
import { Hash, Mixer } from "../hash.ts";
import { Section, type SectionSource } from "../snapshot.ts";

/** A put's reply is a revision and nothing else: kept as a number. Other replies as their bytes. */
type KeptReply = number | Uint8Array;
const plainReplyBytes = 16;
const plainPutReplyBytes = 10;

interface Session {
  readonly id: number;
  /** Every reply below was seen by the handle. */
  floor: number;
  /** Timestamp of the last command. */
  usedAt: number;
  readonly replies: Map<number, KeptReply>;
  replyBytes: number;
}

/** Limits that decide replies: machine state, so that every replica decides alike. */
interface SessionSettings {
  repliesMax: number;
  replyBytesMax: number;
  idleMs: number;
  sessionsMax: number;
}

/** Each takes memory until it is closed or idle for an hour: more than this many handles are no ordinary use. */
const openSessionsMax = 65_536;

/**
 * Exactly-once: what was answered to which sequence of which session. Replicated state; time is the log's.
 *
 * Per command: `admit` (an answer that is known, or a refusal), else apply, then `record`.
 */
export class SessionTable {
  readonly hash: Hash = new Hash();
  private readonly sessions = new Map<number, Session>();
  private readonly mixer = new Mixer();
  private readonly settings: SessionSettings;
  private lastId = 0;
  private nextExpiryAt = 0;
  private readonly views = new Set<FrozenSessions>();
  private admitted: Session | undefined;
  private admittedSequence = 0;
  /** Told of rare states; no part of the state. */
  probe: Probe | undefined;
  private bytesKept = 0;

  constructor(idleMs: number = limits.sessionIdleMs) {
    this.settings = {
      repliesMax: limits.sessionRepliesMax,
      replyBytesMax: limits.sessionReplyBytesMax,
      idleMs,
      sessionsMax: openSessionsMax,
    };
  }

  get count(): number {
    return this.sessions.size;
  }

  get memoryBytes(): number {
    return this.bytesKept * 4 + this.sessions.size * 300;
  }

  /** Lets idle sessions go, looking at all of them a few dozen times per idle time. Deterministic: the log's timestamps decide. */
  advance(timestamp: number): void {
    if (timestamp < this.nextExpiryAt) return;
    this.nextExpiryAt = timestamp + Math.floor(this.settings.idleMs / 64);
    for (const session of this.sessions.values()) {
      if (session.usedAt + this.settings.idleMs > timestamp) continue;
      this.probe?.("session-expires");
      this.remove(session);
    }
  }

  /** Opens a session and returns its id: the index of the registration, or the next free number. Undefined: there are too many. */
  open(index: number, timestamp: number): number | undefined {
    if (this.sessions.size >= this.settings.sessionsMax) return undefined;
    const id = Math.max(this.lastId + 1, index);
    this.lastId = id;
    this.sessions.set(id, { id, floor: 1, usedAt: timestamp, replies: new Map(), replyBytes: 0 });
    return id;
  }

  /** Whether there was such a session. */
  close(id: number): boolean {
    const session = this.sessions.get(id);
    if (session === undefined) return false;
    this.remove(session);
    return true;
  }

  /** The answer to a command that must not be applied (again); undefined: apply it and `record` the reply. */
  admit(id: number, sequence: number, floor: number, timestamp: number, revision: number): Uint8Array | undefined {
    const session = this.sessions.get(id);
    if (session === undefined) return errorReply("SESSION_EXPIRED", `session ${id} has ended or never was`, {}, revision);
    if (sequence === 0) return errorReply("INVALID_ARGUMENT", "sequences of a session count from 1", {}, revision);
    this.preserve(session);
    session.usedAt = timestamp;
    if (floor > session.floor) this.raiseFloor(session, floor);
    if (sequence < session.floor) {
      this.probe?.("command-below-floor");
      return errorReply(
        "UNKNOWN_OUTCOME",
        `sequence ${sequence} is below the session's floor ${session.floor}: it was answered or given up before`,
        {},
        revision,
      );
    }
    const known = session.replies.get(sequence);
    if (known !== undefined) {
      this.probe?.("command-repeated");
      return typeof known === "number" ? plainReply(known) : known;
    }
    if (session.replies.size >= this.settings.repliesMax || session.replyBytes >= this.settings.replyBytesMax) {
      return errorReply(
        "OVERLOADED",
        `the session keeps ${session.replies.size} replies that its handle has not acknowledged`,
        {},
        revision,
      );
    }
    this.admitted = session;
    this.admittedSequence = sequence;
    return undefined;
  }

  /** Keeps the reply to the command that was admitted last, as a copy: replies share buffers. */
  record(reply: Uint8Array): void {
    const session = this.admitted;
    if (session === undefined) return;
    this.admitted = undefined;
    // A command may close the session that carries it.
    if (this.sessions.get(session.id) !== session) return;
    this.keep(session, this.admittedSequence, isPlain(reply) ? plainRevision(reply) : reply.slice());
  }

  /** A raised floor is worth to go through the sequences between, or through the replies: whichever are fewer. */
  private raiseFloor(session: Session, floor: number): void {
    if (floor - session.floor <= session.replies.size) {
      for (let sequence = session.floor; sequence < floor; sequence++) this.drop(session, sequence);
    } else for (const sequence of [...session.replies.keys()]) if (sequence < floor) this.drop(session, sequence);
    session.floor = floor;
  }

  private keep(session: Session, sequence: number, reply: KeptReply): void {
    session.replies.set(sequence, reply);
    const bytes = typeof reply === "number" ? plainReplyBytes : reply.length;
    session.replyBytes += bytes;
    this.bytesKept += bytes;
    this.mix(session.id, sequence, reply);
    this.hash.add(this.mixer.low, this.mixer.high);
  }

  private drop(session: Session, sequence: number): void {
    const reply = session.replies.get(sequence);
    if (reply === undefined) return;
    session.replies.delete(sequence);
    const bytes = typeof reply === "number" ? plainReplyBytes : reply.length;
    session.replyBytes -= bytes;
    this.bytesKept -= bytes;
    this.mix(session.id, sequence, reply);
    this.hash.subtract(this.mixer.low, this.mixer.high);
  }

  private mix(id: number, sequence: number, reply: KeptReply): void {
    const { mixer } = this;
    mixer.begin(4);
    mixer.number(id);
    mixer.number(sequence);
    if (typeof reply === "number") mixer.number(reply);
    else mixer.bytes(new DataView(reply.buffer, reply.byteOffset, reply.length), 0, reply.length);
    mixer.finish();
  }

  private remove(session: Session): void {
    this.preserve(session);
    for (const sequence of [...session.replies.keys()]) this.drop(session, sequence);
    this.sessions.delete(session.id);
  }

  /** Mixes what is not kept up to date in `hash`: the sessions' own numbers, in no order. */
  mixHash(mixer: Mixer): void {
    const all = new Hash();
    for (const session of this.sessions.values()) {
      mixer.begin(5);
      for (const number of [session.id, session.floor, session.usedAt]) mixer.number(number);
      mixer.finish();
      all.add(mixer.low, mixer.high);
    }
    mixer.begin(6);
    for (const number of [this.lastId, this.nextExpiryAt, ...this.settingNumbers()]) mixer.number(number);
    for (const word of [all.low, all.high, this.hash.low, this.hash.high]) mixer.word(word);
  }

  /** A frozen view: a session is copied before it first changes. */
  freeze(): { readonly sources: readonly SectionSource[]; release(): void } {
    const view = new FrozenSessions(this.sessions);
    this.views.add(view);
    const table = new Writer();
    for (const number of [this.lastId, this.nextExpiryAt, ...this.settingNumbers()]) table.u64(number);
    return { sources: [onceSource(Section.sessionTable, table.take()), view], release: () => this.views.delete(view) };
  }

  private settingNumbers(): number[] {
    const { repliesMax, replyBytesMax, idleMs, sessionsMax } = this.settings;
    return [repliesMax, replyBytesMax, idleMs, sessionsMax];
  }

  private preserve(session: Session): void {
    if (this.views.size > 0) for (const view of this.views) view.preserve(session);
  }

  restoreTable(reader: Reader): void {
    this.lastId = reader.u64();
    this.nextExpiryAt = reader.u64();
    this.settings.repliesMax = reader.u64();
    this.settings.replyBytesMax = reader.u64();
    this.settings.idleMs = reader.u64();
    this.settings.sessionsMax = reader.u64();
  }

  restoreSessions(reader: Reader): void {
    while (reader.remaining > 0) {
      const session: Session = { id: reader.u64(), floor: reader.u64(), usedAt: reader.u64(), replies: new Map(), replyBytes: 0 };
      if (this.sessions.has(session.id)) throw new MalformedBytes(`session ${session.id} twice in a snapshot`);
      this.sessions.set(session.id, session);
      const count = reader.u32();
      for (let i = 0; i < count; i++) {
        const sequence = reader.u64();
        const tag = reader.u8();
        if (tag > 1) throw new MalformedBytes(`a kept reply with tag ${tag}`);
        this.keep(session, sequence, tag === 0 ? reader.u64() : reader.blob().slice());
      }
    }
  }
}

/** Writes bytes made at the time of freezing. */
export function onceSource(section: number, bytes: Uint8Array): SectionSource {
  let isWritten = false;
  return {
    section,
    fill: (writer) => {
      if (isWritten) return false;
      writer.raw(bytes);
      isWritten = true;
      return true;
    },
  };
}

class FrozenSessions implements SectionSource {
  readonly section: number = Section.sessions;
  private readonly pending: Map<number, Session>;
  private readonly preserved: Uint8Array[] = [];

  constructor(sessions: ReadonlyMap<number, Session>) {
    this.pending = new Map(sessions);
  }

  preserve(session: Session): void {
    if (!this.pending.delete(session.id)) return;
    const writer = new Writer();
    encodeSession(writer, session);
    this.preserved.push(writer.take());
  }

  fill(writer: Writer, bytes: number): boolean {
    const start = writer.length;
    while (writer.length - start < bytes) {
      const preserved = this.preserved.pop();
      if (preserved !== undefined) {
        writer.raw(preserved);
        continue;
      }
      const next = this.pending.values().next();
      if (next.done === true) break;
      this.pending.delete(next.value.id);
      encodeSession(writer, next.value);
    }
    return writer.length > start;
  }
}

function encodeSession(writer: Writer, session: Session): void {
  writer.u64(session.id).u64(session.floor).u64(session.usedAt).u32(session.replies.size);
  for (const [sequence, reply] of session.replies) {
    writer.u64(sequence);
    if (typeof reply === "number") writer.u8(0).u64(reply);
    else writer.u8(1).blob(reply);
  }
}

function isPlain(reply: Uint8Array): boolean {
  return reply.length === plainPutReplyBytes && reply[0] === Status.put && reply[9] === 0;
}

function plainRevision(reply: Uint8Array): number {
  const low = ((reply[1] as number) | ((reply[2] as number) << 8) | ((reply[3] as number) << 16) | ((reply[4] as number) << 24)) >>> 0;
  const high = (reply[5] as number) | ((reply[6] as number) << 8) | ((reply[7] as number) << 16);
  return high * 0x1_0000_0000 + low;
}

/** The reply of a put without a previous entry. */
export function plainReply(revision: number): Uint8Array {
  const reply = new Uint8Array(plainPutReplyBytes);
  reply[0] = Status.put;
  const low = revision >>> 0;
  const high = Math.floor(revision / 0x1_0000_0000);
  reply[1] = low;
  reply[2] = low >>> 8;
  reply[3] = low >>> 16;
  reply[4] = low >>> 24;
  reply[5] = high;
  reply[6] = high >>> 8;
  reply[7] = high >>> 16;
  return reply;
}
