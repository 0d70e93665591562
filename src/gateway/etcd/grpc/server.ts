import type { HttpExchange } from "../../../ports/index.ts";
import { StreamCall, UnaryCall } from "./call.ts";
import type { CallHost } from "./call.ts";
import { refusalFields, timeoutMsOf } from "./fields.ts";
import type { Method } from "./method.ts";
import { Code, GrpcError } from "../../../etcd/index.ts";

const refuseAll = { onData: () => undefined, onEnd: () => undefined, onDrain: () => undefined, onClose: () => undefined } as const;

/** Gives each call to its method. */
export class GrpcServer {
  readonly methods: ReadonlyMap<string, Method>;
  private readonly host: CallHost;
  /** Open calls. */
  private readonly calls = new Set<object>();

  constructor(methods: readonly Method[], host: Omit<CallHost, "closed">) {
    this.methods = new Map(methods.map((method) => [method.path, method]));
    this.host = { ...host, closed: (call) => this.calls.delete(call) };
  }

  get openCalls(): number {
    return this.calls.size;
  }

  /** Whether the exchange is a gRPC call; then it is taken care of. */
  accept(exchange: HttpExchange): boolean {
    const type = exchange.fields["content-type"];
    if (exchange.version !== "2" || type === undefined || !/^application\/grpc($|[+;])/.test(type)) return false;
    const refusal = this.refusal(exchange);
    if (refusal !== undefined) {
      exchange.handle(refuseAll);
      exchange.reply(200, { ...refusalFields(refusal), "grpc-accept-encoding": "identity" }, undefined);
      return true;
    }
    const method = this.methods.get(exchange.path) as Method;
    const call = method.kind === "unary" ? new UnaryCall(exchange, this.host, method) : new StreamCall(exchange, this.host, method);
    if (!call.isOver) this.calls.add(call);
    return true;
  }

  /** Ends every open call: the server stops. */
  stop(error: GrpcError): void {
    for (const call of [...this.calls]) (call as UnaryCall | StreamCall).fail(error);
  }

  private refusal(exchange: HttpExchange): GrpcError | undefined {
    if (exchange.method !== "POST") return new GrpcError(Code.internal, `grpc: method ${exchange.method} is not POST`);
    if (!this.methods.has(exchange.path)) return this.unknownMethod(exchange.path);
    const timeoutMs = timeoutMsOf(exchange.fields);
    if (timeoutMs !== undefined && Number.isNaN(timeoutMs)) {
      return new GrpcError(Code.internal, `malformed grpc-timeout: ${exchange.fields["grpc-timeout"] ?? ""}`);
    }
    if (this.calls.size >= this.host.callsMax) return new GrpcError(Code.resourceExhausted, "etcdserver: too many requests");
    const encoding = exchange.fields["grpc-encoding"];
    if (encoding === undefined || encoding === "identity") return undefined;
    return new GrpcError(Code.unimplemented, `grpc: Decompressor is not installed for grpc-encoding "${encoding}"`);
  }

  /** In the words of grpc-go, which clients match on. */
  private unknownMethod(path: string): GrpcError {
    const at = path.lastIndexOf("/");
    if (!path.startsWith("/") || at <= 0) return new GrpcError(Code.unimplemented, `malformed method name: ${JSON.stringify(path)}`);
    const service = path.slice(1, at);
    const known = [...this.methods.keys()].some((name) => name.startsWith(`/${service}/`));
    return known
      ? new GrpcError(Code.unimplemented, `unknown method ${path.slice(at + 1)} for service ${service}`)
      : new GrpcError(Code.unimplemented, `unknown service ${service}`);
  }
}
