import { Writer, limits } from "../../base/index.ts";
import type { GroupId, UnumError } from "../../base/index.ts";
import { commandBytes, encodeCommand, encodePut } from "../../machine/commands/index.ts";
import { Method } from "../../wire/index.ts";
import type { HandleClock } from "../types.ts";
import { Call } from "./call.ts";
import { expectResult } from "./replies.ts";

/** What a session needs of the client that it belongs to. */
export interface SessionOwner {
  readonly clock: HandleClock;
  readonly timeoutMs: number;
  /** Sends a call, now or when there is a node to ask. */
  dispatch(call: Call): void;
  finish(call: Call, error: UnumError): void;
  ask<T>(call: (resolve: (value: T) => void, reject: (reason: unknown) => void) => Call<T>): Promise<T>;
}

const window = limits.sessionRepliesMax;

/**
 * The registered identity of the handle in one group: it numbers the commands, so that one sent
 * again after a lost connection is applied exactly once.
 *
 * Invariants: `floor` is the lowest sequence whose reply has not been seen and which has not been
 * given up; every sequence from `floor` to `next` - 1 is in flight, parked, or marked in `done`;
 * `next` - `floor` never exceeds the replies that the machine keeps. A call waits in `queue` only
 * while the session is not open or the window is full.
 */
export class Session {
  private readonly owner: SessionOwner;
  private readonly group: GroupId;
  /** Commands are cut from its buffers. */
  private readonly writer = new Writer(1024);
  private id = 0n;
  private opening = false;
  private pumping = false;
  private next = 1;
  private floor = 1;
  private readonly done = new Uint8Array(window);
  private queue: Call[] = [];
  private queueAt = 0;
  private usedMs = 0;
  private usedWallMs = 0;

  constructor(owner: SessionOwner, group: GroupId) {
    this.owner = owner;
    this.group = group;
  }

  get isOpen(): boolean {
    return this.id !== 0n;
  }

  /** Calls that wait here, settled ones among them. */
  get waiting(): readonly Call[] {
    return this.queueAt === 0 ? this.queue : this.queue.slice(this.queueAt);
  }

  submit(call: Call): void {
    if (this.queue.length === 0 && this.ready()) this.send(call);
    else {
      this.queue.push(call);
      this.pump();
    }
  }

  /** The call has its reply, or nobody waits for one any more: the floor may rise over it. */
  settled(call: Call): void {
    if (call.sequence === 0 || call.session !== this.id) return;
    this.done[call.sequence % window] = 1;
    while (this.floor < this.next && this.done[this.floor % window] === 1) this.floor++;
    if (this.queue.length > 0) this.pump();
  }

  /** The machine does not know the session any more. Commands in flight stay with it; the next one opens another. */
  expired(session: bigint): void {
    if (session === this.id) this.id = 0n;
  }

  /** Tells the machine to forget the session. */
  close(): Promise<void> {
    const session = this.id;
    this.id = 0n;
    if (session === 0n) return Promise.resolve();
    const body = commandBytes({ kind: "session-close", session });
    return this.owner.ask<void>(
      (resolve, reject) =>
        new Call<void>(
          { method: Method.propose, group: this.group, body, priority: "system", effect: false, repeat: true, decode: () => undefined },
          this.owner.clock.now() + closeMs,
          resolve,
          reject,
        ),
    );
  }

  /** Whether a command may go now. A session that has been idle for long may be gone there: it is left before it refuses. */
  private ready(): boolean {
    if (this.id === 0n) return false;
    const idle = this.floor === this.next;
    if (idle && this.idleMs() > limits.sessionIdleMs / 2) {
      this.id = 0n;
      return false;
    }
    return this.next - this.floor < window;
  }

  /** By the larger of both clocks: a machine's monotonic clock stands still while it sleeps. */
  private idleMs(): number {
    return Math.max(this.owner.clock.now() - this.usedMs, this.owner.clock.wall() - this.usedWallMs);
  }

  /** A call whose time is over settles while it is sent, and asks for the next one: the loop goes on by itself then. */
  private pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    while (this.queueAt < this.queue.length) {
      const call = this.queue[this.queueAt] as Call;
      if (!call.settled && !this.ready()) {
        if (this.id === 0n) this.open();
        break;
      }
      this.queueAt++;
      if (!call.settled) this.send(call);
    }
    this.pumping = false;
    if (this.queueAt === this.queue.length) this.queue = [];
    else if (this.queueAt < 1024) return;
    else this.queue = this.queue.slice(this.queueAt);
    this.queueAt = 0;
  }

  private send(call: Call): void {
    const command = call.command;
    if (command === undefined) return;
    // Within a busy stretch the time of its beginning is good enough: at worst a session is opened too often.
    if (this.floor === this.next) {
      this.usedMs = this.owner.clock.now();
      this.usedWallMs = this.owner.clock.wall();
    }
    const sequence = this.next++;
    this.done[sequence % window] = 0;
    call.session = this.id;
    call.sequence = sequence;
    const writer = this.writer;
    writer.reset();
    if (command.kind === "put" && !command.previous && !command.ignoreValue && !command.ignoreLease) {
      encodePut(writer, this.id, sequence, this.floor, command.key, command.value, command.lease);
    } else encodeCommand(writer, { session: this.id, sequence, floor: this.floor }, command);
    call.body = writer.cut();
    this.owner.dispatch(call);
  }

  private open(): void {
    if (this.opening) return;
    this.opening = true;
    const asked = this.owner.ask<bigint>(
      (resolve, reject) =>
        new Call(
          {
            method: Method.propose,
            group: this.group,
            body: commandBytes({ kind: "session-open" }),
            priority: "system",
            // A session too many does no harm: it goes by itself when nobody uses it.
            effect: false,
            repeat: true,
            decode: decodeSession,
          },
          this.owner.clock.now() + this.owner.timeoutMs,
          resolve,
          reject,
        ),
    );
    asked.then(
      (id) => this.opened(id),
      (error: unknown) => this.openFailed(error),
    );
  }

  private opened(id: bigint): void {
    this.opening = false;
    this.id = id;
    this.next = 1;
    this.floor = 1;
    this.usedMs = this.owner.clock.now();
    this.usedWallMs = this.owner.clock.wall();
    this.pump();
  }

  /** Nothing of the waiting calls was sent. Only those are failed that were there before: a later call tries again. */
  private openFailed(error: unknown): void {
    this.opening = false;
    const waiting = this.queue.slice(this.queueAt);
    this.queue = [];
    this.queueAt = 0;
    const reason = error as UnumError;
    const retry = reason.code === "TIMEOUT" || reason.code === "UNAVAILABLE";
    for (const call of waiting) {
      if (call.settled) continue;
      // Their own deadlines end these, should the next attempt fail as well.
      if (retry && call.deadlineMs > this.owner.clock.now()) this.queue.push(call);
      else this.owner.finish(call, reason);
    }
    if (this.queue.length > 0) this.open();
  }
}

/** How long the handle's end waits for the machines to forget its sessions. */
const closeMs = 1000;

function decodeSession(body: Uint8Array): bigint {
  return expectResult(body, "session").result.session;
}
