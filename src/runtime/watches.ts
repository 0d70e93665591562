import { UnumError, Writer, limits } from "../base/index.ts";
import type { GroupId } from "../base/index.ts";
import { encodeWatchChange } from "../machine/index.ts";
import type { Watcher, WatchableMachine } from "../machine/index.ts";
import type { Replica } from "../replica/index.ts";
import { toWireError } from "../wire/index.ts";
import type { Call, ServerConnection, ServerStream } from "./connection.ts";

const takeBytesMax = 256 * 1024;
/** Well within the time that history is kept. */
const progressEveryMs = 30_000;

/**
 * The watches that this node serves, from its applied state: a follower as well as the leader.
 * Nothing is buffered per watch beyond its credit; who reads slowly is behind, and catches up from
 * the history.
 */
export class Watches {
  private readonly streams = new Map<GroupId, Set<WatchStream>>();
  private readonly ready = new Set<WatchStream>();
  private progressMs = 0;
  private readonly leaderlessTicks = new Map<GroupId, number>();

  get count(): number {
    let count = 0;
    for (const streams of this.streams.values()) count += streams.size;
    return count;
  }

  open(call: Call, replica: Replica): void {
    const machine = replica.machine as Partial<WatchableMachine>;
    if (machine.watch === undefined) {
      call.fail(new UnumError("UNSUPPORTED", "This group cannot be watched."));
      return;
    }
    const stream = new WatchStream(this, call, replica.group);
    stream.watcher = (replica.machine as WatchableMachine).watch(call.request.body, () => this.ready.add(stream));
    let streams = this.streams.get(replica.group);
    if (streams === undefined) {
      streams = new Set();
      this.streams.set(replica.group, streams);
    }
    streams.add(stream);
    call.connection.stream(call, stream);
    this.ready.add(stream);
  }

  /**
   * Called with every tick. Tells quiet watches how far they are, so that they can resume from there.
   * A node that hears of no leader for `leaderlessTicksMax` may be cut off: its watches go on elsewhere.
   */
  tick(nowMs: number, replicas: Iterable<Replica>, leaderlessTicksMax: number): void {
    for (const { group, leader } of replicas) {
      const ticks = leader === 0 ? (this.leaderlessTicks.get(group) ?? 0) + 1 : 0;
      this.leaderlessTicks.set(group, ticks);
      if (ticks === leaderlessTicksMax)
        this.end(group, new UnumError("UNAVAILABLE", "This node hears of no leader; the watch goes on elsewhere."));
    }
    if (nowMs - this.progressMs < progressEveryMs) return;
    this.progressMs = nowMs;
    for (const streams of this.streams.values()) for (const stream of streams) stream.tellProgress();
  }

  remove(stream: WatchStream): void {
    this.ready.delete(stream);
    this.streams.get(stream.group)?.delete(stream);
  }

  wake(stream: WatchStream): void {
    this.ready.add(stream);
  }

  /** Sends what there is, within each stream's credit. Called at the end of a turn; true when some is left. */
  pump(): void {
    for (const stream of this.ready) {
      this.ready.delete(stream);
      stream.pump();
    }
  }

  get hasWork(): boolean {
    return this.ready.size > 0;
  }

  /** The group can no longer be watched here: the handles go on elsewhere from where they are. */
  end(group: GroupId, error: UnumError): void {
    const streams = this.streams.get(group);
    if (streams === undefined) return;
    for (const stream of [...streams]) stream.end(error);
  }

  close(error: UnumError): void {
    for (const group of [...this.streams.keys()]) this.end(group, error);
  }
}

export class WatchStream implements ServerStream {
  readonly group: GroupId;
  watcher: Watcher | undefined;
  private readonly owner: Watches;
  private readonly connection: ServerConnection;
  private readonly id: number;
  private creditBytes: number = limits.streamCreditBytes;
  private started = false;
  private toldRevision = 0;
  private asked = false;

  constructor(owner: Watches, call: Call, group: GroupId) {
    this.owner = owner;
    this.connection = call.connection;
    this.id = call.request.id;
    this.group = group;
  }

  /** Credit of no bytes asks how far the watch is: answered behind everything up to then. */
  credit(bytes: number): void {
    if (bytes === 0) this.asked = true;
    this.creditBytes = Math.min(this.creditBytes + bytes, limits.streamCreditBytes);
    this.owner.wake(this);
  }

  cancel(): void {
    this.watcher?.cancel();
    this.watcher = undefined;
    this.owner.remove(this);
  }

  pump(): void {
    const { watcher } = this;
    if (watcher === undefined) return;
    if (!this.started) {
      this.started = true;
      // An empty change says where the watch begins: a write after this answer is always seen.
      this.connection.item(this.id, emptyChange(watcher.startRevision - 1));
    }
    while (this.creditBytes > 0) {
      const { items, more, ended } = watcher.take(Math.min(this.creditBytes, takeBytesMax));
      for (const item of items) {
        this.creditBytes -= item.length;
        this.connection.item(this.id, item);
      }
      if (ended !== undefined) {
        this.cancel();
        this.connection.end(this.id, { ok: true, body: ended });
        return;
      }
      if (more) continue;
      if (this.asked) this.answerProgress(watcher);
      return;
    }
  }

  private answerProgress(watcher: Watcher): void {
    this.asked = false;
    this.toldRevision = watcher.progress;
    this.connection.item(this.id, emptyChange(watcher.progress));
  }

  /** An empty change: everything up to its revision has been sent. Only when nothing waits to be sent. */
  tellProgress(): void {
    const { watcher } = this;
    if (watcher === undefined || !this.started || this.creditBytes <= 0 || watcher.progress <= this.toldRevision) return;
    this.pump();
    if (this.watcher === undefined || this.creditBytes <= 0) return;
    this.toldRevision = watcher.progress;
    this.connection.item(this.id, emptyChange(watcher.progress));
  }

  end(error: UnumError): void {
    this.cancel();
    this.connection.end(this.id, { ok: false, error: toWireError(error) });
  }
}

function emptyChange(revision: number): Uint8Array {
  const writer = new Writer(32);
  encodeWatchChange(writer, { revision, events: [] });
  return writer.take();
}
