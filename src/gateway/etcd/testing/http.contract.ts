import { once } from "node:events";
import { Agent, request } from "node:http";
import type { IncomingMessage } from "node:http";

export interface JsonAnswer {
  readonly status: number;
  readonly fields: IncomingMessage["headers"];
  readonly body: Record<string, unknown>;
}

/** A client of the JSON gateway over one connection that is kept, as programs with a connection pool have it. */
export class JsonClient {
  private readonly port: number;
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 });
  /** Local ports that were used: one per connection. */
  readonly connections = new Set<number>();

  constructor(port: number) {
    this.port = port;
  }

  close(): void {
    this.agent.destroy();
  }

  async get(path: string): Promise<JsonAnswer> {
    return this.read(await this.send("GET", path, undefined));
  }

  /** `body` goes as it is when it is a text. */
  async post(path: string, body: unknown): Promise<JsonAnswer> {
    return this.read(await this.send("POST", path, typeof body === "string" ? body : JSON.stringify(body)));
  }

  /** A stream on a connection of its own. Objects come one by one; `undefined` at the end. */
  async stream(path: string, body: unknown): Promise<JsonStream> {
    return new JsonStream(await this.send("POST", path, JSON.stringify(body), new Agent({ keepAlive: false })));
  }

  private async send(method: string, path: string, body: string | undefined, agent = this.agent): Promise<IncomingMessage> {
    const headers = body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const asked = request({ host: "127.0.0.1", port: this.port, method, path, agent, headers });
    asked.end(body);
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    if (agent === this.agent) this.connections.add(answer.socket.localPort ?? 0);
    return answer;
  }

  private async read(answer: IncomingMessage): Promise<JsonAnswer> {
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
    return { status: answer.statusCode ?? 0, fields: answer.headers, body };
  }
}

export class JsonStream {
  readonly status: number;
  readonly fields: IncomingMessage["headers"];
  private readonly answer: IncomingMessage;
  private readonly chunks: AsyncIterator<Buffer>;
  private text = "";

  constructor(answer: IncomingMessage) {
    this.answer = answer;
    this.status = answer.statusCode ?? 0;
    this.fields = answer.headers;
    this.chunks = answer[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  async next(): Promise<Record<string, unknown> | undefined> {
    for (;;) {
      const end = this.text.indexOf("\n");
      if (end >= 0) {
        const line = this.text.slice(0, end);
        this.text = this.text.slice(end + 1);
        return JSON.parse(line) as Record<string, unknown>;
      }
      const { done, value } = await this.chunks.next();
      if (done === true) return undefined;
      this.text += value.toString();
    }
  }

  cancel(): void {
    this.answer.destroy();
  }
}
