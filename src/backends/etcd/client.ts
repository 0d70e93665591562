import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { HandleClock, HandleLogger } from "../../api/index.ts";
import { UnumError } from "../../base/index.ts";
import { Auth, Code, FrameReader, GrpcError, etcdErrors, frameOf } from "../../etcd/index.ts";
import { formatAddress } from "../../ports/index.ts";
import type { Address, HttpConnection, HttpDialer, HttpFields, HttpRequest, HttpTrust } from "../../ports/index.ts";
import type { EngineCall } from "../engine.ts";
import { EtcdFailure } from "./failure.ts";
import { Link } from "./link.ts";

export interface EtcdClientOptions {
  /** At least one; asked one after the other. */
  readonly endpoints: readonly Address[];
  readonly dialer: HttpDialer;
  readonly secure?: HttpTrust | undefined;
  readonly clock: HandleClock;
  readonly logger: HandleLogger;
  readonly credentials?: { readonly user: string; readonly password: string } | undefined;
}

export type Method<I extends DescMessage, O extends DescMessage> = DescMethod & { readonly input: I; readonly output: O };

export interface StreamHandlers<O extends DescMessage> {
  onMessage(message: MessageShape<O>): void;
  /** Exactly once, unless the stream was cancelled. */
  onEnd(failure: EtcdFailure): void;
}

export interface EtcdStream<I extends DescMessage> {
  send(init: MessageInitShape<I>): void;
  pause(): void;
  resume(): void;
  cancel(): void;
}

const dialMs = 2_000;
/** More in one answer than etcd's own limits let come. */
const messageBytesMax = 256 * 1024 * 1024;
/** A member that lets a call's time pass without a word, after this long, is left for the next one. */
const patienceMs = 1_000;
const invalidToken = etcdErrors.invalidAuthToken().message;

/**
 * gRPC to one member of an etcd at a time. Who is asked for a connection while there is none tries every endpoint once; what is to be
 * repeated is the caller's to decide, since only he knows whether it may.
 *
 * Invariant: `link` is the connection that new calls take; an older one lives until its calls have ended.
 */
export class EtcdClient {
  private readonly options: EtcdClientOptions;
  private link: Link | undefined;
  private dialing: Promise<Link> | undefined;
  private readonly links = new Set<Link>();
  /** The endpoint to begin with. */
  private next = 0;
  private token: string | undefined;
  private closed = false;

  constructor(options: EtcdClientOptions) {
    this.options = options;
  }

  get endpoints(): string {
    return this.options.endpoints.map(formatAddress).join(",");
  }

