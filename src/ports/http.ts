import type { Address, Listener } from "./stream.ts";

/**
 * A server of HTTP/1.1 and HTTP/2 on one port: in clear text the first bytes of a connection decide,
 * with TLS the protocol that both sides agreed on (ALPN). Limits are the adapter's to keep, so that
 * nothing is allocated for what exceeds them.
 */
export interface Http {
  /** Rejects with `StreamError` "in-use" when the address is taken. Port 0 takes a free one. */
  listen(address: Address, options: HttpOptions, accept: (exchange: HttpExchange) => void): Promise<HttpListener>;
}

export interface HttpOptions {
  /** Bytes of a request's head. More: the stream or connection is refused. */
  readonly headBytesMax: number;
  /** Requests at the same time on one HTTP/2 connection. */
  readonly streamsMax: number;
  /** Connections at the same time; more are dropped. */
  readonly connectionsMax: number;
  /** Streams that a client may open and reset within ten seconds before its connection is closed. */
  readonly resetsMax: number;
  /** Bytes of answers that all connections together may leave unread; beyond, the one with most of them is closed. */
  readonly outputBytesMax: number;
  /** Bytes of a request that a connection may send before they are taken: HTTP/2's window. */
  readonly windowBytes: number;
  /** PEM texts; undefined: clear text. */
  readonly secure?: HttpSecurity | undefined;
}

export interface HttpSecurity {
  readonly certificate: string;
  readonly key: string;
  /** Who may sign certificates of clients; undefined: none is asked for. */
  readonly clientAuthority?: string | undefined;
  /** Refuse a client without a certificate that `clientAuthority` signed. */
  readonly clientRequired?: boolean | undefined;
  /** Default: whatever the platform still holds to be safe. */
  readonly versionMin?: "TLSv1.2" | "TLSv1.3" | undefined;
  readonly versionMax?: "TLSv1.2" | "TLSv1.3" | undefined;
}

export interface HttpListener extends Listener {
  /** Connections now. */
  readonly connections: number;
  /** Stops accepting, lets what is answered within `graceMs` end in order, then ends every connection. */
  stop(graceMs: number): Promise<void>;
}

/** Names are lower-case; a field that came several times is joined with ", ". */
export type HttpFields = Readonly<Record<string, string>>;

/**
 * One request and its answer. `handle` must be called in the turn in which the exchange is received.
 * After `onClose` no handler is called and no method does anything.
 */
export interface HttpExchange {
  readonly version: "1.1" | "2";
  readonly method: string;
  /** As it was sent, query included. */
  readonly path: string;
  readonly fields: HttpFields;
  /** Text for logs: who is on the other side. */
  readonly peer: string;
  /** The common name of the client's verified certificate. */
  readonly subject: string | undefined;
  /** Bytes of the answer that were written and not yet sent. */
  readonly bufferedBytes: number;
  handle(handlers: HttpHandlers): void;
  /** Stops and resumes `onData`, so that the sender feels back-pressure. */
  pause(): void;
  resume(): void;
  /** The whole answer at once. `trailers` only with HTTP/2. */
  reply(status: number, fields: HttpFields, body: Uint8Array | undefined, trailers?: HttpFields): void;
  /** The beginning of an answer whose body comes in pieces. */
  begin(status: number, fields: HttpFields): void;
  /** A piece of the body; the caller does not change the bytes afterwards. */
  write(bytes: Uint8Array): void;
  /** As `write`, of bytes that the caller changes again once this has returned: what does not leave at once is copied. */
  writeLent(bytes: Uint8Array): void;
  end(trailers?: HttpFields): void;
  /** Ends the exchange without an answer, or an answer in the middle. */
  abort(): void;
}

export interface HttpHandlers {
  /** A view that is valid only during the call: copy what is kept. */
  onData(bytes: Uint8Array): void;
  /** The request is whole. */
  onEnd(): void;
  /** `bufferedBytes` has fallen to zero after it was above the platform's mark. */
  onDrain(): void;
  /** Exactly once, when nothing can be sent any more. `complete`: the whole answer was handed to the connection. */
  onClose(complete: boolean): void;
}
