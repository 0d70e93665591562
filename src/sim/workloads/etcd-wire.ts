import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Address, Http, HttpExchange, HttpFields, HttpHandlers, HttpListener, HttpOptions } from "../../ports/index.ts";
import { FrameReader, frameOf } from "../../etcd/index.ts";

export type Method<I extends DescMessage, O extends DescMessage> = DescMethod & { readonly input: I; readonly output: O };

/** How a call of etcd's protocol ended, other than well. */
export class EtcdStatus extends Error {
  override readonly name = "EtcdStatus";
  readonly code: number;

  constructor(code: number, text: string) {
    super(text);
    this.code = code;
  }
}

/** How a client takes its answers. */
export interface EtcdReader {
  readonly peer: string;
  /** How long each piece of an answer is on its way. */
  sleep(): Promise<void>;
  /** As many bytes as each byte that waits counts for: a few events of a run fill what takes thousands of a real one. */
  readonly weight: number;
}

/** A port that is none: whoever asks is in the same process as the gateway. */
export class LocalHttp implements Http {
  private accept: ((exchange: HttpExchange) => void) | undefined;

  listen(address: Address, _options: HttpOptions, accept: (exchange: HttpExchange) => void): Promise<HttpListener> {
    this.accept = accept;
    const end = (): Promise<void> => Promise.resolve();
    return Promise.resolve({ address, connections: 0, close: end, stop: end });
  }

  open<I extends DescMessage, O extends DescMessage>(method: Method<I, O>, fields: HttpFields, reader: EtcdReader): EtcdStream<I, O> {
    const stream = new EtcdStream(method, fields, reader);
    this.accept?.(stream);
    return stream;
  }
}

/** One call, its client and its server side in one. What the server writes lies in between until the client has taken it. */
export class EtcdStream<I extends DescMessage, O extends DescMessage> implements HttpExchange {
  readonly version = "2" as const;
  readonly method = "POST";
  readonly path: string;
  readonly fields: HttpFields;
  readonly peer: string;
  readonly subject = undefined;
  bufferedBytes = 0;
  private readonly desc: Method<I, O>;
  private readonly taker: EtcdReader;
  private readonly reader = new FrameReader(Number.MAX_SAFE_INTEGER);
  private handlers: HttpHandlers | undefined;
  private readonly queue: Uint8Array[] = [];
  private readonly messages: MessageShape<O>[] = [];
  private waiter: (() => void) | undefined;
  private status: EtcdStatus | undefined;
  private pumping = false;
  private ended = false;
  private closed = false;

  constructor(desc: Method<I, O>, fields: HttpFields, taker: EtcdReader) {
    this.desc = desc;
    this.path = `/${desc.parent.typeName}/${desc.name}`;
    this.fields = { "content-type": "application/grpc", te: "trailers", ...fields };
    this.peer = taker.peer;
    this.taker = taker;
  }

  // The client's side.

  send(init: MessageInitShape<I>): void {
    if (!this.closed) this.handlers?.onData(frameOf(toBinary(this.desc.input, create(this.desc.input, init))));
  }

  /** Nothing more is asked. */
  finish(): void {
    if (!this.closed) this.handlers?.onEnd();
  }

  cancel(): void {
    this.status ??= new EtcdStatus(1, "cancelled by its client");
    this.close(false);
  }

  /** The next message; undefined at the end. Rejects with `EtcdStatus`. */
  async next(): Promise<MessageShape<O> | undefined> {
    for (;;) {
      const message = this.messages.shift();
      if (message !== undefined) return message;
      if (this.closed && this.status !== undefined) throw this.status;
      if (this.closed) return undefined;
      await new Promise<void>((resolve) => {
        this.waiter = resolve;
      });
    }
  }

  // The server's side.

  handle(handlers: HttpHandlers): void {
    this.handlers = handlers;
  }

  pause(): void {
    // A request is small and there at once.
  }

  resume(): void {
    // See `pause`.
  }

  reply(_status: number, fields: HttpFields, body: Uint8Array | undefined, trailers?: HttpFields): void {
    if (body !== undefined) this.write(body);
    this.end(trailers ?? fields);
  }

  begin(): void {
    // The head says nothing that its client does not know.
  }

  write(bytes: Uint8Array): void {
    if (this.closed || this.ended) return;
    this.queue.push(bytes);
    this.bufferedBytes += bytes.length * this.taker.weight;
    this.pump();
  }

  writeLent(bytes: Uint8Array): void {
    this.write(bytes.slice());
  }

  end(trailers: HttpFields = {}): void {
    if (this.closed || this.ended) return;
    this.ended = true;
    const code = Number(trailers["grpc-status"] ?? 0);
    if (code !== 0) this.status = new EtcdStatus(code, trailers["grpc-message"] ?? "");
    this.pump();
  }

  abort(): void {
    this.cancel();
  }

  private pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    void this.deliver();
  }

  private async deliver(): Promise<void> {
    while (!this.closed && (this.queue.length > 0 || !this.ended)) {
      await this.taker.sleep();
      const bytes = this.queue.shift();
      if (bytes === undefined || this.closed) break;
      this.bufferedBytes -= bytes.length * this.taker.weight;
      this.reader.push(bytes);
      for (let message = this.reader.next(); message !== undefined; message = this.reader.next())
        this.messages.push(fromBinary(this.desc.output, message));
      this.wake();
      if (this.bufferedBytes === 0 && !this.ended) this.handlers?.onDrain();
    }
    this.pumping = false;
    if (this.ended && this.queue.length === 0) this.close(true);
  }

  private close(complete: boolean): void {
    if (this.closed) return;
    this.closed = true;
    this.handlers?.onClose(complete);
    this.wake();
  }

  private wake(): void {
    this.waiter?.();
    this.waiter = undefined;
  }
}