  /** Rejects with `EtcdFailure`, or with UNAVAILABLE when no member could be reached: then nothing was sent. */
  async unary<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    init: MessageInitShape<I>,
    call: EngineCall,
  ): Promise<MessageShape<O>> {
    for (let attempt = 0; ; attempt++) {
      const link = await this.connection();
      const token = await this.login(link, call);
      if (call.cancelled) throw new EtcdFailure(Code.canceled, "nobody waits for the answer any more", false);
      try {
        return await this.once(link, method, init, call, token);
      } catch (failure) {
        // A token that a member does not know any more was looked at before anything else.
        if (attempt > 0 || token === undefined || !(failure instanceof EtcdFailure) || failure.message !== invalidToken) throw failure;
        if (this.token === token) this.token = undefined;
      }
    }
  }

  /** Connects by itself; what it cannot reach ends the stream. */
  stream<I extends DescMessage, O extends DescMessage>(method: Method<I, O>, handlers: StreamHandlers<O>): EtcdStream<I> {
    const stream = new OpenStream(method, handlers, (failure) => this.doubt(failure, stream.link));
    const call = { deadlineMs: this.options.clock.now() + dialMs, cancelled: false, onCancel: () => undefined };
    this.connection()
      .then(async (link) => stream.open(link, fieldsFor(await this.login(link, call))))
      .catch((error: unknown) => stream.fail(asFailure(error)));
    return stream;
  }

  close(): void {
    this.closed = true;
    for (const link of this.links) link.destroy();
  }

  /** A member that says that it has no leader, or that stops: others may be better off. */
  private doubt(failure: EtcdFailure, link: Link | undefined): void {
    if (failure.message === invalidToken) this.token = undefined;
    if (link !== undefined && (failure.code === Code.unavailable || failure.code === undefined)) this.leave(link);
  }

  /** New calls go to the next endpoint. */
  private leave(link: Link): void {
    if (this.link !== link) return;
    this.link = undefined;
    link.retire();
  }

  private connection(): Promise<Link> {
    if (this.closed) return Promise.reject(new UnumError("CLOSED"));
    if (this.link !== undefined) return Promise.resolve(this.link);
    this.dialing ??= this.dial().finally(() => {
      this.dialing = undefined;
    });
    return this.dialing;
  }

  private async dial(): Promise<Link> {
    const { dialer, endpoints, logger, secure } = this.options;
    let cause: unknown;
    for (let tried = 0; tried < endpoints.length; tried++) {
      const address = endpoints[this.next++ % endpoints.length] as Address;
      try {
        const connection = await dialer.dial(address, { timeoutMs: dialMs, secure });
        if (this.closed) {
          connection.destroy();
          throw new UnumError("CLOSED");
        }
        return this.adopt(connection);
      } catch (error) {
        if (this.closed) throw error;
        cause = error;
        logger.debug("an etcd does not answer", { endpoint: formatAddress(address), reason: String(error) });
      }
    }
    throw new UnumError("UNAVAILABLE", `No etcd answers at ${this.endpoints}.`, { cause });
  }

  private adopt(connection: HttpConnection): Link {
    const link = new Link(connection, this.options.clock);
    this.links.add(link);
    this.link = link;
    connection.onClose(() => {
      this.links.delete(link);
      if (this.link === link) this.link = undefined;
    });
    return link;
  }

  private async login(link: Link, call: EngineCall): Promise<string | undefined> {
    const { credentials } = this.options;
    if (credentials === undefined || this.token !== undefined) return this.token;
    const { password, user } = credentials;
    const answer = await this.once(link, Auth.method.authenticate, { name: user, password }, call, undefined);
    this.token = answer.token;
    return this.token;
  }

  private once<I extends DescMessage, O extends DescMessage>(
    link: Link,
    method: Method<I, O>,
    init: MessageInitShape<I>,
    call: EngineCall,
    token: string | undefined,
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      const { clock } = this.options;
      const sentMs = clock.now();
      let answer: MessageShape<O> | undefined;
      const exchange = new Exchange(method, {
        onMessage: (message) => {
          answer = message;
        },
        onEnd: (failure) => {
          if (failure.code === Code.ok && answer !== undefined) return resolve(answer);
          this.doubt(failure, link);
          reject(failure.code === Code.ok ? new EtcdFailure(Code.internal, "an answer without a message", true) : failure);
        },
      });
      const leftMs = Math.max(1, Math.ceil(call.deadlineMs - sentMs));
      exchange.open(link, { ...fieldsFor(token), "grpc-timeout": `${Math.min(leftMs, 99_999_999)}m` });
      exchange.send(init);
      exchange.end();
      call.onCancel(() => {
        exchange.cancel();
        // A member that stands still keeps its connection: only its silence shows.
        if (link.heardMs < sentMs && clock.now() - sentMs >= patienceMs) this.leave(link);
        reject(new EtcdFailure(Code.canceled, "nobody waits for the answer any more", true));
      });
    });
  }
}

function fieldsFor(token: string | undefined): HttpFields {
  return {
    "content-type": "application/grpc",
    te: "trailers",
    "user-agent": "unum",
    // A member that is cut off from the others refuses rather than let one wait.
    hasleader: "true",
    ...(token === undefined ? {} : { token }),
  };
}

function asFailure(error: unknown): EtcdFailure {
  return error instanceof EtcdFailure ? error : new EtcdFailure(undefined, error instanceof Error ? error.message : String(error), false);
}

