import { MalformedBytes, concatBytes, emptyBytes } from "../../base/index.ts";
import type { HttpFields, Stream, StreamHandlers } from "../../ports/index.ts";
import type { Holder, Share } from "./backlog.ts";
import { Exchange } from "./exchange.ts";
import type { Sender } from "./exchange.ts";
import {
  ConnectionFailure,
  ErrorCode,
  Flag,
  FrameType,
  Output,
  Setting,
  blockOf,
  checkPreface,
  frameBytesMax,
  frameEnd,
  frameHeaderBytes,
  goawayOf,
  preface,
  settingsIn,
  settingsOf,
  streamOf,
  u32At,
  unpad,
  windowBytesDefault,
  windowBytesMax,
} from "./frames.ts";
import { Guard } from "./guard.ts";
import { HeadParts } from "./head-parts.ts";
import { HeadDecoder, HeadTooLarge, encodeHead } from "./heads.ts";
import type { ConnectionHost } from "./host.ts";

/** Beyond this in the socket, bodies wait in their streams. */
const socketBytesMax = 1024 * 1024;

/** One HTTP/2 connection of a client, over any byte stream. */
export class Connection implements Sender, StreamHandlers, Holder {
  readonly subject: string | undefined;
  readonly peer: string;
  private readonly stream: Stream;
  private readonly host: ConnectionHost;
  private readonly output: Output;
  private readonly decoder: HeadDecoder;
  private readonly guard: Guard;
  private readonly share: Share;
  private readonly exchanges = new Map<number, Exchange>();
  /** Those whose bodies wait for the connection's window or the socket, and not for their own window. */
  private readonly blocked = new Set<Exchange>();
  private input: Uint8Array = emptyBytes;
  private greeted = false;
  private lastId = 0;
  private sendWindow = windowBytesDefault;
  private receiveWindow: number;
  private unacknowledged = 0;
  private peerWindow = windowBytesDefault;
  private peerFrameBytes = frameBytesMax;
  /** A head that goes on in CONTINUATION frames. */
  private head: HeadParts | undefined;
  private queuedBytes = 0;
  private flushing = false;
  private over = false;
  private leaving = false;

  constructor(stream: Stream, subject: string | undefined, host: ConnectionHost) {
    this.stream = stream;
    this.peer = stream.peer;
    this.subject = subject;
    this.host = host;
    this.share = host.backlog.share(this);
    const { headBytesMax, resetsMax, windowBytes } = host.options;
    this.guard = new Guard(() => host.clock.now(), resetsMax);
    this.decoder = new HeadDecoder(headBytesMax);
    this.receiveWindow = windowBytes * 8;
    this.output = new Output((bytes) => {
      stream.write(bytes);
      return stream.copies === true && stream.bufferedBytes === 0;
    });
    this.output.frame(FrameType.settings, 0, 0, settingsOf(host.options));
    this.output.number(FrameType.windowUpdate, 0, this.receiveWindow - windowBytesDefault);
    this.schedule();
    stream.handle(this);
  }

  onData(bytes: Uint8Array): void {
    if (this.over) return;
    try {
      const rest = this.parse(this.input.length === 0 ? bytes : concatBytes([this.input, bytes]));
      this.input = rest.length === 0 ? emptyBytes : rest.slice();
    } catch (error) {
      this.fail(error);
    }
  }

  onDrain(): void {
    this.noteHeld();
    this.pump();
  }

  /** No new requests; ends when those in flight have. */
  leave(): void {
    if (this.over || this.leaving) return;
    this.leaving = true;
    this.goaway(ErrorCode.none);
    if (this.exchanges.size === 0) this.stop();
  }

  destroy(): void {
    this.stream.destroy();
    this.onClose();
  }

  sendHead(exchange: Exchange, status: number, fields: HttpFields, end: boolean): void {
    this.output.frame(FrameType.headers, Flag.endHeaders | (end ? Flag.endStream : 0), exchange.id, encodeHead(status, fields));
    this.schedule();
  }

  sendWhole(exchange: Exchange, bytes: Uint8Array): boolean {
    const { length } = bytes;
    if (length > this.sendWindow || length > exchange.sendWindow || length > this.peerFrameBytes || this.isStuffed) return false;
    this.output.data(exchange.id, bytes, this.peerFrameBytes);
    this.guard.countData();
    this.sendWindow -= length;
    exchange.sendWindow -= length;
    this.schedule();
    return true;
  }

