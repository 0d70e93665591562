import type { UnumError } from "../../../base/index.ts";
import { latin1Decode, limits } from "../../../base/index.ts";
import type { Timer } from "../../../ports/index.ts";
import { defineService } from "../grpc/index.ts";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Answers, Method, Questions } from "../grpc/index.ts";
import { Code, GrpcError, Watch, WatchCreateRequest_FilterType, etcdErrors } from "../../../etcd/index.ts";
import type { WatchCreateRequest, WatchRequest, WatchResponseSchema } from "../../../etcd/index.ts";
import { boundedNumber } from "../kv/operations.ts";
import type { Ground } from "../service.ts";
import { Feeds } from "./feeds.ts";
import { Sources } from "./sources.ts";
import type { EventInit, Told } from "./told.ts";
import { Watcher } from "./watcher.ts";
import type { WatcherOwner, WatchTerms } from "./watcher.ts";

/** What stands for no watch: in refusals of a creation, and in the progress of a whole stream. */
const noId = -1n;
/** Beyond this a client counts as slow: its watches get no further credit until it has read. */
const bufferedBytesMax = 1024 * 1024;
/** Watches of many clients are not told how far they are in one moment: as with etcd. */
const progressJitter = 0.1;
/** Requests of one stream that wait until it is known who may do what. */
const heldMax = 10_000;
/** Ids of watches that a compaction ended which one stream remembers. */
const compactedMax = 1_000;
/** A copy that is behind what was told already is asked again after this. */
const behindMs = 10;

export function watchService(ground: Ground): readonly Method[] {
  const sources = new Sources(ground.kv, limits.etcdWatchRangesMax);
  const house: House = { sources, feeds: new Feeds(sources, (revision) => ground.header(revision)), watches: 0 };
  return defineService(Watch, {
    watch: (answers) => new WatchStream(ground, house, answers),
  });
}

type Response = MessageInitShape<typeof WatchResponseSchema>;

/** What all streams have in common. */
interface House {
  readonly sources: Sources;
  readonly feeds: Feeds;
  /** Watches of all clients. */
  watches: number;
}

/** The watches of one stream, by ids that its client or we chose. */
class WatchStream implements Questions<WatchRequest>, WatcherOwner {
  private readonly ground: Ground;
  private readonly house: House;
  private readonly answers: Answers<Response>;
  private readonly watchers = new Map<bigint, Watcher>();
  /** Ended by a compaction and not by its client: as with etcd the id is taken until the client cancels it, too. */
  private readonly compacted = new Set<bigint>();
  private nextId = 0n;
  private held: WatchRequest[] | undefined;
  /** Those that a progress of the whole stream waits for; undefined: nobody asked. */
  private asked: Set<Watcher> | undefined;
  private floor = 0;
  private againTimer: Timer | undefined;
  private progressTimer: Timer | undefined;
  private readonly releaseLeader: () => void;

  constructor(ground: Ground, house: House, answers: Answers<Response>) {
    this.ground = ground;
    this.house = house;
    this.answers = answers;
    this.releaseLeader = ground.leaderRequired(answers.call, (error) => answers.fail(error));
  }

  get isReading(): boolean {
    return this.answers.bufferedBytes < bufferedBytesMax;
  }

  message(request: WatchRequest): void {
    if (this.held !== undefined || (request.requestUnion.case === "createRequest" && !this.ground.access.isOpen)) this.hold(request);
    else this.serve(request);
  }

  /** Where not everybody may do everything, a creation waits for what is so now, and what the client sends behind it waits, too. */
  private hold(request: WatchRequest): void {
    if (this.held === undefined) {
      this.held = [];
      this.ground.access
        .confirmed()
        .then(() => this.release())
        .catch((error: unknown) => this.answers.fail(this.ground.toStatus(error)));
    }
    if (this.held.length >= heldMax) throw etcdErrors.tooManyRequests();
    this.held.push(request);
  }

  private release(): void {
    const held = this.held ?? [];
    this.held = undefined;
    for (const request of held) if (!this.answers.call.isOver) this.serve(request);
  }

  private serve({ requestUnion: union }: WatchRequest): void {
    switch (union.case) {
      case "createRequest":
        return this.create(union.value);
      case "cancelRequest":
        return this.cancel(union.value.watchId);
      case "progressRequest":
        return this.askProgress();
      default:
        // etcd ignores what it does not know.
        return undefined;
    }
  }

