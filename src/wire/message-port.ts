import { MalformedBytes, assert } from "../base/index.ts";
import type { Defer } from "./carrier.ts";
import { FrameDecoder, framePrefixBytes } from "./frames.ts";
import { putU32, u32At } from "./numbers.ts";
import { Slab } from "./slab.ts";
import { drainMarkBytes } from "./types.ts";
import type { Carrier, CarrierHandlers } from "./types.ts";

/** What is needed of a `MessagePort`, a `Worker` or `parentPort`, of Node or of a browser. */
export interface PortLike {
  postMessage(value: unknown, transfer?: readonly ArrayBuffer[]): void;
  /** Either events … */
  on?(event: "message" | "close", listener: (value: unknown) => void): unknown;
  /** … or a property. */
  onmessage?: ((event: { readonly data: unknown }) => void) | null;
  start?(): void;
  close?(): void;
}

/** [u32 bytes of frames that this side has consumed since it last said so], then the frames. */
const batchHeaderBytes = 4;

/**
 * Frames over a message port: the frames of a turn are copied into one buffer, which is transferred.
 * A port has no back-pressure, so each batch says how much its sender has consumed of the other
 * direction; `bufferedBytes` counts what was sent and not yet reported as consumed.
 */
export class MessagePortCarrier implements Carrier {
  readonly peer: string;
  private readonly port: PortLike;
  private readonly defer: Defer;
  private readonly decoder = new FrameDecoder();
  private readonly slab = new Slab();
  private handlers: CarrierHandlers | undefined;
  private outbox: Uint8Array[] = [];
  private outboxBytes = 0;
  private unconfirmedBytes = 0;
  private consumedBytes = 0;
  private high = false;
  private inbox: Uint8Array[] = [];
  private paused = false;
  private flushing = false;
  private delivering = false;
  private state: "open" | "closed" = "open";
  private ending: string | undefined;
  private ended = false;
  /** Destroyed or malformed: what was received is not passed on either. */
  private dead = false;

  constructor(port: PortLike, defer: Defer, peer = "worker") {
    this.port = port;
    this.defer = defer;
    this.peer = peer;
  }

  readonly incomingBytes: number = 0;

  get bufferedBytes(): number {
    return this.outboxBytes + this.unconfirmedBytes;
  }

  handle(handlers: CarrierHandlers): void {
    const first = this.handlers === undefined;
    this.handlers = handlers;
    if (!first) return;
    if (this.port.on === undefined) this.port.onmessage = (event) => this.onMessage(event.data);
    else {
      this.port.on("message", (value) => this.onMessage(value));
      this.port.on("close", () => this.end("closed"));
    }
    this.port.start?.();
    this.scheduleDelivery();
  }

  send(head: Uint8Array, body?: Uint8Array): void {
    if (this.state !== "open") return;
    assert(head.length > 0, "a frame has a type");
    const frame = body === undefined ? head : this.slab.join(head, body);
    this.outbox.push(frame);
    this.outboxBytes += framePrefixBytes + frame.length;
    if (this.bufferedBytes >= drainMarkBytes) this.high = true;
    this.scheduleFlush();
  }

  flush(): void {
    if (this.state === "open" && this.outbox.length > 0) this.post();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.scheduleDelivery();
  }

  /** What is queued goes out, then the word that ends: `null`. */
  close(): void {
    if (this.state !== "open") return;
    this.post();
    this.port.postMessage(null);
    this.end("closed");
  }

  destroy(): void {
    this.dead = true;
    this.outbox = [];
    this.inbox = [];
    if (this.state === "open") this.port.postMessage(null);
    this.end("destroyed");
  }

  private end(reason: string): void {
    this.state = "closed";
    this.ending ??= reason;
    this.outboxBytes = 0;
    this.unconfirmedBytes = 0;
    this.scheduleDelivery();
  }

  private scheduleFlush(): void {
    if (this.flushing) return;
    this.flushing = true;
    this.defer(this.runFlush);
  }

  private readonly runFlush = (): void => {
    this.flushing = false;
    if (this.state === "open") this.post();
  };

  /** One message with all frames of the turn, or with the confirmation alone. */
  private post(): void {
    if (this.outbox.length === 0 && this.consumedBytes === 0) return;
    const batch = new Uint8Array(batchHeaderBytes + this.outboxBytes);
    putU32(batch, 0, this.consumedBytes);
    let at = batchHeaderBytes;
    for (const frame of this.outbox) {
      putU32(batch, at, frame.length);
      batch.set(frame, at + framePrefixBytes);
      at += framePrefixBytes + frame.length;
    }
    this.unconfirmedBytes += this.outboxBytes;
    this.outbox = [];
    this.outboxBytes = 0;
    this.consumedBytes = 0;
    this.port.postMessage(batch.buffer, [batch.buffer]);
  }

  private onMessage(value: unknown): void {
    if (this.ended) return;
    if (value === null) return this.end("closed by the other side");
    if (!(value instanceof ArrayBuffer) || value.byteLength < batchHeaderBytes) return this.malformed("no batch of frames");
    const batch = new Uint8Array(value);
    const consumed = u32At(batch, 0);
    if (consumed > 0) this.confirm(consumed);
    if (batch.length === batchHeaderBytes || this.dead) return;
    this.inbox.push(batch.subarray(batchHeaderBytes));
    if (!this.paused && !this.delivering) this.deliver();
  }

  private confirm(bytes: number): void {
    this.unconfirmedBytes = Math.max(0, this.unconfirmedBytes - bytes);
    if (!this.high || this.bufferedBytes > 0) return;
    this.high = false;
    this.handlers?.onDrain();
  }

  private scheduleDelivery(): void {
    if (this.delivering || this.handlers === undefined) return;
    if (this.inbox.length === 0 && this.ending === undefined) return;
    this.delivering = true;
    this.defer(this.deliver);
  }

  private readonly deliver = (): void => {
    this.delivering = false;
    while (this.inbox.length > 0 && !this.paused) {
      const batch = this.inbox.shift() as Uint8Array;
      this.consumedBytes += batch.length;
      try {
        this.decoder.push(batch, this.onFrame);
      } catch (error) {
        if (!(error instanceof MalformedBytes)) throw error;
        this.malformed(error.message);
      }
    }
    if (this.state === "open" && this.consumedBytes > 0) this.scheduleFlush();
    if (this.ending === undefined || this.ended || this.inbox.length > 0) return;
    this.ended = true;
    this.handlers?.onClose(this.ending);
    this.port.close?.();
  };

  private readonly onFrame = (frame: Uint8Array): void => {
    if (!this.dead) this.handlers?.onFrame(frame, false);
  };

  private malformed(reason: string): void {
    this.ending ??= `malformed: ${reason}`;
    this.destroy();
  }
}
