import { MalformedBytes, limits } from "../base/index.ts";
import { FrameBatcher } from "./batcher.ts";
import { FragmentAssembler } from "./fragments.ts";
import { FrameDecoder } from "./frames.ts";
import { FrameType, drainMarkBytes } from "./types.ts";
import type { Carrier, CarrierHandlers } from "./types.ts";

/** What a carrier needs of a byte stream: the stream port has this shape. */
export interface ByteStream {
  readonly peer: string;
  readonly bufferedBytes: number;
  /** True: bytes that were written and that `bufferedBytes` does not count any more may be changed. */
  readonly copies?: boolean;
  handle(handlers: ByteStreamHandlers): void;
  write(bytes: Uint8Array): void;
  pause(): void;
  resume(): void;
  close(): void;
  destroy(): void;
}

export interface ByteStreamHandlers {
  onData(bytes: Uint8Array): void;
  onDrain(): void;
  onClose(reason: { readonly code: string; readonly message: string } | undefined): void;
}

/** Runs callbacks at the end of the turn: the clock's `defer`. */
export type Defer = (callback: () => void) => void;

/** Pieces of large frames wait here, rather than in the stream, while it holds this much: small frames overtake them. */
const streamBytesMax = 256 * 1024;
/** And so much of them goes out in one turn, so that one large value does not take it all. */
const pieceBytesPerTurn = 256 * 1024;
/**
 * With less than this in the stream after a write it may tell no `onDrain`: the carrier then tells it
 * itself. At most what the platform takes as its mark.
 */
const streamBytesLow = 16 * 1024;

export interface StreamCarrierOptions {
  /** The largest frame accepted. A side that has not introduced itself yet deserves little. */
  readonly frameBytesMax?: number;
  /** The stream may lose or repeat writes (a simulated network between nodes). */
  readonly lossy?: boolean;
}

/**
 * Frames over a byte stream, which must tell `onDrain` when a write left `streamBytesLow` or more in it. All frames sent in a turn travel in one write of whole frames (a few
 * when they are many); large ones in pieces between them. Malformed input ends the connection.
 */
export class StreamCarrier implements Carrier {
  private readonly stream: ByteStream;
  private readonly defer: Defer;
  private readonly batcher = new FrameBatcher();
  private readonly decoder: FrameDecoder;
  private readonly assembler: FragmentAssembler;
  private handlers: CarrierHandlers | undefined;
  private flushing = false;
  /** `onDrain` is owed. */
  private high = false;
  private state: "open" | "closing" | "closed" = "open";
  private failure: string | undefined;

  constructor(stream: ByteStream, defer: Defer, options: StreamCarrierOptions = {}) {
    const frameBytesMax = options.frameBytesMax ?? limits.frameBytesMax;
    this.stream = stream;
    this.defer = defer;
    this.decoder = new FrameDecoder(frameBytesMax);
    this.assembler = new FragmentAssembler({ lossy: options.lossy ?? false, frameBytesMax });
  }

  /** Other options from the next frame on, when a handshake has told who is on the other side. */
  admit(options: StreamCarrierOptions): void {
    const frameBytesMax = options.frameBytesMax ?? limits.frameBytesMax;
    this.decoder.maxBytes = frameBytesMax;
    this.assembler.frameBytesMax = frameBytesMax;
    this.assembler.lossy = options.lossy ?? false;
  }

  get peer(): string {
    return this.stream.peer;
  }

  get incomingBytes(): number {
    return this.decoder.heldBytes + this.assembler.heldBytes;
  }

  get bufferedBytes(): number {
    return this.stream.bufferedBytes + this.batcher.queuedBytes;
  }

  /** May be called again: after a handshake another handler takes over, from the next frame on. */
  handle(handlers: CarrierHandlers): void {
    const first = this.handlers === undefined;
    this.handlers = handlers;
    if (!first) return;
    this.stream.handle({
      onData: (bytes) => this.onData(bytes),
      onDrain: () => this.onDrain(),
      onClose: (reason) => this.onClose(reason),
    });
  }

  send(frame: Uint8Array, body?: Uint8Array): void {
    if (this.state !== "open") return;
    this.batcher.push(frame, body);
    this.schedule();
  }

  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }

  /** The end of the turn, which `send` has asked for, tells `onDrain` and goes on with large frames. */
  flush(): void {
    if (this.state === "open" && this.batcher.queuedBytes > 0) this.write();
  }

  close(): void {
    if (this.state !== "open") return;
    this.state = "closing";
    this.batcher.drain(Number.POSITIVE_INFINITY, (chunk) => this.stream.write(chunk));
    this.stream.close();
  }

  destroy(): void {
    this.fail("destroyed");
  }

  private fail(reason: string): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.failure = reason;
    this.decoder.stop();
    this.stream.destroy();
  }

  private schedule(): void {
    if (this.flushing) return;
    this.flushing = true;
    this.defer(this.runFlush);
  }

  private readonly runFlush = (): void => {
    this.flushing = false;
    if (this.state !== "open" || !this.write()) return;
    if (!this.batcher.hasPieces) this.tellDrain(streamBytesLow);
    else if (this.stream.bufferedBytes < streamBytesMax) this.schedule();
  };

  /** False: the other side reads too slowly, and this was the end. */
  private write(): boolean {
    if (this.bufferedBytes >= drainMarkBytes) this.high = true;
    const room = this.stream.bufferedBytes < streamBytesMax;
    this.batcher.drain(room ? pieceBytesPerTurn : 0, this.writeChunk);
    if (this.stream.copies === true && this.stream.bufferedBytes === 0) this.batcher.reuse();
    if (this.bufferedBytes <= limits.outputBytesMax) return true;
    this.fail("the other side reads too slowly");
    return false;
  }

  private readonly writeChunk = (chunk: Uint8Array): void => this.stream.write(chunk);

  private tellDrain(belowBytes: number): void {
    if (!this.high || this.stream.bufferedBytes >= belowBytes) return;
    this.high = false;
    this.handlers?.onDrain();
  }

  private onData(bytes: Uint8Array): void {
    if (this.state === "closed") return;
    try {
      this.decoder.push(bytes, this.onFrame);
    } catch (error) {
      if (!(error instanceof MalformedBytes)) throw error;
      this.fail(`malformed: ${error.message}`);
    }
  }

  private readonly onFrame = (frame: Uint8Array): void => {
    if (frame[0] !== FrameType.fragment) return this.handlers?.onFrame(frame, false);
    const whole = this.assembler.push(frame);
    if (whole !== undefined) this.handlers?.onFrame(whole, true);
  };

  private onDrain(): void {
    if (this.state !== "open") return;
    if (this.batcher.hasPieces) this.schedule();
    else this.tellDrain(drainMarkBytes);
  }

  private onClose(reason: { readonly code: string; readonly message: string } | undefined): void {
    this.state = "closed";
    this.decoder.stop();
    const text =
      reason === undefined ? (this.decoder.partial ? "closed in the middle of a frame" : "closed") : `${reason.code}: ${reason.message}`;
    this.handlers?.onClose(this.failure ?? text);
  }
}
