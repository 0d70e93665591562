import { connect, constants } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { FrameReader, frameOf } from "../../../etcd/index.ts";

/** How a call ended. */
export class StatusError extends Error {
  readonly code: number;
  readonly text: string;

  constructor(code: number, text: string) {
    super(`${code}: ${text}`);
    this.code = code;
    this.text = text;
  }
}

type Typed<I extends DescMessage, O extends DescMessage> = DescMethod & { readonly input: I; readonly output: O };

/** A small gRPC client over `node:http2`: tests see bytes and trailers as they are. */
export class TestClient {
  readonly session: ClientHttp2Session;

  constructor(port: number) {
    this.session = connect(`http://127.0.0.1:${port}`);
    this.session.on("error", () => undefined);
  }

  close(): void {
    this.session.destroy();
  }

  async call<I extends DescMessage, O extends DescMessage>(
    method: Typed<I, O>,
    init: MessageInitShape<I>,
    fields: Readonly<Record<string, string>> = {},
  ): Promise<MessageShape<O>> {
    const stream = this.open(method, fields);
    stream.send(init);
    stream.end();
    const answers = await stream.rest();
    if (answers[0] === undefined) throw new Error("no answer");
    return answers[0];
  }

  open<I extends DescMessage, O extends DescMessage>(method: Typed<I, O>, fields: Readonly<Record<string, string>> = {}): TestStream<I, O> {
    const path = `/${method.parent.typeName}/${method.name}`;
    return new TestStream(this.raw(path, fields), method);
  }

  raw(path: string, fields: Readonly<Record<string, string>> = {}): ClientHttp2Stream {
    return this.session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers", ...fields });
  }
}

export class TestStream<I extends DescMessage, O extends DescMessage> {
  readonly http: ClientHttp2Stream;
  private readonly method: Typed<I, O>;
  private readonly messages: MessageShape<O>[] = [];
  private readonly waiters: (() => void)[] = [];
  private failure: Error | undefined;
  private over = false;
  head: IncomingHttpHeaders = {};

  constructor(http: ClientHttp2Stream, method: Typed<I, O>) {
    this.http = http;
    this.method = method;
    const reader = new FrameReader(1 << 30);
    http.on("data", (chunk: Buffer) => {
      reader.push(new Uint8Array(chunk));
      for (let message = reader.next(); message !== undefined; message = reader.next())
        this.messages.push(fromBinary(method.output, message));
      this.wake();
    });
    http.on("response", (head) => {
      this.head = head;
      this.judge(head);
    });
    http.on("trailers", (trailers) => this.judge(trailers));
    http.on("error", (error) => {
      this.failure ??= error;
    });
    http.on("close", () => {
      this.over = true;
      this.wake();
    });
  }

  send(init: MessageInitShape<I>): void {
    this.http.write(frameOf(toBinary(this.method.input, create(this.method.input, init))));
  }

  end(): void {
    this.http.end();
  }

  cancel(): void {
    this.http.close(constants.NGHTTP2_CANCEL);
  }

  /** The next message; rejects with `StatusError` when the call has ended otherwise. */
  async next(): Promise<MessageShape<O>> {
    for (;;) {
      const message = this.messages.shift();
      if (message !== undefined) return message;
      if (this.failure !== undefined) throw this.failure;
      if (this.over) throw new Error("the stream has ended");
      await new Promise<void>((resolve) => this.waiters.push(resolve));
    }
  }

  /** Everything up to the end. */
  async rest(): Promise<readonly MessageShape<O>[]> {
    while (!this.over) await new Promise<void>((resolve) => this.waiters.push(resolve));
    if (this.failure !== undefined) throw this.failure;
    return this.messages.splice(0);
  }

  private judge(fields: IncomingHttpHeaders): void {
    const status = fields["grpc-status"];
    if (status === undefined || status === "0") return;
    this.failure = new StatusError(Number(status), decodeURIComponent(String(fields["grpc-message"] ?? "")));
  }

  private wake(): void {
    for (const waiter of this.waiters.splice(0)) waiter();
  }
}
