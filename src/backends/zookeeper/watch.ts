import type { HandleClock } from "../../api/index.ts";
import type { WatchEvent, WatchRequest } from "../../machine/commands/index.ts";
import type { EngineWatch, WatchSink } from "../engine.ts";
import { isInRange } from "./copy.ts";
import { Refused, refusalIn } from "./failure.ts";
import { toldEntry } from "./layout.ts";
import type { HistoryRecord } from "./layout.ts";
import type { Store } from "./store.ts";

/**
 * One watch: a place in the history, which is told from there to its end, as far as its reader takes it. Who takes nothing holds up nobody; when
 * the history has moved on without it, the watch ends with COMPACTED.
 */
export class HistoryWatch implements EngineWatch {
  private readonly store: Store;
  private readonly clock: HandleClock;
  private readonly request: WatchRequest;
  private readonly sink: WatchSink;
  private readonly onOver: (watch: HistoryWatch) => void;
  /** The number that is told next; undefined before the beginning is told. */
  private next: number | undefined;
  private paused = false;
  private over = false;
  private wantsProgress = false;
  private planned = false;

  constructor(store: Store, clock: HandleClock, request: WatchRequest, sink: WatchSink, onOver: (watch: HistoryWatch) => void) {
    this.store = store;
    this.clock = clock;
    this.request = request;
    this.sink = sink;
    this.onOver = onOver;
    void this.begin();
  }

  private async begin(): Promise<void> {
    try {
      await this.store.fresh();
    } catch (error) {
      return this.end(refusalIn(error));
    }
    if (this.over) return;
    const { copy } = this.store;
    const { from } = this.request;
    if (from > 0 && from <= copy.compactRevision) return this.compacted();
    this.next = from === 0 ? copy.number + 1 : copy.numberFrom(from);
    this.sink.changed({ revision: from === 0 ? copy.revision : from - 1, events: [] });
    this.tellSoon();
  }

  /** The copy has moved. */
  advanced(): void {
    if (this.next !== undefined) this.tellSoon();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.tellSoon();
  }

  askProgress(): void {
    this.wantsProgress = true;
    this.tellSoon();
  }

  cancel(): void {
    this.over = true;
    this.onOver(this);
  }

  /** Nothing is told from within a call. */
  private tellSoon(): void {
    if (this.planned || this.over) return;
    this.planned = true;
    this.clock.defer(() => {
      this.planned = false;
      this.tell();
    });
  }

  private tell(): void {
    const { copy } = this.store;
    if (this.next === undefined) return;
    if (this.next > copy.number + 1) return this.compacted();
    while (!this.over && !this.paused && this.next <= copy.number) {
      const record = copy.record(this.next);
      if (record === undefined) return this.compacted();
      this.next++;
      const events = this.eventsOf(record);
      if (events.length > 0) this.sink.changed({ revision: record.revision, events });
    }
    if (!this.wantsProgress || this.over || this.next <= copy.number) return;
    this.wantsProgress = false;
    if (copy.revision >= this.request.from) this.sink.changed({ revision: copy.revision, events: [] });
  }

  private eventsOf({ changes, revision }: HistoryRecord): WatchEvent[] {
    if (revision < this.request.from) return [];
    const events: WatchEvent[] = [];
    for (const change of changes) {
      const kind = change.entry === undefined ? "delete" : "put";
      if ((kind === "put" ? this.request.noPut : this.request.noDelete) || !isInRange(this.request, change.key)) continue;
      events.push({ kind, entry: toldEntry(change, revision), previous: this.request.previous ? change.previous : undefined });
    }
    return events;
  }

  private compacted(): void {
    const { compactRevision } = this.store.copy;
    this.end(new Refused("COMPACTED", `The history up to revision ${compactRevision} is no longer kept.`, { compactRevision }));
  }

  /** Without a refusal it can be asked for again. */
  private end(refusal: Refused | undefined): void {
    if (this.over) return;
    this.cancel();
    this.sink.ended(refusal?.reply(this.store.copy.revision));
  }
}
