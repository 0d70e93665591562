import { Code, Event_EventType, Watch } from "../../etcd/index.ts";
import type { Event, WatchRequestSchema, WatchResponse } from "../../etcd/index.ts";
import { tombstone } from "../../machine/commands/index.ts";
import type { WatchEvent, WatchRequest } from "../../machine/commands/index.ts";
import type { EngineWatch, WatchSink } from "../engine.ts";
import type { EtcdClient, EtcdStream } from "./client.ts";
import { EtcdFailure, refusalOf } from "./failure.ts";
import { keyValueOf, numberOf, revisionOf } from "./replies.ts";
import { rangeFields } from "./requests.ts";

/**
 * One watch over a stream of its own, so that a reader who stands still holds up nobody else. It ends with its stream: the handle asks
 * again from where it was, through whichever member answers.
 *
 * etcd tells every ten minutes how far a quiet watch is. To ask for it in between is not safe: up to 3.4.24 and 3.5.7 the answer may
 * overtake events that are still to come (etcd issue 15220), and a watch that resumed behind it would lose them.
 */
export class EtcdWatch implements EngineWatch {
  private readonly request: WatchRequest;
  private readonly sink: WatchSink;
  private readonly stream: EtcdStream<typeof WatchRequestSchema>;
  /** Of a revision that is too large for one message. */
  private pieces: Event[] = [];
  private over = false;

  constructor(client: EtcdClient, request: WatchRequest, sink: WatchSink) {
    this.request = request;
    this.sink = sink;
    this.stream = client.stream(Watch.method.watch, {
      onMessage: (answer) => this.answered(answer),
      onEnd: (failure) => this.failed(failure),
    });
    const value = {
      ...rangeFields(request),
      startRevision: BigInt(request.from),
      prevKv: request.previous,
      progressNotify: true,
      fragment: true,
    };
    this.stream.send({ requestUnion: { case: "createRequest", value } });
  }

  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }

  /** What was told is all that is certain. */
  askProgress(): void {
    // See above: etcd tells by itself.
  }

  cancel(): void {
    this.over = true;
    this.stream.cancel();
  }

  private answered(answer: WatchResponse): void {
    if (this.over) return;
    const revision = revisionOf(answer.header);
    if (answer.canceled) return this.canceled(answer, revision);
    // From then on: etcd begins behind the revision that it names.
    if (answer.created) return this.sink.changed({ revision: this.request.from > 0 ? this.request.from - 1 : revision, events: [] });
    if (answer.fragment || this.pieces.length > 0) {
      this.pieces.push(...answer.events);
      if (answer.fragment) return;
    }
    const events = this.pieces.length > 0 ? this.pieces : answer.events;
    this.pieces = [];
    if (events.length === 0) return this.sink.changed({ revision, events: [] });
    this.tell(events);
  }

  /** A message may hold many revisions, each of them whole. */
  private tell(events: readonly Event[]): void {
    let revision = 0;
    let change: WatchEvent[] = [];
    for (const event of events) {
      const told = eventOf(event);
      if (told.entry.modRevision !== revision && change.length > 0) {
        this.sink.changed({ revision, events: change });
        change = [];
      }
      revision = told.entry.modRevision;
      change.push(told);
    }
    this.sink.changed({ revision, events: change });
  }

  private canceled(answer: WatchResponse, revision: number): void {
    this.cancel();
    if (answer.compactRevision > 0n) {
      const compactRevision = numberOf(answer.compactRevision);
      return this.sink.ended({
        ok: false,
        revision,
        code: "COMPACTED",
        message: `The etcd has compacted up to revision ${compactRevision}.`,
        details: { compactRevision },
      });
    }
    this.end(new EtcdFailure(Code.canceled, answer.cancelReason, true), revision);
  }

  private failed(failure: EtcdFailure): void {
    if (this.over) return;
    this.over = true;
    this.end(failure, 0);
  }

  /** What is refused for good is told; all else can be asked again. */
  private end(failure: EtcdFailure, revision: number): void {
    try {
      this.sink.ended(refusalOf(failure, false, revision));
    } catch {
      this.sink.ended(undefined);
    }
  }
}

function eventOf({ kv, prevKv, type }: Event): WatchEvent {
  const previous = prevKv === undefined ? undefined : keyValueOf(prevKv);
  if (kv === undefined) throw new EtcdFailure(Code.internal, "an event without a key", true);
  const entry = keyValueOf(kv);
  if (type === Event_EventType.DELETE) return { kind: "delete", entry: tombstone(entry.key, entry.modRevision), previous };
  return { kind: "put", entry, previous };
}