  sendBody(exchange: Exchange, end: boolean): boolean {
    const { waiting } = exchange;
    this.schedule();
    while (waiting.length > 0) {
      const chunk = waiting[0] as Uint8Array;
      const left = chunk.length - exchange.sentOfFirst;
      const window = this.isStuffed ? 0 : Math.min(this.sendWindow, exchange.sendWindow);
      const bytes = Math.min(left, window, this.peerFrameBytes);
      if (bytes <= 0) {
        if (exchange.sendWindow > 0) this.blocked.add(exchange);
        return false;
      }
      const isLast = end && bytes === left && waiting.length === 1;
      this.output.frame(
        FrameType.data,
        isLast ? Flag.endStream : 0,
        exchange.id,
        chunk,
        exchange.sentOfFirst,
        exchange.sentOfFirst + bytes,
      );
      this.guard.countData();
      this.sendWindow -= bytes;
      exchange.sendWindow -= bytes;
      exchange.sentOfFirst += bytes;
      if (bytes === left) {
        waiting.shift();
        exchange.sentOfFirst = 0;
      }
      exchange.sent(bytes);
      if (isLast) return true;
    }
    if (end) this.output.frame(FrameType.data, Flag.endStream, exchange.id, undefined);
    return true;
  }

  sendReset(exchange: Exchange): void {
    this.output.number(FrameType.reset, exchange.id, exchange.remoteEnded ? ErrorCode.cancel : ErrorCode.none);
    this.schedule();
  }

  consumed(exchange: Exchange, bytes: number): void {
    this.giveBack(bytes);
    if (exchange.closed || exchange.remoteEnded) return;
    exchange.unacknowledged += bytes;
    if (exchange.unacknowledged < this.host.options.windowBytes / 2) return;
    this.output.number(FrameType.windowUpdate, exchange.id, exchange.unacknowledged);
    exchange.receiveWindow += exchange.unacknowledged;
    exchange.unacknowledged = 0;
    this.schedule();
  }

  private giveBack(bytes: number): void {
    this.unacknowledged += bytes;
    if (this.unacknowledged < this.host.options.windowBytes * 4) return;
    this.output.number(FrameType.windowUpdate, 0, this.unacknowledged);
    this.receiveWindow += this.unacknowledged;
    this.unacknowledged = 0;
    this.schedule();
  }

  queued(bytes: number): void {
    this.queuedBytes += bytes;
    if (bytes > 0) this.noteHeld();
  }

  letGo(): void {
    // In a turn of its own: whoever writes is not closed in the middle of it.
    this.host.clock.defer(() => this.fail(new ConnectionFailure(ErrorCode.calm, "answers are not read")));
  }

  private noteHeld(): void {
    if (!this.over) this.share.note(this.queuedBytes + this.output.length + this.stream.bufferedBytes);
  }

  finished(exchange: Exchange): void {
    this.exchanges.delete(exchange.id);
    this.blocked.delete(exchange);
    if (this.leaving && this.exchanges.size === 0) this.stop();
  }

  private get isStuffed(): boolean {
    return this.stream.bufferedBytes + this.output.length > socketBytesMax;
  }

  /** Takes whole frames and returns the rest. */
  private parse(bytes: Uint8Array): Uint8Array {
    let at = 0;
    if (!this.greeted) {
      if (bytes.length < preface.length) return bytes;
      checkPreface(bytes);
      at = preface.length;
      this.greeted = true;
    }
    for (let end = frameEnd(bytes, at); end > 0; end = frameEnd(bytes, at)) {
      this.frame(bytes[at + 3] as number, bytes[at + 4] as number, streamOf(bytes, at), bytes.subarray(at + frameHeaderBytes, end));
      at = end;
      if (this.over) return emptyBytes;
    }
    return at === 0 ? bytes : bytes.subarray(at);
  }

