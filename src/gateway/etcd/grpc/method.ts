import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, DescMethod, DescService, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { HttpFields } from "../../../ports/index.ts";
import { Code, GrpcError, frameFor, frameOf, framePrefixBytes } from "../../../etcd/index.ts";

/** One call, whoever carries it: gRPC, or the JSON gateway. */
export interface Call {
  /** Metadata. */
  readonly fields: HttpFields;
  /** For logs: who is on the other side. */
  readonly peer: string;
  /** Common name of the client's certificate. */
  readonly subject: string | undefined;
  /** "/package.Service/Method". */
  readonly path: string;
  /** Milliseconds that the client still waits; undefined: no limit. */
  readonly timeoutMs: number | undefined;
  readonly isOver: boolean;
  /** Calls back once, when the client has gone, cancelled or run out of time before the end. */
  onCancel(callback: () => void): void;
  /** Calls back once, when the answer is on its way as a whole, or never will be. */
  onSettled(callback: () => void): void;
}

/** The answering side of a stream. */
export interface Answers<O> {
  readonly call: Call;
  /** Bytes written that the client has not taken. */
  readonly bufferedBytes: number;
  send(message: O): void;
  /** A message that was encoded before, as `encodeAnswer` does. */
  sendEncoded(encoded: Uint8Array): void;
  /** As `sendEncoded`, of bytes that the caller changes again once this has returned. */
  sendLent(encoded: Uint8Array): void;
  end(): void;
  fail(error: GrpcError): void;
}

/** The asking side of a stream, as the service sees it. */
export interface Questions<I> {
  message(message: I): void;
  /** The client sends nothing more. */
  ended(): void;
  /** `bufferedBytes` has fallen to zero. */
  drained?(): void;
  /** The call is over for whatever reason, once: release everything. */
  closed(): void;
}

export type UnaryHandler<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  call: Call,
) => Promise<MessageInitShape<O>>;
export type StreamHandler<I extends DescMessage, O extends DescMessage> = (
  answers: Answers<MessageInitShape<O>>,
) => Questions<MessageShape<I>>;

type HandlerOf<M> = M extends { readonly methodKind: "unary"; readonly input: infer I; readonly output: infer O }
  ? UnaryHandler<Extract<I, DescMessage>, Extract<O, DescMessage>>
  : M extends { readonly input: infer I; readonly output: infer O }
    ? StreamHandler<Extract<I, DescMessage>, Extract<O, DescMessage>>
    : never;

/** The methods of a service by their local names. What is left out is UNIMPLEMENTED. */
export type Handlers<S extends DescService> = { readonly [K in keyof S["method"]]?: HandlerOf<S["method"][K]> };

/** A unary method as the carriers see it. */
export interface UnaryMethod {
  readonly kind: "unary";
  readonly path: string;
  readonly desc: DescMethod;
  /** A message of `desc.input`, to one of `desc.output`. */
  readonly invoke: (request: Message, call: Call) => Promise<Message>;
  /** The same over bytes: the message's in, a whole frame out. Hot methods have their own. */
  invokeBytes: (request: Uint8Array, call: Call) => Promise<Uint8Array>;
}

export interface StreamMethod {
  readonly kind: "stream";
  readonly path: string;
  readonly desc: DescMethod;
  readonly open: (answers: Answers<unknown>) => Questions<Message>;
}

export type Method = UnaryMethod | StreamMethod;

export function decodeMessage(schema: DescMessage, bytes: Uint8Array): Message {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw new GrpcError(Code.internal, `grpc: error unmarshalling request: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** A whole frame for a message that is sent to many. */
export function encodeAnswer<O extends DescMessage>(schema: O, init: MessageInitShape<O>): Uint8Array {
  return frameOf(toBinary(schema, create(schema, init)));
}

/** The methods of one service. */
export function defineService<S extends DescService>(service: S, handlers: Handlers<S>): readonly Method[] {
  const methods: Method[] = [];
  for (const desc of service.methods) {
    const handler = (handlers as Readonly<Record<string, unknown>>)[desc.localName];
    if (handler === undefined) continue;
    const path = `/${service.typeName}/${desc.name}`;
    methods.push(desc.methodKind === "unary" ? unary(path, desc, handler) : { kind: "stream", path, desc, open: handler as never });
  }
  return methods;
}

function unary(path: string, desc: DescMethod, handler: unknown): UnaryMethod {
  const handle = handler as UnaryHandler<DescMessage, DescMessage>;
  const invoke = async (request: Message, call: Call): Promise<Message> => create(desc.output, await handle(request, call));
  return {
    kind: "unary",
    path,
    desc,
    invoke,
    invokeBytes: async (bytes, call) => {
      const answer = toBinary(desc.output, await invoke(decodeMessage(desc.input, bytes), call));
      const frame = frameFor(answer.length);
      frame.set(answer, framePrefixBytes);
      return frame;
    },
  };
}
