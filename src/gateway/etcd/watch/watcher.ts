import type { RawWatch, RawWatchOwner, WatchChange } from "../../../api/index.ts";
import type { UnumError } from "../../../base/index.ts";
import type { Ground } from "../service.ts";
import type { Feed, Feeds, Follower } from "./feeds.ts";
import type { Sources } from "./sources.ts";
import { Told, encodedId } from "./told.ts";
import type { Filter } from "./told.ts";

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
  readonly filter: Filter;
}

export interface WatcherOwner {
  /** It sees everything from here on; once, before any event. */
  created(watcher: Watcher, revision: number): void;
  events(watcher: Watcher, told: Told): void;
  progressed(watcher: Watcher): void;
  /** Nothing comes after this. `compactRevision` 0: for another reason. */
  stopped(watcher: Watcher, compactRevision: number, error: UnumError | undefined): void;
  /** Whether the client takes what it is sent. */
  readonly isReading: boolean;
}

/**
 * One watch of a client. From now on it follows a feed, which it shares with all that want the same; from the past, or once
 * its client reads too slowly for the feed, it has a watch of the machine to itself.
 *
 * Invariant: it has a feed, or a source, or is parked (behind, until its client reads again).
 */
export class Watcher implements Follower, RawWatchOwner {
  readonly terms: WatchTerms;
  readonly encodedId: Uint8Array;
  /** Something was sent since the last look: no progress need be told. */
  active = true;
  /** Its client is to be told how far it is, as soon as that is known. */
  noticed = false;
  private readonly owner: WatcherOwner;
  private readonly ground: Ground;
  private readonly sources: Sources;
  private feed: Feed | undefined;
  private source: RawWatch | undefined;
  /** A watch "from now on" begins behind everything that an answer of this gateway has shown. */
  private first: number;
  private begun = false;
  private closed = false;
  private asking = false;
  private owedBytes = 0;
  private toldRevision = 0;

  constructor(ground: Ground, sources: Sources, terms: WatchTerms, owner: WatcherOwner) {
    this.ground = ground;
    this.sources = sources;
    this.terms = terms;
    this.encodedId = encodedId(terms.id);
    this.owner = owner;
    this.first = terms.from > 0 ? terms.from : ground.kv.revision + 1;
  }

  get filter(): Filter {
    return this.terms.filter;
  }

  /** Its creation was told. */
  get hasBegun(): boolean {
    return this.begun;
  }

  /** The highest revision up to which everything was sent. */
  get revision(): number {
    return this.toldRevision;
  }

  start(feeds: Feeds): void {
    if (this.terms.from > 0) this.open(this.terms.from);
    else {
      const feed = feeds.join(this.terms, this);
      // It may have ended already, or its client gone, while it joined.
      if (!this.closed) this.feed = feed;
      else feed.leave(this);
    }
  }

  joined(revision: number): void {
    this.began(revision + 1);
  }

  began(revision: number): void {
    if (this.begun || this.closed) return;
    this.begun = true;
    const known = this.ground.kv.revision;
    const isNow = this.terms.from === 0;
    // What is told with its creation was before it: no event of it may come afterwards.
    this.first = Math.max(this.first, revision, isNow ? known + 1 : 0);
    this.toldRevision = this.first - 1;
    this.owner.created(this, isNow ? this.toldRevision : known);
  }

  /** From the feed, which waits for nobody. */
  told(told: Told): void {
    if (told.revision <= this.toldRevision) return;
    this.toldRevision = told.revision;
    this.send(told);
    if (this.owner.isReading || this.closed) return;
    this.feed?.leave(this);
    this.feed = undefined;
  }

  /** From a source of its own. */
  changed(change: WatchChange, bytes: number): void {
    if (change.revision > this.toldRevision) {
      this.toldRevision = change.revision;
      this.send(new Told(change, this.filter, this.terms.previous, this.ground.header(change.revision)));
    }
    if (this.owner.isReading) this.source?.consumed(bytes);
    else this.owedBytes += bytes;
  }

  progressed(revision: number): void {
    if (revision > this.toldRevision) this.toldRevision = revision;
    if (!this.asking || this.closed) return;
    this.asking = false;
    this.owner.progressed(this);
  }

  live(): void {
    // It resumes by itself, and its client need not know.
  }

  ended(error: UnumError | undefined): void {
    if (this.closed) return;
    const compacted = error?.code === "COMPACTED" ? error.details["compactRevision"] : undefined;
    this.closed = true;
    this.owner.stopped(this, typeof compacted === "number" ? compacted : 0, error);
  }

  /** The client takes what it is sent again. */
  resume(): void {
    if (this.closed) return;
    const bytes = this.owedBytes;
    this.owedBytes = 0;
    if (bytes > 0) this.source?.consumed(bytes);
    if (this.begun && this.feed === undefined && this.source === undefined) this.open(this.toldRevision + 1);
  }

  askProgress(): void {
    this.asking = true;
    // A parked one asks when it goes on.
    this.feed?.askProgress();
    this.source?.askProgress();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.feed?.leave(this);
    this.source?.close();
  }

  private open(from: number): void {
    const { key, end, previous } = this.terms;
    this.source = this.sources.watch({ key, end, from, previous }, this);
    if (this.asking) this.source.askProgress();
  }

  private send(told: Told): void {
    if (told.events.length === 0 || told.revision < this.first) return;
    this.active = true;
    this.owner.events(this, told);
  }
}
