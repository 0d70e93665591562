import type { UnumError } from "../../base/index.ts";
import { Writer, limits } from "../../base/index.ts";
import { decodeReply, decodeWatchChange, encodeWatchRequest } from "../../machine/commands/index.ts";
import type { KeyRange, WatchChange } from "../../machine/commands/index.ts";
import { Method, fromWireError } from "../../wire/index.ts";
import type { Answer } from "../../wire/index.ts";
import type { Keyspace } from "../kv/keyspace.ts";
import type { Client } from "./client.ts";
import type { Connection, OpenStream, StreamSink } from "./connection.ts";
import { replyError } from "./replies.ts";
import { asError, isPassing, retryDelayMs } from "./retry.ts";

const creditBytes = limits.streamCreditBytes;

/** Who takes the changes. Nothing is called after `ended`, which comes at most once and not after `close`. */
export interface SubscriptionOwner {
  /** The first revision that is seen; once. */
  began(revision: number): void;
  /** Byte strings are valid only during the call. `bytes` go back by `consumed`. */
  changed(change: WatchChange, bytes: number): void;
  /** Everything up to this revision has been told. */
  progressed(revision: number): void;
  /** Whether a node is serving it. */
  live(live: boolean): void;
  /** `error` undefined: the handle was closed. */
  ended(error: UnumError | undefined): void;
}

/**
 * A watch over all the streams that serve it one after the other. Each later stream begins at the
 * revision behind the last one told, so nothing is lost, and what comes twice is dropped.
 *
 * A node begins each stream with a change without events, of the revision before the first it will
 * tell, and sends such a one from time to time: they move `next` where nothing happens in the range,
 * so that a resumption does not ask for what is no longer kept.
 *
 * Invariants: `next` is the first revision not yet told, 0 while nobody knows; `unconsumed` counts
 * bytes told and not given back, of which the first `debt` came by earlier streams: they are no
 * credit of the present one. No stream is opened while more than half of a credit is unconsumed, so
 * that a consumer who stands still holds no more than one and a half.
 */
export class Subscription implements StreamSink {
  private readonly client: Client;
  private readonly space: Keyspace;
  private readonly range: KeyRange;
  private readonly previous: boolean;
  private readonly owner: SubscriptionOwner;
  private next: number;
  private told = false;
  private stream: OpenStream | undefined;
  private serving = false;
  private opening = false;
  private attempts = 0;
  private unconsumed = 0;
  private debt = 0;
  private owed = 0;
  private finished = false;
  private wanting = false;
  /** The owner waits to be told how far the watch is, even when it is no further. */
  private asked = false;
  private avoid: Connection | undefined;
  private timer: { cancel(): void } | undefined;
  private release: (() => void) | undefined;
  private readonly releaseEnd: () => void;

  constructor(space: Keyspace, range: KeyRange, options: { readonly from: number; readonly previous: boolean }, owner: SubscriptionOwner) {
    this.client = space.client;
    this.space = space;
    this.range = range;
    this.next = options.from;
    this.previous = options.previous;
    this.owner = owner;
    this.releaseEnd = this.client.whenEnded(() => this.clientEnded());
    // In a turn of its own: the owner is not called while it is being made.
    this.client.clock.defer(() => this.open());
  }

  /** The consumer has done with so many bytes: as many more may come. */
  consumed(bytes: number): void {
    this.unconsumed -= bytes;
    const old = Math.min(this.debt, bytes);
    this.debt -= old;
    this.owed += bytes - old;
    if (this.wanting && this.unconsumed <= creditBytes / 2) this.open();
    if (this.stream === undefined || this.owed < creditBytes / 4) return;
    this.stream.credit(this.owed);
    this.owed = 0;
  }

  /** Asks for `progressed`: everything up to then is told before it. While no node serves the watch, the next one tells by itself. */
  askProgress(): void {
    this.asked = true;
    this.stream?.credit(0);
  }

  close(): void {
    if (this.finished) return;
    this.finished = true;
    this.releaseEnd();
    this.release?.();
    this.timer?.cancel();
    this.stream?.cancel();
    this.stream = undefined;
  }

  item(body: Uint8Array): void {
    if (this.finished) return;
    const change = decodeWatchChange(body);
    this.attempts = 0;
    this.unconsumed += body.length;
    if (!this.serving) {
      this.serving = true;
      this.owner.live(true);
    }
    if (!this.told) {
      this.told = true;
      this.owner.began(this.next > 0 ? this.next : change.events.length === 0 ? change.revision + 1 : change.revision);
    }
    const known = change.revision < this.next;
    // A watch that begins in the future is told to begin behind a revision that nobody has seen yet.
    if (!known) {
      this.next = change.revision + 1;
      this.space.note(change.revision);
    }
    if (known && change.events.length > 0) this.client.environment.probe?.("change-told-twice");
    if (change.events.length === 0 || known) {
      this.consumed(body.length);
      if (known && !this.asked) return;
      this.asked = false;
      this.owner.progressed(this.next - 1);
    } else this.owner.changed(change, body.length);
  }

  end(answer: Answer | undefined): void {
    if (this.finished) return;
    this.avoid = this.stream?.connection;
    this.stream = undefined;
    this.cutOff();
    // The first loss is made good at once. A stream that ends before it says anything may be what ends its connection.
    if (answer === undefined) return this.again(this.attempts++ === 0 ? 0 : retryDelayMs(this.attempts, this.client.environment.prng));
    const error = answer.ok ? endError(answer.body) : fromWireError(answer.error);
    if (error !== undefined && !isPassing(error.code) && error.retry !== "safe") return this.finish(error);
    this.attempts++;
    this.again(retryDelayMs(this.attempts, this.client.environment.prng));
  }

  private open(): void {
    if (this.finished || this.opening || this.stream !== undefined) return;
    this.wanting = this.unconsumed > creditBytes / 2;
    if (this.wanting) return;
    const group = this.space.group;
    if (group === undefined) return this.resolve();
    const request = new Writer(64);
    encodeWatchRequest(request, { ...this.range, from: this.next, previous: this.previous, noPut: false, noDelete: false });
    this.debt = this.unconsumed;
    this.owed = 0;
    this.stream = this.client.openStream(Method.watch, group, request.take(), this, this.avoid);
    this.avoid = undefined;
    if (this.stream === undefined) {
      this.release?.();
      this.release = this.client.whenConnected(() => this.open());
    }
  }

  private resolve(): void {
    this.opening = true;
    this.space.resolve({ timeout: limits.deadlineMsMax }).then(
      () => {
        this.opening = false;
        this.open();
      },
      (error: unknown) => {
        this.opening = false;
        if (!this.finished) this.finish(asError(error));
      },
    );
  }

  private again(delayMs: number): void {
    if (this.told) this.client.environment.probe?.("watch-goes-on-elsewhere");
    this.timer?.cancel();
    if (delayMs === 0) return this.open();
    this.timer = this.client.clock.after(delayMs, () => this.open());
  }

  private cutOff(): void {
    if (!this.serving) return;
    this.serving = false;
    this.owner.live(false);
  }

  private clientEnded(): void {
    if (this.finished) return;
    this.cutOff();
    const error = this.client.ended;
    this.finish(error?.code === "CLOSED" ? undefined : error);
  }

  private finish(error: UnumError | undefined): void {
    this.close();
    this.owner.ended(error);
  }
}

/** Why a node ended a stream in order: a machine's refusal, or nothing in particular. */
function endError(body: Uint8Array): UnumError | undefined {
  if (body.length === 0) return undefined;
  const reply = decodeReply(body);
  return reply.ok ? undefined : replyError(reply);
}
