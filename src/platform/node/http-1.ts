import type { IncomingMessage, ServerResponse } from "node:http";
import type { HttpExchange, HttpFields, HttpHandlers } from "../../ports/index.ts";
import { peerOf, subjectOf } from "./http-peer.ts";

/** One request of an HTTP/1.1 connection. */
export class Http1Exchange implements HttpExchange {
  readonly version = "1.1" as const;
  readonly method: string;
  readonly path: string;
  readonly fields: HttpFields;
  private readonly request: IncomingMessage;
  private readonly response: ServerResponse;
  private handlers: HttpHandlers | undefined;
  private ended = false;
  private closed = false;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.response = response;
    this.method = request.method ?? "";
    this.path = request.url ?? "";
    const fields: Record<string, string> = {};
    for (const [name, value] of Object.entries(request.headers)) {
      if (value !== undefined) fields[name] = Array.isArray(value) ? value.join(", ") : value;
    }
    this.fields = fields;
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    response.on("close", () => this.onClose());
  }

  get peer(): string {
    return peerOf(this.request.socket);
  }

  get subject(): string | undefined {
    return subjectOf(this.request.socket);
  }

  get bufferedBytes(): number {
    return this.closed ? 0 : this.response.writableLength;
  }

  handle(handlers: HttpHandlers): void {
    const first = this.handlers === undefined;
    this.handlers = handlers;
    if (!first) return;
    this.request.on("data", (chunk: Buffer) => {
      if (!this.closed) this.handlers?.onData(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
    });
    this.request.on("end", () => {
      if (!this.closed) this.handlers?.onEnd();
    });
    this.response.on("drain", () => {
      if (!this.closed && !this.ended) this.handlers?.onDrain();
    });
  }

  pause(): void {
    if (!this.closed) this.request.pause();
  }

  resume(): void {
    if (!this.closed) this.request.resume();
  }

  reply(status: number, fields: HttpFields, body: Uint8Array | undefined): void {
    if (this.closed || this.ended) return;
    this.ended = true;
    this.response.writeHead(status, { ...fields, "content-length": body?.length ?? 0 });
    this.response.end(this.method === "HEAD" ? undefined : body);
    // A request that is still coming would keep the connection from its next one.
    this.request.resume();
  }

  writeLent(bytes: Uint8Array): void {
    this.write(bytes.slice());
  }

  begin(status: number, fields: HttpFields): void {
    if (this.closed || this.ended) return;
    this.response.writeHead(status, { ...fields });
    this.response.flushHeaders();
  }

  write(bytes: Uint8Array): void {
    if (!this.closed && !this.ended) this.response.write(bytes);
  }

  end(): void {
    if (this.closed || this.ended) return;
    this.ended = true;
    this.response.end();
    this.request.resume();
  }

  abort(): void {
    if (this.closed) return;
    this.ended = true;
    this.request.socket.destroy();
  }

  private onClose(): void {
    if (this.closed) return;
    this.closed = true;
    this.handlers?.onClose(this.ended && this.response.writableFinished);
  }
}
