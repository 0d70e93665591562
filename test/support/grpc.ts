/** A client of `@grpc/grpc-js` whose methods come from etcd's interface definition, as programs in other languages make theirs. */
import { Client, Metadata, credentials } from "@grpc/grpc-js";
import type { ChannelCredentials, ClientDuplexStream, MethodDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { ServiceDefinition } from "@grpc/proto-loader";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../../src/etcd/proto", import.meta.url));
const definition = loadSync(["rpc.proto", "v3lock.proto", "v3election.proto"], {
  includeDirs: [folder],
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
});

export interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly mod_revision: string;
}

/** What answers hold, as far as tests read it: 64-bit numbers are decimal text. A field is there only in the answers that have it. */
export interface Answer {
  readonly header: { readonly revision: string };
  readonly count: string;
  readonly kvs: readonly KeyValue[];
  readonly kv: KeyValue;
  readonly key: Buffer;
  readonly keys: readonly Buffer[];
  readonly ID: string;
  readonly TTL: string;
  readonly watch_id: string;
  readonly canceled: boolean;
  readonly events: readonly { readonly type: string; readonly kv: KeyValue }[];
  readonly leader: object;
}

type Method = MethodDefinition<object, object>;

export class GrpcClient {
  private readonly client: Client;

  constructor(endpoints: readonly string[], security: ChannelCredentials = credentials.createInsecure()) {
    this.client = new Client(`ipv4:${endpoints.join(",")}`, security);
  }

  close(): void {
    this.client.close();
  }

  call(service: string, method: string, request: object, timeoutMs = 10_000): Promise<Answer> {
    const { path, requestSerialize, responseDeserialize } = methodOf(service, method);
    return new Promise((resolve, reject) => {
      const metadata = new Metadata({ waitForReady: true });
      const options = { deadline: Date.now() + timeoutMs };
      this.client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, options, (error, answer) => {
        if (error === null) resolve(answer as Answer);
        else reject(error);
      });
    });
  }

  open(service: string, method: string): Answers {
    const { path, requestSerialize, responseDeserialize } = methodOf(service, method);
    return new Answers(this.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize));
  }
}

function methodOf(service: string, method: string): Method {
  const found = (definition[service] as ServiceDefinition | undefined)?.[method];
  if (found === undefined) throw new Error(`no method ${service}.${method}`);
  return found as Method;
}

/** A stream whose answers are read one by one. */
export class Answers {
  private readonly stream: ClientDuplexStream<object, object>;
  private readonly answers: Answer[] = [];
  private wake: (() => void) | undefined;
  failure: Error | undefined;

  constructor(stream: ClientDuplexStream<object, object>) {
    this.stream = stream;
    stream.on("data", (message: Answer) => {
      this.answers.push(message);
      this.wake?.();
    });
    stream.on("error", (error: Error) => {
      this.failure = error;
      this.wake?.();
    });
  }

  send(request: object): void {
    this.stream.write(request);
  }

  async next(): Promise<Answer> {
    while (this.answers.length === 0) {
      if (this.failure !== undefined) throw this.failure;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return this.answers.shift() as Answer;
  }

  cancel(): void {
    this.stream.cancel();
  }
}
