import { UnumError } from "../base/index.ts";
import type { NodeId } from "../base/index.ts";
import type { Clock, Logger, Streams, Timer } from "../ports/index.ts";
import {
  FrameType,
  decodeEnd,
  decodeItem,
  decodePush,
  decodeResponse,
  encodeCancel,
  encodeCredit,
  encodeRequestFrame,
  fromWireError,
} from "../wire/index.ts";
import type { Answer, Carrier, Hello, Push, Request } from "../wire/index.ts";
import { openConnection } from "./handshake.ts";

/** Who waits for a forwarded request. */
export interface ForwardedCall {
  relay(answer: Answer): void;
  fail(error: UnumError): void;
}

export interface ForwardedStream {
  onItem(body: Uint8Array): void;
  onEnd(answer: Answer): void;
}

export interface ForwarderOptions {
  readonly streams: Streams;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly hello: () => Hello;
  readonly onPush: (push: Push) => void;
}

interface Waiting {
  readonly call: ForwardedCall | undefined;
  readonly stream: ForwardedStream | undefined;
  /** Not for streams: they last until somebody ends them. */
  readonly dueMs: number;
}

const dialTimeoutMs = 2_000;
/** While answers are awaited something is written at least so often. */
const proveEveryMs = 1_000;
const idleCloseMs = 60_000;
/** The other node answers a request at its deadline; only what it never answers is given up here, so much later. */
const overdueMs = 1_000;

/**
 * This node as a client of another one: requests that only the other can answer travel here, over
 * the same session protocol that handles speak.
 */
export class Forwarder {
  private readonly options: ForwarderOptions;
  private readonly address: string;
  readonly node: NodeId;
  private carrier: Carrier | undefined;
  private dialing = false;
  private closed = false;
  private wroteMs = 0;
  private lastId = 0;
  private idle: Timer | undefined;
  private readonly waiting = new Map<number, Waiting>();
  /** Until the connection stands, by request: what is cancelled before is never sent. */
  private queue: { readonly id: number; readonly frame: Uint8Array }[] = [];
  private sweptMs = 0;

  constructor(options: ForwarderOptions, node: NodeId, address: string) {
    this.options = options;
    this.node = node;
    this.address = address;
  }

  /** Sends a request; the caller's id is replaced by one of this connection. Returns a way to cancel. */
  send(request: Request, call: ForwardedCall | undefined, stream?: ForwardedStream): { cancel(): void; credit(bytes: number): void } {
    const id = this.nextId();
    const dueMs = stream === undefined ? this.options.clock.now() + request.remainingMs + overdueMs : Number.POSITIVE_INFINITY;
    this.waiting.set(id, { call, stream, dueMs });
    this.write(id, encodeRequestFrame({ ...request, id }));
    return {
      cancel: () => {
        if (this.waiting.delete(id) && this.carrier !== undefined) this.write(id, encodeCancel(id));
      },
      credit: (bytes) => {
        if (this.waiting.has(id)) this.write(id, encodeCredit(id, bytes));
      },
    };
  }

  private nextId(): number {
    do this.lastId = (this.lastId + 1) >>> 0;
    while (this.lastId === 0 || this.waiting.has(this.lastId));
    return this.lastId;
  }

  /**
   * Called with every tick of the node. A machine that lost its power sent no end; back again it knows nothing of
   * this connection and says so, but only to somebody who writes. Cancelling what is not there changes nothing.
   */
  tick(): void {
    if (this.waiting.size === 0) return;
    const now = this.options.clock.now();
    if (now - this.sweptMs >= overdueMs) this.giveUpOverdue(now);
    if (this.waiting.size === 0 || now - this.wroteMs < proveEveryMs) return;
    this.wroteMs = now;
    this.carrier?.send(encodeCancel(0));
  }

  /** A node that takes requests and never answers them must not hold what waits here for ever. */
  private giveUpOverdue(now: number): void {
    this.sweptMs = now;
    for (const [id, { call, dueMs }] of this.waiting) {
      if (dueMs > now) continue;
      this.waiting.delete(id);
      this.carrier?.send(encodeCancel(id));
      call?.fail(
        new UnumError("TIMEOUT", `Node ${this.node} at ${this.address} took the request and did not answer within its time.`, {
          outcome: "unknown",
        }),
      );
    }
    this.maybeIdle();
  }

