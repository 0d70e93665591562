import type { HttpExchange, HttpFields, HttpHandlers } from "../../ports/index.ts";
import type { Head } from "./heads.ts";

/** What an exchange asks of its connection. */
export interface Sender {
  readonly peer: string;
  readonly subject: string | undefined;
  sendHead(exchange: Exchange, status: number, fields: HttpFields, end: boolean): void;
  /** Sends a piece of the body now and whole, if that can be; false: nothing was sent, and nothing of it is kept. */
  sendWhole(exchange: Exchange, bytes: Uint8Array): boolean;
  /** Sends as much of the body as the windows allow; true when all of it is gone. */
  sendBody(exchange: Exchange, end: boolean): boolean;
  sendReset(exchange: Exchange): void;
  /** So many bytes of the request's body were taken. */
  consumed(exchange: Exchange, bytes: number): void;
  /** So many more (or fewer) bytes wait for a window. */
  queued(bytes: number): void;
  /** Both sides have ended, or one was enough. */
  finished(exchange: Exchange): void;
}

/** A stream of a connection. Invariant: while `waiting` has bytes, no head or end of this stream is sent behind them. */
export class Exchange implements HttpExchange {
  readonly version = "2" as const;
  readonly id: number;
  readonly method: string;
  readonly path: string;
  readonly fields: HttpFields;
  /** How much the client still takes. */
  sendWindow: number;
  /** How much the client may still send. */
  receiveWindow: number;
  /** Taken and not yet told. */
  unacknowledged = 0;
  remoteEnded = false;
  closed = false;
  /** The body that waits for a window: the first chunk is sent up to `sentOfFirst`. */
  readonly waiting: Uint8Array[] = [];
  sentOfFirst = 0;
  private readonly sender: Sender;
  private handlers: HttpHandlers | undefined;
  private trailers: HttpFields | undefined;
  private answered = false;
  private ended = false;
  private endSent = false;
  private waitingBytes = 0;
  private paused = false;
  /** What came while paused: bounded by the window. */
  private held: Uint8Array[] = [];

  constructor(id: number, head: Head, sender: Sender, sendWindow: number, receiveWindow: number) {
    this.id = id;
    this.method = head.method;
    this.path = head.path;
    this.fields = head.fields;
    this.sender = sender;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
  }

  get peer(): string {
    return this.sender.peer;
  }

  get subject(): string | undefined {
    return this.sender.subject;
  }

  get bufferedBytes(): number {
    return this.waitingBytes;
  }

  handle(handlers: HttpHandlers): void {
    this.handlers = handlers;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    const { held } = this;
    this.held = [];
    for (const bytes of held) this.data(bytes);
    if (this.remoteEnded && !this.paused && !this.closed) this.handlers?.onEnd();
  }

  reply(status: number, fields: HttpFields, body: Uint8Array | undefined, trailers?: HttpFields): void {
    if (this.closed || this.answered) return;
    const isWhole = body === undefined && trailers === undefined;
    this.answered = true;
    this.sender.sendHead(this, status, fields, isWhole);
    if (isWhole) {
      this.ended = true;
      this.finish();
      return;
    }
    if (body !== undefined) this.enqueue(body);
    this.end(trailers);
  }

  begin(status: number, fields: HttpFields): void {
    if (this.closed || this.answered) return;
    this.answered = true;
    this.sender.sendHead(this, status, fields, false);
  }

  write(bytes: Uint8Array): void {
    if (this.closed || this.ended) return;
    this.enqueue(bytes);
    this.flush();
  }

  writeLent(bytes: Uint8Array): void {
    if (this.closed || this.ended || bytes.length === 0) return;
    if (this.waitingBytes > 0 || !this.sender.sendWhole(this, bytes)) this.write(bytes.slice());
  }

  end(trailers?: HttpFields): void {
    if (this.closed || this.ended) return;
    this.ended = true;
    this.trailers = trailers;
    this.flush();
  }

  abort(): void {
    if (this.closed) return;
    this.sender.sendReset(this);
    this.close(false);
  }

  /** Sends what it can; called again when a window opens. */
  flush(): void {
    if (this.closed) return;
    const before = this.waitingBytes;
    const endsWithBody = this.ended && this.trailers === undefined;
    if (before > 0 || endsWithBody) {
      const gone = this.sender.sendBody(this, endsWithBody);
      if (!gone) return;
    }
    if (this.ended) {
      if (this.trailers !== undefined) this.sender.sendHead(this, 0, this.trailers, true);
      this.finish();
    }
  }

  /** So many bytes of `waiting` were sent. */
  sent(bytes: number): void {
    this.waitingBytes -= bytes;
    this.sender.queued(-bytes);
  }

  /** `waiting` was empty before and is again, after a window had kept it waiting. */
  drained(): void {
    if (!this.closed && !this.ended) this.handlers?.onDrain();
  }

  data(bytes: Uint8Array): void {
    if (this.closed) return;
    if (this.paused) {
      this.held.push(bytes.slice());
      return;
    }
    this.handlers?.onData(bytes);
    this.sender.consumed(this, bytes.length);
  }

  endOfRequest(): void {
    this.remoteEnded = true;
    if (this.closed) return;
    if (!this.paused) this.handlers?.onEnd();
    if (this.endSent) this.close(true);
  }

  /** The other side is gone, or has reset the stream. */
  close(complete: boolean): void {
    if (this.closed) return;
    this.closed = true;
    this.sender.queued(-this.waitingBytes);
    this.waitingBytes = 0;
    this.waiting.length = 0;
    this.held = [];
    this.sender.finished(this);
    this.handlers?.onClose(complete);
  }

  private enqueue(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.waiting.push(bytes);
    this.waitingBytes += bytes.length;
    this.sender.queued(bytes.length);
  }

  private finish(): void {
    if (this.endSent) return;
    this.endSent = true;
    // An answer that comes before the request is whole ends the request, too: nobody would read the rest.
    if (!this.remoteEnded) this.sender.sendReset(this);
    this.close(true);
  }
}
