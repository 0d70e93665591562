import { connect, constants } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import { StreamError, formatAddress } from "../../ports/index.ts";
import type {
  Address,
  HttpAnswerHandlers,
  HttpConnection,
  HttpDialer,
  HttpDialOptions,
  HttpFields,
  HttpRequest,
} from "../../ports/index.ts";
import { streamError } from "./stream-errors.ts";

/** What a request may be ahead of its reader, and all of a connection together. */
const windowBytes = 1024 * 1024;
const connectionWindowBytes = 16 * 1024 * 1024;
/** Megabytes that a connection may hold; more ends it. */
const memoryMbMax = 512;

/** HTTP/2 of Node's own. */
export class NodeHttpDialer implements HttpDialer {
  dial(address: Address, { secure, timeoutMs }: HttpDialOptions): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const target = formatAddress(address);
      const session = connect(`${secure === undefined ? "http" : "https"}://${target}`, {
        settings: { initialWindowSize: windowBytes, enablePush: false },
        maxSessionMemory: memoryMbMax,
        ...(secure === undefined ? {} : { ca: secure.authority, cert: secure.certificate, key: secure.key }),
      });
      const failed = (error: StreamError): void => {
        clearTimeout(timer);
        session.removeAllListeners("connect");
        session.destroy();
        reject(error);
      };
      const timer = setTimeout(() => failed(new StreamError("timeout", `${target} did not answer within ${timeoutMs} ms`)), timeoutMs);
      session.on("error", (error) => failed(streamError(error, "unreachable")));
      session.once("connect", () => {
        clearTimeout(timer);
        session.removeAllListeners("error");
        session.setLocalWindowSize(connectionWindowBytes);
        resolve(new NodeHttpConnection(session, target));
      });
    });
  }
}

class NodeHttpConnection implements HttpConnection {
  readonly peer: string;
  private readonly session: ClientHttp2Session;
  private readonly listeners = new Set<(reason: string) => void>();
  private reason = "closed";
  private ended = false;
  /** The last request that the server has looked at, once it has said so. */
  lastLookedAt = Number.POSITIVE_INFINITY;

  constructor(session: ClientHttp2Session, peer: string) {
    this.session = session;
    this.peer = peer;
    session.on("error", (error: Error) => {
      this.reason = error.message;
    });
    session.on("goaway", (code: number, last: number) => {
      this.reason = `the server said goodbye (${code})`;
      this.lastLookedAt = last;
    });
    session.on("close", () => {
      this.ended = true;
      for (const listener of this.listeners) listener(this.reason);
      this.listeners.clear();
    });
  }

  onClose(callback: (reason: string) => void): void {
    if (this.ended) queueMicrotask(() => callback(this.reason));
    else this.listeners.add(callback);
  }

  request(path: string, fields: HttpFields, handlers: HttpAnswerHandlers): HttpRequest {
    if (this.ended || this.session.closed || this.session.destroyed) return refusedRequest(handlers);
    return new NodeHttpRequest(this, this.session.request({ ":method": "POST", ":path": path, ...fields }), handlers);
  }

  ping(answered: () => void): void {
    if (this.ended || this.session.destroyed) return;
    this.session.ping((error) => {
      if (error === null) answered();
    });
  }

  close(): void {
    this.session.close();
  }

  destroy(): void {
    this.session.destroy();
  }
}

/** A request of a connection that takes none any more. */
function refusedRequest(handlers: HttpAnswerHandlers): HttpRequest {
  let over = false;
  setImmediate(() => {
    if (over) return;
    over = true;
    handlers.onClose(false, false);
  });
  const nothing = (): void => undefined;
  return {
    write: nothing,
    end: nothing,
    pause: nothing,
    resume: nothing,
    cancel: () => {
      over = true;
    },
  };
}

class NodeHttpRequest implements HttpRequest {
  private readonly stream: ClientHttp2Stream;
  private over = false;
  private whole = false;

  constructor(connection: NodeHttpConnection, stream: ClientHttp2Stream, handlers: HttpAnswerHandlers) {
    this.stream = stream;
    stream.on("response", (head) => {
      if (!this.over) handlers.onHead(Number(head[":status"]), fieldsOf(head));
    });
    stream.on("data", (bytes: Buffer) => {
      if (!this.over) handlers.onData(bytes);
    });
    stream.on("trailers", (trailers) => {
      if (!this.over) handlers.onTrailers(fieldsOf(trailers));
    });
    stream.on("end", () => {
      this.whole = true;
    });
    // What went wrong shows in the code with which the stream closes.
    stream.on("error", () => undefined);
    stream.on("close", () => {
      if (this.over) return;
      this.over = true;
      const whole = this.whole && stream.rstCode === constants.NGHTTP2_NO_ERROR;
      const unsent = stream.id === undefined || stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
      handlers.onClose(whole, !unsent && (stream.id ?? 0) <= connection.lastLookedAt);
    });
  }

  write(bytes: Uint8Array): void {
    if (!this.over && !this.stream.writableEnded) this.stream.write(bytes);
  }

  end(): void {
    if (!this.over) this.stream.end();
  }

  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    this.stream.close(constants.NGHTTP2_CANCEL);
  }
}

function fieldsOf(head: IncomingHttpHeaders): HttpFields {
  const fields: Record<string, string> = {};
  for (const [name, value] of Object.entries(head)) {
    if (value !== undefined && !name.startsWith(":")) fields[name] = Array.isArray(value) ? value.join(", ") : String(value);
  }
  return fields;
}
