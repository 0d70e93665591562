import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer as createHttp1 } from "node:http";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer } from "node:net";
import type { TLSSocket } from "node:tls";
import { createServer as createTls } from "node:tls";
import type { Address, Http, HttpExchange, HttpListener, HttpOptions, Stream } from "../../ports/index.ts";
import { Http1Exchange } from "./http-1.ts";
import { subjectOf } from "./http-peer.ts";
import { streamError } from "./stream-errors.ts";
import { NodeStream } from "./streams.ts";

/** How long a new connection may say nothing. */
const silenceMs = 10_000;
/** How long a connection of HTTP/1.1 that is kept may be idle, and then as long again for its next head. */
const headMs = 60_000;
/** The first bytes of every HTTP/2 connection in clear text. */
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/** How often connections are looked at for answers that nobody reads. */
const sweepMs = 1_000;
/** After the end, how long nothing may move before the rest is given up. */
const lingerMs = 5_000;

/** An HTTP/2 connection that is served. */
export interface Http2Connection {
  /** No new requests; ends when those in flight have. */
  leave(): void;
  destroy(): void;
}

/** Serves a connection whose first bytes are HTTP/2's. */
export type ServeHttp2 = (
  stream: Stream,
  subject: string | undefined,
  options: HttpOptions,
  accept: (exchange: HttpExchange) => void,
  closed: () => void,
) => Http2Connection;

/** One port for both: HTTP/1.1 is `node:http`'s, HTTP/2 whoever the root gives. */
export class NodeHttp implements Http {
  private readonly http2: ServeHttp2;

  constructor(http2: ServeHttp2) {
    this.http2 = http2;
  }

  listen(address: Address, options: HttpOptions, accept: (exchange: HttpExchange) => void): Promise<HttpListener> {
    return new Promise((resolve, reject) => {
      const listener = new NodeHttpListener(address.host, options, accept, this.http2);
      const { server } = listener;
      server.once("error", (error) => reject(streamError(error, "unreachable")));
      server.listen({ host: address.host, port: address.port }, () => {
        server.removeAllListeners("error");
        server.on("error", () => undefined);
        resolve(listener);
      });
    });
  }
}

class NodeHttpListener implements HttpListener {
  readonly server: Server;
  private readonly host: string;
  private readonly options: HttpOptions;
  private readonly accept: (exchange: HttpExchange) => void;
  private readonly http1: ReturnType<typeof createHttp1>;
  private readonly http2: ServeHttp2;
  private readonly sockets = new Set<Socket>();
  private readonly connections2 = new Set<Http2Connection>();
  /** Connections of HTTP/1.1: what is being answered, and while that is nothing, how long the next head may take. */
  private readonly waits = new Map<Socket, { requests: number; timer: NodeJS.Timeout | undefined }>();
  private readonly sweep: NodeJS.Timeout;

  constructor(host: string, options: HttpOptions, accept: (exchange: HttpExchange) => void, http2: ServeHttp2) {
    this.host = host;
    this.options = options;
    this.accept = accept;
    this.http1 = this.makeHttp1();
    this.http2 = http2;
    const onSocket = (socket: Socket): void => this.onSocket(socket);
    const { secure } = options;
    if (secure === undefined) this.server = createServer({ noDelay: true }, onSocket);
    else {
      this.server = createTls(
        {
          cert: secure.certificate,
          key: secure.key,
          ca: secure.clientAuthority,
          requestCert: secure.clientAuthority !== undefined,
          minVersion: secure.versionMin,
          maxVersion: secure.versionMax,
          rejectUnauthorized: secure.clientRequired === true,
          handshakeTimeout: silenceMs,
          ALPNProtocols: ["h2", "http/1.1"],
        },
        onSocket,
      );
      this.server.on("tlsClientError", () => undefined);
    }
    this.server.maxConnections = options.connectionsMax;
    this.sweep = setInterval(() => this.closeUnread(), sweepMs);
    this.sweep.unref();
  }

  get address(): Address {
    const bound = this.server.address() as AddressInfo | null;
    return { host: this.host, port: bound?.port ?? 0 };
  }

