import { Reader, Writer } from "../../base/index.ts";
import type { Probe } from "../../base/index.ts";
import { decodeWatchRequest, errorReply, type WatchRequest } from "../commands/index.ts";
import type { Watcher } from "../types.ts";
import { Intervals } from "./intervals.ts";
import { rangeEnd, writeEntry } from "./range.ts";
import type { KvState } from "./state.ts";

/** Positions of matching events that a watcher remembers before it falls back to reading the history. */
const matchesMax = 64;
/** Events that one `take` of a watcher that reads the history looks at. */
const scanEventsMax = 16_384;
/** Encoded items kept for other watchers. */
const sharedBytesMax = 4 * 1024 * 1024;

/**
 * All watches of a keyspace on one node. An event finds its watchers through an index by key and one by range;
 * nobody is asked about events that are not theirs. A watcher that keeps up holds the positions of a few
 * events; one that does not holds one position and reads the history from there, and when
 * the history has moved on it ends with COMPACTED.
 */
export class WatchHub {
  readonly state: KvState;
  private readonly byKey = new Map<string, Set<HubWatcher>>();
  private readonly byRange = new Intervals<HubWatcher>();
  private readonly shared = new Map<number, Uint8Array>();
  private sharedBytes = 0;
  private readonly writer = new Writer(1024);
  /** Watchers that have something and whose owner was not yet told. */
  private ready: HubWatcher[] = [];
  private watchers = 0;
  /** Events before this position, and revisions up to this one, have been offered to the watchers. */
  publishedPosition: number;
  publishedRevision: number;
  readonly probe: Probe | undefined;

  constructor(state: KvState, probe?: Probe) {
    this.probe = probe;
    this.state = state;
    this.publishedPosition = state.history.end;
    this.publishedRevision = state.revision;
  }

  get count(): number {
    return this.watchers;
  }

  /** Throws what the codec throws for bytes that are no request. */
  open(bytes: Uint8Array, onReady: () => void): Watcher {
    const request = decodeWatchRequest(new Reader(bytes));
    const watcher = new HubWatcher(this, request, onReady);
    this.watchers++;
    this.pin();
    if (request.end === "") {
      const set = this.byKey.get(request.key);
      if (set === undefined) this.byKey.set(request.key, new Set([watcher]));
      else set.add(watcher);
    } else this.byRange.add(request.key, rangeEnd(request), watcher);
    if (watcher.hasMore()) this.wake(watcher);
    return watcher;
  }

  close(watcher: HubWatcher): void {
    const { request } = watcher;
    this.watchers--;
    this.pin();
    if (request.end !== "") {
      this.byRange.remove(request.key, rangeEnd(request), watcher);
      return;
    }
    const set = this.byKey.get(request.key);
    set?.delete(watcher);
    if (set?.size === 0) this.byKey.delete(request.key);
  }

  /** Offers what was applied since the last time. Called between commands only: a revision is never split. */
  publish(): void {
    const { history, records } = this.state;
    const { end } = history;
    if (this.watchers > 0) {
      for (let position = Math.max(this.publishedPosition, history.start); position < end; position++) {
        const handle = history.at(position);
        const key = records.key(handle);
        const exact = this.byKey.get(key);
        if (exact !== undefined) for (const watcher of exact) watcher.offer(position, handle);
        if (!this.byRange.isEmpty) this.byRange.stab(key, (watcher) => watcher.offer(position, handle));
      }
    }
    this.publishedPosition = end;
    this.publishedRevision = this.state.revision;
    this.pin();
    this.notify();
  }

  /** Events that watchers were not offered yet are not swept, although a command of the same entry compacted them. */
  private pin(): void {
    this.state.history.sweepEnd = this.watchers > 0 ? this.publishedPosition : Number.POSITIVE_INFINITY;
  }

  wake(watcher: HubWatcher): void {
    if (watcher.awake) return;
    watcher.awake = true;
    this.ready.push(watcher);
  }