  private frame(type: number, flags: number, id: number, payload: Uint8Array): void {
    if (this.head !== undefined && type !== FrameType.continuation) throw new ConnectionFailure(ErrorCode.protocol, "a head was cut");
    switch (type) {
      case FrameType.data:
        return this.onDataFrame(flags, id, payload);
      case FrameType.headers:
        return this.onHeaders(flags, id, payload);
      case FrameType.continuation:
        return this.onContinuation(flags, id, payload);
      case FrameType.reset:
        return this.onReset(id, payload);
      case FrameType.settings:
        return this.onSettings(flags, id, payload);
      case FrameType.ping:
        return this.onPing(flags, payload);
      case FrameType.windowUpdate:
        return this.onWindowUpdate(id, payload);
      case FrameType.pushPromise:
        throw new ConnectionFailure(ErrorCode.protocol, "a client promises nothing");
      default:
        // Priorities are not kept; what we do not know is passed over.
        this.guard.countIdle();
    }
  }

  private onDataFrame(flags: number, id: number, payload: Uint8Array): void {
    if (id === 0 || id > this.lastId) throw new ConnectionFailure(ErrorCode.protocol, "data of no stream");
    const { length } = payload;
    this.receiveWindow -= length;
    if (this.receiveWindow < 0) throw new ConnectionFailure(ErrorCode.flowControl, "more data than the window has");
    const data = (flags & Flag.padded) === 0 ? payload : unpad(payload);
    const exchange = this.exchanges.get(id);
    if (exchange === undefined) {
      // It was reset here, and the client did not know yet.
      this.guard.countIdle();
      this.giveBack(length);
      return;
    }
    if (exchange.remoteEnded) throw new ConnectionFailure(ErrorCode.streamClosed, "data behind the end of a stream");
    exchange.receiveWindow -= length;
    if (exchange.receiveWindow < 0) throw new ConnectionFailure(ErrorCode.flowControl, "more data than the stream's window has");
    if (data.length < length) this.consumed(exchange, length - data.length);
    if (data.length > 0) exchange.data(data);
    else if ((flags & Flag.endStream) === 0) this.guard.countIdle();
    if ((flags & Flag.endStream) !== 0) exchange.endOfRequest();
  }

  private onHeaders(flags: number, id: number, payload: Uint8Array): void {
    const block = blockOf(flags, payload);
    if (id % 2 === 0) throw new ConnectionFailure(ErrorCode.protocol, "a client's streams are odd");
    const end = (flags & Flag.endStream) !== 0;
    if ((flags & Flag.endHeaders) !== 0) this.request(id, end, block);
    else this.head = new HeadParts(id, end, block);
  }

  private onContinuation(flags: number, id: number, payload: Uint8Array): void {
    const { head } = this;
    if (head === undefined) throw new ConnectionFailure(ErrorCode.protocol, "nothing is continued");
    head.add(id, payload, this.host.options.headBytesMax * 2);
    if ((flags & Flag.endHeaders) === 0) return;
    this.head = undefined;
    this.request(id, head.end, head.whole());
  }

  private request(id: number, end: boolean, block: Uint8Array): void {
    const known = this.exchanges.get(id);
    let head: ReturnType<HeadDecoder["decode"]>;
    try {
      head = this.decoder.decode(block);
    } catch (error) {
      if (error instanceof MalformedBytes) throw new ConnectionFailure(ErrorCode.compression, error.message);
      if (!(error instanceof HeadTooLarge)) throw error;
      this.lastId = Math.max(this.lastId, id);
      this.refuse(id, ErrorCode.calm);
      return known?.close(false);
    }
    if (known !== undefined) {
      // Trailers: nothing in them matters here, but they end the request.
      if (!end || known.remoteEnded) throw new ConnectionFailure(ErrorCode.protocol, "a second head");
      known.endOfRequest();
      return;
    }
    if (id <= this.lastId) {
      // Of a stream that was answered and reset already.
      this.guard.countIdle();
      return;
    }
    this.lastId = id;
    if (head.malformed) return this.refuse(id, ErrorCode.protocol);
    if (this.leaving || this.exchanges.size >= this.host.options.streamsMax) return this.refuse(id, ErrorCode.refused);
    const exchange = new Exchange(id, head, this, this.peerWindow, this.host.options.windowBytes);
    this.exchanges.set(id, exchange);
    this.host.accept(exchange);
    if (end) exchange.endOfRequest();
  }

  private refuse(id: number, code: ErrorCode): void {
    this.output.number(FrameType.reset, id, code);
    this.schedule();
    this.guard.countReset();
  }

