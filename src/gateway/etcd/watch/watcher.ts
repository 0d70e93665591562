import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RawWatch, RawWatchOwner, WatchChange } from "../../../api/index.ts";
import type { UnumError } from "../../../base/index.ts";
import { keyValueOf } from "../kv/results.ts";
import { Event_EventType } from "../messages/index.ts";
import type { EventSchema } from "../messages/index.ts";
import type { Ground } from "../service.ts";

export type EventInit = MessageInitShape<typeof EventSchema>;

/** A watch as its client asked for it. */
export interface WatchTerms {
  readonly id: bigint;
  readonly key: string;
  /** As the machine has it: "" is the single key, "\0" everything from `key` on. */
  readonly end: string;
  /** 0: from now on. */
  readonly from: number;
  readonly previous: boolean;
  readonly progress: boolean;
  readonly fragment: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
}

export interface WatcherOwner {
  /** It sees everything from here on; once, before any event. */
  created(watcher: Watcher, revision: number): void;
  events(watcher: Watcher, revision: number, events: readonly EventInit[]): void;
  progressed(watcher: Watcher, revision: number): void;
  /** Nothing comes after this. `compactRevision` 0: for another reason. */
  stopped(watcher: Watcher, compactRevision: number, error: UnumError | undefined): void;
  /** Whether the client takes what it is sent. */
  readonly isReading: boolean;
}

/** One watch of a stream, over the machine's own. */
export class Watcher implements RawWatchOwner {
  readonly terms: WatchTerms;
  /** Something was sent since the last look: no progress need be told. */
  active = true;
  private readonly owner: WatcherOwner;
  private readonly ground: Ground;
  private readonly source: RawWatch;
  /** A watch "from now on" begins behind everything that an answer of this gateway has shown. */
  private first: number;
  private owedBytes = 0;
  private toldRevision = 0;

  constructor(ground: Ground, terms: WatchTerms, owner: WatcherOwner) {
    this.ground = ground;
    this.terms = terms;
    this.owner = owner;
    this.first = terms.from > 0 ? terms.from : ground.kv.revision + 1;
    this.source = ground.kv.watch({ key: terms.key, end: terms.end, from: terms.from, previous: terms.previous }, this);
  }

  /** The highest revision up to which everything was sent. */
  get revision(): number {
    return this.toldRevision;
  }

  began(revision: number): void {
    if (revision > this.first) this.first = revision;
    this.toldRevision = this.first - 1;
    const known = this.ground.kv.revision;
    this.owner.created(this, this.terms.from > 0 ? known : Math.max(known, this.first - 1));
  }

  changed(change: WatchChange, bytes: number): void {
    const events = change.revision < this.first ? [] : this.eventsOf(change);
    if (change.revision > this.toldRevision) this.toldRevision = change.revision;
    if (events.length > 0) {
      this.active = true;
      this.owner.events(this, change.revision, events);
    }
    if (this.owner.isReading) this.source.consumed(bytes);
    else this.owedBytes += bytes;
  }

  progressed(revision: number): void {
    if (revision > this.toldRevision) this.toldRevision = revision;
    this.owner.progressed(this, this.toldRevision);
  }

  live(): void {
    // It resumes by itself, and its client need not know.
  }

  ended(error: UnumError | undefined): void {
    const compacted = error?.code === "COMPACTED" ? error.details["compactRevision"] : undefined;
    this.owner.stopped(this, typeof compacted === "number" ? compacted : 0, error);
  }

  /** The client takes what it is sent again. */
  resume(): void {
    const bytes = this.owedBytes;
    this.owedBytes = 0;
    if (bytes > 0) this.source.consumed(bytes);
  }

  askProgress(): void {
    this.source.askProgress();
  }

  close(): void {
    this.source.close();
  }

  private eventsOf(change: WatchChange): EventInit[] {
    const { noPut, noDelete, previous } = this.terms;
    const events: EventInit[] = [];
    for (const { kind, entry, previous: older } of change.events) {
      if (kind === "put" ? noPut : noDelete) continue;
      const type = kind === "put" ? Event_EventType.PUT : Event_EventType.DELETE;
      events.push({ type, kv: keyValueOf(entry), ...(previous && older !== undefined ? { prevKv: keyValueOf(older) } : {}) });
    }
    return events;
  }
}