  ended(): void {
    // As in etcd, the watches go on: only the client's own end of the stream ends them.
  }

  stopped(watcher: Watcher, compactRevision: number, error: UnumError | undefined): void {
    const header = this.ground.header(this.ground.kv.revision);
    if (compactRevision > 0) {
      if (this.compacted.size < compactedMax) this.compacted.add(watcher.terms.id);
      this.answers.send({ header, watchId: watcher.terms.id, canceled: true, compactRevision: BigInt(compactRevision) });
      return this.forget(watcher);
    }
    this.forget(watcher);
    this.answers.fail(error === undefined ? etcdErrors.stopped() : this.ground.toStatus(error));
  }

  drained(): void {
    for (const watcher of [...this.watchers.values()]) watcher.resume();
  }

  closed(): void {
    this.releaseLeader();
    this.progressTimer?.cancel();
    this.againTimer?.cancel();
    for (const watcher of this.watchers.values()) watcher.close();
    this.house.watches -= this.watchers.size;
    this.watchers.clear();
  }

  created(watcher: Watcher, revision: number): void {
    this.answers.send({ header: this.ground.header(revision), watchId: watcher.terms.id, created: true });
    if (watcher.terms.progress) this.armProgress();
  }

  events(watcher: Watcher, told: Told): void {
    const { fragment } = watcher.terms;
    if (!fragment || told.events.length === 1 || told.bytes < limits.requestBytesMax)
      this.answers.sendLent(told.frameFor(watcher.encodedId));
    else this.sendFragments(watcher, told);
  }

  progressed(watcher: Watcher): void {
    if (this.asked?.delete(watcher) === true && this.asked.size === 0) this.answerProgress();
    if (!watcher.noticed) return;
    watcher.noticed = false;
    this.answers.send({ header: this.headerUpTo(watcher.revision), watchId: watcher.terms.id });
  }

  private create(request: WatchCreateRequest): void {
    const terms = this.termsOf(request);
    const refusal = this.refusalOf(request, terms);
    if (refusal !== undefined) {
      const header = this.ground.header(this.ground.kv.revision);
      this.answers.send({ header, watchId: noId, created: true, canceled: true, cancelReason: refusal });
      return;
    }
    const watcher = new Watcher(this.ground, this.house.sources, terms, this);
    this.watchers.set(terms.id, watcher);
    this.house.watches++;
    watcher.start(this.house.feeds);
  }

  private termsOf(request: WatchCreateRequest): WatchTerms {
    return {
      id: request.watchId === 0n ? this.freeId() : request.watchId,
      // No key at all stands for the first one.
      key: request.key.length === 0 ? "\0" : latin1Decode(request.key),
      end: latin1Decode(request.rangeEnd),
      from: boundedNumber(request.startRevision),
      previous: request.prevKv,
      progress: request.progressNotify,
      fragment: request.fragment,
      filter: {
        noPut: request.filters.includes(WatchCreateRequest_FilterType.NOPUT),
        noDelete: request.filters.includes(WatchCreateRequest_FilterType.NODELETE),
      },
    };
  }

  private refusalOf(request: WatchCreateRequest, terms: WatchTerms): string | undefined {
    const { id, key, end } = terms;
    try {
      this.ground.access.rights(this.answers.call).read(key, end);
    } catch (error) {
      if (error instanceof GrpcError) return reasonOf(error);
      throw error;
    }
    if (request.startRevision < 0n) return etcdErrors.compacted().message;
    if (end !== "" && end !== "\0" && end <= key) return "mvcc: watcher range is empty";
    if (this.watchers.has(id) || this.compacted.has(id)) return "mvcc: duplicate watch ID provided on the WatchStream";
    return this.hasRoom(terms) ? undefined : etcdErrors.tooManyRequests().message;
  }

  private hasRoom(terms: WatchTerms): boolean {
    const { feeds, sources, watches } = this.house;
    return watches < limits.etcdWatchesMax && (terms.from > 0 ? !sources.isFull : feeds.hasRoom(terms));
  }

