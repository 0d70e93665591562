import { connect, createServer } from "node:net";
import type { NetConnectOpts, Server, Socket } from "node:net";
import { TLSSocket, connect as connectTls, createServer as createTls } from "node:tls";
import { StreamError, formatAddress } from "../../ports/index.ts";
import type { Address, Listener, Stream, StreamHandlers, StreamPurpose, StreamSecurity, Streams } from "../../ports/index.ts";
import { streamError } from "./stream-errors.ts";

export interface NodeStreamsOptions {
  /** Accepted connections per listener; more are dropped. Default 4,096. */
  readonly maxConnections?: number;
  /** After `close`, how long nothing may move before the rest is given up. Default 5,000. */
  readonly lingerMs?: number;
  /** Told when the operating system could not accept a connection (no file descriptors, say); the listener goes on. */
  readonly onAcceptError?: (error: Error) => void;
  /** Default: clear text. */
  readonly secure?: StreamSecurity | undefined;
}

/** A dead peer of an idle connection is noticed after this and the system's probes. */
const keepAliveMs = 15_000;
/** `onDrain` follows a write that left so much or more; the same with every version of Node. */
const markBytes = 16 * 1024;

/** A connection that has not agreed on TLS by then is dropped. */
const handshakeMs = 10_000;

/** TCP, and TLS over it. */
export class NodeStreams implements Streams {
  private readonly options: Required<NodeStreamsOptions>;

  constructor(options: NodeStreamsOptions = {}) {
    this.options = {
      maxConnections: options.maxConnections ?? 4096,
      lingerMs: options.lingerMs ?? 5000,
      onAcceptError: options.onAcceptError ?? (() => undefined),
      secure: options.secure,
    };
  }

  listen(address: Address, accept: (stream: Stream) => void): Promise<Listener> {
    return new Promise((resolve, reject) => {
      const server = this.server((socket) => accept(new NodeStream(socket, this.options.lingerMs)));
      server.maxConnections = this.options.maxConnections;
      server.once("error", (error) => reject(streamError(error, "unreachable")));
      server.listen({ host: address.host, port: address.port }, () => {
        server.removeAllListeners("error");
        server.on("error", this.options.onAcceptError);
        resolve(new NodeListener(server, address.host));
      });
    });
  }

  private server(accept: (socket: Socket) => void): Server {
    const socketOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs, highWaterMark: markBytes };
    const { secure } = this.options;
    if (secure === undefined) return createServer(socketOptions, accept);
    const { authority: ca, certificate: cert, dialerRequired, key } = secure;
    const tls = { cert, key, ca, requestCert: dialerRequired, rejectUnauthorized: dialerRequired, handshakeTimeout: handshakeMs };
    const server = createTls({ ...socketOptions, ...tls }, accept);
    server.on("tlsClientError", () => undefined);
    return server;
  }

  dial(address: Address, options: { readonly timeoutMs: number; readonly purpose: StreamPurpose }): Promise<Stream> {
    return new Promise((resolve, reject) => {
      // The mark is an option of every stream; only the types of `connect` do not know it.
      const target: NetConnectOpts & { readonly highWaterMark: number } = {
        host: address.host,
        port: address.port,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: keepAliveMs,
        highWaterMark: markBytes,
      };
      const { secure } = this.options;
      const socket = secure === undefined ? connect(target) : connectSecurely(target, secure);
      const onError = (error: Error): void => {
        clearTimeout(timer);
        reject(streamError(error, "unreachable"));
      };
      const timer = setTimeout(() => {
        socket.destroy();
        reject(new StreamError("timeout", `${formatAddress(address)} did not answer within ${options.timeoutMs} ms`));
      }, options.timeoutMs);
      socket.once("error", onError);
      socket.once(secure === undefined ? "connect" : "secureConnect", () => {
        clearTimeout(timer);
        socket.removeListener("error", onError);
        resolve(new NodeStream(socket, this.options.lingerMs));
      });
    });
  }
}

function connectSecurely(target: NetConnectOpts, { authority: ca, certificate: cert, key, verified }: StreamSecurity): Socket {
  const socket = connectTls({ ...target, ca, cert, key, rejectUnauthorized: verified });
  // Options of the connection that the secure one does not pass on.
  return socket.setNoDelay(true).setKeepAlive(true, keepAliveMs);
}

class NodeListener implements Listener {
  readonly address: Address;
  private readonly server: Server;

  constructor(server: Server, host: string) {
    this.server = server;
    const bound = server.address();
    this.address = { host, port: typeof bound === "object" && bound !== null ? bound.port : 0 };
  }

  /** The address is free at once; the server's own callback would wait for the accepted connections. */
  close(): Promise<void> {
    this.server.close();
    return Promise.resolve();
  }
}

/**
 * Invariant: the socket's events are listened to from the first moment, so that none is lost before
 * `handle`; bytes wait in the socket until then. After `onClose` the handlers are `silent`.
 */
export class NodeStream implements Stream {
  readonly peer: string;
  /** What the socket does not count is in the kernel. */
  readonly copies = true;
  private readonly socket: Socket;
  private readonly lingerMs: number;
  private handlers: StreamHandlers | undefined;
  private open = true;
  private failure: StreamError | undefined;
  private destroyed = false;
  private gone = false;

  constructor(socket: Socket, lingerMs: number) {
    this.socket = socket;
    this.lingerMs = lingerMs;
    this.peer = formatAddress({ host: socket.remoteAddress ?? "unknown", port: socket.remotePort ?? 0 });
    socket.on("error", (error) => {
      this.failure ??= streamError(error, "reset");
    });
    socket.on("close", () => {
      this.gone = true;
      this.tellClose();
    });
    // The other side has ended: what is queued here still goes out, then this side ends, too.
    socket.on("end", () => this.close());
    socket.on("drain", () => {
      if (this.open) this.handlers?.onDrain();
    });
    socket.on("timeout", () => this.destroy());
  }

  get bufferedBytes(): number {
    return this.socket.writableLength;
  }

  handle(handlers: StreamHandlers): void {
    const first = this.handlers === undefined;
    this.handlers = handlers;
    if (!first) return;
    if (this.gone) setImmediate(() => this.tellClose());
    else {
      // A plain view: `subarray` of a Buffer costs its receivers more.
      this.socket.on("data", (chunk: Buffer) => {
        if (this.open) this.handlers?.onData(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
      });
    }
  }

  write(bytes: Uint8Array): void {
    if (this.open && bytes.length > 0) this.socket.write(bytes);
  }

  pause(): void {
    if (this.open) this.socket.pause();
  }

  resume(): void {
    if (this.open && this.handlers !== undefined) this.socket.resume();
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.socket.setTimeout(this.lingerMs);
    this.socket.end();
    // What still arrives is read and dropped: unread bytes would hide the other side's end.
    this.socket.resume();
  }

  /** A reset rather than an end, so that the other side does not take a cut stream for a whole one. */
  destroy(): void {
    if (this.destroyed || this.gone) return;
    this.destroyed = true;
    this.open = false;
    this.failure ??= new StreamError("closed", "destroyed on this side");
    // Under TLS the system's connection is out of reach; there a stream that is cut lacks its end.
    if (this.socket instanceof TLSSocket) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  private tellClose(): void {
    this.open = false;
    const handlers = this.handlers;
    if (handlers === undefined || !this.gone) return;
    this.handlers = silent;
    handlers.onClose(this.failure);
  }
}

/** Takes the place of the handlers after `onClose`. */
const silent: StreamHandlers = { onData: () => undefined, onDrain: () => undefined, onClose: () => undefined };
