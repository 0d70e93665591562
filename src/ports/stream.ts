/**
 * Reliable, ordered byte streams (TCP, TLS) between nodes and from clients. Our frames, handshakes
 * and reconnections lie above this port, so the simulator executes them.
 *
 * A simulated network may treat each `write` to a node-to-node stream as one message and lose, delay,
 * repeat or reorder it: whoever writes passes whole frames, one batch per call.
 */
export interface Streams {
  /** Rejects with `StreamError` "in-use" when the address is taken. Port 0 takes a free one. */
  listen(address: Address, accept: (stream: Stream) => void): Promise<Listener>;
  /** Rejects with `StreamError`: "refused" at once when nobody listens, "timeout" after `timeoutMs`. */
  dial(address: Address, options: { readonly timeoutMs: number; readonly purpose: StreamPurpose }): Promise<Stream>;
}

/** What a connection carries. The platform may tune sockets by it; the simulator chooses its faults by it. */
export type StreamPurpose = "control" | "entries" | "bulk" | "client";

/** TLS between nodes: each shows its certificate to the other. PEM texts. */
export interface StreamSecurity {
  readonly certificate: string;
  readonly key: string;
  /** Who signs the certificates of nodes. Undefined: those that the platform trusts. */
  readonly authority: string | undefined;
  /** Who dials must show a certificate that `authority` signed. */
  readonly dialerRequired: boolean;
  /** False: whoever is reached is believed, as when nodes sign their certificates themselves: it keeps out who listens, not who acts. */
  readonly verified: boolean;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Listener {
  /** With the port that was really taken. */
  readonly address: Address;
  /** Stops accepting; streams that were accepted live on. */
  close(): Promise<void>;
}

/**
 * `handlers` must be set in the turn in which the stream is received (by `accept` or `dial`), or
 * bytes wait until it is. No handler is called after `onClose`.
 */
export interface Stream {
  /** Text for logs: who is on the other side. */
  readonly peer: string;
  /** Bytes accepted by `write` and not yet taken by the operating system. */
  readonly bufferedBytes: number;
  handle(handlers: StreamHandlers): void;
  /** True: bytes that were written and that `bufferedBytes` does not count any more are the caller's again. */
  readonly copies?: boolean;
  /** Queues bytes and returns; the caller does not change them afterwards, but see `copies`. After close it does nothing. */
  write(bytes: Uint8Array): void;
  /** Stops and resumes `onData`, so that the sender feels back-pressure. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then ends. */
  close(): void;
  /** Ends now; what is queued is lost. */
  destroy(): void;
}

export interface StreamHandlers {
  /** A view that is valid only during the call: copy what is kept. */
  onData(bytes: Uint8Array): void;
  /** `bufferedBytes` has fallen to zero after `write` found it above the platform's mark. */
  onDrain(): void;
  /** Exactly once. `reason` is undefined when both sides closed in order. */
  onClose(reason: StreamError | undefined): void;
}

export type StreamErrorCode = "refused" | "timeout" | "reset" | "in-use" | "unreachable" | "closed";

export class StreamError extends Error {
  override readonly name = "StreamError";
  readonly code: StreamErrorCode;

  constructor(code: StreamErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
  }
}

/** "host:port", "[v6]:port" or ":port"; undefined when it is none. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]*)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port > 65535) return undefined;
  return { host: match[1] ?? (match[2] === "" ? "127.0.0.1" : (match[2] as string)), port };
}

export function formatAddress(address: Address): string {
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
