import type { NodeId } from "../base/index.ts";
import { isUnumError, limits } from "../base/index.ts";
import type { Timer } from "../ports/index.ts";
import type { Carrier, ConnectionPurpose } from "../wire/index.ts";
import { openConnection } from "./handshake.ts";
import type { LinksOptions } from "./links.ts";

const retryMsMin = 50;
const retryMsMax = 1_000;
const dialTimeoutMs = 1_000;

/**
 * This node's outgoing connection of one class to one other node. Nothing waits for it: what cannot
 * be sent now is dropped, and raft sends again. It dials when it is needed and after a loss.
 */
export class PeerConnection {
  private readonly options: LinksOptions;
  private readonly node: NodeId;
  private readonly purpose: ConnectionPurpose;
  private address: string;
  private carrier: Carrier | undefined;
  private dialing = false;
  private closed = false;
  private farewell = false;
  private retryMs = retryMsMin;
  private retry: Timer | undefined;
  private readonly onBroken: () => void;
  private readonly onLost: () => void;
  private readonly onOpen: () => void;
  private readonly onFrame: (frame: Uint8Array) => void;

  constructor(
    options: LinksOptions,
    node: NodeId,
    address: string,
    purpose: ConnectionPurpose,
    events: { onBroken(): void; onLost(): void; onOpen(): void; onFrame(frame: Uint8Array): void },
  ) {
    this.options = options;
    this.node = node;
    this.address = address;
    this.purpose = purpose;
    this.onBroken = events.onBroken;
    this.onLost = events.onLost;
    this.onOpen = events.onOpen;
    this.onFrame = events.onFrame;
  }

  get isOpen(): boolean {
    return this.carrier !== undefined;
  }

  get bufferedBytes(): number {
    return this.carrier?.bufferedBytes ?? 0;
  }

  /** Whether there is no connection and the last attempt to make one failed. */
  get isFailing(): boolean {
    return this.carrier === undefined && this.retryMs > retryMsMin;
  }

  setAddress(address: string): void {
    if (address === this.address) return;
    this.address = address;
    if (this.carrier === undefined) this.dialNow();
    else this.carrier.destroy();
  }

  /** False: there is no connection now, or its output is full; the frame is dropped. */
  send(frame: Uint8Array, body?: Uint8Array): boolean {
    if (this.carrier === undefined) {
      this.dial();
      return false;
    }
    if (this.carrier.bufferedBytes > limits.outputBytesMax) return false;
    this.carrier.send(frame, body);
    return true;
  }

  /** What was sent in this turn leaves now. */
  flush(): void {
    this.carrier?.flush();
  }

  /** The other side said that it goes on purpose: losing the connection hints nothing. */
  saidGoodbye(): void {
    this.farewell = true;
  }

  dial(): void {
    if (this.closed || this.dialing || this.carrier !== undefined || this.retry !== undefined) return;
    this.dialing = true;
    openConnection(this.options, this.address, this.options.hello(this.purpose), dialTimeoutMs).then(
      ({ carrier, welcome }) => {
        this.dialing = false;
        if (this.closed || welcome.node !== this.node) {
          carrier.destroy();
          if (this.closed) return;
          // Another member has taken the address over: it is told where that one is now.
          if (welcome.node !== undefined) this.options.onMet(welcome.node, welcome.address);
          this.later();
          return;
        }
        this.open(carrier);
      },
      (error: unknown) => {
        this.dialing = false;
        if (this.closed) return;
        this.later();
        if (isUnumError(error, "REMOVED")) this.options.onRemoved();
        else this.onLost();
      },
    );
  }

  /** The other side has just shown that it lives: a back-off that is under way ends. */
  dialNow(): void {
    this.retry?.cancel();
    this.retry = undefined;
    this.retryMs = retryMsMin;
    this.dial();
  }

  /** The connection is silent: it may be broken without anybody having said so. */
  reset(): void {
    this.carrier?.destroy();
  }

  private open(carrier: Carrier): void {
    this.carrier = carrier;
    this.farewell = false;
    this.retryMs = retryMsMin;
    carrier.handle({
      onFrame: (frame) => this.onFrame(frame),
      onDrain: () => undefined,
      onClose: () => {
        if (this.carrier !== carrier) return;
        this.carrier = undefined;
        if (this.closed) return;
        if (this.farewell) this.later();
        else {
          // At once: whether it is refused tells a dead process from a broken cable.
          this.onBroken();
          this.dial();
        }
      },
    });
    this.onOpen();
  }

  private later(): void {
    const delay = this.retryMs + this.options.prng.below(this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, retryMsMax);
    this.retry = this.options.clock.after(delay, () => {
      this.retry = undefined;
      this.dial();
    });
  }

  /** Ends it for good. `goodbye` was sent before, when this is on purpose. */
  close(): void {
    this.closed = true;
    this.retry?.cancel();
    this.retry = undefined;
    this.carrier?.close();
    this.carrier = undefined;
  }
}
