import { IdMap, MalformedBytes, UnumError, limits } from "../base/index.ts";
import {
  FrameHeads,
  FrameType,
  decodeCancel,
  decodeCredit,
  decodeRequest,
  encodeEnd,
  encodeErrorResponse,
  toWireError,
} from "../wire/index.ts";
import type { Answer, Carrier, Request } from "../wire/index.ts";
import type { Crowd } from "./crowd.ts";
import { Patience } from "./patience.ts";
import type { Turnstile } from "./turnstile.ts";

/** Something on a connection that lasts: a watch, a backup. */
export interface ServerStream {
  /** The other side can take this many more bytes. */
  credit(bytes: number): void;
  /** The other side does not want it any more, or is gone. Sends nothing. */
  cancel(): void;
}

export interface ConnectionHandlers {
  onRequest(call: Call): void;
  /** This node had no room for a request; before its answer is sent. */
  onRefused(): void;
  /** The other side takes its answers again. */
  onDrained(connection: ServerConnection): void;
  onClose(connection: ServerConnection): void;
}

/**
 * One request in progress at this node. It answers exactly once; answers after a cancellation or
 * after the connection's end go nowhere.
 */
export class Call {
  readonly connection: ServerConnection;
  /** Its body is a view of the carrier's bytes, valid in the turn of its arrival only, until `retain`. */
  request: Request;
  /** By this node's monotonic clock. */
  readonly deadlineMs: number;
  readonly bodyBytes: number;
  /** Where it is counted as under way. */
  turnstile: Turnstile | undefined;
  private open = true;
  private retained = false;

  constructor(connection: ServerConnection, request: Request, deadlineMs: number) {
    this.connection = connection;
    this.request = request;
    this.deadlineMs = deadlineMs;
    this.bodyBytes = request.body.length;
  }

  /** The body is needed after this turn: it becomes the call's own. A put that is proposed at once never needs it. */
  retain(): void {
    if (this.retained) return;
    this.retained = true;
    this.request = { ...this.request, body: this.request.body.slice() };
  }

  get isOpen(): boolean {
    return this.open;
  }

  /** It is answered, or nobody waits for it any more: another one may get through. */
  private leave(): void {
    const { turnstile } = this;
    if (turnstile === undefined) return;
    this.turnstile = undefined;
    turnstile.left(this.bodyBytes);
  }

  reply(bytes: Uint8Array): void {
    this.leave();
    if (!this.open) return;
    this.open = false;
    this.connection.answer(this, bytes, undefined);
  }

  fail(error: UnumError): void {
    if (this.open && (error.code === "OVERLOADED" || error.code === "OUT_OF_SPACE")) this.connection.refused();
    this.answerError(error);
  }

  /** The answer of another node, passed on as it came: a refusal was counted there. */
  relay(answer: Answer): void {
    if (answer.ok) this.reply(answer.body);
    else this.answerError(new UnumError(answer.error.code, answer.error.message, answer.error));
  }

  private answerError(error: UnumError): void {
    this.leave();
    if (!this.open) return;
    this.open = false;
    this.connection.answer(this, undefined, error);
  }

  abandon(): void {
    this.open = false;
  }
}

/**
 * The server's side of one client connection: requests in, answers and stream items out, with the
 * limits of one connection. What the client says beyond them is refused here, before anything is
 * allocated for it.
 */
export class ServerConnection {
  readonly principal: string;
  readonly peer: string;
  private readonly carrier: Carrier;
  private readonly now: () => number;
  private readonly handlers: ConnectionHandlers;
  private readonly calls = new IdMap<Call>();
  private readonly streams = new Map<number, ServerStream>();
  private readonly heads = new FrameHeads();
  private readonly crowd: Crowd;
  private readonly patience = new Patience();
  private requestBytes = 0;
  private frames = 0;
  private sentBytes = 0;
  private closed = false;
  private paused = false;

  constructor(carrier: Carrier, principal: string, now: () => number, crowd: Crowd, handlers: ConnectionHandlers) {
    this.crowd = crowd;
    this.carrier = carrier;
    this.principal = principal;
    this.peer = carrier.peer;
    this.now = now;
    this.handlers = handlers;
  }

  /** Takes over the carrier: called after the handshake. */
  start(): void {
    this.carrier.handle({
      onFrame: (frame) => this.receive(frame),
      onDrain: () => this.drained(),
      onClose: () => this.ended(),
    });
  }

  /** Another node, which passes on what its own gate let through. */
  get isNode(): boolean {
    return this.principal.startsWith("node:");
  }

  /** Requests in flight, and their bytes. */
  get inFlight(): { readonly requests: number; readonly bytes: number } {
    return { requests: this.calls.size, bytes: this.requestBytes };
  }

  /** Bytes of requests in flight, of frames that have not come whole and of frames that the other side has not taken. */
  get heldBytes(): number {
    return this.requestBytes + this.carrier.incomingBytes + this.carrier.bufferedBytes;
  }

  /** The other side does not take its answers. */
  get isStuffed(): boolean {
    return this.paused;
  }

