import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer as createHttp1 } from "node:http";
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { constants, createServer as createHttp2 } from "node:http2";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer } from "node:net";
import type { TLSSocket } from "node:tls";
import { createServer as createTls } from "node:tls";
import type { Address, Http, HttpExchange, HttpListener, HttpOptions } from "../../ports/index.ts";
import { Http1Exchange } from "./http-1.ts";
import { Http2Exchange } from "./http-2.ts";
import { streamError } from "./stream-errors.ts";

/** How long a new connection may say nothing. */
const silenceMs = 10_000;
/** The first bytes of every HTTP/2 connection in clear text. */
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const resetWindowMs = 10_000;
/** How often connections are looked at for answers that nobody reads. */
const sweepMs = 1_000;
/** HTTP/2 counts a field as its bytes and this. */
const fieldOverheadBytes = 32;

/** `node:http` and `node:http2` behind one port. */
export class NodeHttp implements Http {
  listen(address: Address, options: HttpOptions, accept: (exchange: HttpExchange) => void): Promise<HttpListener> {
    return new Promise((resolve, reject) => {
      const listener = new NodeHttpListener(address.host, options, accept);
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
  private readonly http2: Http2Server;
  private readonly sockets = new Set<Socket>();
  /** The open exchanges of each HTTP/2 connection. */
  private readonly exchanges = new Map<ServerHttp2Session, Set<Http2Exchange>>();
  private readonly sweep: NodeJS.Timeout;

  constructor(host: string, options: HttpOptions, accept: (exchange: HttpExchange) => void) {
    this.host = host;
    this.options = options;
    this.accept = accept;
    this.http1 = this.makeHttp1();
    this.http2 = this.makeHttp2();
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
          rejectUnauthorized: secure.clientRequired === true,
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
    for (const session of this.exchanges.keys()) session.close();
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
    for (const session of [...this.exchanges.keys()]) session.destroy();
    for (const socket of [...this.sockets]) socket.destroy();
  }

  private onSocket(socket: Socket): void {
    this.sockets.add(socket);
    socket.on("close", () => this.sockets.delete(socket));
    socket.on("error", () => undefined);
    const { alpnProtocol } = socket as TLSSocket;
    if (alpnProtocol === "h2") {
      this.http2.emit("connection", socket);
      return;
    }
    if (alpnProtocol === "http/1.1") {
      this.http1.emit("connection", socket);
      return;
    }
    this.sniff(socket);
  }

  /** The first bytes decide. They go back into the socket, where whoever takes it over finds them. */
  private sniff(socket: Socket): void {
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
      (maybe ? this.http2 : this.http1).emit("connection", socket);
      if (!maybe) socket.resume();
    };
    socket.on("data", onData);
    socket.on("close", () => clearTimeout(timer));
  }

  private makeHttp1(): ReturnType<typeof createHttp1> {
    const server = createHttp1({ maxHeaderSize: this.options.headBytesMax, keepAliveTimeout: 60_000, requestTimeout: 0 });
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      this.accept(new Http1Exchange(request, response));
    });
    server.on("clientError", (_error, socket) => {
      if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
      else socket.destroy();
    });
    return server;
  }

  private makeHttp2(): Http2Server {
    const { headBytesMax, streamsMax, windowBytes } = this.options;
    const server = createHttp2({
      settings: { maxConcurrentStreams: streamsMax, maxHeaderListSize: headBytesMax, initialWindowSize: windowBytes, enablePush: false },
      maxHeaderListPairs: Math.max(16, Math.floor(headBytesMax / fieldOverheadBytes)),
      maxSessionMemory: 64,
      maxOutstandingPings: 64,
    });
    server.on("session", (session) => this.onSession(session));
    server.on("sessionError", () => undefined);
    server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => this.onStream(stream, headers));
    return server;
  }

  private onSession(session: ServerHttp2Session): void {
    this.exchanges.set(session, new Set());
    session.setLocalWindowSize(this.options.windowBytes * 8);
    session.on("close", () => this.exchanges.delete(session));
    session.on("error", () => undefined);
  }

  private onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const session = stream.session as CountingSession | undefined;
    stream.on("aborted", () => {
      if (session !== undefined && stream.rstCode === constants.NGHTTP2_CANCEL) this.countReset(session);
    });
    const exchange = new Http2Exchange(stream, headers);
    if (session !== undefined) this.track(session, exchange, stream);
    this.accept(exchange);
  }

  private track(session: ServerHttp2Session, exchange: Http2Exchange, stream: ServerHttp2Stream): void {
    const open = this.exchanges.get(session);
    if (open === undefined) return;
    open.add(exchange);
    stream.on("close", () => open.delete(exchange));
  }

  /** A client that opens streams only to reset them makes us work for nothing. */
  private countReset(session: CountingSession): void {
    const now = performance.now();
    if (session.resetsSinceMs === undefined || now - session.resetsSinceMs > resetWindowMs) {
      session.resetsSinceMs = now;
      session.resets = 0;
    }
    session.resets = (session.resets ?? 0) + 1;
    if (session.resets > this.options.resetsMax) session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  private closeUnread(): void {
    for (const [session, exchanges] of this.exchanges) {
      let buffered = session.socket?.writableLength ?? 0;
      for (const exchange of exchanges) buffered += exchange.bufferedBytes;
      if (buffered > this.options.outputBytesMax) session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
    }
    for (const socket of this.sockets) if (socket.writableLength > this.options.outputBytesMax) socket.destroy();
  }
}

interface CountingSession extends ServerHttp2Session {
  resets?: number;
  resetsSinceMs?: number;
}
