import { create, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Clock, HttpExchange, HttpFields, HttpHandlers, Timer } from "../../../ports/index.ts";
import { answerFields, okTrailers, refusalFields, statusFields, timeoutMsOf } from "./fields.ts";
import { decodeMessage } from "./method.ts";
import type { Answers, Call, Questions, StreamMethod, UnaryMethod } from "./method.ts";
import type { Partial, Partials } from "./partial.ts";
import { Code, FrameReader, GrpcError, frameOf } from "../../../etcd/index.ts";

export interface CallHost {
  readonly clock: Clock;
  readonly messageBytesMax: number;
  readonly partials: Partials;
  /** Calls at the same time. */
  readonly callsMax: number;
  /** What a failure of ours is to the client. */
  toStatus(error: unknown): GrpcError;
  /** The call is over. */
  closed(call: object): void;
}

/** What all calls share: the deadline, cancellation, the frames that come in. */
abstract class GrpcCall implements Call, HttpHandlers, Partial {
  readonly path: string;
  readonly timeoutMs: number | undefined;
  isOver = false;
  protected readonly exchange: HttpExchange;
  protected readonly host: CallHost;
  protected readonly reader: FrameReader;
  private deadline: Timer | undefined;
  private cancels: (() => void)[] | undefined;
  private settles: (() => void)[] | undefined;
  private isSettled = false;
  /** The answer is whole: nothing was cancelled. */
  protected completed = false;

  constructor(exchange: HttpExchange, host: CallHost) {
    this.exchange = exchange;
    this.host = host;
    this.path = exchange.path;
    this.reader = new FrameReader(host.messageBytesMax);
    this.timeoutMs = timeoutMsOf(exchange.fields);
    exchange.handle(this);
    if (this.timeoutMs === undefined) return;
    this.deadline = host.clock.after(this.timeoutMs, () => this.fail(new GrpcError(Code.deadlineExceeded, "context deadline exceeded")));
  }

  get fields(): HttpFields {
    return this.exchange.fields;
  }

  get peer(): string {
    return this.exchange.peer;
  }

  get subject(): string | undefined {
    return this.exchange.subject;
  }

  onCancel(callback: () => void): void {
    if (this.isOver) return callback();
    this.cancels ??= [];
    this.cancels.push(callback);
  }

  onData(bytes: Uint8Array): void {
    if (this.isOver) return;
    this.reader.push(bytes);
    try {
      for (let message = this.reader.next(); message !== undefined; message = this.reader.next()) {
        this.onMessage(message);
        if (this.isOver) return;
      }
      this.host.partials.note(this, this.reader.heldBytes);
    } catch (error) {
      this.fail(this.host.toStatus(error));
    }
  }

  onEnd(): void {
    if (this.isOver) return;
    if (this.reader.pendingBytes > 0) {
      this.fail(new GrpcError(Code.internal, "grpc: the request ends within a message"));
      return;
    }
    try {
      this.onHalfClose();
    } catch (error) {
      this.fail(this.host.toStatus(error));
    }
  }

  onSettled(callback: () => void): void {
    if (this.isSettled) return callback();
    this.settles ??= [];
    this.settles.push(callback);
  }

  onClose(): void {
    this.isSettled = true;
    this.over();
    for (const callback of this.settles ?? []) callback();
    this.settles = undefined;
  }

  giveUp(): void {
    this.fail(new GrpcError(Code.resourceExhausted, "etcdserver: too many requests"));
  }

  abstract onDrain(): void;
  abstract fail(error: GrpcError): void;
  protected abstract onMessage(message: Uint8Array): void;
  protected abstract onHalfClose(): void;
  /** Once, whatever the reason. */
  protected abstract onOver(): void;

  protected over(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.deadline?.cancel();
    this.host.partials.note(this, 0);
    this.host.closed(this);
    const { cancels } = this;
    this.cancels = undefined;
    if (cancels !== undefined && !this.completed) for (const callback of cancels) callback();
    this.onOver();
  }
}

/** One message in, one out. */
export class UnaryCall extends GrpcCall {
  private readonly method: UnaryMethod;
  private request: Uint8Array | undefined;

  constructor(exchange: HttpExchange, host: CallHost, method: UnaryMethod) {
    super(exchange, host);
    this.method = method;
  }

  onDrain(): void {
    // An answer is handed over whole.
  }

  fail(error: GrpcError): void {
    if (this.isOver) return;
    this.exchange.reply(200, refusalFields(error), undefined);
    this.over();
  }

  protected onMessage(message: Uint8Array): void {
    if (this.request !== undefined) throw new GrpcError(Code.internal, "grpc: a unary call has one message");
    this.request = message;
  }

  protected onHalfClose(): void {
    const { request } = this;
    if (request === undefined) throw new GrpcError(Code.internal, "grpc: a unary call without a message");
    this.method.invokeBytes(request, this).then(this.answered, this.failed);
  }

  protected onOver(): void {
    this.request = undefined;
  }

  private readonly answered = (frame: Uint8Array): void => {
    if (this.isOver) return;
    this.exchange.reply(200, answerFields, frame, okTrailers);
    this.completed = true;
    this.over();
  };

  private readonly failed = (error: unknown): void => {
    this.fail(this.host.toStatus(error));
  };
}

/** Messages both ways, or many out. */
export class StreamCall extends GrpcCall implements Answers<unknown> {
  private readonly method: StreamMethod;
  /** Undefined: the method refused the call at once. */
  private questions: Questions<never> | undefined;
  private begun = false;
  private asked = false;

  constructor(exchange: HttpExchange, host: CallHost, method: StreamMethod) {
    super(exchange, host);
    this.method = method;
    try {
      this.questions = method.open(this) as Questions<never>;
    } catch (error) {
      this.fail(host.toStatus(error));
    }
  }

  get call(): Call {
    return this;
  }

  get bufferedBytes(): number {
    return this.exchange.bufferedBytes;
  }

  send(message: unknown): void {
    const schema = this.method.desc.output;
    this.sendEncoded(frameOf(toBinary(schema, create(schema, message as MessageInitShape<typeof schema>))));
  }

  sendEncoded(encoded: Uint8Array): void {
    if (this.isOver) return;
    this.begin();
    this.exchange.write(encoded);
  }

  sendLent(encoded: Uint8Array): void {
    if (this.isOver) return;
    this.begin();
    this.exchange.writeLent(encoded);
  }

  end(): void {
    if (this.isOver) return;
    this.begin();
    this.exchange.end(okTrailers);
    this.completed = true;
    this.over();
  }

  fail(error: GrpcError): void {
    if (this.isOver) return;
    if (this.begun) this.exchange.end(statusFields(error));
    else this.exchange.reply(200, refusalFields(error), undefined);
    this.over();
  }

  onDrain(): void {
    if (!this.isOver) this.questions?.drained?.();
  }

  protected onMessage(message: Uint8Array): void {
    const { desc } = this.method;
    if (this.asked && desc.methodKind === "server_streaming") throw new GrpcError(Code.internal, "grpc: the call has one message");
    this.asked = true;
    this.questions?.message(decodeMessage(desc.input, message) as never);
  }

  protected onHalfClose(): void {
    this.questions?.ended();
  }

  protected onOver(): void {
    this.questions?.closed();
  }

  private begin(): void {
    if (this.begun) return;
    this.begun = true;
    this.exchange.begin(200, answerFields);
  }
}