  /** Called with every tick: who begins a frame and does not end it, or does not read, is not waited for without an end. */
  tick(): void {
    const { carrier, frames, paused, sentBytes } = this;
    const incomingBytes = paused ? 0 : carrier.incomingBytes;
    const lost = this.patience.look(this.now(), { frames, incomingBytes, bufferedBytes: carrier.bufferedBytes, sentBytes });
    if (lost === "silent") {
      this.send(encodeErrorResponse(0, toWireError(new UnumError("TIMEOUT", "A frame was begun and not ended in time."))));
      this.close();
    } else if (lost === "deaf") this.carrier.destroy();
  }

  destroy(): void {
    this.carrier.destroy();
  }

  get isClosed(): boolean {
    return this.closed;
  }

  private receive(frame: Uint8Array): void {
    if (this.closed) return;
    this.frames++;
    try {
      switch (frame[0]) {
        case FrameType.request:
          this.begin(frame);
          break;
        case FrameType.cancel: {
          const { id } = decodeCancel(frame);
          this.forget(id);
          break;
        }
        case FrameType.credit: {
          const { id, bytes } = decodeCredit(frame);
          this.streams.get(id)?.credit(bytes);
          break;
        }
        case FrameType.goodbye:
          break;
        default:
          throw new MalformedBytes(`frame type ${frame[0]} is no client's`);
      }
    } catch (error) {
      if (!(error instanceof MalformedBytes)) throw error;
      this.send(encodeErrorResponse(0, toWireError(error)));
      this.close();
    }
  }

  private begin(frame: Uint8Array): void {
    const request = decodeRequest(frame);
    if (this.calls.has(request.id) || this.streams.has(request.id)) throw new MalformedBytes(`request ${request.id} is in flight already`);
    const call = new Call(this, request, this.now() + Math.min(request.remainingMs, limits.deadlineMsMax));
    this.calls.set(request.id, call);
    this.requestBytes += request.body.length;
    this.crowd.entered(request.body.length);
    if (request.body.length > limits.requestBytesMax) call.fail(new UnumError("TOO_LARGE"));
    else if (this.isNode) this.handlers.onRequest(call);
    else if (this.calls.size > limits.connectionRequestsMax)
      call.fail(new UnumError("OVERLOADED", `More than ${limits.connectionRequestsMax} requests are in flight on this connection.`));
    else if (this.requestBytes > limits.connectionBytesMax)
      call.fail(new UnumError("OVERLOADED", `More than ${limits.connectionBytesMax} bytes of requests are in flight on this connection.`));
    else if (this.crowd.isTooMuch(this.inFlight))
      call.fail(new UnumError("OVERLOADED", "This node has too many requests in flight, and this connection more than its share."));
    else if (this.streams.size > limits.connectionStreamsMax)
      call.fail(new UnumError("OVERLOADED", `More than ${limits.connectionStreamsMax} streams are open on this connection.`));
    else this.handlers.onRequest(call);
  }

  private release(call: Call): void {
    this.calls.delete(call.request.id);
    this.requestBytes -= call.bodyBytes;
    this.crowd.left(1, call.bodyBytes);
  }

  refused(): void {
    this.handlers.onRefused();
  }

  answer(call: Call, body: Uint8Array | undefined, error: UnumError | undefined): void {
    const { id } = call.request;
    if (this.calls.get(id) !== call) return;
    this.release(call);
    if (body !== undefined) this.send(this.heads.ok(id), body);
    else if (error !== undefined) this.send(encodeErrorResponse(id, toWireError(error)));
  }

  /** The call has become a stream: it is answered by items and an end. */
  stream(call: Call, stream: ServerStream): void {
    const { id } = call.request;
    this.release(call);
    call.abandon();
    if (this.closed) stream.cancel();
    else this.streams.set(id, stream);
  }

  item(id: number, body: Uint8Array): void {
    if (this.streams.has(id)) this.send(this.heads.item(id), body);
  }

  end(id: number, answer: Answer): void {
    if (this.streams.delete(id)) this.send(encodeEnd(id, answer));
  }

  send(frame: Uint8Array, body?: Uint8Array): void {
    if (this.closed) return;
    this.carrier.send(frame, body);
    this.sentBytes += frame.length + (body?.length ?? 0);
    const buffered = this.carrier.bufferedBytes;
    if (buffered > limits.outputBytesMax) this.carrier.destroy();
    else if (buffered > limits.streamCreditBytes && !this.paused) {
      // Whoever does not read its answers is not listened to either.
      this.paused = true;
      this.carrier.pause();
    }
  }

  private drained(): void {
    if (!this.paused) return;
    this.paused = false;
    this.carrier.resume();
    this.handlers.onDrained(this);
  }

  private forget(id: number): void {
    const call = this.calls.get(id);
    if (call !== undefined) {
      this.release(call);
      call.abandon();
    }
    const stream = this.streams.get(id);
    this.streams.delete(id);
    stream?.cancel();
  }

  private ended(): void {
    if (this.closed) return;
    this.closed = true;
    this.crowd.left(this.calls.size, this.requestBytes);
    for (const call of this.calls.all()) call.abandon();
    this.calls.clear();
    this.requestBytes = 0;
    for (const stream of this.streams.values()) stream.cancel();
    this.streams.clear();
    this.handlers.onClose(this);
  }

  /** Sends what is queued, then ends. */
  close(): void {
    this.carrier.close();
    this.ended();
  }
}
