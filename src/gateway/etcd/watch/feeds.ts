import type { RawWatch, RawWatchOwner, WatchChange } from "../../../api/index.ts";
import type { UnumError } from "../../../base/index.ts";
import type { HeaderFields } from "../service.ts";
import type { Sources } from "./sources.ts";
import { Told } from "./told.ts";
import type { Filter } from "./told.ts";

/** What a feed is told to: a watch that keeps up. */
export interface Follower {
  readonly filter: Filter;
  /** The feed stands behind this revision: what comes is later. Once, unless it was left before. */
  joined(revision: number): void;
  /** The same object for all followers with the same filter. */
  told(told: Told): void;
  progressed(revision: number): void;
  ended(error: UnumError | undefined): void;
}

export interface FeedRange {
  readonly key: string;
  readonly end: string;
  readonly previous: boolean;
}

/** One watch of the machine for all watches of clients that want the same range from now on. */
export class Feeds {
  private readonly sources: Sources;
  private readonly header: (revision: number) => HeaderFields;
  private readonly feeds = new Map<string, Feed>();

  constructor(sources: Sources, header: (revision: number) => HeaderFields) {
    this.sources = sources;
    this.header = header;
  }

  /** Whether a watch of this range can be had: it is there, or there is room for one more. */
  hasRoom(range: FeedRange): boolean {
    return !this.sources.isFull || this.feeds.has(nameOf(range));
  }

  join(range: FeedRange, follower: Follower): Feed {
    const name = nameOf(range);
    let feed = this.feeds.get(name);
    if (feed === undefined) {
      feed = new Feed(this.sources, range, this.header, () => this.feeds.delete(name));
      this.feeds.set(name, feed);
    }
    feed.add(follower);
    return feed;
  }
}

function nameOf({ key, end, previous }: FeedRange): string {
  return `${previous ? "+" : "-"}${key.length}:${key}${end}`;
}

/** Never waits for anybody: whoever cannot keep up leaves it and goes on by itself. */
export class Feed implements RawWatchOwner {
  private readonly source: RawWatch;
  private readonly range: FeedRange;
  private readonly header: (revision: number) => HeaderFields;
  private readonly forget: () => void;
  private readonly followers = new Set<Follower>();
  /** Everything up to here was told; undefined: it has not begun. */
  private revision: number | undefined;
  private over = false;

  constructor(sources: Sources, range: FeedRange, header: (revision: number) => HeaderFields, forget: () => void) {
    this.range = range;
    this.header = header;
    this.forget = forget;
    this.source = sources.watch({ key: range.key, end: range.end, previous: range.previous, from: 0 }, this);
  }

  add(follower: Follower): void {
    this.followers.add(follower);
    if (this.revision !== undefined) follower.joined(this.revision);
  }

  leave(follower: Follower): void {
    this.followers.delete(follower);
    if (this.followers.size === 0) this.close();
  }

  askProgress(): void {
    this.source.askProgress();
  }

  began(revision: number): void {
    this.revision = revision - 1;
    for (const follower of [...this.followers]) follower.joined(this.revision);
  }

  changed(change: WatchChange, bytes: number): void {
    this.revision = change.revision;
    const variants: (Told | undefined)[] = [];
    // Whoever leaves meanwhile is told nothing more, and who comes stands behind this revision already.
    for (const follower of this.followers) {
      const { noPut, noDelete } = follower.filter;
      const variant = (noPut ? 1 : 0) + (noDelete ? 2 : 0);
      let told = variants[variant];
      if (told === undefined) {
        told = new Told(change, follower.filter, this.range.previous, this.header(change.revision));
        variants[variant] = told;
      }
      follower.told(told);
    }
    this.source.consumed(bytes);
  }

  progressed(revision: number): void {
    this.revision = Math.max(this.revision ?? 0, revision);
    for (const follower of [...this.followers]) follower.progressed(this.revision);
  }

  live(): void {
    // It resumes by itself.
  }

  ended(error: UnumError | undefined): void {
    const followers = [...this.followers];
    this.close();
    for (const follower of followers) follower.ended(error);
  }

  private close(): void {
    if (this.over) return;
    this.over = true;
    this.followers.clear();
    this.forget();
    this.source.close();
  }
}
