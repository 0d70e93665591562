import { MalformedBytes } from "../base/index.ts";
import { Slab } from "./slab.ts";
import type { Defer } from "./carrier.ts";
import { drainMarkBytes } from "./types.ts";
import type { Carrier, CarrierHandlers } from "./types.ts";

/**
 * Two ends in one process. Frames are handed over, not copied, in a turn of their own: neither side
 * ever runs within a call of the other.
 */
export function directCarrierPair(
  defer: Defer,
  names: readonly [string, string] = ["direct", "direct"],
): readonly [DirectCarrier, DirectCarrier] {
  const a = new DirectCarrier(defer, names[1]);
  const b = new DirectCarrier(defer, names[0]);
  a.connect(b);
  b.connect(a);
  return [a, b];
}

/**
 * Invariant: `inbox` holds what the other end sent and this end's handler has not seen. `ending` is
 * set once nothing more will come; then `onClose` follows the inbox.
 */
export class DirectCarrier implements Carrier {
  readonly peer: string;
  private readonly defer: Defer;
  private readonly slab = new Slab();
  private other: DirectCarrier | undefined;
  private handlers: CarrierHandlers | undefined;
  private inbox: Uint8Array[] = [];
  private inboxBytes = 0;
  private high = false;
  private paused = false;
  private delivering = false;
  private open = true;
  private ending: string | undefined;
  private ended = false;

  constructor(defer: Defer, peer: string) {
    this.defer = defer;
    this.peer = peer;
  }

  connect(other: DirectCarrier): void {
    this.other = other;
  }

  readonly incomingBytes: number = 0;

  get bufferedBytes(): number {
    return this.other?.inboxBytes ?? 0;
  }

  handle(handlers: CarrierHandlers): void {
    this.handlers = handlers;
    this.schedule();
  }

  send(head: Uint8Array, body?: Uint8Array): void {
    const other = this.other;
    if (!this.open || other === undefined || other.ending !== undefined) return;
    const frame = body === undefined ? head : this.slab.join(head, body);
    other.inbox.push(frame);
    other.inboxBytes += frame.length;
    if (other.inboxBytes >= drainMarkBytes) other.high = true;
    other.schedule();
  }

  flush(): void {
    // What was sent is the other side's already.
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.schedule();
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.end("closed");
    this.other?.end("closed");
  }

  destroy(): void {
    this.open = false;
    this.drop();
    this.other?.drop();
    this.end("destroyed");
    this.other?.end("reset by the other side");
  }

  private drop(): void {
    this.inbox = [];
    this.inboxBytes = 0;
  }

  private end(reason: string): void {
    this.open = false;
    this.ending ??= reason;
    this.schedule();
  }

  private schedule(): void {
    if (this.delivering || this.handlers === undefined) return;
    if (this.paused && this.inbox.length > 0) return;
    if (this.inbox.length === 0 && this.ending === undefined) return;
    this.delivering = true;
    this.defer(this.deliver);
  }

  private pass(frame: Uint8Array): void {
    try {
      this.handlers?.onFrame(frame, false);
    } catch (error) {
      if (!(error instanceof MalformedBytes)) throw error;
      this.ending ??= `malformed: ${error.message}`;
      this.destroy();
    }
  }

  private readonly deliver = (): void => {
    this.delivering = false;
    const frames = this.inbox;
    let at = 0;
    while (at < frames.length && !this.paused && this.inbox === frames) {
      const frame = frames[at++] as Uint8Array;
      this.inboxBytes -= frame.length;
      this.pass(frame);
    }
    if (this.inbox === frames) frames.splice(0, at);
    if (this.inbox.length > 0) return this.schedule();
    if (this.high) {
      this.high = false;
      const other = this.other;
      if (other?.open) other.defer(() => other.open && other.handlers?.onDrain());
    }
    if (this.ending === undefined || this.ended) return;
    this.ended = true;
    this.handlers?.onClose(this.ending);
  };
}
