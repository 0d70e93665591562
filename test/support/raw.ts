/** A connection that may say anything: bytes, frames, or nothing at all. */
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { ClusterId, GroupId } from "../../src/base/index.ts";
import {
  FrameDecoder,
  FrameType,
  decodeRefused,
  decodeResponse,
  encodeHello,
  encodeRequestFrame,
  protocolVersion,
} from "../../src/wire/index.ts";
import type { Answer, Hello, Method, WireError } from "../../src/wire/index.ts";

const nobody: Hello = {
  versionMin: protocolVersion,
  versionMax: protocolVersion,
  purpose: "client",
  cluster: undefined,
  node: undefined,
  name: "raw",
  address: "",
  featureLevel: 1,
};

export class RawConnection {
  readonly socket: Socket;
  /** Frames that are no answer to `request`. */
  readonly frames: Uint8Array[] = [];
  closed = false;
  /** What the node said of the connection as a whole before it closed it. */
  fault: WireError | undefined;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private readonly decoder = new FrameDecoder();
  private lastId = 0;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes) => this.decoder.push(bytes, (frame) => this.take(frame)));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.closed = true;
    });
  }

  /** Fulfils when it is connected or was refused. */
  static async open(address: string): Promise<RawConnection> {
    const [host = "127.0.0.1", port = "0"] = address.split(":");
    const socket = connect({ host, port: Number(port) });
    const connection = new RawConnection(socket);
    await new Promise((resolve) => socket.once("connect", resolve).once("close", resolve));
    return connection;
  }

  /** With the greeting said; fulfils once the node has welcomed or refused it. */
  static async greet(address: string, hello: Partial<Omit<Hello, "cluster">> & { readonly cluster?: string } = {}): Promise<RawConnection> {
    const connection = await RawConnection.open(address);
    const { cluster, ...rest } = hello;
    connection.send(encodeHello({ ...nobody, ...rest, cluster: cluster as ClusterId | undefined }));
    while (connection.frames.length === 0 && !connection.closed)
      await new Promise((resolve) => connection.socket.once("data", resolve).once("close", resolve));
    return connection;
  }

  get refusal(): WireError | undefined {
    const frame = this.frames.find((candidate) => candidate[0] === FrameType.refused);
    return frame === undefined ? undefined : decodeRefused(frame);
  }

  private take(frame: Uint8Array): void {
    if (frame[0] !== FrameType.response) {
      if (this.frames.length < 100) this.frames.push(frame.slice());
      return;
    }
    const { id, answer } = decodeResponse(frame.slice());
    if (id === 0 && !answer.ok) this.fault = answer.error;
    this.waiting.get(id)?.(answer);
    this.waiting.delete(id);
  }

  /** False when the kernel takes no more for now. */
  send(frame: Uint8Array): boolean {
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32LE(frame.length);
    this.socket.write(prefix);
    return this.socket.write(frame);
  }

  post(method: number, group: number, body: Uint8Array, answered: (answer: Answer) => void = () => undefined): boolean {
    const id = ++this.lastId;
    this.waiting.set(id, answered);
    return this.send(
      encodeRequestFrame({
        id,
        method: method as Method,
        group: group as GroupId,
        priority: "normal",
        stale: false,
        forwarded: false,
        remainingMs: 10_000,
        trace: 0n,
        principal: "",
        body,
      }),
    );
  }

  request(method: number, group: number, body: Uint8Array): Promise<Answer> {
    return new Promise((resolve) => this.post(method, group, body, resolve));
  }

  close(): void {
    this.socket.destroy();
  }
}