/** One gRPC call: messages in frames, and the status behind them. It always ends with a failure, whose code may be `ok`. */
class Exchange<I extends DescMessage, O extends DescMessage> {
  private readonly method: Method<I, O>;
  private readonly handlers: StreamHandlers<O>;
  private readonly frames = new FrameReader(messageBytesMax);
  private request: HttpRequest | undefined;
  private link: Link | undefined;
  private status: { readonly code: Code; readonly text: string } | undefined;
  private over = false;

  constructor(method: Method<I, O>, handlers: StreamHandlers<O>) {
    this.method = method;
    this.handlers = handlers;
  }

  open(link: Link, fields: HttpFields): void {
    this.link = link;
    const path = `/${this.method.parent.typeName}/${this.method.name}`;
    link.began();
    this.request = link.connection.request(path, fields, {
      onHead: (status, head) => {
        link.heard();
        this.readStatus(head);
        if (status !== 200) this.status ??= { code: Code.unavailable, text: `HTTP status ${status}` };
      },
      onData: (bytes) => {
        link.heard();
        this.read(bytes);
      },
      onTrailers: (fields) => this.readStatus(fields),
      onClose: (whole, sent) => {
        link.ended();
        const { status } = this;
        if (status !== undefined && (whole || status.code !== Code.ok)) this.finish(new EtcdFailure(status.code, status.text, true));
        else this.finish(new EtcdFailure(undefined, `the connection to ${link.connection.peer} was lost`, sent));
      },
    });
  }

  send(init: MessageInitShape<I>): void {
    this.request?.write(frameOf(toBinary(this.method.input, create(this.method.input, init))));
  }

  end(): void {
    this.request?.end();
  }

  pause(): void {
    this.request?.pause();
  }

  resume(): void {
    this.request?.resume();
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    this.request?.cancel();
    this.link?.ended();
  }

  private read(bytes: Uint8Array): void {
    try {
      this.frames.push(bytes);
      for (let message = this.frames.next(); message !== undefined && !this.over; message = this.frames.next())
        this.handlers.onMessage(fromBinary(this.method.output, message));
    } catch (error) {
      this.request?.cancel();
      this.link?.ended();
      const code = error instanceof GrpcError ? error.code : Code.internal;
      this.finish(new EtcdFailure(code, error instanceof Error ? error.message : String(error), true));
    }
  }

  private readStatus(fields: HttpFields): void {
    const code = fields["grpc-status"];
    if (code === undefined) return;
    this.status = { code: Number(code) as Code, text: percentDecoded(fields["grpc-message"] ?? "") };
  }

  private finish(failure: EtcdFailure): void {
    if (this.over) return;
    this.over = true;
    this.handlers.onEnd(failure);
  }
}

/** gRPC's escapes of what is no printable ASCII. */
function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A stream that may be written to before it has a connection. */
class OpenStream<I extends DescMessage, O extends DescMessage> implements EtcdStream<I> {
  link: Link | undefined;
  private readonly exchange: Exchange<I, O>;
  private readonly handlers: StreamHandlers<O>;
  private waiting: MessageInitShape<I>[] | undefined = [];
  private paused = false;
  private over = false;

  constructor(method: Method<I, O>, handlers: StreamHandlers<O>, ended: (failure: EtcdFailure) => void) {
    this.handlers = handlers;
    this.exchange = new Exchange(method, {
      onMessage: (message) => handlers.onMessage(message),
      onEnd: (failure) => {
        ended(failure);
        this.fail(failure);
      },
    });
  }

  open(link: Link, fields: HttpFields): void {
    if (this.over) return;
    this.link = link;
    this.exchange.open(link, fields);
    for (const init of this.waiting ?? []) this.exchange.send(init);
    this.waiting = undefined;
    if (this.paused) this.exchange.pause();
  }

  fail(failure: EtcdFailure): void {
    if (this.over) return;
    this.over = true;
    this.handlers.onEnd(failure);
  }

  send(init: MessageInitShape<I>): void {
    if (this.waiting === undefined) this.exchange.send(init);
    else this.waiting.push(init);
  }

  pause(): void {
    this.paused = true;
    this.exchange.pause();
  }

  resume(): void {
    this.paused = false;
    this.exchange.resume();
  }

  cancel(): void {
    this.over = true;
    this.exchange.cancel();
  }
}
