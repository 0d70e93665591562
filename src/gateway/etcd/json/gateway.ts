import { create, fromJson, toJson } from "@bufbuild/protobuf";
import type { DescMessage, JsonValue, Message, MessageInitShape } from "@bufbuild/protobuf";
import { limits, utf8Decode, utf8Encode } from "../../../base/index.ts";
import type { Clock, HttpExchange, HttpFields, HttpHandlers, Timer } from "../../../ports/index.ts";
import { decodeMessage, httpStatusOf } from "../grpc/index.ts";
import type { Answers, Call, Method, Partial, Partials, Questions, StreamMethod, UnaryMethod } from "../grpc/index.ts";
import { routes } from "./routes.ts";
import { JsonReader } from "./values.ts";
import { Code, GrpcError, framePrefixBytes } from "../../../etcd/index.ts";

const jsonFields: HttpFields = { "content-type": "application/json", "grpc-metadata-content-type": "application/grpc" };
const errorFields: HttpFields = { "content-type": "application/json" };
const textFields: HttpFields = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" };
const prefixes = ["/v3", "/v3beta"] as const;
const metadataPrefix = "grpc-metadata-";

export interface JsonHost {
  readonly clock: Clock;
  readonly partials: Partials;
  readonly messageBytesMax: number;
  toStatus(error: unknown): GrpcError;
}

/** etcd's methods as JSON over HTTP: names as in the definitions, 64-bit numbers as strings, bytes as base64, streams as lines. */
export class JsonGateway {
  private readonly methods: ReadonlyMap<string, Method>;
  private readonly host: JsonHost;

  constructor(methods: ReadonlyMap<string, Method>, host: JsonHost) {
    this.methods = methods;
    this.host = host;
  }

  /** Whether the exchange lies under one of the prefixes; then it is answered. */
  accept(exchange: HttpExchange): boolean {
    const path = exchange.path.split("?")[0] ?? "";
    const prefix = prefixes.find((one) => path.startsWith(`${one}/`));
    if (prefix === undefined) return false;
    const method = this.methods.get(routes[path.slice(prefix.length)] ?? "");
    if (method === undefined) refuse(exchange, 404, "Not Found\n");
    else if (exchange.method !== "POST") refuse(exchange, 405, "Method Not Allowed\n");
    else if (isForeign(exchange)) refuse(exchange, 403, "a page of another origin may not call this\n");
    else if (method.kind === "unary") exchange.handle(new UnaryExchange(exchange, this.host, method));
    else exchange.handle(new StreamExchange(exchange, this.host, method));
    return true;
  }
}

function refuse(exchange: HttpExchange, status: number, text: string): void {
  exchange.handle({ onData: () => undefined, onEnd: () => undefined, onDrain: () => undefined, onClose: () => undefined });
  exchange.reply(status, textFields, utf8Encode(text));
}

/** A browser says where a page comes from: it must come from here. */
function isForeign({ fields }: HttpExchange): boolean {
  const origin = fields["origin"];
  if (origin === undefined) return false;
  const host = fields["host"] ?? fields[":authority"] ?? "";
  return origin !== `http://${host}` && origin !== `https://${host}`;
}

function encode(schema: DescMessage, message: Message): string {
  return JSON.stringify(toJson(schema, message, { useProtoFieldName: true }));
}

function decode(schema: DescMessage, bytes: Uint8Array): Message {
  try {
    const json = JSON.parse(utf8Decode(bytes)) as JsonValue;
    const message = fromJson(schema, json, { ignoreUnknownFields: true });
    checkEnums(schema, json);
    return message;
  } catch (error) {
    throw new GrpcError(Code.invalidArgument, error instanceof Error ? error.message : String(error));
  }
}

/** Fields that nobody knows are passed over, as etcd does; a value that an enum does not have is refused, which the decoder passes over, too. */
function checkEnums(schema: DescMessage, json: JsonValue): void {
  if (json === null || typeof json !== "object" || Array.isArray(json)) return;
  for (const field of schema.fields) {
    const value = json[field.name] ?? json[field.jsonName];
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one === undefined) continue;
      if (field.message !== undefined) checkEnums(field.message, one);
      else if (field.enum !== undefined && typeof one === "string" && !field.enum.values.some(({ name }) => name === one)) {
        const { name, parent, typeName } = field.enum;
        const type = parent === undefined ? typeName : `${parent.typeName}_${name}`;
        throw new Error(`unknown value ${JSON.stringify(one)} for enum ${type}`);
      }
    }
  }
}

function errorText(error: GrpcError): string {
  return JSON.stringify({ error: error.message, message: error.message, code: error.code });
}

/** What both kinds share: the call as services see it. */
abstract class JsonExchange implements Call, HttpHandlers, Partial {
  readonly path: string;
  readonly fields: HttpFields;
  readonly timeoutMs: undefined;
  isOver = false;
  protected readonly exchange: HttpExchange;
  protected readonly host: JsonHost;
  protected readonly reader: JsonReader;
  private cancels: (() => void)[] = [];
  private readonly settles: (() => void)[] = [];
  private isSettled = false;
  /** Ends a request that does not come. */
  private readonly patience: Timer;
  /** The answer is whole: nothing was cancelled. */
  protected completed = false;

