import { Prng, assert, defined } from "../base/index.ts";
import type { ReplicaId } from "../base/index.ts";
import { Raft, describeReady, emptyConfiguration } from "./index.ts";
import type { Configuration, Entry, HardState, Message, RaftLimits, Ready, SnapshotMeta } from "./index.ts";
import { EntryKind } from "./types.ts";
import { decodeConfiguration } from "./configuration.ts";

export function id(value: number): ReplicaId {
  return value as ReplicaId;
}

/** What a disk holds for sure. */
export interface Durable {
  hardState: HardState;
  snapshot: SnapshotMeta;
  firstIndex: number;
  entries: Entry[];
  suspect: boolean;
}

interface Write {
  readonly number: number;
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  readonly snapshot: SnapshotMeta | undefined;
  readonly trusted: boolean;
  readonly messages: Message[];
}

export interface NodeOptions {
  readonly electionTicks?: number;
  readonly limits?: Partial<RaftLimits>;
  /** Entries that a restart takes into memory; the others stay on disk only. */
  readonly tailEntries?: number;
}

/** One replica with its disk (writes in flight are lost in a crash) and its machine (the entries applied). */
export class Node {
  readonly id: ReplicaId;
  raft: Raft;
  durable: Durable;
  writes: Write[] = [];
  /** Entries applied in this life, in order, behind `snapshotIndex`. */
  applied = 0;
  life = 0;
  up = true;
  private readonly options: NodeOptions;
  private readonly seed: string;
  onApplied: ((entry: Entry) => void) | undefined = undefined;

  constructor(
    replica: ReplicaId,
    configuration: Configuration,
    seed: string,
    options: NodeOptions,
    first: { index: number; term: number } = { index: 0, term: 0 },
  ) {
    this.id = replica;
    this.seed = seed;
    this.options = options;
    this.durable = {
      hardState: { term: first.term, vote: id(0), commit: first.index },
      snapshot: { ...first, configuration },
      firstIndex: first.index + 1,
      entries: [],
      suspect: false,
    };
    this.raft = this.open();
  }

  private open(): Raft {
    const { snapshot, entries, firstIndex, hardState, suspect } = this.durable;
    this.applied = snapshot.index;
    const terms: { from: number; term: number }[] = [];
    for (const entry of entries) if (terms[terms.length - 1]?.term !== entry.term) terms.push({ from: entry.index, term: entry.term });
    const tail = entries.slice(Math.max(0, entries.length - (this.options.tailEntries ?? entries.length)));
    const before = (tail[0]?.index ?? firstIndex + entries.length) - 1;
    const configurations = entries
      .filter((entry) => entry.kind === EntryKind.configuration && entry.index > snapshot.index && entry.index <= before)
      .map((entry) => ({ index: entry.index, configuration: decodeConfiguration(entry.data) }));
    return new Raft({
      replica: this.id,
      prng: new Prng(`${this.seed}/${this.id}/${this.life}`),
      hardState,
      snapshot,
      entries: tail,
      terms,
      firstIndex,
      lastIndex: firstIndex + entries.length - 1,
      configurations,
      applied: snapshot.index,
      suspect,
      ...(this.options.electionTicks === undefined ? {} : { electionTicks: this.options.electionTicks }),
      ...(this.options.limits === undefined ? {} : { limits: this.options.limits }),
    });
  }

  /** The power fails: of the writes in flight the first `kept` had reached the disk. */
  crash(kept = 0): void {
    for (const write of this.writes.slice(0, kept)) this.store(write);
    this.writes = [];
    this.queue = [];
    for (const list of [this.fetches, this.snapshotRequests, this.readStates, this.readsDropped]) list.length = 0;
    this.up = false;
  }

  restart(): void {
    this.life++;
    this.raft = this.open();
    this.up = true;
  }

  /** Drains the readies; messages that may leave at once go to `send`. */
  process(send: (message: Message) => void, log?: (text: string) => void, apply = true): void {
    for (let ready = this.raft.takeReady(); ready !== undefined; ready = this.raft.takeReady()) {
      log?.(describeReady(ready));
      this.handle(ready, send, apply);
    }
    assert(!this.raft.hasReady, "a drained raft has nothing ready");
  }