  /** Tells the owners. Not from within `watch` or `take`. */
  notify(): void {
    if (this.ready.length === 0) return;
    const ready = this.ready;
    this.ready = [];
    for (const watcher of ready) watcher.tell();
  }

  /** An item of the events at `positions`, all of one revision, encoded once for everybody. */
  encode(positions: readonly number[], previous: boolean): Uint8Array {
    const first = positions[0] as number;
    const { history } = this.state;
    const revision = history.revisionAt(first);
    const isWhole = positions.length > 1 && this.isRevision(positions, revision);
    const isShared = positions.length === 1 || isWhole;
    const name = first * 4 + (isWhole ? 2 : 0) + (previous ? 1 : 0);
    const known = isShared ? this.shared.get(name) : undefined;
    if (known !== undefined) return known;
    this.writer.u64(revision).u32(positions.length);
    for (const position of positions) this.encodeEvent(position, previous);
    const item = this.writer.cut();
    if (isShared) this.share(name, item);
    return item;
  }

  private isRevision(positions: readonly number[], revision: number): boolean {
    const { history } = this.state;
    const first = positions[0] as number;
    const last = positions[positions.length - 1] as number;
    if (last - first + 1 !== positions.length) return false;
    if (first > history.start && history.revisionAt(first - 1) === revision) return false;
    return last + 1 >= history.end || history.revisionAt(last + 1) !== revision;
  }

  private share(name: number, item: Uint8Array): void {
    if (this.sharedBytes + item.length > sharedBytesMax) {
      this.shared.clear();
      this.sharedBytes = 0;
    }
    this.shared.set(name, item);
    this.sharedBytes += item.length;
  }

  private encodeEvent(position: number, wantsPrevious: boolean): void {
    const { state, writer } = this;
    const { history, records } = state;
    const handle = history.at(position);
    const isDelete = records.isTombstone(handle);
    const older = wantsPrevious ? records.previous(handle) : -1;
    const hasPrevious = older >= 0 && !records.isTombstone(older);
    writer.u8((isDelete ? 1 : 0) | (hasPrevious ? 2 : 0));
    writeEntry(writer, state, handle, false);
    if (hasPrevious) writeEntry(writer, state, older, false);
  }
}

interface Taken {
  readonly items: readonly Uint8Array[];
  readonly more: boolean;
  readonly ended?: Uint8Array;
}

class HubWatcher implements Watcher {
  readonly startRevision: number;
  readonly request: WatchRequest;
  /** Has something that was not taken; its owner was told, or will be. */
  awake = false;
  private told = false;
  private readonly hub: WatchHub;
  private readonly onReady: () => void;
  private readonly end: string | undefined;
  private closed = false;
  /** The next event to look at, when this watcher reads the history; -1: it keeps up, and `matches` has what it must see. */
  private scanAt = -1;
  private matches: number[] = [];
  private taken = 0;
  /** Everything up to here was seen when it stopped keeping up. */
  private progressed: number;

  constructor(hub: WatchHub, request: WatchRequest, onReady: () => void) {
    this.hub = hub;
    this.request = request;
    this.onReady = onReady;
    this.end = rangeEnd(request);
    const { history } = hub.state;
    this.startRevision = request.from === 0 ? hub.publishedRevision + 1 : request.from;
    this.progressed = this.startRevision - 1;
    if (this.startRevision <= hub.publishedRevision) this.scanAt = history.lowerBound(this.startRevision);
  }

  get progress(): number {
    const { history } = this.hub.state;
    if (this.scanAt >= 0) return this.progressed;
    const next = this.matches[this.taken];
    if (next === undefined) return Math.max(this.progressed, this.hub.publishedRevision);
    return next < history.start ? this.progressed : Math.max(this.progressed, history.revisionAt(next) - 1);
  }

  hasMore(): boolean {
    return this.scanAt >= 0 || this.taken < this.matches.length;
  }

