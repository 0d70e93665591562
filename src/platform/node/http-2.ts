import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import type { HttpExchange, HttpFields, HttpHandlers } from "../../ports/index.ts";
import { peerOf, subjectOf } from "./http-peer.ts";

const noTrailers = {} as const;
const withTrailers = { waitForTrailers: true } as const;
const onlyHead = { endStream: true } as const;

/** An HTTP/2 stream. Invariant: after its `close` event no method touches it. */
export class Http2Exchange implements HttpExchange {
  readonly version = "2" as const;
  readonly method: string;
  readonly path: string;
  readonly fields: HttpFields;
  private readonly stream: ServerHttp2Stream;
  private handlers: HttpHandlers | undefined;
  private trailers: HttpFields | undefined;
  private requestEnded: boolean;
  private answered = false;
  private ended = false;
  private closed = false;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    this.stream = stream;
    this.method = headers[":method"] ?? "";
    this.path = headers[":path"] ?? "";
    this.fields = headers as HttpFields;
    this.requestEnded = stream.readableEnded;
    // What goes wrong with a stream shows in its `close`.
    stream.on("error", () => undefined);
    stream.on("close", () => this.onClose());
  }

  get peer(): string {
    return peerOf(this.stream.session?.socket);
  }

  get subject(): string | undefined {
    return subjectOf(this.stream.session?.socket);
  }

  get bufferedBytes(): number {
    return this.closed ? 0 : this.stream.writableLength;
  }

  handle(handlers: HttpHandlers): void {
    const first = this.handlers === undefined;
    this.handlers = handlers;
    if (!first) return;
    const { stream } = this;
    stream.on("data", (chunk: Buffer) => {
      if (!this.closed) this.handlers?.onData(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
    });
    stream.on("end", () => {
      this.requestEnded = true;
      if (!this.closed) this.handlers?.onEnd();
    });
    stream.on("drain", () => {
      if (!this.closed && !this.ended) this.handlers?.onDrain();
    });
  }

  pause(): void {
    if (!this.closed) this.stream.pause();
  }

  resume(): void {
    if (!this.closed) this.stream.resume();
  }

  reply(status: number, fields: HttpFields, body: Uint8Array | undefined, trailers?: HttpFields): void {
    if (this.closed || this.answered) return;
    if (body === undefined && trailers === undefined) {
      this.answered = true;
      this.ended = true;
      this.stream.respond({ ":status": status, ...fields }, onlyHead);
      this.finish();
      return;
    }
    this.begin(status, fields, trailers !== undefined);
    this.ended = true;
    this.trailers = trailers;
    if (body === undefined) this.stream.end();
    else this.stream.end(body);
    this.finish();
  }

  begin(status: number, fields: HttpFields, wantsTrailers = true): void {
    if (this.closed || this.answered) return;
    this.answered = true;
    const { stream } = this;
    stream.respond({ ":status": status, ...fields }, wantsTrailers ? withTrailers : noTrailers);
    if (wantsTrailers) stream.once("wantTrailers", () => stream.sendTrailers(this.trailers ?? {}));
  }

  write(bytes: Uint8Array): void {
    if (!this.closed && !this.ended) this.stream.write(bytes);
  }

  end(trailers?: HttpFields): void {
    if (this.closed || this.ended) return;
    this.ended = true;
    this.trailers = trailers;
    this.stream.end();
    this.finish();
  }

  abort(): void {
    if (this.closed) return;
    this.ended = true;
    this.stream.close(constants.NGHTTP2_CANCEL);
  }

  /** An answer that comes before the request is whole ends the request, too: nobody would read the rest. */
  private finish(): void {
    const { stream } = this;
    if (this.requestEnded || stream.readableEnded) return;
    stream.resume();
    stream.once("finish", () => {
      if (!this.requestEnded && !this.closed) stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }

  private onClose(): void {
    if (this.closed) return;
    this.closed = true;
    this.handlers?.onClose(this.ended && this.stream.rstCode === constants.NGHTTP2_NO_ERROR);
  }
}
