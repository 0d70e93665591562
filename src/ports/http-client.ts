import type { HttpFields } from "./http.ts";
import type { Address } from "./stream.ts";

/** A client's side of HTTP/2: connections that carry many requests at once, with trailers and streams both ways, as gRPC needs. */
export interface HttpDialer {
  /** Rejects with `StreamError`: "refused" at once when nobody listens, "timeout" after `timeoutMs`. */
  dial(address: Address, options: HttpDialOptions): Promise<HttpConnection>;
}

export interface HttpDialOptions {
  readonly timeoutMs: number;
  /** TLS; undefined: clear text. */
  readonly secure?: HttpTrust | undefined;
}

/** PEM texts. */
export interface HttpTrust {
  /** Who may have signed the server's certificate; undefined: those that the platform trusts. */
  readonly authority?: string | undefined;
  /** What is shown to a server that asks who its client is. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

export interface HttpConnection {
  /** Text for logs: who is on the other side. */
  readonly peer: string;
  /** Calls back exactly once, when the connection has ended; requests in flight have been told before. */
  onClose(callback: (reason: string) => void): void;
  /** A new request, with POST. On a connection that has ended it is told `onClose` in a later turn. */
  request(path: string, fields: HttpFields, handlers: HttpAnswerHandlers): HttpRequest;
  /** Calls back when the other side has answered. */
  ping(answered: () => void): void;
  /** Lets requests in flight end, then ends. */
  close(): void;
  destroy(): void;
}

export interface HttpRequest {
  /** Queues a piece of the body; the caller does not change the bytes afterwards. */
  write(bytes: Uint8Array): void;
  /** The body is whole. */
  end(): void;
  /** Stops and resumes `onData`, so that the server feels back-pressure; other requests of the connection go on. */
  pause(): void;
  resume(): void;
  /** Ends the request now; no handler is called afterwards. */
  cancel(): void;
}

/** None is called from within a call of the request, and none after `onClose`. */
export interface HttpAnswerHandlers {
  onHead(status: number, fields: HttpFields): void;
  /** A view that is valid only during the call: copy what is kept. */
  onData(bytes: Uint8Array): void;
  onTrailers(fields: HttpFields): void;
  /**
   * Exactly once. `whole`: the answer came to its end. `sent` false: nothing of the request has left, or the server said that it has not
   * looked at it (REFUSED_STREAM, or a GOAWAY that names an earlier one).
   */
  onClose(whole: boolean, sent: boolean): void;
}