  /** An event in this watcher's range. */
  offer(position: number, handle: number): void {
    if (this.scanAt >= 0 || !this.wants(handle)) return;
    if (this.matches.length - this.taken < matchesMax) this.matches.push(position);
    else {
      this.hub.probe?.("watcher-falls-behind");
      this.progressed = this.progress;
      this.scanAt = this.matches[this.taken] as number;
      this.matches = [];
      this.taken = 0;
    }
    this.hub.wake(this);
  }

  tell(): void {
    if (this.closed || this.told || !this.awake) return;
    this.told = true;
    this.onReady();
  }

  private wants(handle: number): boolean {
    const { records } = this.hub.state;
    if (records.modRevision(handle) < this.startRevision) return false;
    return records.isTombstone(handle) ? !this.request.noDelete : !this.request.noPut;
  }

  private matchesKey(key: string): boolean {
    return key >= this.request.key && (this.end === undefined || key < this.end);
  }

  take(maxBytes: number): Taken {
    this.awake = false;
    this.told = false;
    if (this.closed) return { items: [], more: false };
    if (this.isBehind()) {
      this.hub.probe?.("watch-compacted");
      this.cancel();
      const { compactRevision } = this.hub.state.history;
      const message = `the watch stands at revision ${this.progress + 1}, and the oldest kept is ${compactRevision}`;
      return { items: [], more: false, ended: errorReply("COMPACTED", message, { compactRevision }, this.hub.state.revision) };
    }
    const items = this.scanAt >= 0 ? this.scan(maxBytes) : this.takeMatches(maxBytes);
    return { items, more: this.hasMore() };
  }

  /** Whether the history no longer has what this watcher must see next. */
  private isBehind(): boolean {
    const { history } = this.hub.state;
    if (this.scanAt < 0 && this.taken >= this.matches.length) return false;
    if (this.scanAt >= 0) return this.progressed + 1 < history.compactRevision;
    const next = this.matches[this.taken] as number;
    return next < history.start || history.revisionAt(next) < history.compactRevision;
  }

  private takeMatches(maxBytes: number): Uint8Array[] {
    const { history } = this.hub.state;
    const items: Uint8Array[] = [];
    let bytes = 0;
    while (this.taken < this.matches.length && bytes < maxBytes) {
      const revision = history.revisionAt(this.matches[this.taken] as number);
      const positions: number[] = [];
      while (this.taken < this.matches.length && history.revisionAt(this.matches[this.taken] as number) === revision) {
        positions.push(this.matches[this.taken++] as number);
      }
      const item = this.hub.encode(positions, this.request.previous);
      items.push(item);
      bytes += item.length;
      this.progressed = revision;
    }
    this.matches = this.matches.slice(this.taken);
    this.taken = 0;
    return items;
  }

  /** Reads the history for a while; at its end the watcher keeps up again. */
  private scan(maxBytes: number): Uint8Array[] {
    const { hub } = this;
    const { history, records } = hub.state;
    const items: Uint8Array[] = [];
    let bytes = 0;
    let budget = scanEventsMax;
    let position = Math.max(this.scanAt, history.start);
    while (position < hub.publishedPosition && bytes < maxBytes && budget > 0) {
      const revision = history.revisionAt(position);
      const positions: number[] = [];
      for (; position < hub.publishedPosition && history.revisionAt(position) === revision; position++, budget--) {
        const handle = history.at(position);
        if (this.wants(handle) && this.matchesKey(records.key(handle))) positions.push(position);
      }
      this.progressed = revision;
      if (positions.length === 0) continue;
      const item = hub.encode(positions, this.request.previous);
      items.push(item);
      bytes += item.length;
    }
    this.scanAt = position < hub.publishedPosition ? position : -1;
    return items;
  }

  cancel(): void {
    if (this.closed) return;
    this.closed = true;
    this.hub.close(this);
  }
}