  readonly fetches: { to: ReplicaId; from: number; maxBytes: number }[] = [];
  readonly snapshotRequests: { to: ReplicaId; minIndex: number }[] = [];
  readonly readStates: { context: number; index: number }[] = [];
  readonly readsDropped: number[] = [];
  private queue: Entry[] = [];

  private handle(ready: Ready, send: (message: Message) => void, apply: boolean): void {
    for (const message of ready.messages) send(message);
    if (ready.snapshot !== undefined) {
      assert(ready.entries.length === 0, "a snapshot is a write of its own");
      this.queue = [];
      this.applied = ready.snapshot.index;
    }
    const { number, hardState, entries, snapshot, trusted } = ready;
    const last = this.writes[this.writes.length - 1];
    if (number > 0) this.writes.push({ number, hardState, entries, snapshot, trusted, messages: [...ready.messagesAfterPersist] });
    else if (last !== undefined) last.messages.push(...ready.messagesAfterPersist);
    else for (const message of ready.messagesAfterPersist) send(message);
    if (trusted && number === 0) this.durable.suspect = false;
    this.fetches.push(...ready.fetches);
    this.snapshotRequests.push(...ready.snapshots);
    this.readStates.push(...ready.readStates);
    this.readsDropped.push(...ready.readsDropped);
    for (const entry of ready.committed) this.queue.push(entry);
    if (apply) this.apply();
    if (snapshot !== undefined) this.raft.applied(snapshot.index);
  }

  apply(): void {
    for (const entry of this.queue) {
      assert(entry.index === this.applied + 1, `entry ${entry.index} is applied after ${this.applied}`);
      assert(this.durableTerm(entry.index) === entry.term, `entry ${entry.index} is durable before it is applied`);
      this.applied = entry.index;
      this.onApplied?.(entry);
    }
    this.queue = [];
    this.raft.applied(this.applied);
  }

  /** The term of what the disk holds at `index`. */
  durableTerm(index: number): number | undefined {
    const { snapshot, entries, firstIndex } = this.durable;
    return index === snapshot.index ? snapshot.term : entries[index - firstIndex]?.term;
  }

  private store(write: Write): void {
    const { durable } = this;
    if (write.hardState !== undefined) durable.hardState = write.hardState;
    if (write.snapshot !== undefined) {
      durable.snapshot = write.snapshot;
      durable.firstIndex = write.snapshot.index + 1;
      durable.entries = [];
    }
    const first = write.entries[0];
    if (first !== undefined) {
      assert(
        first.index >= durable.firstIndex && first.index <= durable.firstIndex + durable.entries.length,
        "a write leaves no gap on the disk",
      );
      durable.entries.length = first.index - durable.firstIndex;
      durable.entries.push(...write.entries);
    }
    if (write.trusted) durable.suspect = false;
  }

  /** The oldest `count` writes in flight become durable. */
  persist(send: (message: Message) => void, count = this.writes.length): void {
    for (const write of this.writes.splice(0, count)) {
      this.store(write);
      for (const message of write.messages) send(message);
      this.raft.persisted(write.number);
    }
  }

  /** A snapshot of the applied state, and release of the log up to `release`. */
  compact(release: number, configuration: Configuration): SnapshotMeta {
    const term = defined(this.durableTerm(this.applied), "the term of the applied index");
    const meta = { index: this.applied, term, configuration };
    this.raft.compacted(meta);
    this.durable.snapshot = meta;
    const upTo = Math.min(release, meta.index);
    if (upTo >= this.durable.firstIndex) {
      this.durable.entries.splice(0, upTo - this.durable.firstIndex + 1);
      this.durable.firstIndex = upTo + 1;
    }
    this.raft.release(upTo);
    return meta;
  }

  read(from: number, count: number): Entry[] {
    const { firstIndex, entries } = this.durable;
    return from < firstIndex ? [] : entries.slice(from - firstIndex, from - firstIndex + count);
  }

  /** The disk is found damaged: what it holds from `from` on is lost, and known to be lost. */
  damage(from: number): void {
    this.durable.entries.length = Math.max(0, Math.min(this.durable.entries.length, from - this.durable.firstIndex));
    this.durable.suspect = true;
  }
}

export { emptyConfiguration };