  private write(id: number, frame: Uint8Array): void {
    this.wroteMs = this.options.clock.now();
    this.idle?.cancel();
    this.idle = undefined;
    if (this.carrier !== undefined) this.carrier.send(frame);
    else {
      this.queue.push({ id, frame });
      this.dial();
    }
  }

  private dial(): void {
    if (this.dialing || this.closed) return;
    this.dialing = true;
    openConnection(this.options, this.address, this.options.hello(), dialTimeoutMs).then(
      ({ carrier }) => {
        this.dialing = false;
        if (this.closed) {
          carrier.destroy();
          return;
        }
        this.carrier = carrier;
        carrier.handle({
          onFrame: (frame) => this.receive(frame),
          onDrain: () => undefined,
          onClose: (reason) => this.lost(reason),
        });
        for (const { id, frame } of this.queue.splice(0)) if (this.waiting.has(id)) carrier.send(frame);
        this.maybeIdle();
      },
      (cause: unknown) => {
        this.dialing = false;
        this.queue = [];
        this.failAll(
          () => new UnumError("UNAVAILABLE", `Node ${this.node} at ${this.address} cannot be reached; nothing was sent to it.`, { cause }),
        );
      },
    );
  }

  private receive(frame: Uint8Array): void {
    try {
      switch (frame[0]) {
        case FrameType.response: {
          const { id, answer } = decodeResponse(frame);
          const waiting = this.waiting.get(id);
          this.waiting.delete(id);
          waiting?.call?.relay(answer);
          waiting?.stream?.onEnd(answer);
          this.maybeIdle();
          break;
        }
        case FrameType.item: {
          const { id, body } = decodeItem(frame);
          this.waiting.get(id)?.stream?.onItem(body);
          break;
        }
        case FrameType.end: {
          const { id, answer } = decodeEnd(frame);
          const waiting = this.waiting.get(id);
          this.waiting.delete(id);
          waiting?.stream?.onEnd(answer);
          this.maybeIdle();
          break;
        }
        case FrameType.push: {
          const push = decodePush(frame);
          if (push !== undefined) this.options.onPush(push);
          break;
        }
      }
    } catch (error) {
      this.options.logger.warn("an answer of another node cannot be read; its connection is closed", {
        node: this.node,
        error: String(error),
      });
      this.carrier?.destroy();
    }
  }

  private maybeIdle(): void {
    if (this.waiting.size > 0 || this.idle !== undefined) return;
    this.idle = this.options.clock.after(idleCloseMs, () => {
      this.idle = undefined;
      if (this.waiting.size === 0) this.carrier?.close();
    });
  }

  private lost(reason: string): void {
    this.carrier = undefined;
    this.idle?.cancel();
    this.idle = undefined;
    this.failAll(() => new UnumError("UNKNOWN_OUTCOME", `The connection to node ${this.node} was lost (${reason}) before it answered.`));
  }

  private failAll(makeError: () => UnumError): void {
    const all = [...this.waiting.values()];
    this.waiting.clear();
    if (all.length === 0) return;
    const error = makeError();
    const answer: Answer = {
      ok: false,
      error: { code: error.code, message: error.message, outcome: error.outcome, retry: error.retry, details: error.details },
    };
    for (const { call, stream } of all) {
      call?.fail(error);
      stream?.onEnd(answer);
    }
  }

  close(): void {
    this.closed = true;
    this.idle?.cancel();
    this.carrier?.close();
    this.carrier = undefined;
    this.failAll(() => new UnumError("UNKNOWN_OUTCOME", `The connection to node ${this.node} was given up before it answered.`));
  }
}

/** For the runtime's own requests to other nodes. */
export function forwardAsPromise(forwarder: Forwarder, request: Request): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    forwarder.send(request, {
      relay: (answer) => {
        if (answer.ok) resolve(answer.body.slice());
        else reject(fromWireError(answer.error));
      },
      fail: reject,
    });
  });
}