  private freeId(): bigint {
    while (this.watchers.has(this.nextId) || this.compacted.has(this.nextId)) this.nextId++;
    return this.nextId++;
  }

  private cancel(id: bigint): void {
    const watcher = this.watchers.get(id);
    const header = this.ground.header(this.ground.kv.revision);
    if (watcher === undefined) {
      if (this.compacted.delete(id)) this.answers.send({ header, watchId: id, canceled: true });
      return;
    }
    watcher.close();
    // A client waits for the beginning of what it asked for, also of what it does not want any more.
    if (!watcher.hasBegun) this.answers.send({ header, watchId: id, created: true });
    this.answers.send({ header, watchId: id, canceled: true });
    this.forget(watcher);
  }

  /** After its end was told: the others may have been waiting for it, and how far they are says nothing of a watch that its client still counts. */
  private forget(watcher: Watcher): void {
    if (this.watchers.delete(watcher.terms.id)) this.house.watches--;
    if (this.asked?.delete(watcher) === true && this.asked.size === 0) this.answerProgress();
  }

  /**
   * Of the whole stream: answered once every watch has been sent everything up to one revision, and that is no less than what this member has told
   * anybody when it was asked. The copy that serves a watch may be behind the leader, whose answer the client may have had.
   */
  private askProgress(): void {
    if (this.asked !== undefined) return;
    this.floor = this.ground.kv.revision;
    this.ask([...this.watchers.values()]);
  }

  private ask(watchers: readonly Watcher[]): void {
    this.asked = new Set(watchers);
    if (this.asked.size === 0) return this.answerProgress();
    for (const watcher of watchers) watcher.askProgress();
  }

  private answerProgress(): void {
    this.asked = undefined;
    let revision = Number.POSITIVE_INFINITY;
    for (const watcher of this.watchers.values()) revision = Math.min(revision, watcher.revision);
    if (revision < this.floor) {
      this.asked = new Set();
      this.againTimer = this.ground.clock.after(behindMs, () => {
        this.ask([...this.watchers.values()].filter((watcher) => watcher.revision < this.floor));
      });
      return;
    }
    this.answers.send({ header: this.headerUpTo(revision), watchId: noId });
  }

  /** A watch of the future has been told everything up to then, and nobody has seen that yet. */
  private headerUpTo(revision: number): ReturnType<Ground["header"]> {
    return this.ground.header(Math.min(revision, this.ground.kv.revision));
  }

  private armProgress(): void {
    if (this.progressTimer !== undefined) return;
    const [byte = 0] = this.ground.random.bytes(1);
    const delayMs = this.ground.progressEveryMs * (1 + (progressJitter * byte) / 256);
    this.progressTimer = this.ground.clock.after(delayMs, () => {
      this.progressTimer = undefined;
      for (const watcher of this.watchers.values()) {
        if (!watcher.terms.progress) continue;
        if (!watcher.active) {
          watcher.noticed = true;
          watcher.askProgress();
        }
        watcher.active = false;
      }
      this.armProgress();
    });
  }

  private sendFragments(watcher: Watcher, { header, events }: Told): void {
    let piece: EventInit[] = [];
    let bytes = 0;
    const send = (fragment: boolean): void => {
      this.answers.send({ header, watchId: watcher.terms.id, events: piece, fragment });
      piece = [];
      bytes = 0;
    };
    for (const event of events) {
      const size = eventBytes(event);
      if (piece.length > 0 && bytes + size >= limits.requestBytesMax) send(true);
      piece.push(event);
      bytes += size;
    }
    send(false);
  }
}

/** About what an event takes: its keys and values, and numbers. */
function eventBytes({ kv, prevKv }: EventInit): number {
  return 64 + (kv?.key?.length ?? 0) + (kv?.value?.length ?? 0) + (prevKv?.key?.length ?? 0) + (prevKv?.value?.length ?? 0);
}

/** etcd gives a watch's refusal as its own client would print it. */
function reasonOf({ code, message }: GrpcError): string {
  const names: Partial<Record<Code, string>> = {
    [Code.invalidArgument]: "InvalidArgument",
    [Code.permissionDenied]: "PermissionDenied",
    [Code.unauthenticated]: "Unauthenticated",
  };
  return `rpc error: code = ${names[code] ?? "Unknown"} desc = ${message}`;
}