  private onReset(id: number, payload: Uint8Array): void {
    if (payload.length !== 4) throw new ConnectionFailure(ErrorCode.frameSize, "a reset has four bytes");
    if (id === 0 || id > this.lastId) throw new ConnectionFailure(ErrorCode.protocol, "a reset of no stream");
    this.guard.countReset();
    this.exchanges.get(id)?.close(false);
  }

  private onSettings(flags: number, id: number, payload: Uint8Array): void {
    if (id !== 0) throw new ConnectionFailure(ErrorCode.protocol, "settings of a stream");
    if ((flags & Flag.ack) !== 0) return;
    for (const [name, value] of settingsIn(payload)) {
      if (name === Setting.initialWindowSize) this.resizeWindows(value);
      else if (name === Setting.maxFrameSize) this.peerFrameBytes = value;
    }
    this.guard.countIdle();
    this.output.frame(FrameType.settings, Flag.ack, 0, undefined);
    this.schedule();
    this.pump();
  }

  private resizeWindows(bytes: number): void {
    const change = bytes - this.peerWindow;
    if (change === 0) return;
    // It is work for every stream, which a client may not ask for as it likes.
    this.guard.countIdle(Math.ceil(this.exchanges.size / 100));
    this.peerWindow = bytes;
    for (const exchange of this.exchanges.values()) {
      exchange.sendWindow += change;
      if (exchange.bufferedBytes > 0 && exchange.sendWindow > 0) this.blocked.add(exchange);
    }
  }

  private onPing(flags: number, payload: Uint8Array): void {
    if (payload.length !== 8) throw new ConnectionFailure(ErrorCode.frameSize, "a ping has eight bytes");
    if ((flags & Flag.ack) !== 0) return;
    this.guard.countIdle();
    this.output.frame(FrameType.ping, Flag.ack, 0, payload);
    this.schedule();
  }

  private onWindowUpdate(id: number, payload: Uint8Array): void {
    if (payload.length !== 4) throw new ConnectionFailure(ErrorCode.frameSize, "a window update has four bytes");
    const bytes = u32At(payload, 0) & 0x7fff_ffff;
    if (id === 0) {
      if (bytes === 0) throw new ConnectionFailure(ErrorCode.protocol, "a window update of nothing");
      this.sendWindow += bytes;
      if (this.sendWindow > windowBytesMax) throw new ConnectionFailure(ErrorCode.flowControl, "a window is too large");
      this.pump();
      return;
    }
    const exchange = this.exchanges.get(id);
    if (id > this.lastId) throw new ConnectionFailure(ErrorCode.protocol, "a window of no stream");
    if (exchange === undefined) return;
    exchange.sendWindow += bytes;
    if (exchange.sendWindow > windowBytesMax || bytes === 0) return exchange.abort();
    if (exchange.bufferedBytes > 0) this.unblock(exchange);
  }

  /** A window or the socket has room: those that wait go on, in the order in which they began to wait. */
  private pump(): void {
    for (const exchange of this.blocked) {
      if (this.sendWindow <= 0 || this.isStuffed) return;
      this.unblock(exchange);
    }
  }

  private unblock(exchange: Exchange): void {
    this.blocked.delete(exchange);
    exchange.flush();
    if (exchange.bufferedBytes === 0) exchange.drained();
  }

  /** What a turn produced leaves at its end, in one write. */
  private schedule(): void {
    if (this.flushing || this.over) return;
    this.flushing = true;
    this.host.clock.deferLast(this.flush);
  }

  private readonly flush = (): void => {
    this.flushing = false;
    if (this.over || this.output.length === 0) return;
    this.output.leave();
    this.noteHeld();
    // What waited for this turn's output only goes on in the next one.
    if (this.blocked.size > 0) this.pump();
  };

  private goaway(code: ErrorCode): void {
    this.output.frame(FrameType.goaway, 0, 0, goawayOf(this.lastId, code));
    this.schedule();
  }

  private fail(error: unknown): void {
    if (this.over) return;
    if (!(error instanceof ConnectionFailure)) {
      this.destroy();
      throw error;
    }
    this.goaway(error.code);
    this.stop();
  }

  private stop(): void {
    this.flush();
    this.stream.close();
    this.onClose();
  }

  onClose(): void {
    if (this.over) return;
    this.over = true;
    this.share.note(0);
    for (const exchange of [...this.exchanges.values()]) exchange.close(false);
    this.host.closed(this);
  }
}