  constructor(exchange: HttpExchange, host: JsonHost, method: Method) {
    this.exchange = exchange;
    this.host = host;
    this.path = method.path;
    this.reader = new JsonReader(host.messageBytesMax * 2);
    const fields: Record<string, string> = { ...exchange.fields };
    for (const [name, value] of Object.entries(exchange.fields)) {
      if (name.startsWith(metadataPrefix)) fields[name.slice(metadataPrefix.length)] = value;
    }
    this.fields = fields;
    // HTTP/1.1 has no deadline of its own: a client could keep a connection for ever with a byte now and then.
    this.patience = host.clock.after(limits.httpRequestMsMax, () => exchange.abort());
  }

  get peer(): string {
    return this.exchange.peer;
  }

  /** As in etcd, certificates name no users here. */
  get subject(): undefined {
    return undefined;
  }

  onCancel(callback: () => void): void {
    if (this.isOver) return callback();
    this.cancels.push(callback);
  }

  onData(bytes: Uint8Array): void {
    if (this.isOver) return;
    this.attempt(() => {
      this.reader.push(bytes);
      this.read();
      if (!this.isOver) this.host.partials.note(this, this.reader.heldBytes);
    });
  }

  giveUp(): void {
    this.fail(new GrpcError(Code.resourceExhausted, "etcdserver: too many requests"));
  }

  onEnd(): void {
    this.arrived();
    if (!this.isOver) this.attempt(() => this.finishRequest());
  }

  onSettled(callback: () => void): void {
    if (this.isSettled) return callback();
    this.settles.push(callback);
  }

  onClose(): void {
    this.isSettled = true;
    this.over();
    for (const callback of this.settles.splice(0)) callback();
  }

  /** What was asked is known. */
  protected arrived(): void {
    this.patience.cancel();
    this.host.partials.note(this, 0);
  }

  protected attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.fail(this.host.toStatus(error));
    }
  }

  protected over(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.arrived();
    const { cancels } = this;
    this.cancels = [];
    if (!this.completed) for (const callback of cancels) callback();
    this.onOver();
  }

  abstract onDrain(): void;
  abstract fail(error: GrpcError): void;
  protected abstract read(): void;
  protected abstract finishRequest(): void;
  protected abstract onOver(): void;
}

class UnaryExchange extends JsonExchange {
  private readonly method: UnaryMethod;
  private request: Uint8Array | undefined;

  constructor(exchange: HttpExchange, host: JsonHost, method: UnaryMethod) {
    super(exchange, host, method);
    this.method = method;
  }

  onDrain(): void {
    // An answer is handed over whole.
  }

  fail(error: GrpcError): void {
    if (this.isOver) return;
    this.exchange.reply(httpStatusOf(error.code), errorFields, utf8Encode(errorText(error)));
    this.over();
  }

  protected read(): void {
    this.request ??= this.reader.next();
  }

  protected finishRequest(): void {
    const { input, output } = this.method.desc;
    if (this.request === undefined && this.reader.isPartial) throw new GrpcError(Code.invalidArgument, "unexpected EOF");
    const message = this.request === undefined ? create(input) : decode(input, this.request);
    this.method.invoke(message, this).then(
      (answer) => {
        if (this.isOver) return;
        this.exchange.reply(200, jsonFields, utf8Encode(encode(output, answer)));
        this.completed = true;
        this.over();
      },
      (error: unknown) => this.fail(this.host.toStatus(error)),
    );
  }

  protected onOver(): void {
    this.request = undefined;
  }
}

class StreamExchange extends JsonExchange implements Answers<unknown> {
  private readonly method: StreamMethod;
  private questions: Questions<Message> | undefined;
  private begun = false;

  constructor(exchange: HttpExchange, host: JsonHost, method: StreamMethod) {
    super(exchange, host, method);
    this.method = method;
    this.attempt(() => {
      this.questions = method.open(this);
    });
  }

  get call(): Call {
    return this;
  }

  get bufferedBytes(): number {
    return this.exchange.bufferedBytes;
  }

  send(message: unknown): void {
    const { output } = this.method.desc;
    this.line(`{"result":${encode(output, create(output, message as MessageInitShape<typeof output>))}}\n`);
  }

  sendLent(encoded: Uint8Array): void {
    this.sendEncoded(encoded);
  }

  sendEncoded(encoded: Uint8Array): void {
    const { output } = this.method.desc;
    this.line(`{"result":${encode(output, decodeMessage(output, encoded.subarray(framePrefixBytes)))}}\n`);
  }

  end(): void {
    if (this.isOver) return;
    this.begin();
    this.exchange.end();
    this.completed = true;
    this.over();
  }

  fail(error: GrpcError): void {
    if (this.isOver) return;
    const { code, message } = error;
    const status = httpStatusOf(code);
    if (this.begun) {
      this.exchange.write(utf8Encode(`${JSON.stringify({ error: { grpc_code: code, http_code: status, message } })}\n`));
      this.exchange.end();
    } else this.exchange.reply(status, errorFields, utf8Encode(errorText(error)));
    this.over();
  }

  onDrain(): void {
    if (!this.isOver) this.questions?.drained?.();
  }

  protected read(): void {
    for (let object = this.reader.next(); object !== undefined && !this.isOver; object = this.reader.next()) {
      this.arrived();
      this.questions?.message(decode(this.method.desc.input, object));
    }
  }

  protected finishRequest(): void {
    if (this.reader.isPartial) throw new GrpcError(Code.invalidArgument, "unexpected EOF");
    this.questions?.ended();
  }

  protected onOver(): void {
    this.questions?.closed();
  }

  private line(text: string): void {
    if (this.isOver) return;
    this.begin();
    this.exchange.write(utf8Encode(text));
  }

  private begin(): void {
    if (this.begun) return;
    this.begun = true;
    this.exchange.begin(200, jsonFields);
  }
}