  get connections(): number {
    return this.sockets.size;
  }

  close(): Promise<void> {
    this.server.close();
    clearInterval(this.sweep);
    return Promise.resolve();
  }

  async stop(graceMs: number): Promise<void> {
    await this.close();
    for (const connection of [...this.connections2]) connection.leave();
    this.http1.closeIdleConnections();
    if (this.sockets.size > 0 && graceMs > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        for (const socket of this.sockets) {
          socket.once("close", () => {
            if (this.sockets.size > 0) return;
            clearTimeout(timer);
            resolve();
          });
        }
      });
    }
    for (const connection of [...this.connections2]) connection.destroy();
    for (const socket of [...this.sockets]) socket.destroy();
  }

  private onSocket(socket: Socket): void {
    this.sockets.add(socket);
    socket.on("close", () => this.sockets.delete(socket));
    socket.on("error", () => undefined);
    const { alpnProtocol } = socket as TLSSocket;
    if (alpnProtocol === "http/1.1") this.serveHttp1(socket);
    else this.sniff(socket, alpnProtocol === "h2");
  }

  /** The first bytes decide, or must be what was agreed on. They go back into the socket, where whoever takes it over finds them. */
  private sniff(socket: Socket, agreed: boolean): void {
    const timer = setTimeout(() => socket.destroy(), silenceMs);
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      length += chunk.length;
      const seen = Buffer.concat(chunks);
      const start = seen.toString("latin1", 0, Math.min(length, preface.length));
      const maybe = preface.startsWith(start);
      if (maybe && length < preface.length) return;
      clearTimeout(timer);
      socket.removeListener("data", onData);
      socket.pause();
      socket.unshift(seen);
      if (maybe) this.serveHttp2(socket);
      else if (agreed) socket.destroy();
      else {
        this.serveHttp1(socket);
        socket.resume();
      }
    };
    socket.on("data", onData);
    socket.on("close", () => clearTimeout(timer));
  }

  private makeHttp1(): ReturnType<typeof createHttp1> {
    const server = createHttp1({ maxHeaderSize: this.options.headBytesMax, keepAliveTimeout: headMs, requestTimeout: 0 });
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      const { socket } = request;
      this.begin(socket);
      response.on("close", () => this.finish(socket));
      this.accept(new Http1Exchange(request, response));
    });
    server.on("clientError", (_error, socket) => {
      if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
      else socket.destroy();
    });
    return server;
  }

  private serveHttp1(socket: Socket): void {
    this.waits.set(socket, { requests: 1, timer: undefined });
    socket.on("close", () => {
      clearTimeout(this.waits.get(socket)?.timer);
      this.waits.delete(socket);
    });
    this.finish(socket);
    this.http1.emit("connection", socket);
  }

  private begin(socket: Socket): void {
    const wait = this.waits.get(socket);
    if (wait === undefined) return;
    wait.requests++;
    clearTimeout(wait.timer);
  }

  /** While nothing is answered the next head must come. Node's own limit counts only for servers that listen themselves. */
  private finish(socket: Socket): void {
    const wait = this.waits.get(socket);
    if (wait === undefined || --wait.requests > 0) return;
    wait.timer = setTimeout(() => socket.destroy(), headMs * 2);
    wait.timer.unref();
  }

  /** The largest first, until what remains is within the limit. */
  private closeUnread(): void {
    const unread = [...this.sockets].map((socket) => ({ socket, bytes: socket.writableLength }));
    let total = unread.reduce((sum, { bytes }) => sum + bytes, 0);
    if (total <= this.options.outputBytesMax) return;
    unread.sort((a, b) => b.bytes - a.bytes);
    for (const { socket, bytes } of unread) {
      if (total <= this.options.outputBytesMax) return;
      total -= bytes;
      socket.destroy();
    }
  }

  private serveHttp2(socket: Socket): void {
    const connection = this.http2(new NodeStream(socket, lingerMs), subjectOf(socket), this.options, this.accept, () =>
      this.connections2.delete(connection),
    );
    this.connections2.add(connection);
    socket.resume();
  }
}
